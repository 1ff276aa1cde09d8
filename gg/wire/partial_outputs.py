"""Outputs that are too big for a reply come in parts (`gg.wire.frames.encode_output`). Whoever takes the parts of an output writes
them into a file, until the output is whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress

from gg.errors import FormatError
from gg.wire import frames

_MOST = 16 << 30
_MOST_BEGUN = 64  # outputs of one request: whoever makes them sends one after the other

TakeWhole = Callable[[bytes, str], None]
"""Takes a digest, and the path of a file that should have these bytes: nobody has looked at them yet. It may move the file away."""


class PartialOutputs:
    """The outputs of one request, in files in `directory`. `take_whole` gets each one that is whole; then its file is removed.
    For one thread at a time.
    """

    def __init__(self, directory: str, take_whole: TakeWhole) -> None:
        self._directory = directory
        self._take_whole = take_whole
        self._paths: dict[bytes, str] = {}

    def take(self, output: bytes, *, last: bool) -> None:
        """Take a part. After an error this output's earlier parts are gone. OSError, FormatError, and what `take_whole` raises."""
        digest, part = frames.decode_output(output)
        over = True
        try:
            with open(self._path(digest), "ab") as file:
                file.write(part)
                if file.tell() > _MOST:
                    raise FormatError("an output is bigger than any may be")
            if last:
                self._take_whole(digest, self._paths[digest])
            over = last
        finally:
            if over:
                self._remove(digest)

    def drop(self) -> None:
        """Remove what is not whole: no more parts come."""
        for digest in list(self._paths):
            self._remove(digest)

    def _path(self, digest: bytes) -> str:
        if digest not in self._paths:
            if len(self._paths) >= _MOST_BEGUN:
                raise FormatError("too many outputs are begun")
            file, self._paths[digest] = tempfile.mkstemp(prefix="output-", dir=self._directory)
            os.close(file)
        return self._paths[digest]

    def _remove(self, digest: bytes) -> None:
        path = self._paths.pop(digest, None)
        if path is not None:
            with suppress(OSError):
                os.unlink(path)
