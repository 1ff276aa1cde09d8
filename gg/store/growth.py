"""How much a store has grown since its last collection, told without looking at its objects.

The file `grown` has a number of bytes on each line: first those that the last collection left, then those that each session
added. The sum is an estimate: objects that were dropped in another way stay counted, and a line that is added while the file
is rewritten is lost.
"""

from __future__ import annotations

import os
from contextlib import suppress


def note(directory: bytes, size: int) -> None:
    """Note that a session has added `size` bytes of blobs."""
    with suppress(OSError):  # a full disk: nobody needs it
        fd = os.open(directory + b"/grown", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, b"%d\n" % size)
        finally:
            os.close(fd)


def start_again(directory: bytes, size: int) -> None:
    """Note that a collection has left `size` bytes."""
    aside = directory + b"/tmp/.gg-%d-grown" % os.getpid()
    with suppress(OSError):
        with open(aside, "wb") as file:
            file.write(b"%d\n" % size)
        os.rename(aside, directory + b"/grown")


def is_over(directory: bytes, limit: int) -> bool:
    """Whether the store holds more than `limit` bytes, and has grown by a twentieth of that since its last collection."""
    try:
        with open(directory + b"/grown", "rb", buffering=0) as file:
            sizes = list(map(int, file.read().split()))
    except (OSError, ValueError):
        return False
    return sum(sizes) > limit and sum(sizes[1:]) > limit // 20
