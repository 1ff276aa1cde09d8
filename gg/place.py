"""Putting what was made in the place of its placeholder, so that the tree is an ordinary one afterwards.

A file appears whole or not at all. It keeps the placeholder's times, for make compares those, and its mode, with what
the tool itself decided about execution. `toolchain-wrappers/place.c` does it, many files in one call, and says how.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from gg import native
from gg.core.placeholder import Placeholder
from gg.core.thunk import Made
from gg.errors import StoreError

_ITEM = struct.Struct("<IIQqqI32s")
_ANSWER = struct.Struct("<iIqq")
_PLACEHOLDER, _EXECUTABLE, _GONE, _EXPECTED = 1, 2, 4, 8

_serial = count()


class Kept(NamedTuple):
    """Permissions and times (nanoseconds since the epoch) that a file has taken over."""

    mode: int = 0
    atime_ns: int = 0
    mtime_ns: int = 0


class Item(NamedTuple):
    """A file to put at `path`. `source` holds its bytes.

    `over` a placeholder: only where that one stands, whose times and mode it keeps; with None for `made` the command
    left the file out, and the placeholder goes. Else `kept` says which times and mode it is to have. `expected` says
    that the placeholder was made executable; one that is otherwise was changed since (chmod, install -m), and stays so.
    """

    path: bytes
    source: bytes
    made: Made | None
    over: Placeholder | None = None
    kept: Kept = Kept()
    expected: bool = False

    def pack(self) -> bytes:
        """As place.c reads it."""
        made, over, kept = self.made, self.over, self.kept
        flags = (_PLACEHOLDER if over else 0) | (_GONE if made is None else _EXECUTABLE if made.executable else 0)
        flags |= _EXPECTED if self.expected else 0
        size = made.blob.size if made else 0
        thunk, index = over or (b"", 0)
        head = _ITEM.pack(flags, index, size, kept.atime_ns, kept.mtime_ns, kept.mode, thunk)
        return head + self.path + b"\0" + self.source + b"\0"


class Placer:
    """Puts files in place. `tmp`: where they are written aside. Not for several threads; close it when done.

    Below `top`, a placeholder's other names (`ln a b`) become names of the real file too.
    """

    def __init__(self, tmp: str, top: str) -> None:
        self._top = os.fsencode(top)
        self._aside = os.path.join(os.fsencode(tmp), b"o%d-%d" % (os.getpid(), next(_serial)))
        self._call = ctypes.CDLL(native.place_library()).gg_place
        self._call.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)

    def put(self, items: Sequence[Item]) -> list[Kept | None]:
        """Put the files; what each has taken over, None where its placeholder is not. StoreError ends it midway."""
        names = [_linked(item.path) if item.over else None for item in items]
        answers = ctypes.create_string_buffer(_ANSWER.size * len(items))
        done = self._call(self._aside, b"".join([item.pack() for item in items]), len(items), answers)
        kept: list[Kept | None] = []
        for status, mode, atime, mtime in _ANSWER.iter_unpack(answers.raw[: done * _ANSWER.size]):
            if status < 0:
                raise _cannot(items[len(kept)].path, -status)
            kept.append(Kept(mode, atime, mtime) if status else None)
        if any(names):
            self._link_again([(i, item.path) for i, item, k in zip(names, items, kept, strict=True) if i and k])
        return kept

    def _link_again(self, placed: Sequence[tuple[tuple[int, int], bytes]]) -> None:
        """Let every name that one of these placeholders had below the top lead to the file that took its place."""
        linked: dict[tuple[int, int], bytes] = {}
        for inode, path in placed:
            if linked.setdefault(inode, path) != path:
                self._link(linked[inode], path)
        numbers = {inode for _, inode in linked}
        pending = [self._top] if linked else []
        while pending:
            with suppress(OSError), os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.inode() in numbers and (real := linked.get(_inode(entry.path))):
                        self._link(real, entry.path)

    def _link(self, real: bytes, path: bytes) -> None:
        """On another file system than `aside` it stays a file of its own."""
        with suppress(FileNotFoundError):
            os.unlink(self._aside)
        with suppress(OSError):
            os.link(real, self._aside)
            os.rename(self._aside, path)

    def close(self) -> None:
        with suppress(OSError):
            os.unlink(self._aside)


def _inode(path: bytes) -> tuple[int, int]:
    info = os.lstat(path)
    return info.st_dev, info.st_ino


def _linked(path: bytes) -> tuple[int, int] | None:
    """The device and inode of a file that has more names than this one."""
    try:
        info = os.lstat(path)
    except OSError:
        return None
    return (info.st_dev, info.st_ino) if info.st_nlink > 1 else None


def _cannot(path: bytes, error: int) -> StoreError:
    return StoreError(
        f"cannot write {os.fsdecode(path)}: {os.strerror(error)}",
        hint="what was forced is kept in the store: mend this and run gg-force again",
    )
