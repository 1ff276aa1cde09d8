"""Counts of what has happened, for the summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gg.schedule.commands import How, Summary
from gg.schedule.events import Fault
from gg.schedule.fleet import EngineState
from gg.schedule.states import State


class Tally:
    """Counters that only the scheduler raises; `summary` is the frozen copy that others see."""

    __slots__ = (
        "actual",
        "answered",
        "became",
        "busy",
        "dropped",
        "expected",
        "faults",
        "gone_wrong",
        "hedges",
        "hedges_lost",
        "hedges_won",
        "hits",
        "late",
        "lost_again",
        "ran",
        "retries",
        "trips",
        "unchanged",
    )

    def __init__(self) -> None:
        self.ran = self.hits = self.became = 0
        self.faults: dict[Fault, int] = {}
        self.retries: dict[Fault, int] = {}
        self.unchanged = self.hedges = self.hedges_won = self.hedges_lost = 0
        self.late = self.lost_again = self.trips = self.dropped = 0
        self.answered = self.gone_wrong = 0  # attempts that test engines; those where the engine failed
        self.busy = 0.0
        self.expected = self.actual = 0.0  # seconds of the nodes that ran, to tell how far expectations are off

    def learn(self, expected: float, actual: float, changed: bool) -> None:
        self.expected += expected
        self.actual += actual
        self.unchanged += not changed

    def finished(self, how: How) -> None:
        if how is How.RAN:
            self.ran += 1
        elif how is How.HIT:
            self.hits += 1
        else:
            self.became += 1

    def fault(self, fault: Fault) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1

    def judged(self, *, blamed: bool) -> None:
        """Count an attempt that has run a command, or whose engine (`blamed`) has failed to."""
        self.answered += 1
        self.gone_wrong += blamed

    def retry(self, fault: Fault) -> None:
        self.retries[fault] = self.retries.get(fault, 0) + 1

    def correction(self) -> float:
        """Real seconds for each expected one; 1 while little is known."""
        return (self.actual + 10.0) / (self.expected + 10.0)

    def summary(self, counts: Sequence[int], engines: Iterable[EngineState], stopped: bool) -> Summary:
        by_engine = {engine.name: engine.attempts for engine in engines}
        return Summary(
            finished=counts[State.DONE],
            failed=counts[State.FAILED],
            skipped=counts[State.SKIPPED],
            dropped=self.dropped,
            ran=self.ran,
            hits=self.hits,
            became=self.became,
            unchanged=self.unchanged,
            attempts=sum(by_engine.values()),
            hedges=self.hedges,
            hedges_won=self.hedges_won,
            hedges_lost=self.hedges_lost,
            late=self.late,
            lost_again=self.lost_again,
            trips=self.trips,
            busy_seconds=self.busy,
            faults=dict(self.faults),
            retries=dict(self.retries),
            attempts_by_engine=by_engine,
            stopped=stopped,
        )
