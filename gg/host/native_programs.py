"""Where the native programs of this installation are.

They are built by the package's own build (`toolchain-wrappers/CMakeLists.txt`) and installed beside the Python package,
in `gg/_native`. After an editable installation the package is imported from the source tree, and `_native` is in the
environment. So gg looks beside the imported package first, and then in every directory of `sys.path`.
"""

from __future__ import annotations

import os
import sys

from gg.errors import ToolMissing


def _find(name: str) -> str:
    for directory in (os.path.dirname(os.path.dirname(__file__)), *(os.path.join(entry, "gg") for entry in sys.path)):
        path = os.path.join(directory, "_native", name)
        if os.path.exists(path):
            return os.path.abspath(path)
    raise ToolMissing(
        f"gg's own program {name} is not installed",
        hint="install the package with pip, which compiles it; a C compiler and CMake are needed",
    )


def shim() -> str:
    """The shim: the program that answers to the names of modelled tools. ToolMissing if it was not built."""
    return _find("gg-shim")


def record_library() -> str:
    """The interposer that is preloaded while a build is recorded. ToolMissing if it was not built."""
    return _find("libgg-record.so")


def pathmap_library() -> str:
    """The path map that is preloaded while one thunk runs. ToolMissing if it was not built."""
    return _find("libgg-pathmap.so")


def tracer() -> str:
    """The program that runs a command and reports what it touched. ToolMissing if it was not built."""
    return _find("gg-trace")


def jail() -> str:
    """The program that runs one thunk in namespaces of its own. ToolMissing if it was not built."""
    return _find("gg-jail")


def warden() -> str:
    """The program that runs one command and ends every process that it leaves. ToolMissing if it was not built."""
    return _find("gg-warden")


def actor() -> str:
    """The program that runs one thunk as an action of a cluster. ToolMissing if it was not built."""
    return _find("gg-act")


def placer() -> str:
    """The program that puts files in the places of placeholders. ToolMissing if it was not built."""
    return _find("gg-place")


def finder() -> str:
    """The program that looks for placeholders. ToolMissing if it was not built."""
    return _find("gg-find")


def layer() -> str:
    """The program that builds an exported derivation. ToolMissing if it was not built."""
    return _find("gg-lay")


def look_library() -> str:
    """The library that looks at many files in one call. ToolMissing if it was not built."""
    return _find("libgg-look.so")
