"""Reads files of a tree that may be a stranger's: regular ones only, up to a size that such a file has. And where its links lead.

A pipe keeps its reader waiting, and what is read from it is lost to whom it was meant for. A device, and a file of holes, fill the
memory of who reads to the end.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import AnyStr


def is_within(root: AnyStr, directory: AnyStr) -> bool:
    """Whether a directory is `root` or lies below it, wherever links in its path lead. `root` is free of them."""
    return os.path.commonpath((root, os.path.realpath(directory))) == os.path.commonpath((root,))


def read_plain(path: str | bytes, most: int, *, follow: bool = True) -> bytes:
    """All bytes of the file. OSError if it is no regular file, or has more than `most` bytes. `follow`: a link at its end, too."""
    data = read_beginning(path, most + 1, follow=follow)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fsdecode(path))
    return data


def read_beginning(path: str | bytes, size: int, *, follow: bool = True) -> bytes:
    """The first `size` bytes of the file, or all. OSError if it is no regular file."""
    fd = open_plain(path, follow=follow)
    try:
        return _read(fd, min(size, os.fstat(fd).st_size + 1))
    finally:
        os.close(fd)


def open_plain(path: str | bytes, *, follow: bool = True) -> int:
    """A descriptor to read the file by. OSError if it is no regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", os.fsdecode(path))
    return fd


def _read(fd: int, size: int) -> bytes:
    """Up to `size` bytes, which may take several calls."""
    parts = []
    while size > 0 and (part := os.read(fd, size)):
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
