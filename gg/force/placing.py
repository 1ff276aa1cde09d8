"""Puts files in the places of their placeholders, so that the tree is an ordinary one afterwards.

A file appears whole or not at all. It keeps the placeholder's times, for make compares those, and its mode, but for the
permission to execute, which the tool decides. gg-place, a program that runs beside this process, does the work
(`toolchain-wrappers/place/`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from itertools import count

from gg.core.placeholder import Placeholder
from gg.core.thunk import Made
from gg.errors import StoreError
from gg.host import native_programs as native
from gg.host.helper import Helper
from gg.light.named import NamedTuple

_ITEM = struct.Struct("<IIQqqI32s")
_HEAD = struct.Struct("<II")
_ANSWER = struct.Struct("<iIqqQ")
_PLACEHOLDER, _EXECUTABLE, _GONE, _EXPECTED = 1, 2, 4, 8

_serial = count()


class Kept(NamedTuple):
    """Permissions and times (nanoseconds since the epoch) that a file has taken over."""

    mode: int = 0
    atime_ns: int = 0
    mtime_ns: int = 0


class Item(NamedTuple):
    """A file to put at `path`. `source` holds its bytes.

    `over`: the placeholder that the file replaces. The file is put only where that one stands, and keeps its times and
    mode; with None for `made` the command left the file out, and the placeholder is removed. Without `over`, `kept` gives
    the file's times and mode. `expected`: the placeholder was made executable. If it no longer is, somebody has changed
    its mode since (chmod, install -m), and the file keeps that.
    """

    path: bytes
    source: bytes
    made: Made | None
    over: Placeholder | None = None
    kept: Kept = Kept()
    expected: bool = False

    def pack(self) -> bytes:
        """As gg-place reads it."""
        made, over, kept = self.made, self.over, self.kept
        flags = (_PLACEHOLDER if over else 0) | (_GONE if made is None else _EXECUTABLE if made.executable else 0)
        flags |= _EXPECTED if self.expected else 0
        size = made.blob.size if made else 0
        thunk, index = over or (b"", 0)
        head = _ITEM.pack(flags, index, size, kept.atime_ns, kept.mtime_ns, kept.mode, thunk)
        return head + self.path + b"\0" + self.source + b"\0"


class Placer:
    """Puts files in place. `tmp`: where a file has its name while it is written, if that is on the same mount. Not for several
    threads; close it when done.

    Below `top`, a placeholder's other names (`ln a b`) become names of the real file too. `elsewhere`: paths of files whose
    placeholders had names outside of `top`; those are placeholders still.
    """

    def __init__(self, tmp: str, top: str) -> None:
        self._top = os.fsencode(top)
        self._aside = os.path.join(os.fsencode(tmp), b"o%d-%d" % (os.getpid(), next(_serial)))
        self._helper: Helper | None = None
        self._under_way: Sequence[Item] = ()
        self.elsewhere: list[bytes] = []

    def put(self, items: Sequence[Item]) -> list[Kept | None]:
        """Put the files. The answer is what each has taken over, None where its placeholder was gone. StoreError ends it midway."""
        self.begin(items)
        return self.end()

    def begin(self, items: Sequence[Item]) -> None:
        """Begin to put the files. `end` tells what became of them, and must be called before the next `begin`."""
        assert not self._under_way
        if not items:
            return
        self._helper = self._helper or Helper(native.placer(), self._aside, self._top)
        packed = b"".join([item.pack() for item in items])
        self._under_way = items
        try:
            self._helper.write(_HEAD.pack(len(items), len(packed)) + packed)
        except OSError as error:
            raise self._lost() from error

    def end(self) -> list[Kept | None]:
        """Wait for the files of `begin`; the answer is that of `put`."""
        items, self._under_way = self._under_way, ()
        if not items:
            return []
        assert self._helper
        tried = int.from_bytes(self._helper.read(4), "little")
        answers = self._helper.read(tried * _ANSWER.size)
        if not tried or len(answers) < tried * _ANSWER.size:
            raise self._lost()
        kept: list[Kept | None] = []
        for item, (status, mode, atime, mtime, elsewhere) in zip(items, _ANSWER.iter_unpack(answers), strict=False):
            if status < 0:
                raise _cannot(item.path, -status)
            kept.append(Kept(mode, atime, mtime) if status else None)
            if elsewhere:
                self.elsewhere.append(item.path)
        return kept

    def _lost(self) -> StoreError:
        helper, self._helper, self._under_way = self._helper, None, ()
        status = helper.close() if helper else 0
        return StoreError(
            f"gg's own program gg-place ended with status {status}",
            hint="what was forced is kept in the store: run gg-force again",
        )

    def close(self) -> None:
        if self._helper:
            self._helper.close()
            self._helper = None


def _cannot(path: bytes, error: int) -> StoreError:
    """The error for a file that cannot be written. A full disk too is a StoreError here: only the tree's disk is full, and
    results of running attempts may still be kept (`Driver.end`).
    """
    return StoreError(
        f"cannot write {os.fsdecode(path)}: {os.strerror(error)}",
        hint="what was forced is kept in the store: mend this and run gg-force again",
    )
