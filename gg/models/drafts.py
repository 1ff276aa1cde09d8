"""What a model is: a function from a command line to a `Draft`, or to `RunReal(why)`.

A model knows one tool. It never touches the disk, the clock or a process: what it must know about the world it asks
of a `Probe`, so the tables of its tests need none. It says which *paths* are read and written; the recorder turns
paths into blobs, placeholders into other thunks' outputs, and the include scans into input groups.

A model that is not sure answers `RunReal`: the tool then runs at once, with every placeholder that it reads forced
first, and only parallelism is lost. A wrong Draft is a bug; a needless RunReal is a missed chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from gg.core.thunk import Work
from gg.light.named import NamedTuple


class PathKind(Enum):
    """What a path is, symbolic links followed. A placeholder is a FILE."""

    MISSING = 0
    FILE = 1
    DIRECTORY = 2


class Completed(NamedTuple):
    """What a real program answered to a question."""

    status: int
    stdout: bytes
    stderr: bytes


class Probe(Protocol):
    """All that a model may ask about the world. Paths may be relative to nothing: callers pass absolute ones.

    Answers are memoised for as long as the recorder can vouch for them, so asking twice is cheap.
    """

    def kind(self, path: bytes) -> PathKind: ...

    def read(self, path: bytes) -> bytes:
        """The whole content (a placeholder is forced first); OSError if it cannot be read."""
        ...

    def is_placeholder(self, path: bytes) -> bool: ...

    def realpath(self, path: bytes) -> bytes: ...

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        """Ask a real program (argv[0] absolute); memoised for the session by its arguments."""
        ...


class Tool(NamedTuple):
    """A modelled tool as it was found: `name` is the canonical one ("gcc", "g++", "ar"), `path` the real program.

    `path` is absolute, as PATH or the caller gave it; if it ends in a symbolic link, that link is not followed.
    """

    name: str
    path: bytes


class Call(NamedTuple):
    """One call of a tool, just as it was made: `argv[0]` as the caller wrote it, no `@file` expanded."""

    tool: Tool
    argv: tuple[bytes, ...]
    cwd: bytes
    env: Mapping[bytes, bytes]


class SearchPath(NamedTuple):
    """Where included names are looked for, each directory as the compiler would print it (relative to cwd or not).

    `quote` serves `#include "x"` after the includer's own directory; `bracket` follows for both forms: -I, then
    -isystem, then the compiler's own, then -idirafter. `user` is how many of `bracket` are not system directories
    (what -MM leaves out are headers found in the others).
    """

    quote: tuple[bytes, ...]
    bracket: tuple[bytes, ...]
    user: int


class Lexer(Enum):
    """How a source names the files it reads."""

    C = "c"  # C, C++, Objective-C and assembly with preprocessing: #include, #embed, .incbin, __has_include
    GAS = "gas"  # assembly without preprocessing: .include, .incbin
    NASM = "nasm"  # %include, %pathsearch, incbin, %depend


class Scan(NamedTuple):
    """Sources to scan for what they read, in one search path.

    `forced` are the operands of -include and -imacros in order, as written. `defines` are the -D arguments ("A=<x.h>"),
    for `#include MACRO`. `fallback` is the compiler's command line for sources that the scanner cannot follow: -M or -E
    behind it makes the compiler tell. It is empty when there is none, and the call then runs for real.
    """

    lexer: Lexer
    sources: tuple[bytes, ...]
    search: SearchPath
    forced: tuple[bytes, ...] = ()
    defines: tuple[bytes, ...] = ()
    fallback: tuple[bytes, ...] = ()


class Depfile(NamedTuple):
    """A make rule that the command writes, and that make reads before anything is forced.

    `targets` are already quoted as make wants them. `system`: system headers are listed too (-MD, not -MMD).
    `phony`: each header gets an empty rule of its own (-MP).
    """

    path: bytes
    targets: tuple[bytes, ...]
    system: bool = True
    phony: bool = False


class Writes(NamedTuple):
    """A file that the command makes; the words are those of `gg.core.thunk.Output`."""

    path: bytes
    executable: bool = False
    optional: bool = False
    soft: bool = False


class Draft(NamedTuple):
    """A thunk before its inputs have digests. Paths are absolute or relative to `Call.cwd`; the recorder resolves them.

    `inputs`: every file that is read and is not found by `scans`; any may be a placeholder. `optional_inputs` are
    read if they exist. `tools`: the programs, plugins, specs and shared libraries that run (`Toolchain.files`).
    `plugins`: files that are loaded as well, but do something only if an input is for a link-time optimiser.
    `directories`: search directories whose existence matters. `env`: the variables that can matter to the result.
    """

    model: str
    work: Work
    argv: tuple[bytes, ...]
    program: bytes
    env: Mapping[bytes, bytes]
    inputs: tuple[bytes, ...]
    outputs: tuple[Writes, ...]
    tools: tuple[bytes, ...]
    optional_inputs: tuple[bytes, ...] = ()
    directories: tuple[bytes, ...] = ()
    scans: tuple[Scan, ...] = ()
    depfile: Depfile | None = None
    plugins: tuple[bytes, ...] = ()


class RunReal(NamedTuple):
    """The call runs at once, for real. `probe`: the call only asks a question, so it is not counted as a missed chance.

    `reads` are the files among its arguments that it may read: those that are placeholders are forced first.
    `reads_all`: nobody can tell which it reads, so every argument that names a placeholder is forced. `nested`: the tools
    that it calls are recorded in their turn. (A compiler's are not.)
    """

    why: str
    reads: tuple[bytes, ...] = ()
    reads_all: bool = True
    probe: bool = False
    nested: bool = False


ModelAnswer = Draft | RunReal


class Model(Protocol):
    """One tool family: `model(call, probe)` answers for one call. Raises nothing: doubt is `RunReal`."""

    def __call__(self, call: Call, probe: Probe) -> ModelAnswer: ...
