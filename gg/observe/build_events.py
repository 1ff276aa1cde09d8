"""What a person or another program wants to know of a force, as one stream of events.

The driver says it once, to one callable; sinks (`gg.observe.terminal`, `plain`, `jsonlines`, …) show it. Events carry
no time: a sink that wants one looks at its own clock when it is told. Labels and paths are text by `os.fsdecode`; what
tools print stays bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gg.light.named import NamedTuple

if TYPE_CHECKING:
    from gg.core.thunk import Output
    from gg.schedule.commands import Summary
    from gg.schedule.states import State


def label(outputs: Sequence[Output], prefix: bytes, real_path: Callable[[bytes], bytes] = bytes) -> str:
    """What a person calls a thunk: its first output, from the workspace, whose path and a slash `prefix` is.

    `real_path` maps a path inside a thunk to the real path on this machine.
    """
    return os.fsdecode(real_path(outputs[0].path).removeprefix(prefix)) if outputs else "?"


class Counting(Protocol):
    """What is asked of the scheduler for a `Progress`."""

    def count(self, state: State) -> int: ...
    def summary(self) -> Summary: ...


class Started(NamedTuple):
    """A force begins. `total`: thunks that are known to be in it."""

    total: int


class ThunkStarted(NamedTuple):
    """An attempt was submitted. `label` is what the thunk makes, as a path in the workspace."""

    id: str
    label: str
    engine: str


class ThunkDone(NamedTuple):
    """A thunk has its value. `how`: "ran" or "cached". `seconds`: what its command took, when it last ran."""

    id: str
    label: str
    engine: str
    how: str
    seconds: float


class ThunkFailed(NamedTuple):
    """A thunk will have no value. `status`, `stdout`, `stderr`: as its command left them. `command`: as one types it at the top
    of the workspace.
    """

    id: str
    label: str
    status: int
    stdout: bytes
    stderr: bytes
    command: str = ""


class Diagnostics(NamedTuple):
    """What a command that succeeded printed: shown as it is, once."""

    label: str
    stdout: bytes
    stderr: bytes


class Progress(NamedTuple):
    """Counts of thunks now. `done` have their value, `cached` of them without running; `to_go` are neither settled nor
    running. `failed` counts those skipped for a failed one too. `eta`: seconds to go, None when it cannot be told. `work`: seconds
    of all that is left, `path`: of its longest chain, `width`: how many attempts run at once, as far as that is sure.
    """

    running: int
    done: int
    cached: int
    failed: int
    to_go: int
    eta: float | None = None
    work: float = 0.0
    path: float = 0.0
    width: int = 0

    @classmethod
    def of(cls, scheduler: Counting, eta: float | None = None) -> Progress:
        from gg.schedule.states import State  # not for a force that needs no scheduler

        to_go = (State.WAITING, State.LOOKUP, State.READY, State.BACKOFF, State.FOLLOWING)
        summary = scheduler.summary()
        return cls(
            running=scheduler.count(State.RUNNING),
            done=summary.finished,
            cached=summary.hits + summary.became,
            failed=summary.failed + summary.skipped,
            to_go=sum(scheduler.count(state) for state in to_go),
            eta=eta,
        )


class Note(NamedTuple):
    """Trouble that is not the user's and that gg deals with."""

    text: str


class Placed(NamedTuple):
    """A real file has taken its placeholder's place."""

    path: str


class RunFinished(NamedTuple):
    """The end. `real`: calls that ran for real when the build was recorded, by reason. Times in seconds.

    `cpu` is gg's own, without the commands'; `busy` is the sum of the commands' wall times. `cost` in dollars, by kind and
    in `total`; `usage` is what was paid for (`gg.cost.meter`): both are empty when nothing was. `over_budget`: it was
    stopped before it would cost more than it may. `failures`: a line for each thunk that failed. `where`: by engine the
    `thunks` that ran there, the `seconds` of their commands, and the `dollars` that the engine has spent.
    """

    ran: int
    cached: int
    failed: int
    skipped: int
    placed: int
    wall: float
    cpu: float
    busy: float
    real: Mapping[str, int] = {}
    retries: Mapping[str, int] = {}
    interrupted: bool = False
    over_budget: bool = False
    cost: Mapping[str, float] = {}
    usage: Mapping[str, int] = {}
    failures: tuple[str, ...] = ()
    where: Mapping[str, Mapping[str, float]] = {}


BuildEvent = Started | ThunkStarted | ThunkDone | ThunkFailed | Diagnostics | Progress | Note | Placed | RunFinished
