"""Files by their bytes."""

from __future__ import annotations

import os

from gg.core.ids import BlobId
from gg.store.files import hash_fd


def hash_file(path: str | bytes) -> BlobId:
    """The id of a file's bytes as they are read now; OSError when it cannot be read.

    For files that nobody else writes to; `gg.store.files.hash_file` also tells whether one has changed meanwhile.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_fd(fd)
    finally:
        os.close(fd)
