"""Finds the placeholders below a directory, in a separate program, while the caller goes on.

`toolchain-wrappers/find/find.c` describes the search and the form of its answer.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

from gg.core.placeholder import Placeholder
from gg.errors import GGError
from gg.host import native_programs as native
from gg.host.helper import Helper

_FOUND = struct.Struct("<32sI")


class Search:
    """A search, which begins at once. It does not enter `.gg`, `.git`, symbolic links and the directories `without`,
    which are absolute paths below the directory.
    """

    def __init__(self, directory: str, without: Sequence[str] = ()) -> None:
        self._directory = directory
        self._helper = Helper(native.finder(), *map(os.fsencode, (directory, *without)))

    def found(self) -> dict[bytes, Placeholder]:
        """Every placeholder, by its path, which begins with the directory's own. Call it once."""
        data = self._helper.read_all()
        status = self._helper.close()
        if status or len(data) < 4:
            raise GGError(f"gg's own program gg-find ended with status {status} in {self._directory}")
        end = 4 + _FOUND.size * int.from_bytes(data[:4], "little")
        return dict(zip(data[end:].split(b"\0"), map(_placeholder, _FOUND.iter_unpack(data[4:end])), strict=False))


def _placeholder(fields: tuple[object, ...]) -> Placeholder:
    return Placeholder._make(fields)
