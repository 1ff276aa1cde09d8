"""Processors shared by all hooks of a machine, so that no more builders run at once than there are processors for.

A token is a byte of a file that is locked while a builder uses it. The kernel releases the locks of a process that is killed. The
first builder always gets the tokens that it asks for, as far as there are so many.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

_TURN = 1 << 20  # the byte that a process locks while it asks


class ProcessorTokens:
    """`width` tokens, in the file `path`."""

    def __init__(self, path: str, width: int) -> None:
        self._path = path
        self._width = width

    @contextmanager
    def take(self, wanted: int) -> Iterator[int]:
        """Hold `wanted` tokens, or all of them if there are not so many. Yields the number held, 0 if they are not free.

        One process asks at a time, so two cannot each hold half of what both want.
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
    """A directory that nobody else uses meanwhile: the first of NAME-1, NAME-2, … that is free."""
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
