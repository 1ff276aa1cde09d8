"""Processors shared by all hooks of a machine: as many builders run at once as there are processors for, whoever started them.

A token is a byte of a file that is locked while a builder uses it. The kernel gives up the locks of who is killed. The first
builder always gets what it asks for, as far as there is any.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = 1 << 20  # the byte that is locked by who asks


class ProcessorTokens:
    """`width` tokens, in the file `path`."""

    def __init__(self, path: str, width: int) -> None:
        self._path = path
        self._width = width

    @contextmanager
    def take(self, wanted: int) -> Iterator[int]:
        """Hold up to `wanted` tokens, and all of them or none unless that is more than there are; how many there are, 0 if none.

        One asks at a time, so two cannot each hold half of what both want.
        """
        wanted = max(1, min(wanted, self._width))
        os.makedirs(os.path.dirname(self._path), exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX, 1, _TURN)
            held = [at for at in range(self._width) if _lock(file, at)]
            for at in held if len(held) < wanted else held[wanted:]:
                fcntl.lockf(file, fcntl.LOCK_UN, 1, at)
            fcntl.lockf(file, fcntl.LOCK_UN, 1, _TURN)
            yield wanted if len(held) >= wanted else 0
        finally:
            os.close(file)


def _lock(file: int, at: int) -> bool:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
    except OSError:
        return False
    return True


@contextmanager
def own_directory(parent: str, name: str) -> Iterator[str]:
    """A directory for what is called `name`, of nobody else's while it is used: the first of NAME-1, NAME-2, … that is free."""
    plain = re.sub(r"[^\w.+-]", "_", name)[:100]
    os.makedirs(parent, exist_ok=True)
    for number in itertools.count(1):
        directory = f"{parent}/{plain}-{number}"
        file = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _lock(file, 0):
                os.makedirs(directory, exist_ok=True)
                yield directory
                return
        finally:
            os.close(file)
