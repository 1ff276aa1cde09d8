"""Notes of results that have not been shared yet. A result is noted before it is stored: if the run is killed, or does not reach
the team's store, the next run offers it.

Each process notes the keys in a file of its own, locked as long as the process lives, in a directory among the workspace's
records. A process that finds a file that nobody holds takes it over. A file is removed when all that it names is shared.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from gg.core.ids import DIGEST_SIZE
from gg.store.base import KINDS, Key

_SIZE = DIGEST_SIZE + 1
_MOST = 64 << 20  # bytes of a file that are read: two million records


class Unshared:
    """The notes in `directory`. For one process; not for several threads at once."""

    def __init__(self, directory: bytes) -> None:
        self._directory = directory
        self._path = b""
        self._fd = -1

    def note(self, keys: Iterable[Key]) -> None:
        """Note results that are about to be stored, and then shared. If they cannot be noted, only this process can share them."""
        with suppress(OSError):
            if self._fd < 0:
                self._begin()
            os.write(self._fd, b"".join([bytes([key.kind]) + key.digest for key in keys]))

    def shared(self) -> None:
        """Everything that this process has noted is shared: remove the notes."""
        if self._fd >= 0:
            self._end(self._path, self._fd)
            self._fd = -1

    def left(self) -> Iterator[list[Key]]:
        """The keys that ended processes have left, a file at a time. A file is removed if its keys were taken without an error."""
        for name in _names(self._directory):
            path = os.path.join(self._directory, name)
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                keys = _keys(os.read(fd, _MOST))
            except OSError:  # its process lives
                os.close(fd)
                continue
            kept = True
            try:
                yield keys
                kept = False
            finally:
                if kept:
                    os.close(fd)
                else:
                    self._end(path, fd)

    def close(self) -> None:
        """Leave the notes to the next process."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _begin(self) -> None:
        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        self._path = os.path.join(self._directory, b"%d-%s" % (os.getpid(), os.urandom(4).hex().encode()))
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    @staticmethod
    def _end(path: bytes, fd: int) -> None:
        with suppress(OSError):
            os.unlink(path)
        os.close(fd)


def is_owed(records: str) -> bool:
    """Whether something may have been left in a workspace whose records are in this directory."""
    with suppress(OSError):
        return any(
            _names(os.fsencode(os.path.join(records, name))) for name in os.listdir(records) if name.startswith(PREFIX)
        )
    return False


PREFIX = "unshared-"


def _names(directory: bytes) -> list[bytes]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _keys(data: bytes) -> list[Key]:
    """The keys in a file of notes, whose last one may have been cut."""
    whole = [data[start : start + _SIZE] for start in range(0, len(data) - _SIZE + 1, _SIZE)]
    return list(dict.fromkeys(Key(KINDS[each[0]], each[1:]) for each in whole if each[0] in KINDS))
