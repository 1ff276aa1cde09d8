"""What is kept of a closed thunk's work: each of its outputs as an archive, and nothing else that it wrote.

An output may be a file, a link or a tree. A file that the thunk wrote beside its outputs, in their directory, would belong to
another package: that fails the build, as it does where nobody may write there. What it wrote elsewhere goes with its sandbox.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from gg.core.ids import SandboxPath
from gg.core.thunk import Thunk
from gg.formats import nar
from gg.light.slotted import replace
from gg.run.expand import Groups, all_entries
from gg.run.job import RunResult


def settle(thunk: Thunk, ran: RunResult, root: str, scratch: str, groups: Groups) -> RunResult:
    """`ran` with its outputs as archives in `scratch`, or as a failure. `root` holds what it wrote, by absolute paths.

    Paths that it looked for in vain are not reported: for such a thunk they do not exist, whatever this machine has.
    """
    written, wrong = ({}, b"") if ran.status else _packed(thunk, ran, os.fsencode(root), os.fsencode(scratch), groups)
    said = ran.stdout
    if wrong:
        said += b"\n" * (not said.endswith(b"\n") and bool(said)) + b"error: builder " + wrong + b"\n"
    return replace(
        ran,
        status=1 if wrong else ran.status,
        stdout=said,
        written=written,
        removed=(),
        undeclared=(),
        directories=(),
        missing=(),
    )


def _packed(
    thunk: Thunk, ran: RunResult, root: bytes, scratch: bytes, groups: Groups
) -> tuple[dict[SandboxPath, tuple[str, bool]], bytes]:
    """The archives by output, and a text if something is wrong."""
    beside = next(_beside(thunk, ran, root, groups), None)
    if beside is not None:
        return {}, b"wrote to '" + beside + b"', which is no output of it"
    found: dict[SandboxPath, tuple[str, bool]] = {}
    for number, output in enumerate(thunk.outputs):
        place = root + output.path
        if not os.path.lexists(place):
            return {}, b"failed to produce output path '" + output.path + b"'"
        archive = scratch + b"/output-%d" % number
        _let_read(place)
        try:
            with open(archive, "wb") as file:
                nar.dump(place, file.write)
        except ValueError as error:
            text = os.fsencode(str(error)).removeprefix(root)
            return {}, b"left in its output what is no file: " + text
        found[output.path] = (os.fsdecode(archive), False)
    return found, b""


def _beside(thunk: Thunk, ran: RunResult, root: bytes, groups: Groups) -> Iterator[bytes]:
    """The paths in the directories of its outputs that are neither outputs nor declared."""
    own = {output.path for output in thunk.outputs}
    for directory in dict.fromkeys(os.path.dirname(path) for path in own):
        above = directory + b"/"
        names = {above + name for name in _names(root + directory)} - own
        if names:
            declared = all_entries(thunk, groups.below(thunk.groups))
            names -= {above + e.path[len(above) :].partition(b"/")[0] for e in declared if e.path.startswith(above)}
        yield from sorted(names)
        changed = (path for path in ran.written if path.startswith(above))
        yield from (path for path in changed if above + path[len(above) :].partition(b"/")[0] not in own)


def _names(directory: bytes) -> list[bytes]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []


def _let_read(top: bytes) -> None:
    """Make everything below `top` readable for packing, whatever modes the command has left: an archive keeps one bit of them."""
    waiting = [top]
    while waiting:
        path = waiting.pop()
        mode = os.lstat(path).st_mode
        needed = 0o700 if stat.S_ISDIR(mode) else 0o400 if stat.S_ISREG(mode) else 0
        if needed & ~mode:
            os.chmod(path, stat.S_IMODE(mode) | needed)
        if stat.S_ISDIR(mode):
            waiting += [os.path.join(path, name) for name in os.listdir(path)]
