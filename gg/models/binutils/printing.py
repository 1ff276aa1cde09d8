"""nm, objdump, readelf, size, strings: they print what is in a file, so the file is made first and they run at once."""

from __future__ import annotations

from gg.models.binutils.common import absolute, expand
from gg.models.binutils.options import Unmodelled
from gg.models.binutils.thin import thin_members
from gg.models.drafts import Call, ModelAnswer, PathKind, Probe, RunReal

_DEFAULT = b"a.out"  # what nm, objdump and size read when nothing is named


def show(call: Call, probe: Probe) -> ModelAnswer:
    """The model of the tools that print. Every word that is a file's name counts as one that is read."""
    try:
        args, _ = expand(call.argv[1:], call.cwd, probe)
    except Unmodelled as error:
        return RunReal(str(error), probe=True)
    operands = [arg for arg in args if arg[:1] != b"-"]
    # `--dwarf-sup=FILE`, `--plugin=FILE` and the like.
    operands += [arg.partition(b"=")[2] for arg in args if arg.startswith(b"--") and b"=" in arg]
    reads = [name for name in operands or [_DEFAULT] if probe.kind(absolute(name, call.cwd)) is PathKind.FILE]
    members = [member for name in reads if name.endswith(b".a") for member in _members(call, probe, name)]
    return RunReal("prints what is in a file", reads=(*reads, *members), reads_all=False, probe=True)


def _members(call: Call, probe: Probe, archive: bytes) -> tuple[bytes, ...]:
    return thin_members(probe, absolute(archive, call.cwd))
