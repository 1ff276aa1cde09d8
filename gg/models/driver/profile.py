"""Profiles that steer optimisation: which files -fprofile-use reads.

GCC reads, for each source, BASE.gcda: below the current directory as $PWD names it, or, when a directory is given by
-fprofile-use=DIR or -fprofile-dir=DIR, in that directory under its whole path with each `/` made a `#`
(gcc/coverage.cc, `coverage_init`, `mangle_path`). Clang reads one file, `default.profdata` unless it is named.
"""

from __future__ import annotations

from gg.models.drafts import PathKind, Probe
from gg.models.driver.command import Command
from gg.models.driver.flags import CLANG
from gg.models.driver.naming import base


def profiles(command: Command, cwd: bytes, pwd: bytes, probe: Probe, version: tuple[int, ...]) -> tuple[bytes, ...]:
    """The profile files that are read if they exist; refuses the command when their names are not certain."""
    if command.profile_use is None:
        return ()
    if command.flavour == CLANG:
        return (_of_clang(command.profile_use, cwd, probe),)
    if version < (11,):
        command.refuse("profiles, as GCC named them before version 11")
    prefix = command.profile_use or command.profile_dir
    found = []
    for source in command.sources:
        name = base(command, source) + b".gcda"
        whole = name if name.startswith(b"/") else pwd + b"/" + name
        if prefix and (b"/.." in whole or b"/./" in whole):
            command.refuse("a profile in a directory, of an output whose path is not plain")
        found.append(prefix + b"/" + whole.replace(b"/", b"#") if prefix else whole)
    return tuple(found)


def _of_clang(named: bytes, cwd: bytes, probe: Probe) -> bytes:
    if not named:
        return b"default.profdata"
    whole = named if named.startswith(b"/") else cwd + b"/" + named
    return named + b"/default.profdata" if probe.kind(whole) is PathKind.DIRECTORY else named
