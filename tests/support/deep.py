"""Directories in directories, beyond what recursion and a path may have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gg.host import emptying

LEVELS = 3000


@contextmanager
def deep(top: Path) -> Iterator[None]:
    """Such a tree at `top`. Afterwards it is gone, for Python's own `rmtree`, by which others tidy up, cannot remove it."""
    _make(top)
    try:
        yield
    finally:
        if top.exists():
            emptying.remove(str(top))


def _make(top: Path) -> None:
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
