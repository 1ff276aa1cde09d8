"""Every choice that the scheduler makes, as pure functions of numbers and capabilities.

Times are seconds, memory is bytes. Nothing here knows a node's state or an engine's name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Protocol, TypeVar

from gg.core.thunk import Work
from gg.light.slotted import slotted
from gg.schedule.events import EngineCaps, EngineName, Fault

MIB = 1 << 20


@slotted(kw_only=True)
class Policy:
    """The settings of a scheduler. `fallback`: the engine for nodes that others failed at; None for none.

    `max_attempts`: counted attempts a node. `max_lost_workers`: how many attempts of one node alone may end with the worker
    gone, for the node may be what kills workers. Both grow, up to `most_attempts`, with the share of other nodes' attempts
    that fault: by luck alone, a node is given up no oftener than `ill_luck` says. `max_deaths`: how many workers may surely
    die while they run a node; after the first death it runs alone on its machine, so that it is not blamed for another's.
    `max_free`: faults of a node that cost nothing, before they count. `patience`: how long a node waits for an engine that
    is gone. `cancel_grace`: how long a cancelled attempt may hold its slot; also how long an attempt may go on beyond its
    deadline before it counts as lost. `hedge_blind`: how long an attempt may run before it is a straggler if no durations of
    similar nodes are known. `throttle_share`: which share of the attempts given at once an engine may refuse before it is
    sent nothing for `throttle_hold`. `max_hedges`: duplicates of a node at once, and half of those it may have until it is
    tried again; each waits twice as long as the one before it. `silence`: how long an engine may say nothing, while all that
    runs there is overdue, before that is reported and acted upon; then twice as long, and so on. `width`: attempts at once,
    on all engines together; None for as many as their slots allow. `batch_seconds`: how long attempts that share an
    invocation may take in all. `queue_start`: how many attempts an engine is given at once while nobody knows whether workers take
    them (`EngineCaps.queued`); `queue_wait`: how long they may wait there if it is to get more; `queue_patience`: after which
    they are begun elsewhere too, and it gets none for as long, up to `queue_hold`.
    """

    keep_going: bool = False
    lookup: bool = True
    fallback: EngineName | None = "local"
    max_attempts: int = 4
    fallback_after: int = 2
    max_lost_workers: int = 3
    most_attempts: int = 24
    ill_luck: float = 1e-7
    max_deaths: int = 2
    max_free: int = 32
    max_lost_outputs: int = 4
    backoff: float = 0.5
    backoff_cap: float = 30.0
    hedge: bool = True
    hedge_multiple: float = 2.0
    hedge_floor: float = 2.0
    hedge_blind: float = 30.0
    max_hedges: int = 3
    silence: float = 10.0
    deadline_multiple: float = 10.0
    deadline_floor: float = 60.0
    cancel_grace: float = 30.0
    patience: float = 30.0
    breaker_faults: int = 8
    breaker_share: float = 0.1
    breaker_cooldown: float = 5.0
    breaker_cap: float = 60.0
    breaker_probes: int = 5
    throttle_trip: int = 8
    throttle_share: float = 0.2
    throttle_hold: float = 0.25
    throttle_cap: float = 20.0
    window_growth: float = 0.25
    window_memory: float = 0.9
    max_passed: int = 16
    width: int | None = None
    batch_seconds: float = 0.2
    queue_start: int = 8
    queue_wait: float = 1.0
    queue_patience: float = 2.0
    queue_hold: float = 30.0


class Next(Enum):
    """What becomes of a node whose attempt faulted."""

    FAIL = 0
    NOW = 1
    LATER = 2


@slotted()
class Rule:
    """What one fault means. `counts`: it counts against the node's attempts. `blames`: it is held against the engine. `ends`:
    when a node fails so, the run ends as make does; otherwise only that node is given up, and others go on.
    """

    next: Next
    counts: bool = False
    blames: bool = False
    ends: bool = False


RULES: Mapping[Fault, Rule] = MappingProxyType(
    {
        Fault.TOOL: Rule(Next.FAIL, ends=True),
        Fault.INFRA: Rule(Next.LATER, counts=True, blames=True),
        Fault.LOST: Rule(Next.LATER, counts=True, blames=True),
        Fault.DIED: Rule(Next.LATER, counts=True, blames=True),
        Fault.TIMEOUT: Rule(Next.LATER, counts=True, blames=True),
        Fault.MEMORY: Rule(Next.NOW),
        Fault.TOO_BIG: Rule(Next.NOW),
        Fault.THROTTLED: Rule(Next.NOW),
        Fault.UNDECLARED: Rule(Next.NOW),
        Fault.MISSING_INPUT: Rule(Next.LATER, counts=True),
        Fault.CHANGED: Rule(Next.FAIL, ends=True),
        Fault.CANCELLED: Rule(Next.NOW),
        Fault.NO_ENGINE: Rule(Next.FAIL),
        Fault.CYCLE: Rule(Next.FAIL),
    }
)

DEFAULT_SECONDS: Mapping[Work, float] = MappingProxyType(
    {
        Work.COMPILE: 1.0,
        Work.ASSEMBLE: 0.1,
        Work.LINK: 2.0,
        Work.ARCHIVE: 0.2,
        Work.EDIT: 0.1,
        Work.PREPROCESS: 0.1,
        Work.OTHER: 1.0,
    }
)
"""Durations to assume for nodes that were never seen. Only their order matters much; the first results correct them (`Spread`)."""

DEFAULT_MEMORY: Mapping[Work, int] = MappingProxyType(
    {
        Work.COMPILE: 256 * MIB,
        Work.ASSEMBLE: 64 * MIB,
        Work.LINK: 512 * MIB,
        Work.ARCHIVE: 64 * MIB,
        Work.EDIT: 64 * MIB,
        Work.PREPROCESS: 64 * MIB,
        Work.OTHER: 256 * MIB,
    }
)
"""The part of a shared memory that is set aside for a node that was never seen."""


def expected_seconds(work: Work, remembered: float | None) -> float:
    return DEFAULT_SECONDS[work] if remembered is None else max(remembered, 0.001)


# Retrying


def jitter(seed: int) -> float:
    """A number in [0, 1) that depends on `seed` alone, well spread over neighbouring seeds (SplitMix64's finaliser)."""
    z = (seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return float((z ^ (z >> 31)) >> 11) / (1 << 53)


def backoff(base: float, cap: float, failures: int, seed: int) -> float:
    """Seconds to wait after the `failures`-th failure: doubling up to a cap, of which half is jitter."""
    full = min(cap, base * 2.0 ** min(failures - 1, 60))
    return full * (0.5 + 0.5 * jitter(seed * 64 + failures))


_TOLD = 20  # how many attempts of others it takes to tell how often an attempt faults


def share_of_others(faults: int, attempts: int, own: int) -> float:
    """The share of attempts that fault, without the node's own `own` attempts, all of which faulted."""
    others = attempts - own
    return max(0, faults - own) / others if others >= _TOLD else 0.0


def budget(policy: Policy, least: int, share: float) -> int:
    """How many attempts of a node may fault when this `share` of all attempts does.

    That many faults in a row have a chance of `ill_luck` by luck alone. `least` if hardly any attempt faults: then the node is
    the cause.
    """
    if share <= 0.0:
        return least
    by_luck = math.ceil(math.log(policy.ill_luck) / math.log(min(share, 0.9)))
    return max(least, min(by_luck, policy.most_attempts))


# Memory and size


def memory_for(caps: EngineCaps, work: Work, need: int) -> int:
    """The memory that an attempt is given: the smallest class that holds `need`, or its share of a shared memory, or 0."""
    if caps.memory_classes:
        return next((size for size in caps.memory_classes if size >= need), caps.memory_classes[-1])
    if caps.memory_total is not None:
        return min(need or DEFAULT_MEMORY[work], caps.memory_total)
    return 0


def after_memory(caps: EngineCaps, given: int, need: int) -> tuple[int, bool]:
    """After an attempt was killed for want of memory: the need to assume next, and whether this engine is out of it.

    One machine is tried once more with the command alone on it. Beyond an engine's largest class the need doubles,
    so that only engines with more are left.
    """
    if caps.memory_classes:
        larger = (size for size in caps.memory_classes if size > max(given, need))
        return next(larger, 2 * max(given, need)), False
    if caps.memory_total is not None and given < caps.memory_total:
        return caps.memory_total, False
    return 2 * max(given, need, 512 * MIB), True


def admits(caps: EngineCaps, work: Work, seconds: float, memory: int, input_size: int) -> bool:
    """Whether an engine can run such a node at all. A shared memory admits everything: a node that is too big runs alone."""
    return (
        (caps.works is None or work in caps.works)
        and (caps.max_input is None or input_size <= caps.max_input)
        and (not caps.memory_classes or memory <= caps.memory_classes[-1])
        and (caps.max_seconds is None or seconds * caps.slowness <= caps.max_seconds)
    )


# Placing


class Candidate(Protocol):
    """What placing asks of an engine. `tripped`: its circuit breaker is open."""

    @property
    def name(self) -> EngineName: ...
    @property
    def caps(self) -> EngineCaps: ...
    @property
    def bit(self) -> int: ...
    @property
    def usable(self) -> bool: ...
    @property
    def tripped(self) -> bool: ...


@slotted(frozen=False)
class NodeRequirements:
    """What placing asks of a node. `faulted` and `barred` are sets of engines, as bits. `deadly`: a worker has died of it."""

    work: Work
    seconds: float
    memory: int
    input_size: int
    engines: tuple[EngineName, ...]
    tries: int = 0
    faulted: int = 0
    barred: int = 0
    deadly: bool = False


C = TypeVar("C", bound=Candidate)


def able(demand: NodeRequirements, engines: Sequence[C]) -> list[C]:
    """The engines that could run it, up or not, reserve or not."""
    return [
        e
        for e in engines
        if not e.bit & demand.barred
        and (not demand.engines or e.name in demand.engines)
        and admits(e.caps, demand.work, demand.seconds, demand.memory, demand.input_size)
    ]


def place(policy: Policy, demand: NodeRequirements, engines: Sequence[C]) -> tuple[C, ...]:
    """The engines that may take a node now, the best first.

    First attempts go to engines that are not in reserve. From `fallback_after` counted faults on, engines that faulted on the
    node are left out as long as there are others; the fallback is the last of these. The fallback is also taken when no other
    engine can run the node, or when the circuit breakers of all others are open. A node that a worker has died of goes only to
    other machines.
    """
    usable = [e for e in able(demand, engines) if e.usable and not e.caps.leaving]
    if demand.deadly:
        usable = [e for e in usable if e.caps.independent]
    if len(usable) == 1 and not usable[0].caps.reserve:
        return (usable[0],)
    first = [e for e in usable if not e.caps.reserve or e.name in demand.engines]
    spare = [e for e in usable if e.name == policy.fallback and e not in first]
    if demand.tries >= policy.fallback_after:
        fresh = [e for e in first if not e.bit & demand.faulted]
        help = [e for e in spare if not e.bit & demand.faulted]
        if fresh or help:
            return (*by_expected_end(demand, fresh), *by_expected_end(demand, help))
    if all(e.tripped for e in first):
        return (*by_expected_end(demand, spare), *by_expected_end(demand, first))
    return by_expected_end(demand, first)


def by_expected_end(demand: NodeRequirements, engines: Sequence[C]) -> tuple[C, ...]:
    if len(engines) < 2:
        return tuple(engines)
    return tuple(sorted(engines, key=lambda e: e.caps.overhead + e.caps.slowness * demand.seconds))


def batch_size(policy: Policy, caps: EngineCaps, late: float, ready: int, width: int) -> int:
    """How many of `ready` nodes, each of which takes `late` seconds at most, are best run one after the other in one go.

    If more nodes wait than the `width` lets run at once, they queue for slots anyway. Else, with all in batches of k, the last
    batch is sent after ready/k calls and takes k times `late`. The sum is least where k is the root of ready * call / late. So
    no node shares an invocation while waiting for the others costs more than it saves this machine.
    """
    most = min(caps.batch, ready, int(policy.batch_seconds / late))
    return max(1, min(most, max(ready // width, math.isqrt(int(ready * caps.call / late)))))


# Durations, stragglers and deadlines


def hedge_after(policy: Policy, quantile_seconds: float, known: bool = True, hedges: int = 0) -> float:
    """How long an attempt may run before it is a straggler; `quantile_seconds`: what 95 % of its like stay below.

    `known`: its own duration is remembered, or nodes like it were seen. A duplicate of a node that is merely slow costs money,
    so the wait doubles with each of the `hedges` duplicates that were made.
    """
    floor = policy.hedge_floor if known else policy.hedge_blind
    return max(floor, policy.hedge_multiple * quantile_seconds) * 2.0 ** min(hedges, 30)


def unknown_patience(policy: Policy) -> float:
    """How long an attempt of which nobody knows anything may take, or wait to be sent, before the fallback begins its node too."""
    return policy.deadline_multiple * policy.hedge_blind


def deadline(policy: Policy, caps: EngineCaps, quantile_seconds: float, known: bool, timeouts: int) -> float | None:
    """How long an attempt may run. None on one machine: there the user sees a command that hangs, as under make.

    Elsewhere it follows from history and doubles with each timeout. While nothing like the node was seen, it is the engine's
    own limit. Later a first attempt is given up after many times the time that such nodes take.
    """
    if not caps.independent or not known:
        return caps.max_seconds
    wanted = max(policy.deadline_floor, policy.deadline_multiple * quantile_seconds) * 2.0 ** min(timeouts, 30)
    return wanted if caps.max_seconds is None else min(wanted, caps.max_seconds)


# The congestion window of an engine (additive increase, multiplicative decrease; Chiu and Jain 1989)


def cut_window(policy: Policy, window: float, under_way: int, refused: int) -> float:
    """The window after the engine has refused one more attempt, by now `refused` of the `under_way` that were there together.
    It is one less; if many were refused, no more than the engine had taken, or half of them.
    """
    many = refused > policy.throttle_share * under_way
    left = min(window, max(under_way - refused, under_way / 2.0)) if many else window - 1.0
    return max(1.0, left)


def grown_window(window: float, growth: float) -> float:
    """The window after one success: about one more, or a share `growth` more, for each window's worth of successes."""
    return window + max(1.0 / window, growth)
