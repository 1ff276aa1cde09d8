"""Where a team's builds run under virtual time: processors that all share, machines that come and go, functions of Lambda.

Attempts that find no free processor wait in the place, and builds take turns, as with `gg worker`. Times are seconds.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from functools import partial

from benchmarks.virtual.team_run import Call, Clock, TeamRun
from gg.cost import models
from gg.cost.meter import BilledUsage, cost
from gg.cost.prices import Prices
from gg.schedule.engine_model import EngineModel, LogNormal, SimulatedEngine
from gg.schedule.events import EngineCaps, Fault

BOOT = LogNormal(75.0, 0.25)


@dataclass(eq=False, slots=True)
class Machine:
    """`idle`: since when it has nothing to do; `taking`: whether it is given work."""

    processors: int
    began: float
    running: set[Call] = field(default_factory=set)
    idle: float = 0.0
    taking: bool = True


class Pool:
    """Processors for all builds. `latency`: of an attempt, there and back."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        name: str,
        processors: int = 0,
        *,
        slowness: float = models.SLOWNESS,
        latency: float = 0.03,
        price: float = 0.0,
    ) -> None:
        self.name = name
        self.caps = EngineCaps(overhead=latency, slowness=slowness, announces=True)
        self.clock = clock
        self.rng = rng
        self.machines = [Machine(processors, 0.0)] if processors else []
        self.runs: list[TeamRun] = []
        self.price = price
        self._latency = LogNormal(latency, 0.5)
        self._waiting: OrderedDict[TeamRun, deque[Call]] = OrderedDict()
        self._busy = 0.0

    def dollars(self) -> float:
        return self.price

    def busy(self) -> float:
        return self._busy

    def join(self, run: TeamRun) -> int:
        self.runs.append(run)
        self.tell(run)
        return self._share()

    def leave(self, run: TeamRun) -> None:
        self.runs.remove(run)
        for call in self._waiting.pop(run, ()):
            call.over = True
        for machine in self.machines:
            for call in [each for each in machine.running if each.run is run]:
                call.over = True
                self._free(call)
        self.tell()
        self.dispatch()

    def submit(self, call: Call) -> None:
        self._waiting.setdefault(call.run, deque()).append(call)
        self.dispatch()

    def cancel(self, call: Call) -> None:
        if call.machine is not None:
            self._free(call)
        else:
            self._waiting[call.run].remove(call)
        call.run.answer(call, 0.0, Fault.CANCELLED)
        self.dispatch()

    def tell(self, but: TeamRun | None = None) -> None:
        """Each build is to know its part of what there is."""
        for run in self.runs:
            if run is not but:
                run.changed(self, self._share())

    def _share(self) -> int:
        count = sum([machine.processors for machine in self.machines if machine.taking])
        return -(-count // max(1, len(self.runs)))

    def dispatch(self) -> None:
        while self._waiting:
            machines = [each for each in self.machines if each.taking and len(each.running) < each.processors]
            if not machines:
                return
            run, calls = self._waiting.popitem(last=False)
            if calls:
                self._run(calls.popleft(), machines[0])
            if calls:
                self._waiting[run] = calls

    def _run(self, call: Call, machine: Machine) -> None:
        call.machine = machine
        machine.running.add(call)
        drag = models.DRAG if self.rng.random() < models.STRAGGLERS else 1.0
        inside = call.seconds * self.caps.slowness * models.NOISE.draw(self.rng) * drag + call.size / models.BANDWIDTH
        took, began = inside + self._latency.draw(self.rng), self.clock.now
        call.run.sent(call)

        def end() -> None:
            if not call.over:
                self._free(call)
                call.run.answer(call, self.clock.now - began)
                self.dispatch()

        self._busy += inside
        self.clock.at(began + took, end)

    def _free(self, call: Call) -> None:
        assert call.machine is not None
        call.machine.running.discard(call)
        call.machine.idle = self.clock.now


@dataclass(frozen=True)
class Terms:
    """Of spot machines. `hour`: dollars for one of them; `idle`: after which it ends; `notices`: that a
    machine gets an hour, two minutes before it is taken away; `within`: seconds in which all work shall be done.
    """

    processors: int
    most: int
    hour: float
    idle: float = 600.0
    notices: float = 0.005
    within: float = 60.0


class Fleet(Pool):
    """As many spot machines as would do what all builds have left within a minute."""

    _NOTICE_S, _LOOK_S = 120.0, 15.0

    def __init__(self, clock: Clock, rng: random.Random, name: str, terms: Terms) -> None:
        super().__init__(clock, rng, name, latency=0.1)
        self.terms = terms
        self.taken = 0
        self._coming = 0
        self._seconds = 0.0
        self._looking = False

    def dollars(self) -> float:
        return (self._seconds + sum([self.clock.now - m.began for m in self.machines])) / 3600 * self.terms.hour

    def join(self, run: TeamRun) -> int:
        slots = super().join(run)
        self._look()
        return slots

    def _look(self) -> None:
        terms = self.terms
        left = sum([run.left for run in self.runs]) * self.caps.slowness
        wanted = min(terms.most, max(1, math.ceil(left / terms.processors / terms.within)))
        there = self._coming + sum([machine.taking for machine in self.machines])
        for _ in range(wanted - there if self.runs else 0):
            self._coming += 1
            self.clock.at(self.clock.now + BOOT.draw(self.rng), partial(self._up, self.clock.now))
        if self.runs and not self._looking:
            self._looking = True
            self.clock.at(self.clock.now + self._LOOK_S, self._again)

    def _again(self) -> None:
        self._looking = False
        self._look()

    def _up(self, began: float) -> None:
        self._coming -= 1
        machine = Machine(self.terms.processors, began, idle=self.clock.now)
        self.machines.append(machine)
        self.clock.at(self.clock.now + self.rng.expovariate(self.terms.notices) * 3600, lambda: self._noticed(machine))
        self._idle_later(machine)
        self.tell()
        self.dispatch()

    def _free(self, call: Call) -> None:
        super()._free(call)
        if call.machine is not None and not call.machine.running:
            self._idle_later(call.machine)

    def _idle_later(self, machine: Machine) -> None:
        since = machine.idle

        def look() -> None:
            if machine in self.machines and not machine.running and machine.idle == since:
                self._end(machine)

        self.clock.at(since + self.terms.idle, look)

    def _noticed(self, machine: Machine) -> None:
        if machine in self.machines:
            self.taken += 1
            machine.taking = False
            self.tell()
            self.clock.at(self.clock.now + self._NOTICE_S, lambda: self._end(machine))

    def _end(self, machine: Machine) -> None:
        if machine not in self.machines:
            return
        self.machines.remove(machine)
        self._seconds += self.clock.now - machine.began
        for call in list(machine.running):
            call.run.answer(call, 0.0, Fault.LOST)
        self.tell()


class Functions:
    """Functions of Lambda, those of a whole account: environments stay warm for `kept`, and are billed while they work."""

    LIMIT, KEPT_S = 1000, 300.0

    def __init__(self, clock: Clock, rng: random.Random, model: EngineModel, prices: Prices) -> None:
        self.name = model.name
        self.caps = model.caps
        self._clock = clock
        self._engine = SimulatedEngine(model, rng)
        self._prices = prices
        self._idle: list[float] = []
        self._sent: dict[TeamRun, float] = {}

    def dollars(self) -> float:
        use = self._engine.use()
        by_class = {size: (size + models.RESERVE) // models.MB for size in use.inside}
        usage = BilledUsage(
            invocations=use.calls,
            mb_ms=sum([int(by_class[size] * seconds * 1000) for size, seconds in use.inside.items()]),
            put=int(use.attempts * models.PUT_SHARE),
            get=use.cold * models.COLD_GETS,
        )
        return cost(usage, self._prices, "x86_64").total

    def busy(self) -> float:
        return sum(self._engine.inside.values())

    def join(self, run: TeamRun) -> int:
        self._sent[run] = 0.0
        return self._engine.model.slots

    def leave(self, run: TeamRun) -> None:
        del self._sent[run]

    def submit(self, call: Call) -> None:
        engine, now = self._engine, self._clock.now
        if engine.running >= self.LIMIT:
            self._clock.at(
                now + engine.model.latency.draw(engine.rng), lambda: call.run.answer(call, 0.0, Fault.THROTTLED)
            )
            return
        while self._idle and self._idle[0] < now - self.KEPT_S:
            self._idle.pop(0)
        engine.warm = len(self._idle)
        if self._idle:
            self._idle.pop()
        took, _ = engine.run(call.seconds, call.size, None, call.memory, len(call.attempts))
        self._sent[call.run] = max(now, self._sent[call.run]) + engine.model.serial * len(call.attempts)

        def end() -> None:
            engine.ended(took, None)
            self._idle.append(self._clock.now)
            if not call.over:
                call.run.answer(call, took)

        self._clock.at(self._sent[call.run] + took, end)

    def cancel(self, call: Call) -> None:
        """It runs to its end, and is paid for."""
        call.run.answer(call, 0.0, Fault.CANCELLED)
