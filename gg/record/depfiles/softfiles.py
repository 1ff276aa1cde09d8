"""Files that have a content before they are forced: dependency files.

The recorder writes one at once, for make; the compiler's own takes its place when the thunk is forced. No placeholder
can mark it, so it is remembered by path and inode, for automake renames `x.Tpo` to `x.Po` in the same directory, and
by its text, for two recordings at once write the same to one path, and each remembers its own file.

Its size and its end say that it is one (`marked`), whatever it is called: the interposer asks the recorder before anything
but make reads it (`toolchain-wrappers/common/placeholder.h`). Newlines are what every reader of such files passes over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, cast

import msgpack
from blake3 import blake3

from gg.core.ids import ThunkId
from gg.errors import FormatError
from gg.light.slotted import slotted
from gg.store.base import Key, Kind, Store, of_this_machine

_FIELDS = 8
_TYPES: list[type] = [bytes, int, int, int, int, bytes, bool]

_STEP, _REST, _NEWLINES = 64, 41, 16


def marked(text: bytes) -> bytes:
    """`text` with newlines behind it, by which the interposer knows it."""
    size = len(text) + _NEWLINES
    return text + b"\n" * (_NEWLINES + (_REST - size) % _STEP)


def is_marked(text: bytes) -> bool:
    return len(text) % _STEP == _REST and text.endswith(b"\n" * _NEWLINES)


@slotted()
class SoftFile:
    """A file as the recorder left it. Times in nanoseconds. `open`: somebody is about to read it, so it must stay that file."""

    path: bytes
    inode: int
    mtime_ns: int
    size: int
    index: int
    text: bytes  # its digest
    open: bool = False

    def find(self) -> bytes | None:
        """Where the file is now, unchanged since it was written, and no link to it; None when it is gone or is another one."""
        real = os.path.realpath(self.path) if os.path.islink(self.path) else self.path
        if self._is_at(real) or self._is_same(real):
            return real
        directory = os.path.dirname(self.path)
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.inode() == self.inode and (self._is_at(entry.path) or self._is_same(entry.path)):
                        return entry.path
        except OSError:
            pass
        return None

    def is_of(self, text: bytes) -> bool:
        """Whether this is what the recorder has left."""
        return _digest(text) == self.text

    def _is_at(self, path: bytes) -> bool:
        try:
            info = os.lstat(path)
        except OSError:
            return False
        return (info.st_ino, info.st_mtime_ns, info.st_size) == (self.inode, self.mtime_ns, self.size)

    def _is_same(self, path: bytes) -> bool:
        try:
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                return _digest(file.read(self.size + 1)) == self.text
        except OSError:
            return False


def _digest(text: bytes) -> bytes:
    return blake3(text).digest(16)


def soft_key(thunk: ThunkId) -> Key:
    """Where the record of a thunk's soft file is."""
    return Key(Kind.ALIAS, blake3(b"soft\0" + thunk).digest())


class SoftFiles:
    """The soft files of a store's thunks, as this machine has them. `wrote` collects, `flush` writes."""

    def __init__(self, store: Store) -> None:
        self._store = of_this_machine(store)
        self._pending: dict[Key, bytes] = {}

    def wrote(
        self, path: bytes, text: bytes, info: os.stat_result, thunk: ThunkId, index: int, *, is_open: bool = False
    ) -> None:
        record = [2, path, info.st_ino, info.st_mtime_ns, info.st_size, index, _digest(text), is_open]
        self._pending[soft_key(thunk)] = msgpack.packb(record)
        if len(self._pending) >= 64:
            self.flush()

    def flush(self) -> None:
        if self._pending:
            self._store.put(self._pending)
            self._pending = {}

    def of(self, thunks: Iterable[ThunkId]) -> dict[ThunkId, SoftFile]:
        """The soft files of these thunks, each at most one."""
        from gg.core.bounded import unpacked
        from gg.core.columns import typed

        keys = {soft_key(thunk): thunk for thunk in thunks}
        found: dict[ThunkId, SoftFile] = {}
        for key, value in self._store.get(list(keys)).items():
            try:
                record = unpacked(value, "record of a dependency file", _FIELDS)
            except FormatError:
                continue  # damaged: the file stays as it is, and lists more than need be
            if typed(record[1:], _TYPES) and record[0] == 2:
                found[keys[key]] = SoftFile(*cast("list[Any]", record[1:]))
        return found
