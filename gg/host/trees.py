"""Files by their bytes, and directories with all that is in them."""

from __future__ import annotations

import os
from contextlib import suppress

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


def remove_tree(path: str | bytes) -> None:
    """Remove a directory and all below, as far as that can be done; links are not followed.

    For directories of ours, in which nobody else puts links meanwhile. `shutil` knows more, and takes 3 ms to load.
    """
    empty_tree(path)
    with suppress(OSError):
        os.rmdir(path)


def empty_tree(path: str | bytes) -> None:
    """Remove all that is in a directory, as `remove_tree` does; the directory stays, if it is there."""
    with suppress(OSError):
        with os.scandir(path) as entries:
            found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in found:
            if is_directory:
                remove_tree(name)
            else:
                with suppress(OSError):
                    os.unlink(name)
