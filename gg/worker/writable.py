"""Directories that commands can write to, put back after each of them.

A directory is looked into only if its time of change says that something was made, removed or changed in it, and may be
passed over only if that time can tell (`gg.core.ticks`).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import partial

from gg.core.ticks import time_settled
from gg.run.emptying import empty
from gg.worker.marks import marks, unmark

_USUAL = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Writable:
    """One directory, in which after `restored` there are the names that `keeps` gives, and nothing else.

    `keeps` tells names that may be there. The descriptor stays open, so whatever is put at `path` is not taken for it.
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
        """Whether it still is where it was, with nothing in it but what is kept. OSError for what cannot be removed."""
        now = time.time_ns()
        info = os.fstat(self._fd)
        if info.st_ctime_ns == self._clean:  # which a change of its own name would change too
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
            os.utime(self._fd)  # what a command may have set them to
        self._left = os.fstat(self._fd).st_ctime_ns
        self._clean = self._left if time_settled(self._left, now) else 0
        return True

    def close(self) -> None:
        os.close(self._fd)


def shared(own: str) -> Iterator[Writable]:
    """The directories that everybody's things are put into, and the tops of file systems, as far as this user may write
    there, without `own`. What is in those that are not made for passing things keeps its place.
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
