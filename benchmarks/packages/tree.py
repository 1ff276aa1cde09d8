"""What a build has left in a directory: each file's bytes and mode, and how two trees differ."""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from enum import Enum

from blake3 import blake3

ELF_TYPE = {1: "object", 2: "executable", 3: "shared"}
_PT_INTERP = 3


class Kind(Enum):
    """What a file is, by its first bytes, not its name."""

    OBJECT = "object"
    ARCHIVE = "archive"
    EXECUTABLE = "executable"
    SHARED = "shared"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One file or symbolic link. `digest` is of the bytes or of the link's target; `stamp` tells a rewrite."""

    kind: Kind
    digest: bytes
    size: int
    executable: bool
    stamp: tuple[int, int]

    def same_file(self, other: Leaf) -> bool:
        return (self.digest, self.executable, self.kind) == (other.digest, other.executable, other.kind)


Tree = dict[bytes, Leaf]


def _elf_kind(data: bytes) -> Kind:
    """An executable may be position-independent: then it is a shared object with a PT_INTERP header."""
    kind = Kind(ELF_TYPE.get(struct.unpack_from("<H", data, 16)[0], "other"))
    if kind is not Kind.SHARED or data[4] != 2:
        return kind
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    for at in range(offset, min(offset + size * count, len(data) - 4), size):
        if struct.unpack_from("<I", data, at)[0] == _PT_INTERP:
            return Kind.EXECUTABLE
    return kind


def kind_of(data: bytes) -> Kind:
    if data.startswith(b"\x7fELF") and len(data) >= 64:
        return _elf_kind(data)
    if data.startswith((b"!<arch>\n", b"!<thin>\n")):
        return Kind.ARCHIVE
    return Kind.OTHER


def _leaf(path: bytes) -> Leaf:
    info = os.lstat(path)
    stamp = (info.st_ino, info.st_mtime_ns)
    if stat.S_ISLNK(info.st_mode):
        return Leaf(Kind.LINK, os.readlink(path), 0, False, stamp)
    with open(path, "rb") as file:
        data = file.read()
    return Leaf(kind_of(data), blake3(data).digest(), len(data), bool(info.st_mode & 0o111), stamp)


def snapshot(root: str | os.PathLike[str], leave_out: tuple[bytes, ...] = (b".gg",)) -> Tree:
    """All files and links below `root` by their relative path; directories named in `leave_out` are not entered."""
    top = os.fsencode(root)
    tree: Tree = {}
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if name not in leave_out]
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        for name in files + links:
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode) or os.path.islink(path):
                tree[os.path.relpath(path, top)] = _leaf(path)
    return tree


def changed(before: Tree, after: Tree) -> Tree:
    """What of `after` is new or was written again since `before`."""
    return {path: leaf for path, leaf in after.items() if path not in before or before[path].stamp != leaf.stamp}


@dataclass(frozen=True, slots=True)
class Differences:
    """How `made` is not `wanted`, as paths."""

    missing: tuple[bytes, ...]
    extra: tuple[bytes, ...]
    bytes_differ: tuple[bytes, ...]
    mode_differs: tuple[bytes, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.bytes_differ or self.mode_differs)

    def paths(self) -> frozenset[bytes]:
        return frozenset(self.missing + self.extra + self.bytes_differ + self.mode_differs)

    def without(self, known: frozenset[bytes]) -> Differences:
        def keep(paths: tuple[bytes, ...]) -> tuple[bytes, ...]:
            return tuple(path for path in paths if path not in known)

        return Differences(keep(self.missing), keep(self.extra), keep(self.bytes_differ), keep(self.mode_differs))

    def lines(self) -> list[str]:
        named = (
            ("missing", self.missing),
            ("extra", self.extra),
            ("differs", self.bytes_differ),
            ("mode", self.mode_differs),
        )
        return [f"{what}: {path.decode(errors='backslashreplace')}" for what, paths in named for path in paths]


NONE = Differences((), (), (), ())


def compare(wanted: Tree, made: Tree) -> Differences:
    """What differs between two trees in names, bytes, links' targets and the executable bit."""
    both = sorted(wanted.keys() & made.keys())
    return Differences(
        missing=tuple(sorted(wanted.keys() - made.keys())),
        extra=tuple(sorted(made.keys() - wanted.keys())),
        bytes_differ=tuple(p for p in both if wanted[p].digest != made[p].digest),
        mode_differs=tuple(
            p for p in both if wanted[p].digest == made[p].digest and wanted[p].executable != made[p].executable
        ),
    )


def count(tree: Tree) -> dict[str, int]:
    """How many files of each kind."""
    totals: dict[str, int] = {}
    for leaf in tree.values():
        totals[leaf.kind.value] = totals.get(leaf.kind.value, 0) + 1
    return dict(sorted(totals.items()))
