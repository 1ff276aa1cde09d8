"""A disk in memory for the scanner's tests: files, directories and links in a dictionary, a clock that is told."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence

from gg.models.drafts import Lexer, Scan, SearchPath
from gg.models.includes import Closure, DirectorySignature, FileSignature, Scanner


class MemoryDisk:
    """Implements `gg.models.includes.Disk`. Each change takes a second unless `tick` says otherwise (ns)."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._files: dict[str, bytes | None] = {}  # None: cannot be read
        self._links: dict[str, str] = {}
        self._changed: dict[str, int] = {"/": 0}
        self._inode: dict[str, int] = {"/": 1}
        self._clock = 1_700_000_000_000_000_001
        self.tick = 1_000_000_007
        self.kept: dict[tuple[bytes, str], tuple[FileSignature, bytes]] = {}
        self.read_paths: list[bytes] = []
        self.asked = 0
        for path, text in files.items():
            self.write(path, text)

    def _touch(self, path: str, new: bool) -> None:
        self._clock += self.tick
        self._changed[path] = self._clock
        if new:
            self._inode[path] = len(self._inode) + 1

    def mkdir(self, path: str) -> None:
        if path not in self._changed:
            parent = posixpath.dirname(path)
            self.mkdir(parent)
            self._touch(parent, False)
            self._touch(path, True)

    def write(self, path: str, text: str | bytes | None) -> None:
        self.mkdir(posixpath.dirname(path))
        new = path not in self._files
        self._files[path] = text.encode() if isinstance(text, str) else text
        self._touch(path, new)
        if new:
            self._touch(posixpath.dirname(path), False)

    def link(self, path: str, target: str) -> None:
        self.mkdir(posixpath.dirname(path))
        self._links[path] = posixpath.join(posixpath.dirname(path), target)
        self._touch(posixpath.dirname(path), False)

    def remove(self, path: str) -> None:
        self._files.pop(path, None)
        self._links.pop(path, None)
        self._touch(posixpath.dirname(path), False)

    def _real(self, path: bytes) -> str:
        here = ""
        for part in path.decode("latin-1").split("/"):
            if part == "..":
                here = posixpath.dirname(here) if here.count("/") > 1 else ""
            elif part not in ("", "."):
                here += "/" + part
                while here in self._links:
                    here = self._real(self._links[here].encode("latin-1")).rstrip("/")
        return here or "/"

    def now(self) -> int:
        self._clock += self.tick
        return self._clock

    def stable(self, path: bytes) -> bool:
        return path.startswith(b"/usr/")

    def _is_directory(self, real: str) -> bool:
        return real in self._changed and real not in self._files

    def directory_signatures(self, paths: Sequence[bytes]) -> list[DirectorySignature | None]:
        self.asked += len(paths)
        reals = [self._real(path) for path in paths]
        return [(1, self._inode[r], self._changed[r]) if self._is_directory(r) else None for r in reals]

    def names(self, path: bytes) -> frozenset[bytes]:
        prefix = self._real(path).rstrip("/") + "/"
        below = (p[len(prefix) :] for p in (*self._files, *self._links, *self._changed) if p.startswith(prefix))
        return frozenset(name.encode("latin-1") for name in below if name and "/" not in name)

    def exists(self, path: bytes) -> bool:
        self.asked += 1
        real = self._real(path)
        return real in self._files or self._is_directory(real)

    def file_signatures(self, paths: Sequence[bytes]) -> list[FileSignature | None]:
        self.asked += len(paths)
        reals = [self._real(path) for path in paths]
        return [(self._changed[r], self._inode[r], 0) if r in self._files else None for r in reals]

    def readable(self, path: bytes) -> bool:
        return self._files.get(self._real(path)) is not None

    def realpath(self, path: bytes) -> bytes:
        return self._real(path).encode("latin-1")

    def read(self, path: bytes) -> bytes:
        data = self._files[self._real(path)]
        if data is None:
            raise PermissionError(13, "not readable", path)
        self.read_paths.append(path)
        return data

    def lexed(self, path: bytes, kind: str, signature: FileSignature) -> bytes | None:
        known = self.kept.get((path, kind))
        return known[1] if known is not None and known[0] == signature else None

    def keep(self, path: bytes, kind: str, signature: FileSignature, lexed: bytes) -> None:
        self.kept[(path, kind)] = (signature, lexed)


def request(
    *sources: str,
    include: Sequence[str] = (),
    quote: Sequence[str] = (),
    system: Sequence[str] = (),
    forced: Sequence[str] = (),
    defines: Sequence[str] = (),
    lexer: Lexer = Lexer.C,
) -> Scan:
    """A scan as a model would ask for it."""

    def encoded(names: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(name.encode() for name in names)

    search = SearchPath(encoded(quote), encoded([*include, *system]), len(include))
    return Scan(lexer, encoded(sources), search, encoded(forced), encoded(defines))


def paths(closure: Closure) -> list[str]:
    """The real names of what was found, sorted; those below /w without that."""
    for system in (False, True):  # the short way to what a dependency file lists
        listed = [h.display for h in closure.files() if h.listed and (system or not h.system)]
        assert sorted(closure.displays(system=system)) == sorted(listed)
    return sorted({header.path.decode().removeprefix("/w/") for header in closure.files()})


def scan(files: Mapping[str, str | bytes], *sources: str, **options: object) -> list[str]:
    """What a new scanner finds in /w, for a tree given as name (relative to /w) and text."""
    disk = MemoryDisk({posixpath.join("/w", name): text for name, text in files.items()})
    return paths(Scanner(disk).scan(request(*(sources or ("a.c",)), **options), b"/w"))  # type: ignore[arg-type]
