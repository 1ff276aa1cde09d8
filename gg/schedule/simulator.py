"""The same scheduler under a virtual clock, with engines that are only distributions (`engine_model.py`).

`simulate` tells before a run what it would take: how long, how much engine time, how wide. Estimates are made with it, and
with it a run of ten thousand workers is tested on two cores. Random numbers come from one seeded generator, so a simulation is
repeatable. Times are seconds.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from gg.schedule.commands import (
    Cancel,
    Command,
    Done,
    Failed,
    Finished,
    Lookup,
    Silent,
    Skipped,
    Start,
    Summary,
    Tripped,
    Unmanned,
    WakeAt,
)
from gg.schedule.engine_model import EngineModel, EngineUse, SimulatedEngine
from gg.schedule.events import (
    Add,
    AttemptId,
    EngineName,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Hit,
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


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a run would take. `makespan`: seconds from Want to Done. `path`: the longest chain of expected seconds."""

    makespan: float
    path: float
    work: float
    engines: dict[EngineName, EngineUse]
    summary: Summary
    events: int

    @property
    def mean_width(self) -> float:
        """Attempts side by side, on average over the makespan."""
        return sum(use.seconds for use in self.engines.values()) / self.makespan if self.makespan else 0.0


@dataclass(slots=True)
class _UnderWay:
    """An attempt in its engine: when it began and ends, and whether it was accepted. `first`: it is the first in its call."""

    engine: SimulatedEngine
    began: float
    ends: float
    fault: Fault | None
    accepted: bool = True
    first: bool = True


class Simulator:
    """The driver's part, under a virtual clock: one heap of events to come, fed to the scheduler in time's order."""

    def __init__(
        self,
        nodes: Sequence[NodeSpec],
        engines: Iterable[EngineModel],
        policy: Policy | None = None,
        *,
        known: Collection[NodeId] = (),
        lookup_seconds: float = 0.0,
        seed: int = 1,
    ) -> None:
        rng = random.Random(seed)
        self.scheduler = Scheduler(policy)
        self.nodes = {node.id: node for node in nodes}
        self.engines = {model.name: SimulatedEngine(model, rng) for model in engines}
        self.known = frozenset(known)
        self.lookup_seconds = lookup_seconds
        self.now = 0.0
        self.events = 0
        self.summary: Summary | None = None
        self._seq = 0
        self._coming: list[tuple[float, int, Event]] = []
        self._under_way: dict[AttemptId, _UnderWay] = {}
        self._busy_until = 0.0

    def run(self, roots: Sequence[NodeId]) -> Simulation:
        """Force `roots`, from an empty start to Done."""
        opening: list[Event] = [
            EngineUp(0.0, name, engine.model.slots, engine.model.caps) for name, engine in self.engines.items()
        ]
        opening += [Add(0.0, tuple(self.nodes.values())), Want(0.0, tuple(roots))]
        self._feed(opening)
        eta = self.scheduler.eta(0.0)
        path, work = self.scheduler.longest(), eta.work
        while self.summary is None and self._coming:
            self.now, _, event = heapq.heappop(self._coming)
            batch = [event]
            while self._coming and self._coming[0][0] == self.now:
                batch.append(heapq.heappop(self._coming)[2])
            self._feed([event for event in batch if self._arrives(event)])
        assert self.summary is not None, "the scheduler waits for nothing that could come"
        uses = {name: engine.use() for name, engine in self.engines.items()}
        return Simulation(self.now, path, work, uses, self.summary, self.events)

    def _arrives(self, event: Event) -> bool:
        """Let an answer leave its engine. False if the attempt was answered already, when it was cancelled."""
        if not isinstance(event, Ran | Faulted):
            return True
        attempt = self._under_way.pop(event.attempt, None)
        if attempt is not None and attempt.accepted and attempt.first:
            attempt.engine.ended(self.now - attempt.began, attempt.fault)
        return attempt is not None

    def _feed(self, events: Sequence[Event]) -> None:
        self.events += len(events)
        for command in self.scheduler.steps(events):
            self._obey(command)

    def _later(self, time: float, event: Event) -> None:
        self._seq += 1
        heapq.heappush(self._coming, (time, self._seq, event))

    def _obey(self, command: Command) -> None:
        match command:
            case Lookup():
                self._look_up(command)
            case Start():
                self._start(command)
            case Cancel():
                self._cancel(command)
            case WakeAt():
                self._later(command.time, Tick(command.time))
            case Done():
                self.summary = command.summary
            case Finished() | Failed() | Skipped() | Tripped() | Silent() | Unmanned():
                pass
            case _:
                assert_never(command)

    def _look_up(self, command: Lookup) -> None:
        time = self.now + self.lookup_seconds
        hits = tuple(id for id in command.ids if id in self.known)
        misses = tuple(id for id in command.ids if id not in self.known)
        if hits:
            self._later(time, Hit(time, hits))
        if misses:
            self._later(time, Miss(time, misses))

    def _start(self, command: Start) -> None:
        """Begin a call. Its attempts are answered together, and a fault of the call is a fault of each."""
        engine = self.engines[command.engine]
        starts = (command, *command.more)
        if not engine.accepts(self.now):
            engine.refused += 1
            ends = engine.heard(self.now + engine.model.latency.draw(engine.rng))
            for start in starts:
                self._under_way[start.attempt] = _UnderWay(engine, self.now, ends, Fault.THROTTLED, accepted=False)
                self._later(ends, Faulted(ends, start.attempt, Fault.THROTTLED))
            return
        nodes = [self.nodes[start.id] for start in starts]
        seconds = [expected_seconds(node.work, node.seconds) for node in nodes]
        size = sum([node.input_size for node in nodes])
        limits = [start.deadline for start in starts if start.deadline is not None]
        deadline = sum(limits) if limits else None
        took, fault = engine.run(sum(seconds), size, deadline, command.memory, len(starts))
        begin = engine.begins(self._sent(engine.model.serial * len(starts)), took)
        ends = engine.heard(begin + took)
        if engine.model.caps.announces:
            self._later(begin, Sent(begin, tuple([start.attempt for start in starts])))
        for start, own in zip(starts, seconds, strict=True):
            share = took * own / sum(seconds)
            self._under_way[start.attempt] = _UnderWay(engine, self.now, ends, fault, first=start is command)
            done = Faulted(ends, start.attempt, fault) if fault is not None else Ran(ends, start.attempt, share)
            self._later(ends, done)

    def _sent(self, serial: float) -> float:
        """The time at which the coordinator has sent one more attempt."""
        if not serial:
            return self.now
        self._busy_until = max(self.now, self._busy_until) + serial
        return self._busy_until

    def _cancel(self, command: Cancel) -> None:
        attempt = self._under_way.get(command.attempt)
        if attempt is not None and attempt.engine.model.cancels and attempt.ends > self.now:
            if attempt.accepted and attempt.first:
                attempt.engine.ended(self.now - attempt.began, None)
            self._under_way[command.attempt] = _UnderWay(attempt.engine, self.now, self.now, None, accepted=False)
            self._later(self.now, Faulted(self.now, command.attempt, Fault.CANCELLED))


def simulate(
    nodes: Sequence[NodeSpec],
    roots: Sequence[NodeId],
    engines: Iterable[EngineModel],
    policy: Policy | None = None,
    *,
    known: Collection[NodeId] = (),
    lookup_seconds: float = 0.0,
    seed: int = 1,
) -> Simulation:
    """What forcing `roots` would take. `known`: ids whose Lookup is a hit. `lookup_seconds`: for each Lookup."""
    return Simulator(nodes, engines, policy, known=known, lookup_seconds=lookup_seconds, seed=seed).run(roots)
