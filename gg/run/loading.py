"""Shared libraries for programs that run on a host which is not the one they were recorded on.

The loader and libraries of that host are not the program's. So each program is started by the loader that was shipped with
it, and is given one directory of links, in which each library has the name by which it is asked for. This module settles
which library a name means, as the loader does (ld.so(8)): DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, the loader's own
directories. The cache in /etc is not shipped: in its stead any declared library of that name and kind counts.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from blake3 import blake3

from gg.core.ids import SandboxPath, sandbox_path
from gg.core.thunk import Entry, File
from gg.core.ticks import time_settled
from gg.formats.elf import Dynamic, read_dynamic_file
from gg.host.emptying import remove
from gg.run.start import through_links

_USUAL = (b"/lib64", b"/usr/lib64", b"/lib", b"/usr/lib", b"/usr/local/lib")
_TRIPLETS = {  # of Debian, by e_machine
    62: (b"/lib/x86_64-linux-gnu", b"/usr/lib/x86_64-linux-gnu"),
    183: (b"/lib/aarch64-linux-gnu", b"/usr/lib/aarch64-linux-gnu"),
}
_VARIANTS = b"/glibc-hwcaps/"  # for some processors only; the plain one is always there too

Entries = Mapping[SandboxPath, Entry]


class Libraries:
    """Directories of links below `top`. `place` tells where the bytes of a declared file are; they must be there."""

    def __init__(self, top: str, place: Callable[[File], str]) -> None:
        self._top = top
        self._place = place
        self._dynamics: dict[bytes, Dynamic | None] = {}
        self._made: dict[
            str, tuple[int, int] | None
        ] = {}  # the directory's change time, if the next change is sure to show in it
        self._doubted: dict[str, tuple[int, int] | None] = {}
        self._names: dict[str, dict[bytes, bytes]] = {}  # the links that a directory is to have
        self.lacking: set[SandboxPath] = set()  # undeclared paths at which libraries were looked for

    def directory(self, program: SandboxPath, interpreter: bytes, entries: Entries, path: bytes = b"") -> bytes:
        """The directory for `program`, whose loader is `interpreter`. `path` is its LD_LIBRARY_PATH."""
        found = self.closure(program, interpreter, entries, path)
        names = sorted((name, os.fsencode(self._place(file))) for name, file in found.items())
        digest = blake3(b"".join([name + b"\0" + place + b"\0" for name, place in names])).hexdigest(length=16)
        directory = os.path.join(self._top, digest)
        self._names.setdefault(directory, dict(names))
        self.have((directory,))
        return os.fsencode(directory)

    def have(self, directories: Iterable[str]) -> None:
        """Make the directories that `directory` has named, each with exactly its links."""
        for directory in directories:
            if directory not in self._made:
                names = self._names[directory]
                if _links(directory) != names:
                    remove(directory)
                    self._make(directory, names.items())
                self._made[directory] = None

    def doubt(self) -> None:
        """A command ran that may have changed the links: keep only directories that are as they were."""
        for directory, was in list(self._made.items()):
            now = time.time_ns()
            seen = _stamp(directory)
            if (seen is None or seen != was) and _links(directory) != self._names[directory]:
                remove(directory)
                del self._made[directory]
            else:
                self._made[directory] = seen if seen and time_settled(seen[1], now) else None

    def made(self) -> set[bytes]:
        """The names of the directories that are there."""
        return {os.fsencode(os.path.basename(directory)) for directory in self._made}

    def closure(
        self, program: SandboxPath, interpreter: bytes, entries: Entries, path: bytes = b""
    ) -> dict[bytes, File]:
        """The library that each name means in that program: those that it needs itself, then those that its plugins might need."""
        root = self.dynamic(program, entries)
        if root is None:
            return {}
        loader = through_links(SandboxPath(interpreter), entries)
        near = (os.path.dirname(loader), os.path.dirname(interpreter), *_merged(loader))
        usual = tuple(dict.fromkeys([*near, *_TRIPLETS.get(root.machine, ()), *_USUAL]))
        search = _Search(self, entries, root, tuple(p for p in path.split(b":") if p), usual)
        return search.all(program)

    def dynamic(self, path: SandboxPath, entries: Entries) -> Dynamic | None:
        """The dynamic part of a declared file, as the loader would read it."""
        file = entries.get(through_links(path, entries))
        if not isinstance(file, File):
            return None
        key = file.blob.digest
        if key not in self._dynamics:
            self._dynamics[key] = read_dynamic_file(os.fsencode(self._place(file)), _read)
        return self._dynamics[key]

    @staticmethod
    def _make(directory: str, names: Iterable[tuple[bytes, bytes]]) -> None:
        aside = f"{directory}.{os.getpid()}"
        os.makedirs(aside, exist_ok=True)
        for name, place in names:
            with suppress(FileExistsError):
                os.symlink(place, os.path.join(os.fsencode(aside), name))
        with suppress(OSError):  # it is there already
            os.rename(aside, directory)


class _Search:
    """One program's search."""

    def __init__(
        self, libraries: Libraries, entries: Entries, root: Dynamic, path: tuple[bytes, ...], usual: tuple[bytes, ...]
    ) -> None:
        self._libraries = libraries
        self._entries = entries
        self._root = root
        self._path = path
        self._usual = usual
        self._by_name: dict[bytes, list[SandboxPath]] | None = None

    def all(self, program: SandboxPath) -> dict[bytes, File]:
        found: dict[bytes, File] = {}
        queue: list[tuple[SandboxPath, tuple[bytes, ...]]] = [(program, ())]
        for path, inherited in queue:  # grows while it is walked: breadth first, as the loader does
            dynamic = self._libraries.dynamic(path, self._entries)
            if dynamic is None:
                continue
            real = through_links(path, self._entries) if path == program else path
            rpath = () if dynamic.runpath else (*_expanded(dynamic.rpath, real), *inherited)
            for name in (*dynamic.needed, *dynamic.filtees):
                if name in found:
                    continue
                place = self._find(name, (*rpath, *self._path, *_expanded(dynamic.runpath, real), *self._usual))
                if place is not None:
                    found[name] = self._file(place)
                    queue.append((place, rpath))
        for name, paths in self._named().items():
            if name not in found:
                found[name] = self._file(paths[0])
        return found

    def _find(self, name: bytes, directories: Sequence[bytes]) -> SandboxPath | None:
        if b"/" in name:
            path = SandboxPath(sandbox_path(name))
            return path if self._fits(path) else None
        for directory in directories:
            path = SandboxPath(directory.rstrip(b"/") + b"/" + name)
            if self._fits(path):
                return path
        found = next(iter(self._named().get(name, ())), None)
        if found is None:
            self._libraries.lacking.update([SandboxPath(d.rstrip(b"/") + b"/" + name) for d in directories])
        return found

    def _file(self, path: SandboxPath) -> File:
        file = self._entries[through_links(path, self._entries)]
        assert isinstance(file, File)
        return file

    def _fits(self, path: SandboxPath) -> bool:
        dynamic = self._libraries.dynamic(path, self._entries)
        return dynamic is not None and not dynamic.is_static_executable and dynamic.fits(self._root)

    def _named(self) -> dict[bytes, list[SandboxPath]]:
        """Every declared library that such a program can load, by file name; those in the usual directories first."""
        if self._by_name is None:
            self._by_name = {}
            for path in sorted((p for p in self._entries if _is_library(p)), key=self._order):
                if self._fits(path):
                    self._by_name.setdefault(os.path.basename(path), []).append(path)
        return self._by_name

    def _order(self, path: SandboxPath) -> tuple[int, bytes]:
        directory = os.path.dirname(path)
        return (self._usual.index(directory) if directory in self._usual else len(self._usual), path)


def _stamp(directory: str) -> tuple[int, int] | None:
    try:
        info = os.lstat(directory)
    except OSError:
        return None
    return (info.st_ino, info.st_ctime_ns)


def _links(directory: str) -> dict[bytes, bytes] | None:
    """The links in a directory, by name; None if it is not there or has anything else in it."""
    try:
        if not stat.S_ISDIR(os.lstat(directory).st_mode):
            return None
        top = os.fsencode(directory)
        return {name: os.readlink(os.path.join(top, name)) for name in os.listdir(top)}
    except OSError:
        return None


def _is_library(path: bytes) -> bool:
    name = path.rpartition(b"/")[2]
    return (name.endswith(b".so") or b".so." in name) and _VARIANTS not in path


def _merged(loader: bytes) -> Iterator[bytes]:
    """The loader's directory, and the same directory with or without /usr: often one is a link to the other."""
    directory = os.path.dirname(loader)
    yield directory.removeprefix(b"/usr") if directory.startswith(b"/usr/") else b"/usr" + directory


def _expanded(directories: tuple[bytes, ...], path: bytes) -> tuple[bytes, ...]:
    origin = os.path.dirname(path)
    return tuple(
        sandbox_path(d.replace(b"${ORIGIN}", b"$ORIGIN").replace(b"$ORIGIN", origin)) for d in directories if d
    )


def _read(path: bytes, offset: int, size: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        return file.read(size)
