"""Decides which process runs a thunk when several force at once: the one that has locked the thunk's byte of a file.

The kernel releases a lock when its holder ends, however it ends (open file description locks, fcntl(2)). The others look for
the result when the lock is free. A holder has all that its thunk reads and waits for no other lock, so there is no deadlock.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress

from gg.core.ids import ThunkId

_FLOCK = struct.Struct("hhqqi4x")


class ThunkLocks:
    """The locks of one driver, in the file at `path`, which is made. Not for several threads."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self._fd = -1  # without a lock nobody is kept out: a thunk that runs twice comes out the same
        self._held: set[ThunkId] = set()

    def take(self, thunk: ThunkId) -> bool:
        """Whether this process may run the thunk; False while another process has the lock."""
        if thunk in self._held or self._fd < 0:
            return True
        try:
            self._lock(fcntl.F_WRLCK, thunk)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True  # a file system without locks
        self._held.add(thunk)
        return True

    def release(self, thunk: ThunkId) -> None:
        if thunk in self._held:
            self._held.discard(thunk)
            with suppress(OSError):
                self._lock(fcntl.F_UNLCK, thunk)

    def release_all(self) -> None:
        for thunk in list(self._held):
            self.release(thunk)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _lock(self, kind: int, thunk: ThunkId) -> None:
        start = int.from_bytes(thunk[:7], "little")
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, 1, 0))
