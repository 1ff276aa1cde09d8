"""What gg keeps of the builds that are measured: in the benchmark's own directory, and forgotten where nothing may be known."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_places: list[Path] = []
_OF_BUILDS = ("store", "workspaces", "roots")  # not what is known of the system's files and tools


def keep_below(directory: Path) -> None:
    """From now on gg's state goes to `directory`/state."""
    _places[:] = [directory.absolute() / "state"]
    os.environ["XDG_CACHE_HOME"] = str(_places[0])


def forget() -> None:
    """Let no build have been seen, on a machine where gg was used before. Nothing without `keep_below`: it may be a user's."""
    for place in _places:
        for name in _OF_BUILDS:
            shutil.rmtree(place / "gg" / name, ignore_errors=True)
