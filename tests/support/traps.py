"""Files that keep their reader waiting, or fill his memory."""

from __future__ import annotations

import os
from pathlib import Path


def trap(path: Path, kind: str) -> None:
    """Put one there: a `pipe`, a `device`, or a terabyte of `holes`."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        assert kind == "holes"
        with open(path, "wb") as file:
            file.truncate(1 << 40)
