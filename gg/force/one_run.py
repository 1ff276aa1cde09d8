"""One call of `Driver.force`: who is told, and its counts so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.engines.engine import Failure
from gg.force.outcome import GivenUp, Outcome, Settled, TakeBroken, TakeSettled

if TYPE_CHECKING:
    from gg.schedule.commands import Summary


class ForceRun:
    """`finished`, `broke` and `given_up` as in `Driver.force`. `known`: how many thunks had their values before."""

    def __init__(
        self, finished: TakeSettled, broke: TakeBroken | None = None, given_up: GivenUp | None = None, known: int = 0
    ) -> None:
        self.finished = finished
        self.broke = broke
        self.given_up = given_up
        self.known = known
        self.done: Summary | None = None
        self.wake: float | None = None  # when the scheduler wants to be asked again
        self.failures: dict[ThunkId, Failure] = {}
        self.became: set[ThunkId] = set()  # thunks that became another one by running
        self.skipped = 0
        self._ran = self._cached = 0

    def settle(self, name: ThunkId, ran: bool) -> bool:
        """Count a thunk that has its value. The answer is whether it had to run for that."""
        self.failures.pop(name, None)
        ran = ran or name in self.became
        self._ran, self._cached = self._ran + ran, self._cached + (not ran)
        return ran

    def lose(self, count: int, ran: int) -> None:
        """Take back `count` thunks that were counted, `ran` of them as run: they are made again."""
        self._ran, self._cached = self._ran - ran, self._cached - (count - ran)

    def tell(self, settled: Sequence[Settled]) -> None:
        if settled:
            self.finished(settled)

    def outcome(self, summary: Summary, *, interrupted: bool, over_budget: bool) -> Outcome:
        return Outcome(summary, self._ran, self._cached, dict(self.failures), self.skipped, interrupted, over_budget)
