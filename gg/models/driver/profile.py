"""Profiles: which files -fprofile-use reads, and whether a compile would discard counts.

Each source has a file of counts, BASE.gcda, which the compiled program writes and GCC reads. It is below the current directory
as $PWD names it; or, if -fprofile-use=DIR, -fprofile-generate=DIR or -fprofile-dir=DIR gives a directory, in that directory,
named after its whole path with each `/` made a `#` (gcc/coverage.cc, `coverage_init`, `mangle_path`). The counts belong to one
compilation: the next one removes the file (`coverage_finish`), or gives the object another stamp, at which libgcov begins
anew. Clang reads one file, `default.profdata` unless it is named.
"""

from __future__ import annotations

from gg.models.drafts import PathKind, Probe
from gg.models.driver.command import DriverCommand
from gg.models.driver.flags import CLANG
from gg.models.driver.naming import base


def profiles(
    command: DriverCommand, cwd: bytes, pwd: bytes, probe: Probe, version: tuple[int, ...]
) -> tuple[bytes, ...]:
    """The profile files that are read if they exist; refuses the command when their names are not certain."""
    if command.profile_use is None:
        return ()
    if command.flavour == CLANG:
        return (_of_clang(command.profile_use, cwd, probe),)
    if version < (11,):
        command.refuse("profiles, as GCC named them before version 11")
    return _of_gcc(command, command.profile_use or command.profile_dir, pwd)


def check_counts(command: DriverCommand, pwd: bytes, probe: Probe) -> None:
    """Refuse a compile for coverage or a profile if counts of an earlier compilation are there: it must remove them now."""
    if command.flavour == CLANG or not (command.beside.notes or command.profile_make is not None):
        return
    places = {command.profile_make or command.profile_dir, b""}
    counts = [
        name if name.startswith(b"/") else pwd + b"/" + name for at in places for name in _of_gcc(command, at, pwd)
    ]
    if any(probe.kind(name) is PathKind.FILE for name in counts):
        command.refuse("programs have counted for an earlier compilation")


def _of_gcc(command: DriverCommand, prefix: bytes, pwd: bytes) -> tuple[bytes, ...]:
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
