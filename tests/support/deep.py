"""Directories in directories, beyond what recursion and a path may have."""

from __future__ import annotations

import os
from pathlib import Path

LEVELS = 3000


def make_deep(top: Path) -> None:
    top.mkdir()
    at = os.open(top, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
