"""Engines that are only distributions, for the simulator: how long an attempt takes, and what it ends in.

Nothing here is tuned to look good: an attempt takes the node's expected seconds times the engine's slowness and a random factor,
and on top of that the latency, the fetching of its inputs, and a cold start when no warm environment is free.

Times are seconds, sizes are bytes, rates are a second.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field

from gg.schedule.events import EngineCaps, EngineName, Fault, Ramp


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
    of memory that come with one processor; attempts in a smaller memory class are slower in proportion. `workers`: how many
    attempts run at once, while others wait in a queue; 0 where none waits. `boot`: until a worker is there. `refuses`: the time
    span in which every attempt is refused.
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
    workers: int = 0
    boot: LogNormal = NOTHING
    refuses: tuple[float, float] = (0.0, 0.0)


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


class SimulatedEngine:
    """One engine at work: draws the outcome of each attempt, and remembers what it cost."""

    def __init__(self, model: EngineModel, rng: random.Random) -> None:
        self.model = model
        self.rng = rng
        self.running = self.warm = self.peak = self.attempts = self.calls = self.cold = self.refused = 0
        self.seconds = 0.0
        self.inside: dict[int, float] = {}
        self._free = sorted([model.boot.draw(rng) for _ in range(model.workers)])  # when each worker has nothing to do

    def accepts(self, now: float) -> bool:
        model = self.model
        if model.refuses[0] <= now < model.refuses[1]:
            return False
        limit = math.inf if model.limit is None else model.limit
        if model.ramp is not None:
            limit = min(limit, model.ramp.burst + model.ramp.rate * now)
        return self.running < limit and not (model.throttles and self.rng.random() < model.throttles)

    def begins(self, now: float, took: float) -> float:
        """When a worker takes a call, which keeps it busy for `took`. A call that is cancelled in the queue is run all the same."""
        if not self._free:
            return now
        begin = max(now, heapq.heappop(self._free))
        heapq.heappush(self._free, begin + took)
        return begin

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
