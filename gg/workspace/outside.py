"""Placeholders that a build left outside of its workspace, or on another file system below its root.

A search of the tree does not find the former, and the file system of the latter may be unmounted. So the recorder notes each
such path in a file of the workspace, before it writes the placeholder. A line has the device's number, the second since the
epoch, and the path, and ends with NUL. A path that is no placeholder any more is dropped later, not at once: the recorder may
be about to write it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from gg.core import placeholder
from gg.core.placeholder import Placeholder
from gg.light.named import NamedTuple

_NAME = "outside"
_SETTLED_S = 3600.0


class _Noted(NamedTuple):
    device: int
    when: float


class OutsidePaths:
    """Notes paths, in one session."""

    def __init__(self, dot: str, root: str) -> None:
        """`dot`: the directory of the workspace's records; `root`: of the workspace."""
        self._path = os.path.join(dot, _NAME)
        self._root = os.fsencode(root) + b"/"
        self._device = os.stat(root).st_dev
        self._noted: set[bytes] = set()

    def note(self, path: bytes, device: int) -> None:
        """Note that a placeholder is about to be written to `path`, on that device. Does nothing if a search would find it."""
        if (device == self._device and path.startswith(self._root)) or path in self._noted:
            return
        with _locked(self._path, create=True) as file:
            assert file
            file.seek(0, os.SEEK_END)
            file.write(b"%d %.0f %s\0" % (device, time.time(), path))
        self._noted.add(path)


def look(dot: str) -> tuple[dict[bytes, Placeholder], list[bytes]]:
    """The placeholders that stand at noted paths, and the noted paths that nobody can look at now."""
    found: dict[bytes, Placeholder] = {}
    lost: list[bytes] = []
    gone: list[bytes] = []
    with _locked(os.path.join(dot, _NAME), create=False) as file:
        noted = _read(file) if file else {}
        for path, (device, when) in noted.items():
            known = _standing(path)
            if known:
                found[path] = known
            elif not os.path.lexists(path) and _device_above(path) != device:
                lost.append(path)
            elif time.time() - when > _SETTLED_S:
                gone.append(path)
        if file and gone:
            kept = [b"%d %.0f %s\0" % (*noted[path], path) for path in noted.keys() - set(gone)]
            file.seek(0)
            file.write(b"".join(kept))
            file.truncate()
    return found, lost


def _standing(path: bytes) -> Placeholder | None:
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return placeholder.parse(os.read(fd, placeholder.SIZE + 1))
        finally:
            os.close(fd)
    return None


def _read(file: BinaryIO) -> dict[bytes, _Noted]:
    noted: dict[bytes, _Noted] = {}
    for line in file.read().split(b"\0")[:-1]:
        with suppress(ValueError):  # cut by a power failure
            device, when, path = line.split(b" ", 2)
            noted[path] = _Noted(int(device), float(when))
    return noted


def _device_above(path: bytes) -> int:
    """The device of the nearest directory above that exists."""
    while path != b"/":
        path = os.path.dirname(path)
        with suppress(OSError):
            return os.stat(path).st_dev
    return 0


@contextmanager
def _locked(path: str, *, create: bool) -> Iterator[BinaryIO | None]:
    """The journal, open and locked against others; None if there is none."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o666)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(fd, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
