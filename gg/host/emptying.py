"""Removes what a hostile command may have made: directories that nobody may enter, a million levels, names that are no text.

Nothing that is a link is followed. A directory in a directory is moved to the top before it is emptied, so depth costs
neither memory nor descriptors, and no path is ever long.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from contextlib import suppress

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def empty(directory: int, kept: Collection[bytes] = ()) -> None:
    """Remove all in a directory, given by its descriptor, but the names in `kept`. OSError if something cannot be removed."""
    number = 0
    while names := [name for name in _names(directory) if name not in kept]:
        for name in names:
            if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                number = _take_apart(directory, name, number)
            else:
                os.unlink(name, dir_fd=directory)


def empty_at(path: str | bytes) -> None:
    """Remove all in the directory at `path`, which is no link. OSError if something cannot be removed."""
    os.chmod(path, 0o700)
    directory = os.open(path, _OPEN)
    try:
        empty(directory)
    finally:
        os.close(directory)


def remove(path: str | bytes) -> None:
    """Remove what is there, if anything is: of a directory all that is in it too. OSError if something cannot be removed."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            empty_at(path)
            os.rmdir(path)
        else:
            os.unlink(path)


def _names(directory: int) -> list[bytes]:
    return [os.fsencode(name) for name in os.listdir(directory)]


def _take_apart(top: int, name: bytes, number: int) -> int:
    """Remove a directory in `top`, after moving its own directories to `top` under new, numbered names. Returns the last number."""
    with suppress(FileNotFoundError):
        try:
            os.rmdir(name, dir_fd=top)
            return number
        except OSError:
            pass
        os.chmod(name, 0o700, dir_fd=top)  # it is no link, and nobody else is there to change that
        inner = os.open(name, _OPEN, dir_fd=top)
        try:
            for each in _names(inner):
                if stat.S_ISDIR(os.lstat(each, dir_fd=inner).st_mode):
                    number = _move(inner, each, top, number)
                else:
                    os.unlink(each, dir_fd=inner)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)
    return number


def _move(source: int, name: bytes, top: int, number: int) -> int:
    while True:
        number += 1
        target = b".gg-gone-%d" % number
        try:
            os.chmod(name, 0o700, dir_fd=source)  # only who may write to a directory may move it
            os.rename(name, target, src_dir_fd=source, dst_dir_fd=top)
            return number
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # the name is taken
                raise
