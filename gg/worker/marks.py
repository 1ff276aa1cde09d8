"""The marks on a file or directory other than bytes, mode and times: extended attributes, and the file system's flags
(`chattr`). One command could use them to tell the next one something, or to hinder it.
"""

from __future__ import annotations

import fcntl
import os
import struct

from gg.light.named import NamedTuple

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_OWN = 0x628380CF  # the flags that an owner may set: s u c S d A D T C P x F
_KERNELS = ("security.", "system.nfs", "system.cifs")


class Marks(NamedTuple):
    attributes: tuple[str, ...]
    flags: int


def marks(fd: int) -> Marks:
    """The marks on a file."""
    return Marks(tuple(sorted(name for name in _attributes(fd) if not name.startswith(_KERNELS))), _flags(fd) & _OWN)


def unmark(fd: int, was: Marks) -> bool:
    """Take new marks off. True if the file then has the marks that it had."""
    for name in marks(fd).attributes:
        if name not in was.attributes:
            os.removexattr(fd, name)
    now = _flags(fd)
    if (now ^ was.flags) & _OWN:
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("q", now & ~_OWN | was.flags))
    return marks(fd) == was


def _attributes(fd: int) -> list[str]:
    try:
        return os.listxattr(fd)
    except OSError:
        return []


def _flags(fd: int) -> int:
    """The file system's flags; 0 if it has none."""
    try:
        return int(struct.unpack("=Ixxxx", fcntl.ioctl(fd, _GET_FLAGS, bytes(8)))[0])
    except OSError:
        return 0
