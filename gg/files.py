"""Files by their bytes."""

from __future__ import annotations

import os

from blake3 import blake3

from gg.core.ids import BlobId

_MMAP_FROM = 1 << 20


def hash_file(path: str | bytes) -> BlobId:
    """The id of a file's bytes; OSError when it cannot be read."""
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size < _MMAP_FROM:
            return BlobId.of(file.readall())
    hasher = blake3()
    hasher.update_mmap(os.fsdecode(path))
    return BlobId(hasher.digest(), size)
