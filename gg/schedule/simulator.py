"""The same scheduler under a virtual clock, with engines that are only distributions.

`simulate` tells before a run what it would take: how long, how much engine time, how wide. Estimates are made with it, and
with it a run of ten thousand workers is tested on two cores. Nothing in it is tuned to look good: an attempt takes the
node's expected seconds times the engine's slowness and a random factor, and on top of that the latency, the fetching of its
inputs, and a cold start when no warm environment is free. Random numbers come from one seeded generator, so a simulation is
repeatable.

Times are seconds, sizes are bytes, rates are a second.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
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
    WakeAt,
)
from gg.schedule.events import (
    Add,
    AttemptId,
    EngineCaps,
    EngineName,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Hit,
    Miss,
    NodeId,
    NodeSpec,
    Ramp,
    Ran,
    Tick,
    Want,
)
from gg.schedule.policy import Policy, expected_seconds
from gg.schedule.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A positive quantity by its median and the standard deviation of its logarithm; a constant when `sigma` is 0."""

    median: float
    sigma: float = 0.0

    def draw(self, rng: random.Random) -> float:
        return self.median * math.exp(self.sigma * rng.gauss(0.0, 1.0)) if self.sigma else self.median


NOTHING = LogNormal(0.0)
SAME = LogNormal(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineModel:
    """One engine as distributions. `caps.slowness` scales every duration.

    `latency`: added to each attempt. `cold`: added when a new environment starts, and `cold_bytes` are fetched then.
    `bandwidth`: at which an attempt gets its inputs. `noise`: factor on each duration. `failures`, `losses`: shares of
    the attempts that end, somewhere on their way, in an INFRA fault or with the worker gone. `hangs`: share that ends at the
    engine's own limit, in a TIMEOUT. `throttles`: share that is refused. `silent`: the time span in which no answer arrives;
    its answers arrive at its end. `stragglers`: share that takes `straggler_factor` times as long. `ramp`, `limit`: attempts
    side by side beyond either are refused with THROTTLED, whatever the scheduler was told. `cancels`: whether cancelling is
    answered at once. `serial`: seconds of the coordinator's own time for each attempt, one after the other. `whole`: bytes
    of memory that come with one processor; attempts in a smaller memory class are slower in proportion.
    """

    name: EngineName
    slots: int
    caps: EngineCaps = field(default_factory=EngineCaps)
    latency: LogNormal = NOTHING
    cold: LogNormal = NOTHING
    cold_bytes: int = 0
    bandwidth: float = math.inf
    noise: LogNormal = SAME
    failures: float = 0.0
    losses: float = 0.0
    hangs: float = 0.0
    throttles: float = 0.0
    silent: tuple[float, float] = (0.0, 0.0)
    stragglers: float = 0.0
    straggler_factor: float = 10.0
    ramp: Ramp | None = None
    limit: int | None = None
    cancels: bool = True
    serial: float = 0.0
    whole: int = 0


@dataclass(frozen=True, slots=True)
class EngineUse:
    """What one engine did: attempts it ran, in how many calls, cold starts, attempts refused, seconds of attempts in all, peak
    width.

    `inside`: seconds that attempts took there, by memory class: all but latency and the coordinator's time. A cancelled
    attempt counts up to the end that it would have had.
    """

    attempts: int
    calls: int
    cold: int
    refused: int
    seconds: float
    peak: int
    inside: dict[int, float] = field(default_factory=dict)


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


class SimulatedEngine:
    """One engine at work: draws the outcome of each attempt, and remembers what it cost."""

    def __init__(self, model: EngineModel, rng: random.Random) -> None:
        self.model = model
        self.rng = rng
        self.running = self.warm = self.peak = self.attempts = self.calls = self.cold = self.refused = 0
        self.seconds = 0.0
        self.inside: dict[int, float] = {}

    def accepts(self, now: float) -> bool:
        model = self.model
        limit = math.inf if model.limit is None else model.limit
        if model.ramp is not None:
            limit = min(limit, model.ramp.burst + model.ramp.rate * now)
        return self.running < limit and not (model.throttles and self.rng.random() < model.throttles)

    def heard(self, ends: float) -> float:
        """When an answer that is sent at `ends` arrives."""
        start, end = self.model.silent
        return end if start <= ends < end else ends

    def run(
        self, seconds: float, input_size: int, deadline: float | None, memory: int = 0, attempts: int = 1
    ) -> tuple[float, Fault | None]:
        """Take one call, with one or several attempts: how long it takes, and the fault it ends in."""
        model, rng = self.model, self.rng
        latency = model.latency.draw(rng)
        took = latency + input_size / model.bandwidth
        if self.warm > 0:
            self.warm -= 1
        else:
            self.cold += 1
            took += model.cold.draw(rng) + model.cold_bytes / model.bandwidth
        share = min(1.0, memory / model.whole) if model.whole and memory else 1.0
        took += seconds / share * model.caps.slowness * model.noise.draw(rng) * self._drag()
        self.running += 1
        self.attempts += attempts
        self.calls += 1
        self.peak = max(self.peak, self.running)
        fault = self._luck()
        if fault is Fault.TIMEOUT:
            took = model.caps.max_seconds or took
        elif fault is not None:
            took *= rng.random()
        elif deadline is not None and took > deadline:
            took, fault = deadline, Fault.TIMEOUT
        self.inside[memory] = self.inside.get(memory, 0.0) + max(0.0, took - latency)
        return took, fault

    def _drag(self) -> float:
        model = self.model
        return model.straggler_factor if model.stragglers and self.rng.random() < model.stragglers else 1.0

    def _luck(self) -> Fault | None:
        model = self.model
        if not (model.failures or model.losses or model.hangs):
            return None
        luck = self.rng.random()
        if luck < model.failures:
            return Fault.INFRA
        if luck < model.failures + model.losses:
            return Fault.LOST
        return Fault.TIMEOUT if luck < model.failures + model.losses + model.hangs else None

    def ended(self, seconds: float, fault: Fault | None) -> None:
        self.running -= 1
        self.seconds += seconds
        if fault is not Fault.LOST:
            self.warm += 1

    def use(self) -> EngineUse:
        return EngineUse(self.attempts, self.calls, self.cold, self.refused, self.seconds, self.peak, dict(self.inside))


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
            case Finished() | Failed() | Skipped() | Tripped() | Silent():
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
        ends = engine.heard(self._sent(engine.model.serial * len(starts)) + took)
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
