"""What a linker reads and writes, from its command line: the entrance for the models of the compiler drivers.

`resolve(args, cwd=…, search_dirs=…, sysroot=…, probe=…, flavour=…, env=…) -> Linked` takes the linker's own command
line, as the linker itself gets it (from `gcc -###`, or of `ld`). `default_search_dirs` and `default_sysroot` ask a
linker what it has built in; `flavour_of` tells the family ("bfd", "gold", "lld", "mold") from a program's name.
"""

from __future__ import annotations

from gg.models.binutils.builtin import default_search_dirs, default_sysroot, flavour_of, makes_windows
from gg.models.binutils.link_search import Linked, resolve
from gg.models.binutils.thin import Recorded, Remembers

__all__ = [
    "Linked",
    "Recorded",
    "Remembers",
    "default_search_dirs",
    "default_sysroot",
    "flavour_of",
    "makes_windows",
    "resolve",
]
