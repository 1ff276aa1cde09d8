"""One recording's file in the ledger: the calls that it recorded, and the calls whose end was told.

A record is 32 bytes for the thunk, u32 for the length of the paths (its highest bit: nobody hears what the call prints;
the next: it is excused, for its caller drops its status; the six below: who passes on what it prints, `gg.core.colour.By`),
u16 for the call's umask, the paths of its outputs, a NUL between them, and when it was recorded, u64 in nanoseconds by the
clock of file systems, so that what came later can be told (`gg.workspace.later`): no two calls of a recording have the same.
All is appended: a kill may cut the last record of a file, and then nobody has seen its placeholder.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress

from gg.core.ids import DIGEST_SIZE, ThunkId
from gg.light.named import NamedTuple

_LENGTH = struct.Struct("<IH")  # and the umask
_TIME = struct.Struct("<Q")
_LONGEST = 0xFFFFFF
_HEAD = DIGEST_SIZE + _LENGTH.size
UNHEARD = 1 << 31
EXCUSED = 1 << 30
BY = 24
"""where the six bits of `gg.core.colour.By` begin."""
_SECOND = 1_000_000_000
_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE, that of the ticks


class RecordedCall(NamedTuple):
    """One record of a recording."""

    place: int
    thunk: ThunkId
    paths: bytes
    flags: int
    umask: int
    time: int


class Recording:
    """The file of one recording."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self.told = 0
        self._size = 0
        self._time = 0
        self._fd = -1

    def open(self) -> None:
        """Make the file, and hold it as the recorder that writes it."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def add(self, thunk: ThunkId, paths: bytes, flags: int, umask: int) -> tuple[int, int]:
        """Add a call, and return its place and time. OSError when there is no room; then nothing is added."""
        if len(paths) > _LONGEST:
            raise OSError(7, "Argument list too long", self.path)
        self._write(thunk + _LENGTH.pack(len(paths) | flags, umask) + paths)
        self._time = max(self._time + 1, _written_at(self._fd))
        self._write(_TIME.pack(self._time))
        self.count += 1
        return self.count - 1, self._time

    def _write(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        if written != len(data):
            os.ftruncate(self._fd, self._size)
            raise OSError(28, "No space left on device", self.path)
        self._size += written

    def read(self) -> list[RecordedCall]:
        """The calls of the recording. FileNotFoundError when none is owed any more."""
        with open(self.path, "rb") as file:
            data, changed = file.read(), os.fstat(file.fileno()).st_mtime_ns
        calls: list[RecordedCall] = []
        at = 0
        while at + _HEAD <= len(data):
            length, umask = _LENGTH.unpack_from(data, at + DIGEST_SIZE)
            end = at + _HEAD + (length & _LONGEST)
            if end + _TIME.size > len(data):
                break
            thunk = ThunkId(data[at : at + DIGEST_SIZE])
            flags = length & ~_LONGEST
            (when,) = _TIME.unpack_from(data, end)
            calls.append(RecordedCall(len(calls), thunk, data[at + _HEAD : end], flags, umask, when))
            at = end + _TIME.size
        self.count, self._size = len(calls), len(data)
        wrong = changed - calls[-1].time if calls else 0
        if abs(wrong) > _SECOND:  # the recorder had another clock, as below faketime
            calls = [call._replace(time=call.time + wrong) for call in calls]
        return calls

    def read_told(self) -> set[int]:
        """The places of the calls whose end was told."""
        try:
            with open(self.path + ".told", "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return set()
        told = set(array("I", data[: len(data) & ~3]))
        self.told = len(told)
        return told

    def mark(self, places: Sequence[int]) -> None:
        """Note that the end of these calls was told."""
        with open(self.path + ".told", "ab", buffering=0) as file:
            file.write(array("I", places).tobytes())
        self.told += len(places)

    def close(self) -> None:
        """Let go of the file. It is removed once the end of all its calls was told and nobody writes to it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self.told < self.count:
            return
        with suppress(OSError), open(self.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_size == self._size:
                os.unlink(self.path)
                os.unlink(self.path + ".told")


def _written_at(fd: int) -> int:
    """The change time of the file, which was changed just now. Files that are changed later have a later time, or the same
    one where the kernel's clock moves by ticks.
    """
    time_ns = os.fstat(fd).st_ctime_ns
    # If this time is ahead of the ticks (Linux 6.13), files changed from now on have it or a later one.
    return time_ns - (time_ns > time.clock_gettime_ns(_COARSE_CLOCK))
