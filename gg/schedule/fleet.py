"""The scheduler's view of an engine: how many attempts it may be given now, and whether it can be trusted.

There are five limits, of which the smallest counts. The engine says how many *slots* it has. The *window* loses one with each
attempt that the engine throttles, and gains a quarter with each success: so an engine that refuses a tenth by chance stays as
wide as it is. It gains a whole one up to half of what the engine took before, so what was refused for a while comes back soon.
When it refuses many of the attempts that were under way together, it is given none for a while, and then no
more than it had taken. Overdue attempts do not count in the window, for a few that hang would fill it. The *ramp* is a token
bucket for going wider than ever before: an environment that exists may be used again at once. The *breaker* opens after many
faults in a row, lets one probe through when its cooldown has passed, closes at any success, and gives the engine up after
several failed probes.

An engine whose attempts wait for a worker (`EngineCaps.queued`) says nothing by its slots. While others could do the work, it is
given no more attempts at once than its workers have shown to take: one more for each that began soon after it was given, one
less for each that waited long. When some do not begin at all, it is given half as many, and none for a while.

A cancelled attempt holds its slot until the engine has answered: a process that is being killed still runs.
"""

from __future__ import annotations

import math
from enum import Enum

from gg.schedule.events import AttemptId, EngineCaps, EngineName, SchedulerError
from gg.schedule.policy import Policy, backoff, cut_window, grown_window
from gg.schedule.spread import PRIOR_KNOWN, PRIOR_UNKNOWN, Lag, Spread

_TOLD = 8  # answers that tell more of an engine's overhead than its capabilities do


class Breaker(Enum):
    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    GIVEN_UP = "given up"


class EngineState:
    """One engine's slots, window, bucket and breaker. Every method that takes `now` takes seconds."""

    __slots__ = (
        "ahead",
        "attempts",
        "bit",
        "breaker",
        "caps",
        "contended",
        "failed_probes",
        "faults",
        "heard_at",
        "held_until",
        "lag",
        "last_of_round",
        "latest",
        "listen_at",
        "load",
        "memory_used",
        "name",
        "overdue",
        "passed",
        "policy",
        "probe",
        "probe_at",
        "proven",
        "quiet_until",
        "refused",
        "round",
        "running",
        "silences",
        "slots",
        "spreads",
        "stalls",
        "throttles",
        "tokens",
        "tokens_at",
        "took",
        "up",
        "warm",
        "window",
    )

    def __init__(self, name: EngineName, index: int, policy: Policy) -> None:
        self.name = name
        self.bit = 1 << index
        self.policy = policy
        self.caps = EngineCaps()
        self.slots = 0
        self.up = False
        self.attempts = 0
        self.proven = False  # it has run a command
        self.contended = False  # others are there that could do the work
        self.spreads: dict[int, Spread] = {}
        self.lag = Lag()
        self._reset(-math.inf)

    def _reset(self, now: float) -> None:
        self.running = 0
        self.overdue = 0  # of those that run
        self.memory_used = 0
        self.load = 0.0  # expected seconds of the nodes that run there, duplicates left out
        self.passed = 0  # attempts started past a node that waits for memory
        self.window = math.inf
        self.took = 0.0  # how many it has run side by side; less with each round of refusals
        self.ahead = float(
            self.policy.queue_start
        )  # how many a queue may be given at once while other engines are there
        self.stalls = 0  # times that attempts did not begin, since one did
        self.held_until = -math.inf
        self.round = 0  # how many attempts were under way when the first of a round was refused
        self.refused = 0  # attempts of that round
        self.last_of_round = self.latest = AttemptId(0)  # the last attempt that was started
        self.throttles = 0  # rounds since the last success
        self.faults = 0  # since the last success
        self.breaker = Breaker.CLOSED
        self.failed_probes = 0
        self.probe: AttemptId | None = None
        self.probe_at = -math.inf
        self.heard_at = -math.inf  # when an answer came last, or when the first of the running attempts was started
        self.listen_at = -math.inf  # when to look whether all running attempts are overdue
        self.quiet_until = -math.inf  # until then its silence is not acted upon again
        self.silences = 0  # times that its silence was acted upon since it was heard
        self.warm = 0
        self.tokens = 0.0
        self.tokens_at = now

    def come_up(self, now: float, slots: int, caps: EngineCaps) -> None:
        self._reset(now)
        self.up, self.slots, self.caps = True, slots, caps
        self.tokens = float(caps.ramp.burst) if caps.ramp else 0.0

    def go_down(self) -> None:
        self.up = False
        self._reset(-math.inf)

    @property
    def usable(self) -> bool:
        return self.up and self.breaker is not Breaker.GIVEN_UP

    @property
    def tripped(self) -> bool:
        return self.breaker is not Breaker.CLOSED

    # Room

    def room(self, now: float) -> int:
        """How many attempts the engine may be given at this time."""
        if not self.up or now < self.held_until:
            return 0
        if self.breaker is not Breaker.CLOSED:
            return self._room_for_probe(now)
        room = self.slots - self.running
        if self.window < self.slots:
            room = min(room, int(self.window) - self.running + self.overdue)
        if self.contended and self.caps.queued:
            room = min(room, int(self.ahead) - self.running)
        if room > 0 and self.caps.ramp is not None:
            room = min(room, max(0, self.warm - self.running) + int(self._tokens(now)))
        return room if room > 0 else 0

    def width(self) -> int:
        """How many attempts run there at once, as far as is known: those that drag are not counted on."""
        width = min(self.slots, self.window)
        if self.contended and self.caps.queued:
            width = min(width, self.ahead)
        return max(0, int(width) - self.overdue)

    def expected(self, kind: int, seconds: float) -> float:
        """Seconds from giving it an attempt to the answer, by what was seen of the engine. `seconds`: of work, as expected."""
        overhead = self.lag.mean if self.lag.count >= _TOLD else self.caps.overhead
        start = self.caps.startup if self.running >= self.warm else 0.0
        start += self.policy.queue_patience if self.stalls else 0.0
        return overhead + start + seconds * self.spread(kind).usual()

    def _room_for_probe(self, now: float) -> int:
        ready = self.breaker is Breaker.OPEN and now >= self.probe_at
        return int(ready and self.running < self.slots)

    def _tokens(self, now: float) -> float:
        ramp = self.caps.ramp
        if ramp is None:
            return math.inf
        return min(float(ramp.burst), self.tokens + (now - self.tokens_at) * ramp.rate)

    def opens_at(self, now: float) -> float | None:
        """The time at which it may have room again without an answer; None if only an answer can help."""
        if not self.usable:
            return None
        if now < self.held_until:
            return self.held_until
        if self.breaker is Breaker.OPEN:
            return self.probe_at if now < self.probe_at else None
        ramp = self.caps.ramp
        if ramp is None or self.breaker is not Breaker.CLOSED or self.running < self.warm:
            return None
        if self.running >= min(self.slots, self.window + self.overdue) or ramp.rate <= 0:
            return None
        missing = min(max(1.0, 0.05 * ramp.rate), float(ramp.burst)) - self._tokens(now)
        return now + missing / ramp.rate + 1e-9 if missing > 0 else None

    def fits(self, memory: int) -> bool:
        total = self.caps.memory_total
        return total is None or self.running == 0 or self.memory_used + memory <= total

    # Attempts

    def started(self, now: float, attempt: AttemptId, memory: int) -> None:
        if self.breaker is Breaker.OPEN:
            self.breaker, self.probe = Breaker.PROBING, attempt
        if self.caps.ramp is not None and self.running >= self.warm:
            self.tokens, self.tokens_at = self._tokens(now) - 1.0, now
        if not self.running:
            self.heard_at = now
        self.latest = attempt
        self.running += 1
        self.attempts += 1
        self.memory_used += memory
        if self.running > self.warm:
            self.warm = self.running

    def joined(self) -> None:
        """One more attempt shares the slot of one that was started."""
        self.attempts += 1

    def ended(self, memory: int, overdue: bool = False) -> None:
        self.running -= 1
        self.overdue -= overdue
        self.memory_used -= memory

    # A queue before its workers

    def began(self, waited: float) -> None:
        """A worker has taken an attempt, so many seconds after it was given."""
        if self.caps.queued:
            limit = self.policy.queue_wait
            if self.stalls:  # the first after a time in which none began
                self.moved()
            elif waited < limit and 2 * self.running >= self.ahead:
                self.ahead += 1.0
            elif waited > 2 * limit:
                self.ahead = max(1.0, self.ahead - 1.0)

    def stalled(self, now: float) -> bool:
        """Attempts do not begin: others do them, and it is given none for a while. True for the first time since some began."""
        if now >= self.held_until:
            self.ahead = max(1.0, self.ahead / 2.0)
            self.stalls += 1
            policy = self.policy
            self.held_until = now + backoff(policy.queue_patience, policy.queue_hold, self.stalls, self.attempts)
            return self.stalls == 1
        return False

    def told(self, caps: EngineCaps) -> None:
        """The engine has other capabilities. More workers take more at once, at first; other builds may have them, too."""
        if caps.taken > self.caps.taken:
            self.ahead = max(self.ahead, float(caps.taken))
        self.caps = caps

    def moved(self) -> None:
        """The engine has told of itself: whatever was the matter with its workers may be over."""
        if self.stalls:
            self.stalls, self.held_until = 0, -math.inf
            self.ahead = max(self.ahead, float(self.policy.queue_start))

    # Silence

    def heard(self, now: float) -> None:
        """An answer has come, whatever it is."""
        self.heard_at = now
        self.quiet_until = -math.inf
        self.silences = 0

    def wait_for_news(self, now: float) -> None:
        """Note that its silence is acted upon now; the next time after twice as long."""
        self.quiet_until = now + self.policy.silence * 2.0 ** min(self.silences, 10)
        self.silences += 1

    def probe_silence(self, now: float) -> None:
        """Open the breaker, so that only a probe may be started until something is heard. The last probe counts no more."""
        self.breaker, self.probe, self.probe_at = Breaker.OPEN, None, now

    # Trust

    def worked(self) -> bool:
        """The engine has run a command, successfully or not. True if that closes the breaker."""
        self.faults = self.throttles = 0
        self.proven = True
        self.took = max(self.took, self.running)
        if self.window < self.slots:
            growth = 1.0 if self.window < self.took / 2.0 else self.policy.window_growth
            self.window = grown_window(self.window, growth)
        closed = self.breaker is not Breaker.CLOSED
        if closed:
            self.breaker, self.probe, self.failed_probes = Breaker.CLOSED, None, 0
        return closed

    def faulted(self, now: float, attempt: AttemptId) -> bool:
        """The engine failed to run a command. True if the breaker opens, or gives up, now."""
        self.faults += 1
        if self.breaker is Breaker.PROBING and self.probe == attempt:
            return self._probe_failed(now)
        if self.breaker is Breaker.CLOSED:
            limit = self.policy.breaker_faults + self.policy.breaker_share * self.running
            return self.faults >= limit and self._open(now)
        return False

    def throttled(self, now: float, attempt: AttemptId) -> bool:
        """The engine refused an attempt. True if the breaker opens, or gives up, because of that."""
        if self.breaker is Breaker.PROBING and self.probe == attempt:
            return self._probe_failed(now)
        if self.breaker is not Breaker.CLOSED:
            return False
        if attempt > self.last_of_round:
            self.round, self.refused, self.last_of_round = self.running - self.overdue + 1, 0, self.latest
            self.throttles += 1
            self.took *= self.policy.window_memory
        self.refused += 1
        policy = self.policy
        self.window = cut_window(policy, min(self.window, self.slots), self.round, self.refused)
        if now < self.held_until or self.refused <= policy.throttle_share * self.round:
            return False
        self.warm = min(self.warm, self.running)
        self.held_until = now + backoff(policy.throttle_hold, policy.throttle_cap, self.throttles, self.attempts)
        return self.throttles >= policy.throttle_trip and self._open(now)

    def unsure(self, attempt: AttemptId) -> None:
        """The probe ended and says nothing about the engine: the next attempt is the probe."""
        if self.probe == attempt and self.breaker is Breaker.PROBING:
            self.breaker, self.probe = Breaker.OPEN, None

    def _open(self, now: float) -> bool:
        self.breaker = Breaker.OPEN
        self.probe = None
        wait = backoff(self.policy.breaker_cooldown, self.policy.breaker_cap, self.failed_probes + 1, self.attempts)
        self.probe_at = now + wait
        return True

    def _probe_failed(self, now: float) -> bool:
        self.failed_probes += 1
        if self.failed_probes >= self.policy.breaker_probes:
            self.breaker, self.probe = Breaker.GIVEN_UP, None
            return True
        self._open(now)
        return False

    # History

    def spread(self, kind: int) -> Spread:
        """The spread of durations for one kind of node (`Node.kind`; odd when their durations are remembered)."""
        spread = self.spreads.get(kind)
        if spread is None:
            spread = self.spreads[kind] = Spread(PRIOR_KNOWN if kind & 1 else PRIOR_UNKNOWN)
            spread.mean = math.log(self.caps.slowness)
        return spread


class Fleet:
    """All engines that ever came up, in that order."""

    __slots__ = ("_by_name", "_policy", "engines")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._by_name: dict[EngineName, EngineState] = {}
        self.engines: list[EngineState] = []

    def __getitem__(self, name: EngineName) -> EngineState:
        """An engine that is up; SchedulerError for another."""
        engine = self._by_name.get(name)
        if engine is None or not engine.up:
            raise SchedulerError(f"engine {name!r} is not up")
        return engine

    def come_up(self, now: float, name: EngineName, slots: int, caps: EngineCaps) -> None:
        engine = self._by_name.get(name)
        if engine is None:
            engine = self._by_name[name] = EngineState(name, len(self.engines), self._policy)
            self.engines.append(engine)
        elif engine.up:
            raise SchedulerError(f"engine {name!r} is up already")
        engine.come_up(now, slots, caps)

    def weigh(self) -> None:
        """Engines have come, gone or changed: see whether there are several."""
        several = sum([engine.usable and not engine.caps.reserve for engine in self.engines]) > 1
        for engine in self.engines:
            engine.contended = several

    def has_worked(self) -> bool:
        """Whether any engine has ever run a command. If so, faults are not those of the set-up."""
        return any(engine.proven for engine in self.engines)

    def wide(self) -> int:
        """How many attempts run side by side."""
        return sum([engine.running for engine in self.engines])
