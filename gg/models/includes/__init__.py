"""The include scanner: from sources and a search path to all the files that a compiler can read, without running one.

`lex` and `lexasm` turn a file into directives. `macros` knows what a macro can name. `disk` asks the file system, and
`tree` and `lexed_files` remember its answers. `chain` and `lookup` search as the compiler does. `include_graph` condenses
what includes what. `unit` and `scanner` put a scan's answer together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "Closure",
    "Cluster",
    "Computed",
    "DirectorySignature",
    "Disk",
    "FileSignature",
    "Header",
    "LocalDisk",
    "Scanner",
]

if TYPE_CHECKING:
    from gg.models.includes.disk import DirectorySignature, Disk, FileSignature, LocalDisk
    from gg.models.includes.include_graph import Cluster, Header
    from gg.models.includes.scanner import Closure, Scanner
    from gg.models.includes.unit import Computed

_MODULES = {"include_graph": ("Cluster", "Header"), "scanner": ("Closure", "Scanner"), "unit": ("Computed",)}


def __getattr__(name: str) -> object:
    """Loaded when first used: a build of which all is recalled scans nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = next((module for module, names in _MODULES.items() if name in names), "disk")
    return getattr(import_module(f"{__name__}.{module}"), name)
