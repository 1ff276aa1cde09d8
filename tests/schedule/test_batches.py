"""Which attempts share an invocation, and what becomes of them."""

from __future__ import annotations

import math

import pytest

from gg.core.thunk import Work
from gg.schedule.commands import Cancel, Finished, Start
from gg.schedule.events import EngineCaps, Fault, NodeSpec, Ramp, Stop
from gg.schedule.policy import Policy, batch_size
from tests.schedule.schedule_rig import Rig

MIB = 1 << 20
LAMBDA = EngineCaps(memory_classes=(1000 * MIB, 3000 * MIB), max_seconds=900.0, announces=True, batch=16, call=0.0005)


def nodes(count: int, seconds: float | None = 0.001, work: Work = Work.EDIT) -> list[NodeSpec]:
    return [NodeSpec(id=n, seconds=seconds, work=work) for n in range(count)]


def together(rig: Rig) -> list[int]:
    """How many nodes each Start so far has begun."""
    return [1 + len(command.more) for command in rig.log if isinstance(command, Start)]


def started(count: int, slots: int, *, caps: EngineCaps = LAMBDA, policy: Policy | None = None, **spec: object) -> Rig:
    rig = Rig(policy or Policy())
    rig.up("lambda", slots, caps)
    rig.add(*nodes(count, **spec))  # type: ignore[arg-type]
    rig.want(*range(count))
    return rig


@pytest.mark.parametrize(
    ("late", "ready", "width", "size"),
    [
        (0.001, 10_000, 2000, 16),  # the most
        (0.005, 10_000, 2000, 16),
        (0.02, 2000, 2000, 7),  # 2000 calls take 1 s to send, 286 of seven 0.14, and the last takes as long
        (0.1, 2000, 2000, 2),  # 0.2 s in all
        (0.1, 100, 2000, 1),  # the wait for one another would cost more than the calls
        (0.11, 10_000, 100, 1),
        (0.05, 1000, 100, 4),  # they would queue for a slot anyway, but for no longer than 0.2 s
        (0.05, 100, 100, 1),
        (1.0, 10_000, 10, 1),
        (0.001, 1, 2000, 1),
        (0.001, 3, 2000, 1),
        (0.0001, 3, 2000, 3),
    ],
)
def test_how_many_share_an_invocation(late: float, ready: int, width: int, size: int) -> None:
    assert batch_size(Policy(), LAMBDA, late, ready, width) == size


def test_no_split_of_the_work_is_better_by_much() -> None:
    """With room for all: the time until the last has run, of sending in turn and running in batches."""

    def last(k: int, late: float, ready: int) -> float:
        return math.ceil(ready / k) * LAMBDA.call + k * late

    for late in (0.001, 0.003, 0.01, 0.05, 0.1):
        for ready in (1, 5, 50, 500, 5000):
            best = min(last(k, late, ready) for k in range(1, 1 + min(16, ready, max(1, int(0.2 / late)))))
            chosen = last(batch_size(Policy(), LAMBDA, late, ready, 10_000), late, ready)
            assert chosen <= 1.25 * best + late


def test_an_engine_that_takes_one_is_given_one() -> None:
    assert set(together(started(500, 10, caps=LAMBDA._replace(batch=1)))) == {1}


def test_short_ones_go_together_and_hold_one_slot() -> None:
    rig = started(100, 4)
    assert together(rig) == [16, 16, 16, 13], "the fourth part of what is left, for four slots"
    first = next(c for c in rig.log if isinstance(c, Start))
    for attempt in [s.attempt for s in first.more]:
        rig.ran(attempt, 0.001)
    assert len(together(rig)) == 4, "its slot is held until the last is answered"
    rig.ran(first.attempt, 0.001)
    assert len(together(rig)) == 5
    while rig.under_way:
        rig.ran(next(iter(rig.under_way)), 0.001)
    assert rig.summary is not None
    assert (rig.summary.ran, rig.summary.attempts) == (100, 100)


def test_what_nobody_knows_goes_alone_until_its_like_were_seen() -> None:
    rig = started(2000, 50, seconds=None)
    assert set(together(rig)) == {1}
    for attempt in list(rig.under_way)[:40]:
        rig.ran(attempt, 0.001)
    assert max(together(rig)) > 1


def test_long_ones_go_alone() -> None:
    assert set(together(started(500, 10, seconds=2.0, work=Work.COMPILE))) == {1}


def test_those_of_another_memory_class_go_elsewhere() -> None:
    rig = Rig()
    rig.up("lambda", 1, LAMBDA)
    rig.add(*[NodeSpec(id=n, seconds=0.001, memory=2000 * MIB * (n == 4)) for n in range(100)])
    rig.want(*range(100))
    (start,) = [c for c in rig.log if isinstance(c, Start)]
    assert [start.id, *[each.id for each in start.more]] == [0, 1, 2, 3]
    assert {each.memory for each in start.more} == {start.memory} == {1000 * MIB}


@pytest.mark.parametrize(
    "fault", [Fault.LOST, Fault.INFRA, Fault.TIMEOUT, Fault.MEMORY, Fault.TOO_BIG, Fault.CANCELLED]
)
def test_after_a_fault_each_is_tried_alone(fault: Fault) -> None:
    """Of an invocation that came to nothing any may be the cause: none is barred, and none is given a larger function yet."""
    rig = started(100, 1)
    batch = sorted(rig.under_way)
    for attempt in batch:
        rig.fault(attempt, fault)
    harmed = {rig.starts[n].id for n in range(16)}
    seen = len(rig.starts)
    while rig.under_way or rig.wake is not None:
        if rig.under_way:
            rig.ran(next(iter(rig.under_way)), 0.001)
        else:
            rig.sleep()
    assert rig.scheduler.summary().ran == 100
    again = [c for c in rig.log if isinstance(c, Start) and c.attempt > batch[-1]]
    assert harmed <= {c.id for c in again if not c.more}, "each of them by itself"
    assert not harmed & {each.id for c in again for each in c.more}
    assert {s.memory for s in rig.starts[seen:] if s.id in harmed} == {1000 * MIB}


def test_what_befalls_an_invocation_is_one_fault_of_the_engine() -> None:
    """Sixteen at once do not open its breaker, which eight in a row would."""
    rig = started(200, 3, policy=Policy(breaker_faults=3, breaker_share=0.0))
    for attempt in sorted(rig.under_way)[:32]:
        rig.fault(attempt, Fault.LOST)
    assert rig.scheduler.summary().trips == 0
    for attempt in sorted(rig.under_way)[:1]:
        rig.fault(attempt, Fault.LOST)
    assert rig.scheduler.summary().trips == 1


def test_one_that_fails_leaves_the_others_alone() -> None:
    rig = started(16, 4, policy=Policy(keep_going=True))
    first = next(c for c in rig.log if isinstance(c, Start))
    assert len(first.more) > 1
    rig.fault(first.attempt, Fault.TOOL)
    out = [command for each in first.more for command in rig.ran(each.attempt, 0.001)]
    assert {c.id for c in out if isinstance(c, Finished)} == {each.id for each in first.more}
    assert not [c for c in rig.starts if c.id == first.id][1:], "the user's error is not tried again"


def test_to_be_throttled_is_no_trouble() -> None:
    rig = started(200, 4, caps=LAMBDA._replace(ramp=Ramp(1000, 100.0)))
    for attempt in sorted(rig.under_way)[:16]:
        rig.fault(attempt, Fault.THROTTLED)
    rig.tick(30.0)
    while rig.under_way:
        rig.ran(next(iter(rig.under_way)), 0.001)
    assert rig.scheduler.summary().ran == 200
    assert len(together(rig)) < 60, "they went together again"


def test_members_have_the_time_of_all_and_are_duplicated_alone() -> None:
    rig = started(16, 40, caps=LAMBDA._replace(call=1.0))
    (start,) = [c for c in rig.log if isinstance(c, Start)]
    assert len(start.more) == 15
    assert start.deadline == 60.0
    attempts = [start.attempt, *[each.attempt for each in start.more]]
    rig.sent(*attempts)
    hedged = set()
    for _ in range(25):  # one is asked for; when that is answered, so is there reason to ask for the others
        rig.tick(4.0)
        for hedge in [s for s in rig.live.values() if s.hedge]:
            assert not hedge.more
            hedged.add(hedge.id)
            rig.ran(hedge.attempt, 0.01)
    assert hedged == set(range(16))
    assert Fault.LOST not in rig.scheduler.summary().faults, "16 times 60 s have not passed"


def test_members_that_are_never_answered_count_as_lost() -> None:
    rig = started(16, 40, caps=LAMBDA._replace(call=1.0))
    (start,) = [c for c in rig.log if isinstance(c, Start)]
    rig.sent(start.attempt, *[each.attempt for each in start.more])
    rig.tick(1000.0)
    assert rig.scheduler.summary().faults.get(Fault.LOST, 0) > 0


def test_a_stop_cancels_each() -> None:
    rig = started(64, 2)
    out = rig.tell(Stop(0.0))
    assert {c.attempt for c in out if isinstance(c, Cancel)} == set(rig.started_at)
