"""Files by their bytes, and directories with all that is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from gg.core.ids import BlobId
from gg.host.files import hash_fd


def hash_file(path: str | bytes) -> BlobId:
    """The id of a file's bytes as they are read now; OSError when it cannot be read.

    For files that nobody else writes to; `gg.host.files.hash_at_rest` also tells whether one has changed meanwhile.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_fd(fd)
    finally:
        os.close(fd)


def walk(top: str | bytes) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """As `os.walk`, which before Python 3.12 calls itself for each level: the depth of a stranger's tree has no limit here."""
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        names: list[Any] = []
        files: list[Any] = []
        with suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                (names if entry.is_dir() else files).append(entry.name)
        yield directory, names, files
        paths = [os.path.join(directory, name) for name in reversed(names)]
        waiting += [path for path in paths if not os.path.islink(path)]


def remove_tree(path: str | bytes) -> None:
    """Remove a directory and all below, as far as that can be done; links are not followed.

    For directories of ours, in which nobody else puts links meanwhile. `shutil` knows more, and takes 3 ms to load.
    """
    empty_tree(path)
    with suppress(OSError):
        os.rmdir(path)


def empty_tree(path: str | bytes) -> None:
    """Remove all that is in a directory, as `remove_tree` does; the directory stays, if it is there."""
    found = [path]
    try:
        for directory in found:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        found.append(entry.path)
                    else:
                        os.unlink(entry.path)
        for directory in reversed(found[1:]):
            os.rmdir(directory)
    except OSError:  # modes, or a path that is too long
        if os.path.isdir(path):
            from gg.host.emptying import empty_at

            with suppress(OSError):
                empty_at(path)
