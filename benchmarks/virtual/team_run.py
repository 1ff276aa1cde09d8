"""A team's builds under virtual time: each has gg's own scheduler, and asks places as gg-force asks engines. Times are seconds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gg.schedule.commands import Cancel, Command, Done, Lookup, Start, WakeAt
from gg.schedule.events import (
    Add,
    AttemptId,
    EngineCaps,
    EngineChanged,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Miss,
    NodeId,
    NodeSpec,
    Ran,
    Sent,
    Tick,
    Want,
)
from gg.schedule.policy import Policy, expected_seconds
from gg.schedule.scheduler import Scheduler


class Clock:
    """Virtual time: calls in time's order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, time: float, call: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._coming, (max(time, self.now), self._number, call))

    def soon(self, call: Callable[[], None]) -> None:
        self.at(self.now, call)

    def run(self) -> None:
        while self._coming:
            self.now, _, call = heapq.heappop(self._coming)
            call()


@dataclass(eq=False, slots=True)
class Call:
    """Attempts that run one after the other in one place: each one's id and expected seconds. `over`: it was answered.
    `machine`: where it runs, for places that have machines.
    """

    run: TeamRun
    attempts: tuple[tuple[AttemptId, float], ...]
    size: int
    memory: int
    over: bool = False
    machine: Any = None

    @property
    def seconds(self) -> float:
        return sum([own for _, own in self.attempts])


class Place(Protocol):
    """`dollars` are those of the whole week."""

    name: str
    caps: EngineCaps

    def join(self, run: TeamRun) -> int: ...
    def leave(self, run: TeamRun) -> None: ...
    def submit(self, call: Call) -> None: ...
    def cancel(self, call: Call) -> None: ...
    def dollars(self) -> float: ...
    def busy(self) -> float: ...


class TeamRun:
    """One build: gg's scheduler, from Want to Done. `left`: seconds of work that are still to be done."""

    def __init__(
        self,
        clock: Clock,
        nodes: Sequence[NodeSpec],
        roots: Sequence[NodeId],
        places: Sequence[Place],
        done: Callable[[float], None],
    ) -> None:
        self.left = sum([expected_seconds(node.work, node.seconds) for node in nodes])
        self._clock = clock
        self._nodes = {node.id: node for node in nodes}
        self._places = {place.name: place for place in places}
        self._began = clock.now
        self._done = done
        self._ended = False
        self._wake = 0.0
        self._calls: dict[AttemptId, Call] = {}
        self._scheduler = Scheduler(Policy(fallback=None))
        now = clock.now
        ups = [EngineUp(now, place.name, place.join(self), place.caps) for place in places]
        self.feed(*ups, Add(now, tuple(nodes)), Want(now, tuple(roots)))

    def feed(self, *events: Event) -> None:
        if not self._ended:
            for command in self._scheduler.steps(events):
                self._obey(command)

    def changed(self, place: Place, slots: int) -> None:
        self._clock.soon(lambda: self.feed(EngineChanged(self._clock.now, place.name, slots)))

    def sent(self, call: Call) -> None:
        ids = tuple([attempt for attempt, _ in call.attempts])
        self._clock.soon(lambda: self.feed(Sent(self._clock.now, ids)))

    def answer(self, call: Call, took: float, fault: Fault | None = None) -> None:
        """The call has come to its end now, whatever is still going on there."""
        call.over = True
        self._clock.soon(lambda: self._answered(call, took, fault))

    def _answered(self, call: Call, took: float, fault: Fault | None) -> None:
        now = self._clock.now
        events: list[Event] = []
        for attempt, own in call.attempts:
            self._calls.pop(attempt, None)
            if fault is None:
                self.left -= own
                events.append(Ran(now, attempt, took * own / max(call.seconds, 1e-9)))
            else:
                events.append(Faulted(now, attempt, fault))
        self.feed(*events)

    def _obey(self, command: Command) -> None:
        match command:
            case Lookup():
                self._clock.soon(lambda: self.feed(Miss(self._clock.now, command.ids)))
            case Start():
                self._start(command)
            case Cancel():
                call = self._calls.get(command.attempt)
                if call is not None and not call.over:
                    self._places[command.engine].cancel(call)
            case WakeAt():
                self._wake = command.time
                self._clock.at(command.time, lambda: self._tick(command.time))
            case Done():
                assert command.summary.ok, command.summary
                self._ended = True
                for place in self._places.values():
                    place.leave(self)
                self._done(self._clock.now - self._began)
            case _:
                pass

    def _tick(self, time: float) -> None:
        if self._wake == time:
            self.feed(Tick(self._clock.now))

    def _start(self, command: Start) -> None:
        starts = (command, *command.more)
        nodes = [self._nodes[start.id] for start in starts]
        seconds = [expected_seconds(node.work, node.seconds) for node in nodes]
        attempts = tuple([(start.attempt, own) for start, own in zip(starts, seconds, strict=True)])
        call = Call(self, attempts, sum([node.input_size for node in nodes]), command.memory)
        self._calls.update(dict.fromkeys([start.attempt for start in starts], call))
        self._places[command.engine].submit(call)
