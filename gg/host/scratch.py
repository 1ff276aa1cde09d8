"""The place where a process begins new files: a directory of its own below `tmp/`, in a quiet part of the disk.

ext4 makes a file's inode near its directory, and there it passes over the inodes that were freed in the last minutes one by
one, to keep them for a while. After a `make clean` of two thousand objects that is 0.3 ms of the kernel's time for each new
file, ten times what it costs elsewhere. A directory in one that has the flag "top directory" (chattr(1), `T`) is put where
few others are, and the files that are begun in it stay there when they get their names.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from itertools import count
from threading import Lock

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # of <linux/fs.h>
_TOP_DIRECTORY = 0x00020000

_TRIES = 4
_QUIET_S = 0.00006
_serial = count()


class Scratch:
    """The directory, below `tmp`, made when it is first asked for. Thread-safe. Its name tells whose it is."""

    def __init__(self, tmp: bytes) -> None:
        self._tmp = tmp
        self._lock = Lock()
        self._made = b""

    def path(self) -> bytes:
        """The directory; `tmp` itself where none can be made."""
        if not self._made:
            with self._lock:
                self._made = self._made or self._make()
        return self._made

    def _make(self) -> bytes:
        """The quietest of a few places, if the first is not quiet enough."""
        _spread(self._tmp)
        tried: list[tuple[float, bytes]] = []
        while len(tried) < _TRIES and not (tried and min(tried)[0] < _QUIET_S):
            own = b"%s/n%d-%d" % (self._tmp, os.getpid(), next(_serial))
            try:
                os.mkdir(own)
            except OSError:  # of another process, or a read-only or full disk: the next write reports it
                break
            tried.append((_seconds(own), own))
        if not tried:
            return self._tmp
        _, best = min(tried)
        for _, path in tried:
            if path != best:
                _remove(path)
        return best

    def close(self) -> None:
        """Remove the directory. Files still in it belong to a thread that was left behind, and stay for the next tidying."""
        with self._lock:
            made, self._made = self._made, b""
        if made and made != self._tmp:
            _remove(made)


def _remove(directory: bytes) -> None:
    with suppress(OSError):
        os.rmdir(directory)


def _seconds(directory: bytes) -> float:
    """The seconds that it takes to make a file there now."""
    probe = directory + b"/probe"
    start = time.thread_time()
    with suppress(OSError):
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    spent = time.thread_time() - start
    with suppress(OSError):
        os.unlink(probe)
    return spent


def left(tmp: bytes) -> list[bytes]:
    """The directories below `tmp` of processes that run or were killed."""
    with suppress(OSError), os.scandir(tmp) as entries:
        return [e.path for e in entries if e.name.startswith(b"n") and e.is_dir(follow_symlinks=False)]
    return []


def remove_left(tmp: bytes) -> None:
    """Remove those that are empty. Only when nobody is using them."""
    for path in left(tmp):
        _remove(path)


def _spread(directory: bytes) -> None:
    """Ask the file system to spread the directories that are made in this one over the disk. Few file systems can."""
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flags = int.from_bytes(fcntl.ioctl(fd, _GET_FLAGS, bytes(8))[:4], "little")
            if not flags & _TOP_DIRECTORY:
                fcntl.ioctl(fd, _SET_FLAGS, (flags | _TOP_DIRECTORY).to_bytes(8, "little"))
        finally:
            os.close(fd)
