"""The value types of gg: thunk, input group, reduction.

A thunk is one deterministic command: what it executes, where, with which environment, what it reads and what it
writes. Nothing in it says where or when it runs.

Inputs form a Merkle graph, so that a build's metadata grows with what is new in it. A thunk lists a few entries of
its own (its source, its objects) and names *groups*; a group lists entries and names further groups. One header
with all that it includes is one group, so two thousand units that include it repeat 32 bytes each, not its closure.

Equal thunks encode to equal bytes (`gg.core.codec`), and that encoding's digest is the thunk's id.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.light.named import NamedTuple

BY_HAND = b"/gg/thunk"
"""The directory of a thunk that somebody made himself, by gg-create-thunk or the SDK. It is on no machine: what lies there is what
he named by its hash.
"""

_CLOSED = "derivation/"  # the model of thunks that `gg.nix` makes


class File(NamedTuple):
    """A regular file that is known now."""

    path: SandboxPath
    blob: BlobId
    executable: bool = False


class OutputOf(NamedTuple):
    """A file that another thunk makes: its `index`-th output."""

    path: SandboxPath
    thunk: ThunkId
    index: int  # type: ignore[assignment]  # hides the method of tuple, which nobody calls here


class Symlink(NamedTuple):
    """A symbolic link, with its target as `readlink` gives it."""

    path: SandboxPath
    target: bytes


class Directory(NamedTuple):
    """A directory whose existence matters (a search path may be empty); those above a file need no entry."""

    path: SandboxPath


Entry = File | OutputOf | Symlink | Directory


class Group(NamedTuple):
    """Entries that are read together, and the groups that come with them. Entries are sorted by path, ids by value.

    Only `File`, `Symlink` and `Directory` entries: what another thunk makes is listed by the thunk itself, so a
    group never has to be rewritten when a thunk is resolved.
    """

    entries: tuple[File | Symlink | Directory, ...]
    groups: tuple[GroupId, ...] = ()


class Work(Enum):
    """What a thunk does, for people, priorities and resource classes. The value is part of the encoding."""

    COMPILE = "compile"
    ASSEMBLE = "assemble"
    LINK = "link"
    ARCHIVE = "archive"
    EDIT = "edit"
    PREPROCESS = "preprocess"
    OTHER = "other"


class Output(NamedTuple):
    """A path that a thunk writes.

    `optional`: the command may rightly leave it out. `executable`: the mode the file is expected to have.
    `soft`: the file has a meaningful content before it is forced (a dependency file), so no placeholder stands for it.
    """

    path: SandboxPath
    executable: bool = False
    optional: bool = False
    soft: bool = False


class Thunk(NamedTuple):
    """One deterministic command. Equal thunks encode to equal bytes.

    `program` is the file that is executed, `argv[0]` is how it was called. `env` is the whole environment, sorted by
    name; the runner adds TMPDIR. `model` names the model and its version ("gcc/1"), so that a mended model never
    meets the results of its old self. `dynamic` thunks may write a placeholder as their output, which is then forced.
    """

    argv: tuple[bytes, ...]
    program: SandboxPath
    cwd: SandboxPath
    env: tuple[tuple[bytes, bytes], ...]
    entries: tuple[Entry, ...]
    groups: tuple[GroupId, ...]
    outputs: tuple[Output, ...]
    work: Work
    model: str
    dynamic: bool = False

    @property
    def by_name(self) -> bool:
        """Whether somebody has made it by its parts (gg-create-thunk, the SDK): no recording of a build makes it again."""
        return self.model.startswith(("custom/", _CLOSED))

    @property
    def closed(self) -> bool:
        """Whether it is a whole build in a sandbox: for it nothing exists but what it declares, wherever it runs; what it prints
        is one text; each output is an archive (`gg.formats.nar`) of what it left there, and all else that it wrote is lost.
        """
        return self.model.startswith(_CLOSED)

    def dependencies(self) -> tuple[ThunkId, ...]:
        """The thunks whose outputs this one reads, each once, in the order of the entries."""
        return tuple(dict.fromkeys(e.thunk for e in self.entries if isinstance(e, OutputOf)))


class Made(NamedTuple):
    """One file that a thunk has made."""

    blob: BlobId
    executable: bool = False


class Usage(NamedTuple):
    """What an attempt took. Times in nanoseconds; memory, the peak resident set of its largest process, in bytes, 0 if unknown."""

    wall_ns: int = 0
    cpu_ns: int = 0
    memory: int = 0


class Reduction(NamedTuple):
    """The recorded outcome of a thunk that succeeded (a failed one is never recorded).

    `outputs` goes with the thunk's own, None for an optional one that was left out. `extra_outputs` are files that
    the command wrote beside those declared. `extra_inputs` were read and not declared: the reduction holds only while
    those paths have those bytes. `reads` are the declared inputs that were really read (None: not observed).
    """

    outputs: tuple[Made | None, ...]
    stdout: bytes
    stderr: bytes
    usage: Usage
    engine: str
    extra_outputs: tuple[tuple[SandboxPath, Made], ...] = ()
    extra_inputs: tuple[tuple[SandboxPath, BlobId], ...] = ()
    reads: tuple[SandboxPath, ...] | None = None


def sizes_of(entries: Iterable[Entry]) -> dict[bytes, int]:
    """The digests of the blobs of all files among `entries`, and their sizes."""
    return {entry.blob.digest: entry.blob.size for entry in entries if isinstance(entry, File)}
