"""Inputs that are not in the store: files of the system, which stand at their own paths."""

from __future__ import annotations

import os

from gg.core.ids import BlobId
from gg.core.thunk import File
from gg.errors import InputChanged


def read_system_file(file: File, path: bytes) -> bytes:
    """The bytes of an input, from `path`. InputChanged if they are others than the input's."""
    try:
        with open(path, "rb") as opened:
            data = opened.read()
    except OSError:
        data = b""
    if BlobId.of(data) != file.blob:
        raise InputChanged(os.fsdecode(file.path))
    return data
