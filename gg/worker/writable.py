"""Directories that commands can write to, put back after each of them.

A directory is passed over if its change time shows that nothing was made, removed or changed in it, and if that time is
reliable (`gg.core.ticks`). Otherwise it is looked into.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial

from gg.core.ticks import time_settled
from gg.host.emptying import empty
from gg.worker.marks import marks, unmark

_USUAL = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Writable:
    """One directory. After `restored` it has no other names than those that `keeps` gives.

    The descriptor stays open, so a directory that somebody else puts at `path` is not taken for this one.
    """

    def __init__(self, path: str, keeps: Callable[[], Collection[bytes]] = tuple) -> None:
        self.path = path
        self._keeps = keeps
        self._fd = os.open(path, _OPEN)
        self._mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
        self._marks = marks(self._fd)
        self._clean = 0
        self._left = os.fstat(self._fd).st_ctime_ns

    def restored(self) -> bool:
        """Put the directory back. False if it is not where it was, or cannot be put back. OSError if a file cannot be removed."""
        now = time.time_ns()
        info = os.fstat(self._fd)
        if info.st_ctime_ns == self._clean:  # renaming the directory would change it too
            return True
        there = os.stat(self.path, follow_symlinks=False)
        if (there.st_dev, there.st_ino) != (info.st_dev, info.st_ino):
            return False
        if stat.S_IMODE(info.st_mode) != self._mode:
            os.fchmod(self._fd, self._mode)
        if not unmark(self._fd, self._marks):
            return False
        empty(self._fd, self._keeps())
        if self._left != info.st_ctime_ns:
            os.utime(self._fd)  # undoes times that a command may have set
        self._left = os.fstat(self._fd).st_ctime_ns
        self._clean = self._left if time_settled(self._left, now) else 0
        return True

    def close(self) -> None:
        os.close(self._fd)


def shared(own: str) -> Iterator[Writable]:
    """The directories for everybody (/tmp and the like) and the tops of file systems, if this user may write there, without
    `own`. In the latter, files that are there already stay.
    """
    seen: set[tuple[int, int]] = set()
    above, name = os.path.split(os.path.abspath(own))
    for path in (above, *_USUAL, *_mounts()):
        with suppress(OSError):
            info = os.stat(path, follow_symlinks=False)
            if (info.st_dev, info.st_ino) in seen or not stat.S_ISDIR(info.st_mode) or not os.access(path, os.W_OK):
                continue
            seen.add((info.st_dev, info.st_ino))
            kept = () if path in _USUAL else [os.fsencode(each) for each in os.listdir(path)]
            yield Writable(path, partial(frozenset, (*kept, os.fsencode(name)) if path == above else kept))


def _mounts() -> Iterable[str]:
    with suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.split()[4]
            if not path.startswith(("/proc", "/sys")) and "\\" not in path:
                yield path
