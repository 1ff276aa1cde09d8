"""The compilers that tests call beside the system's own."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path


@cache
def other_gcc() -> str:
    """The name of a GCC of another version than `gcc`, as tests/debian-packages has it installed: `gcc-11`, for example."""
    version = subprocess.run(["gcc", "-dumpversion"], capture_output=True, text=True, check=True).stdout.strip()
    own = version.partition(".")[0]
    found = sorted(path.name for path in Path("/usr/bin").glob("gcc-[0-9]*") if path.name[4:].isdigit())
    others = [name for name in found if name != f"gcc-{own}" and Path(f"/usr/bin/g++-{name[4:]}").exists()]
    assert others, f"no GCC but {own} is here: make packages installs another one"
    return others[0]
