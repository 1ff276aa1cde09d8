"""The tables of policy: who is to blame, who may run what, how long to wait."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.core.thunk import Work
from gg.schedule.events import AttemptId, EngineCaps, Fault, Ramp
from gg.schedule.fleet import Breaker, EngineState
from gg.schedule.policy import (
    DEFAULT_MEMORY,
    DEFAULT_SECONDS,
    RULES,
    Next,
    NodeRequirements,
    Policy,
    admits,
    after_memory,
    backoff,
    budget,
    cut_window,
    deadline,
    expected_seconds,
    grown_window,
    hedge_after,
    jitter,
    memory_for,
    place,
    share_of_others,
)
from gg.schedule.spread import Spread

GIB = 1 << 30
CLASSES = EngineCaps(memory_classes=(GIB, 2 * GIB, 4 * GIB))
UNLIMITED = EngineCaps()
MACHINE = EngineCaps(memory_total=8 * GIB, independent=False)


@dataclass
class Fake:
    """An engine as placing sees it."""

    name: str
    bit: int
    caps: EngineCaps = UNLIMITED
    usable: bool = True
    tripped: bool = False


def fleet(**caps: EngineCaps) -> list[Fake]:
    return [Fake(name, 1 << at, cap) for at, (name, cap) in enumerate(caps.items())]


def demand(
    *,
    seconds: float = 1.0,
    memory: int = 0,
    input_size: int = 0,
    engines: tuple[str, ...] = (),
    tries: int = 0,
    faulted: int = 0,
    barred: int = 0,
) -> NodeRequirements:
    return NodeRequirements(Work.COMPILE, seconds, memory, input_size, engines, tries, faulted, barred)


def test_every_fault_has_a_rule_and_every_kind_of_work_its_defaults() -> None:
    assert set(RULES) == set(Fault)
    assert set(DEFAULT_SECONDS) == set(DEFAULT_MEMORY) == set(Work)


@pytest.mark.parametrize(
    ("fault", "next", "counts", "blames"),
    [
        (Fault.TOOL, Next.FAIL, False, False),
        (Fault.INFRA, Next.LATER, True, True),
        (Fault.LOST, Next.LATER, True, True),
        (Fault.TIMEOUT, Next.LATER, True, True),
        (Fault.MEMORY, Next.NOW, False, False),
        (Fault.TOO_BIG, Next.NOW, False, False),
        (Fault.THROTTLED, Next.NOW, False, False),
        (Fault.UNDECLARED, Next.NOW, False, False),
        (Fault.MISSING_INPUT, Next.LATER, True, False),
        (Fault.CANCELLED, Next.NOW, False, False),
    ],
)
def test_blame(fault: Fault, next: Next, counts: bool, blames: bool) -> None:
    rule = RULES[fault]
    assert (rule.next, rule.counts, rule.blames) == (next, counts, blames)


@pytest.mark.parametrize(
    ("share", "most"), [(0.0, 4), (0.001, 4), (0.02, 5), (0.05, 6), (0.2, 11), (0.3, 14), (0.5, 24), (1.0, 24)]
)
def test_a_node_has_more_attempts_where_more_of_them_fault(share: float, most: int) -> None:
    policy = Policy()
    assert budget(policy, 4, share) == most
    assert most in (4, policy.most_attempts) or share**most <= policy.ill_luck < share ** (most - 1)


def test_what_a_node_does_itself_is_not_held_against_engines() -> None:
    assert share_of_others(4, 4, 4) == 0.0, "nobody else has been tried"
    assert share_of_others(4, 104, 4) == 0.0
    assert share_of_others(24, 104, 4) == pytest.approx(0.2)


@given(failures=st.integers(1, 1000), seed=st.integers(0, 1 << 40))
def test_backoff_doubles_to_a_cap_with_jitter_in_its_upper_half(failures: int, seed: int) -> None:
    full = min(30.0, 0.5 * 2.0 ** (failures - 1))
    wait = backoff(0.5, 30.0, failures, seed)
    assert full / 2 <= wait <= full
    assert wait == backoff(0.5, 30.0, failures, seed)


def test_jitter_spreads_neighbours() -> None:
    values = [jitter(seed) for seed in range(1000)]
    assert all(0 <= value < 1 for value in values)
    assert all(80 <= sum(tenth / 10 <= v < (tenth + 1) / 10 for v in values) <= 120 for tenth in range(10))


@pytest.mark.parametrize(
    ("caps", "need", "given_"),
    [
        (CLASSES, 0, GIB),
        (CLASSES, GIB, GIB),
        (CLASSES, GIB + 1, 2 * GIB),
        (CLASSES, 9 * GIB, 4 * GIB),
        (MACHINE, 0, DEFAULT_MEMORY[Work.COMPILE]),
        (MACHINE, 3 * GIB, 3 * GIB),
        (MACHINE, 99 * GIB, 8 * GIB),
        (EngineCaps(), 3 * GIB, 0),
    ],
)
def test_memory_given(caps: EngineCaps, need: int, given_: int) -> None:
    assert memory_for(caps, Work.COMPILE, need) == given_


@pytest.mark.parametrize(
    ("caps", "given_", "need", "next_need", "barred"),
    [
        (CLASSES, GIB, 0, 2 * GIB, False),
        (CLASSES, 2 * GIB, GIB, 4 * GIB, False),
        (CLASSES, 4 * GIB, 3 * GIB, 8 * GIB, False),
        (MACHINE, GIB, GIB, 8 * GIB, False),
        (MACHINE, 8 * GIB, 8 * GIB, 16 * GIB, True),
        (EngineCaps(), 0, 0, GIB, True),
    ],
)
def test_memory_after_a_kill(caps: EngineCaps, given_: int, need: int, next_need: int, barred: bool) -> None:
    assert after_memory(caps, given_, need) == (next_need, barred)


@pytest.mark.parametrize(
    ("caps", "fits"),
    [
        (EngineCaps(), True),
        (EngineCaps(works=frozenset({Work.COMPILE})), True),
        (EngineCaps(works=frozenset({Work.LINK})), False),
        (EngineCaps(max_input=1000), True),
        (EngineCaps(max_input=999), False),
        (EngineCaps(max_seconds=10.0), True),
        (EngineCaps(max_seconds=10.0, slowness=1.5), False),
        (EngineCaps(memory_classes=(GIB,)), False),
        (EngineCaps(memory_classes=(GIB, 2 * GIB)), True),
        (EngineCaps(memory_total=GIB), True),
    ],
)
def test_admission(caps: EngineCaps, fits: bool) -> None:
    assert admits(caps, Work.COMPILE, 8.0, 2 * GIB, 1000) is fits


LAMBDA = EngineCaps(overhead=0.2, max_input=100)
RESERVE = EngineCaps(reserve=True)


@pytest.mark.parametrize(
    ("policy", "wanted", "there", "names"),
    [
        (Policy(), demand(), fleet(local=MACHINE), ["local"]),
        (Policy(), demand(), fleet(there=LAMBDA, local=RESERVE), ["there"]),
        (Policy(), demand(), fleet(there=LAMBDA, local=MACHINE), ["local", "there"]),
        (
            Policy(),
            demand(seconds=9.0),
            fleet(fast=EngineCaps(overhead=0.2), slow=EngineCaps(slowness=2.0)),
            ["fast", "slow"],
        ),
        (Policy(), demand(engines=("local",)), fleet(there=LAMBDA, local=RESERVE), ["local"]),
        (Policy(fallback=None), demand(engines=("local",)), fleet(there=LAMBDA, local=RESERVE), ["local"]),
        (Policy(), demand(input_size=101), fleet(there=LAMBDA, local=RESERVE), ["local"]),
        (Policy(fallback=None), demand(input_size=101), fleet(there=LAMBDA, local=RESERVE), []),
        (Policy(), demand(tries=1, faulted=1), fleet(there=LAMBDA, local=RESERVE), ["there"]),
        (Policy(), demand(tries=2, faulted=1), fleet(there=LAMBDA, local=RESERVE), ["local"]),
        (Policy(fallback=None), demand(tries=2, faulted=1), fleet(there=LAMBDA, local=RESERVE), ["there"]),
        (Policy(fallback=None), demand(tries=2, faulted=1), fleet(there=LAMBDA, spot=EngineCaps()), ["spot"]),
        (Policy(), demand(barred=1), fleet(there=LAMBDA, local=RESERVE), ["local"]),
        (Policy(), demand(), [], []),
        (Policy(), demand(), [Fake("there", 1, tripped=True), Fake("local", 2, RESERVE)], ["local", "there"]),
        (Policy(fallback=None), demand(), [Fake("there", 1, tripped=True), Fake("local", 2, RESERVE)], ["there"]),
        (Policy(), demand(), [Fake("there", 1, usable=False), Fake("local", 2, RESERVE)], ["local"]),
    ],
)
def test_placement(policy: Policy, wanted: NodeRequirements, there: list[Fake], names: list[str]) -> None:
    assert [e.name for e in place(policy, wanted, there)] == names


def test_durations_are_learned() -> None:
    spread = Spread(0.5)
    before = spread.quantile()
    assert before == pytest.approx(2.28, abs=0.01)
    for _ in range(200):
        spread.observe(3.0)
    assert 3.0 < spread.quantile() < 4.5
    assert spread.quantile(0.0) == pytest.approx(3.0, rel=0.05)


def test_expected_durations() -> None:
    assert expected_seconds(Work.LINK, None) == DEFAULT_SECONDS[Work.LINK]
    assert expected_seconds(Work.LINK, 7.5) == 7.5
    assert expected_seconds(Work.LINK, 0.0) > 0.0


def test_stragglers_are_late_by_a_multiple_and_never_at_once() -> None:
    assert hedge_after(Policy(), 0.1) == 2.0
    assert hedge_after(Policy(), 30.0) == 60.0


@pytest.mark.parametrize(
    ("caps", "quantile", "known", "timeouts", "seconds"),
    [
        (EngineCaps(independent=False), 5.0, True, 0, None),
        (EngineCaps(), 5.0, False, 0, None),
        (EngineCaps(max_seconds=900.0), 5.0, False, 0, 900.0),
        (EngineCaps(), 1.0, True, 0, 60.0),
        (EngineCaps(), 20.0, True, 0, 200.0),
        (EngineCaps(), 20.0, True, 1, 400.0),
        (EngineCaps(max_seconds=300.0), 20.0, True, 1, 300.0),
    ],
)
def test_deadlines_follow_history(
    caps: EngineCaps, quantile: float, known: bool, timeouts: int, seconds: float | None
) -> None:
    assert deadline(Policy(), caps, quantile, known, timeouts) == seconds


def test_the_window_shrinks_and_grows() -> None:
    policy = Policy()
    assert cut_window(policy, 100.0, 100, 1) == 99.0
    assert cut_window(policy, 1000.0, 20, 4) == 999.0, "a few say nothing of how many more it would take"
    assert cut_window(policy, 1000.0, 20, 5) == 15.0, "many do"
    assert cut_window(policy, 60.0, 100, 90) == 50.0, "and no more than half at a time is taken"
    assert cut_window(policy, 1.0, 1, 1) == 1.0
    assert grown_window(1.0, 0.25) == 2.0
    assert grown_window(100.0, 0.25) == 100.25


# The engine's own books


def engine(slots: int = 10, caps: EngineCaps | None = None, policy: Policy | None = None) -> EngineState:
    made = EngineState("there", 0, policy or Policy())
    made.come_up(0.0, slots, caps or EngineCaps())
    return made


def begin(there: EngineState, count: int, now: float = 0.0) -> list[AttemptId]:
    ids = [AttemptId(there.attempts + at + 1) for at in range(count)]
    for id in ids:
        assert there.room(now) > 0
        there.started(now, id, 0)
    return ids


def test_room_is_the_smallest_of_its_limits() -> None:
    there = engine(10, EngineCaps(ramp=Ramp(burst=4, rate=2.0)))
    assert there.room(0.0) == 4
    begin(there, 4)
    assert there.room(0.0) == 0
    opens = there.opens_at(0.0)
    assert opens == pytest.approx(0.5, abs=1e-3)
    assert opens is not None
    assert there.room(opens) == 1
    assert there.room(1000.0) == 4
    there.go_down()
    assert there.room(0.0) == 0


def test_many_throttled_are_counted_once_for_what_was_under_way() -> None:
    there = engine(100)
    ids = begin(there, 100)
    for id in ids[:60]:
        there.ended(0)
        assert there.throttled(1.0, id) is False
    assert there.window == 50.0
    assert there.throttles == 1
    assert there.room(1.0) == 0
    assert there.opens_at(1.0) == there.held_until
    assert there.room(there.held_until) == 10


def test_an_engine_that_throttles_a_tenth_stays_wide() -> None:
    there = engine(100)
    ids = begin(there, 100)
    for number in range(1000):
        id = ids.pop(0)
        there.ended(0)
        if number % 10 == 0:
            assert there.throttled(1.0, id) is False
        else:
            there.worked()
        ids += begin(there, there.room(1.0), 1.0)
    assert there.running >= 95
    assert there.held_until < 0


def test_what_is_overdue_is_in_no_window() -> None:
    there = engine(100)
    begin(there, 20)
    there.window = 10.0
    assert there.room(0.0) == 0
    there.overdue = 15
    assert there.room(0.0) == 5
    begin(there, 5)
    for _ in range(15):
        there.ended(0, overdue=True)
    assert (there.running, there.overdue, there.room(0.0)) == (10, 0, 0)
    there.overdue = there.running
    there.slots = 12
    assert there.room(0.0) == 2, "a slot that it does not have is nobody's"


def test_faults_in_a_row_trip_the_breaker_and_a_success_between_does_not() -> None:
    there = engine()
    for at in range(100):
        (id,) = begin(there, 1)
        there.ended(0)
        if at % 5 == 0:
            there.worked()
        else:
            assert there.faulted(0.0, id) is False
    assert there.breaker is Breaker.CLOSED
    there.worked()
    tripped = []
    for _ in range(8):
        (id,) = begin(there, 1)
        there.ended(0)
        tripped.append(there.faulted(0.0, id))
    assert tripped == [False] * 7 + [True]
    assert there.room(0.0) == 0


def test_a_probe_that_tells_nothing_is_made_again() -> None:
    there = engine(policy=Policy(breaker_faults=1))
    (id,) = begin(there, 1)
    there.ended(0)
    assert there.faulted(0.0, id) is True
    (probe,) = begin(there, 1, there.probe_at)
    assert there.room(there.probe_at) == 0
    there.ended(0)
    there.unsure(probe)
    assert there.room(there.probe_at) == 1
    begin(there, 1, there.probe_at)
    assert there.worked() is True
    assert there.room(there.probe_at) == 9
