"""Where gg's own commands are: beside the running one, or where this Python's packages put their commands.

A package of nix's has its commands in a directory of its own, away from Python.
"""

from __future__ import annotations

import os
import sys
import sysconfig


def command_directory() -> str:
    """The directory that has `gg-create-thunk`, `gg-infer` and the others."""
    running = os.path.dirname(os.path.realpath(sys.argv[0]))
    if os.path.isabs(sys.argv[0]) and os.access(f"{running}/gg-create-thunk", os.X_OK):
        return running
    return sysconfig.get_path("scripts")
