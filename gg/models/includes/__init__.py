"""The include scanner: from sources and a search path to all the files that a compiler can read, without running one.

`lex` and `lexasm` turn a file into directives, `macros` knows what a macro can name, `disk` is what may be asked of
the world, `tree` and `files` remember it, `chain` and `resolve` search as the compiler does, `graph` condenses what
includes what, `unit` and `scanner` put a scan's answer together.
"""

from __future__ import annotations

from gg.models.includes.disk import Disk, LocalDisk, Signature, Stamp
from gg.models.includes.graph import Cluster, Header
from gg.models.includes.scanner import Closure, Scanner
from gg.models.includes.unit import Computed

__all__ = ["Closure", "Cluster", "Computed", "Disk", "Header", "LocalDisk", "Scanner", "Signature", "Stamp"]
