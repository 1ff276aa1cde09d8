"""How a force ended, and what it reports on the way: the types that the driver shares with those who use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.resolve import Values
from gg.core.thunk import Made, Output, Reduction, Thunk, Work
from gg.engines.engine import Failure
from gg.errors import BudgetError, GGError, Interrupted
from gg.light.named import NamedTuple
from gg.light.slotted import field, slotted
from gg.schedule.commands import Summary
from gg.schedule.events import Fault


class Settled(NamedTuple):
    """A thunk that has its value."""

    name: ThunkId
    thunk: Thunk
    values: Values
    reduction: Reduction

    @property
    def outputs(self) -> tuple[Output, ...]:
        return self.thunk.outputs

    @property
    def paths(self) -> Mapping[BlobId, bytes]:
        """Files that are known to hold the outputs' bytes: none yet."""
        return {}


class Broken(NamedTuple):
    """A thunk that will never have a value: its command failed or, if `failure` is None, that of a thunk that it needs.

    `before`: what was at the paths of its outputs before, for files that its command was to change in place.
    """

    name: ThunkId
    thunk: Thunk
    failure: Failure | None
    before: Mapping[SandboxPath, Made]


TakeSettled = Callable[[Sequence[Settled]], None]
TakeBroken = Callable[[Sequence[Broken]], None]


GivenUp = Callable[[Sequence[tuple[ThunkId, ThunkId]]], None]
"""Called with thunks that will have no value, each with the one at or below it that failed."""


class Hearing(Protocol):
    """Who is told, in the driver's thread, what becomes of each thunk."""

    def placed(self, names: Sequence[ThunkId]) -> None:
        """These are done, and their files are in their places."""
        ...

    def given_up(self, names: Sequence[tuple[ThunkId, ThunkId]]) -> None: ...

    def unplaced(self, names: Sequence[ThunkId], error: GGError) -> None:
        """These are done, but their files could not be put in their places."""
        ...


@slotted(frozen=False)
class Outcome:
    """How a force ended. `failures`: of commands and of the machine; `skipped`: how many thunks needed one that failed.

    `ran` and `cached` add up to the thunks that have a value now. A thunk that became another counts as run if it ran itself.
    """

    summary: Summary
    ran: int = 0
    cached: int = 0
    failures: dict[ThunkId, Failure] = field(default_factory=dict)
    skipped: int = 0
    interrupted: bool = False
    over_budget: bool = False

    @property
    def status(self) -> int:
        """0, the first failing command's own status, 130 when interrupted, 79 when stopped at the budget, or 75 for trouble
        that is not the user's.
        """
        if self.interrupted:
            return Interrupted.exit_code
        if self.over_budget:
            return BudgetError.exit_code
        for failure in self.failures.values():
            if failure.fault is Fault.TOOL:
                return failure.status
        if self.failures:
            return 75
        return 0 if self.summary.ok else 75

    @property
    def only_tools_failed(self) -> bool:
        """Whether the force came to its end, and all failures are those of commands."""
        failed = all(failure.fault is Fault.TOOL for failure in self.failures.values())
        return failed and not self.interrupted and not self.over_budget


class Spending(Protocol):
    """The budget (`gg.cost.budget`). An attempt that it lets begin is counted until it ends."""

    def begin(self, attempt: int, engine: str, work: Work, seconds: float | None, memory: int) -> bool: ...
    def end(self, attempt: int) -> None: ...
