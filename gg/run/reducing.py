"""The outcome of a command: its reduction if it succeeded, or else whose fault the failure is.

Both are made here for every host; what differs between hosts is passed in.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Mapping
from enum import Enum

from gg.core.colour import ColourForm, shown
from gg.core.ids import SandboxPath
from gg.core.thunk import File, Made, Reduction, Thunk
from gg.run.job import RunResult

_CHILD_KILLED = (
    b"fatal error: Killed signal terminated program ",
    b"terminated with signal 9 [Killed]",
)  # gcc, collect2
_NO_MEMORY = (b"out of memory", b"memory exhausted", b"Cannot allocate memory", b"bad_alloc")
_NO_SPACE = b"No space left on device"


def left_as_they_were(thunk: Thunk, ran: RunResult) -> tuple[File, ...]:
    """Inputs that the command was to change in place and left as they were, as `ranlib` leaves an archive with an index."""
    left = {output.path for output in thunk.outputs} - ran.written.keys() - set(ran.removed)
    return tuple([e for e in thunk.entries if isinstance(e, File) and e.path in left])


def reduction_of(
    thunk: Thunk, ran: RunResult, made: Mapping[SandboxPath, Made], extra: Collection[File], engine: str
) -> Reduction:
    """The reduction of a command that succeeded. `made`: what it wrote. `extra`: files let in beside those declared."""
    outputs = {file.path: Made(file.blob, file.executable) for file in left_as_they_were(thunk, ran)} | dict(made)
    declared = {output.path for output in thunk.outputs}
    undeclared = {file.path for file in extra}
    return Reduction(
        outputs=tuple([outputs.get(output.path) for output in thunk.outputs]),
        stdout=ran.stdout,
        stderr=ran.stderr,
        usage=ran.usage,
        engine=engine,
        extra_outputs=tuple(sorted((path, each) for path, each in made.items() if path not in declared)),
        extra_inputs=tuple(sorted((file.path, file.blob) for file in extra)),
        reads=None if ran.reads is None else tuple(sorted({file.path for file in ran.reads} - undeclared)),
    )


class Blame(Enum):
    """Why a command ended with another status than 0."""

    OWN = "failed"
    MEMORY = "ran out of memory"
    KILLED = "was killed"
    SPACE = "no space left for what it writes"


def blame(ran: RunResult, memory_ran_out: Callable[[RunResult], bool], is_full: Callable[[], bool]) -> Blame:
    """Whose fault a failure is. When the program that a compiler driver runs is killed, or lacks room or memory, the driver
    reports a failure of its own; `memory_ran_out` and `is_full`, from the host, tell the difference.
    """
    said = shown(ran.stderr, ColourForm.PLAIN)
    if _NO_SPACE in said and is_full():
        return Blame.SPACE
    killed = ran.signal == signal.SIGKILL or any(text in said for text in _CHILD_KILLED)
    if (killed or any(text in said for text in _NO_MEMORY)) and memory_ran_out(ran):
        return Blame.MEMORY
    return Blame.KILLED if killed else Blame.OWN
