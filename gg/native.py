"""Where the native programs of this installation are.

They are built by the package's own build (`toolchain-wrappers/CMakeLists.txt`) and installed beside the Python package,
in `_native`. In an editable installation that directory is in the environment, not in the source tree, so every
directory of the package is looked at.
"""

from __future__ import annotations

from pathlib import Path

import gg
from gg.errors import ToolMissing


def _find(name: str) -> Path:
    for directory in gg.__path__:
        path = Path(directory) / "_native" / name
        if path.exists():
            return path.absolute()
    raise ToolMissing(
        f"gg's own program {name} is not installed",
        hint="install the package with pip, which compiles it; a C compiler and CMake are needed",
    )


def shim() -> Path:
    """The shim: the program that answers to the names of modelled tools. ToolMissing if it was not built."""
    return _find("gg-shim")


def record_library() -> Path:
    """The interposer that is preloaded while a build is recorded. ToolMissing if it was not built."""
    return _find("libgg-record.so")


def pathmap_library() -> Path:
    """The path map that is preloaded while one thunk runs. ToolMissing if it was not built."""
    return _find("libgg-pathmap.so")


def jail() -> Path:
    """The program that runs one thunk in namespaces of its own. ToolMissing if it was not built."""
    return _find("gg-jail")
