"""Which results do not show where the workspace is, so that another checkout of the same tree can take them.

A compile without debug information that is given only relative names knows its own directory, but makes no use of it. Two
commands are *twins* if they are the same apart from the workspace's path, in the places that say where they run: directory,
PWD, paths of inputs and outputs. The result of one is taken for the other if

  - no argument and no variable names the workspace, and no option is there by which a directory could get into the result
    where it cannot be seen: debug information (which may be compressed), LTO, coverage, options past the driver, response files;
  - the program is the machine's own and no script, for that could read PWD;
  - of the workspace it read and wrote only what it had declared;
    - neither the workspace's path nor debug information is in the result, neither in its files nor in what was printed. (An
      assembler's source, or an object, may bring them along.)

  The last condition is checked when the command has run, while the workspace is known; only then is the result noted for twins.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Mapping
from contextlib import suppress

from blake3 import blake3

from gg.core.ids import BlobId, GroupId, SandboxPath
from gg.core.thunk import Directory, Entry, File, OutputOf, Reduction, Symlink, Thunk, Work
from gg.light.regex import regex
from gg.run.expand import Groups
from gg.run.inert import HIDES

_WORKS = (Work.COMPILE, Work.ASSEMBLE, Work.PREPROCESS, Work.LINK, Work.ARCHIVE, Work.EDIT)
_MODELS = ("gcc/", "as/", "ld/", "ar/", "ranlib/", "strip/", "objcopy/")
_OPTIONS = regex(  # one argument: with these the directory may get into the result unseen
    rb"@|-Wa,|-Wp,|-X|--?g(?:dwarf|stabs|en-debug)|-a|-wrapper|-fmodules?|-ftime|-specs|--config|-T$|-fuse-ld=/|-(?:save|dump)"
)
_PRECOMPILED = (b".gch", b".pch", b".pcm")
_SHOWS = (b".debug_", b".zdebug", b".gnu.lto", b".stab", b"LLVM_BITCODE", b"BC\xc0\xde")
_LARGEST = 64 << 20  # bytes of one output that are looked through
_HERE = b"@"  # for the workspace; all other paths begin with a slash


class Placeless:
    """Names the thunks of the workspace at `root`. Each group and each program is looked through once."""

    def __init__(self, groups: Groups, root: bytes) -> None:
        self._groups = groups
        self._root = root
        self._top = root + b"/"
        self._of_groups: dict[GroupId, bytes] = {}
        self._native: dict[bytes, bool] = {}

    def name(self, thunk: Thunk) -> bytes | None:
        """32 bytes that a resolved thunk and its twins have in common; None for one whose result may say where it ran."""
        if not self._may_have_twins(thunk):
            return None
        env = [(name, self._inside(value) if name == b"PWD" else value) for name, value in thunk.env]
        parts = (
            b"placeless",
            *(thunk.model.encode(), thunk.work.value.encode(), thunk.program, self._inside(thunk.cwd)),
            *(b"\1", *thunk.argv, b"\1", *(piece for pair in env for piece in pair)),
            *(b"\1", *(self._inside(o.path) + b"\0%d%d%d" % (o.executable, o.optional, o.soft) for o in thunk.outputs)),
            *(b"\1", *self._entries(thunk.entries)),
            *(b"\1", *sorted(self._group(each) for each in thunk.groups)),
        )
        return blake3(b"\0".join(parts)).digest()

    def is_shown(self, reduction: Reduction, paths: Mapping[BlobId, bytes]) -> bool:
        """Whether a result shows, or may show, where the workspace is. `paths`: the files with its bytes."""
        if reduction.extra_outputs or any(self._is_here(path) for path, _ in reduction.extra_inputs):
            return True
        made = [each.blob for each in reduction.outputs if each is not None]
        if any(blob not in paths or blob.size > _LARGEST for blob in made):
            return True
        return any(map(self._says, (reduction.stdout, reduction.stderr))) or any(
            self._file_says(paths[blob]) for blob in made if blob.size
        )

    def moved(self, reduction: Reduction, old: Thunk, new: Thunk) -> Reduction:
        """The result of a twin, `old`, as that of `new`."""
        there = old.cwd[: len(old.cwd) - len(new.cwd) + len(self._root)] + b"/"
        reads = reduction.reads
        if reads is not None:
            reads = tuple(sorted(SandboxPath(self._top + p[len(there) :]) if p.startswith(there) else p for p in reads))
        return reduction._replace(reads=reads)

    def _may_have_twins(self, thunk: Thunk) -> bool:
        if (
            thunk.work not in _WORKS
            or not thunk.model.startswith(_MODELS)
            or thunk.dynamic
            or self._root in (b"", b"/")
        ):
            return False
        words = thunk.argv[1:]
        if not self._is_here(thunk.cwd) or self._is_here(thunk.program):
            return False
        if any(self._root in word or _OPTIONS.match(word) for word in words) or HIDES.search(b" ".join(words)):
            return False
        if any(self._root in value for name, value in thunk.env if (name, value) != (b"PWD", thunk.cwd)):
            return False
        if not all(self._is_here(o.path) and not o.path.endswith(_PRECOMPILED) for o in thunk.outputs):
            return False
        return not any(isinstance(entry, OutputOf) for entry in thunk.entries) and self._is_native(thunk.program)

    def _is_here(self, path: bytes) -> bool:
        return path == self._root or path.startswith(self._top)

    def _inside(self, path: bytes) -> bytes:
        return _HERE + path[len(self._root) :] if self._is_here(path) else path

    def _entries(self, entries: Iterable[Entry]) -> list[bytes]:
        return sorted(map(self._entry, entries))

    def _entry(self, entry: Entry) -> bytes:
        path = self._inside(entry.path)
        match entry:
            case File():
                return path + b"\0f%d" % entry.executable + entry.blob.digest
            case Symlink():
                return path + b"\0l" + entry.target
            case Directory():
                return path + b"\0d"
            case OutputOf():
                raise AssertionError("of a resolved thunk")

    def _group(self, id: GroupId) -> bytes:
        """The entries of a group. The groups below are looked through first, without recursion."""
        stack = [id]
        while stack:
            top = stack[-1]
            node = self._groups.node(top)
            below = [each for each in node.groups if each not in self._of_groups]
            if below:
                stack += below
                continue
            stack.pop()
            parts = (*self._entries(node.entries), b"\1", *sorted(self._of_groups[each] for each in node.groups))
            self._of_groups[top] = blake3(b"\0".join(parts)).digest()
        return self._of_groups[id]

    def _is_native(self, program: bytes) -> bool:
        if program not in self._native:
            self._native[program] = False
            with suppress(OSError), open(program, "rb", buffering=0) as file:
                self._native[program] = file.read(4) == b"\x7fELF"
        return self._native[program]

    def _says(self, text: bytes | mmap.mmap) -> bool:
        return any(text.find(each) >= 0 for each in (self._root, *_SHOWS))

    def _file_says(self, path: bytes) -> bool:
        try:
            with open(path, "rb", buffering=0) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                return self._says(text)
        except (OSError, ValueError):
            return True
