"""`gg-infer nix-build ARG...`, `gg-infer nix build ARG...`: the derivations that nix would build are forced as thunks first.

The command says in a dry run what it would build, whatever its arguments mean. When all of that is in nix's store, the command
itself runs: it prints paths and makes links, and has nothing to build.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise

from gg.cli.consent import settle
from gg.cli.nix_force import FAILED, force_plan
from gg.cli.nix_run import NixRun
from gg.nix.derivation_graph import planned
from gg.workspace.workspace import Workspace

_CORES = 2
_OTHERWISE = frozenset(("--dry-run", "--check", "--rebuild", "--repeat", "--repair", "--help", "--version"))


def is_build(arguments: Sequence[str]) -> bool:
    """Whether the command has nix build something, in its usual way."""
    name = os.path.basename(arguments[0])
    first = next((word for word in arguments[1:] if not word.startswith("-")), "")
    return (name == "nix-build" or (name == "nix" and first == "build")) and not _OTHERWISE & set(arguments)


def build(arguments: Sequence[str], flags: Mapping[str, object]) -> int:
    """Force what the command would build, then run the command. Returns the exit status. `flags` are settings."""
    at = 1 + (arguments.index("build") if os.path.basename(arguments[0]) == "nix" else 0)
    dry = [*arguments[:at], "--dry-run", *arguments[at:]]
    asked = subprocess.run(dry, capture_output=True, text=True, errors="replace", check=False)
    todo = planned(asked.stderr) if asked.returncode == 0 else None
    if todo and todo.build:
        workspace = Workspace.create()
        known = {name: value for name, value in flags.items() if name in ("engine", "jobs")}
        settings = settle(workspace.root, known)
        run = NixRun(workspace, arguments)
        going_on, keep = (
            {short, long} & set(arguments) for short, long in (("-k", "--keep-going"), ("-K", "--keep-failed"))
        )
        if force_plan(
            todo, run, workspace, settings, cores=_cores(arguments), keep_going=bool(going_on), keep=bool(keep)
        ):
            return FAILED
    return subprocess.run(arguments, check=False).returncode


def _cores(arguments: Sequence[str]) -> int:
    """What `--cores` says."""
    value = next((after for word, after in pairwise(arguments) if word == "--cores"), "")
    return int(value) if value.isdigit() and int(value) else _CORES
