"""Which task starts next on a machine: processors and memory are both consumed, and nobody waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gg.worker.admission import Admission


def started(admission: Admission) -> list[object]:
    found = []
    while (id := admission.next()) is not None:
        found.append(id)
    return found


def test_processors_are_consumed() -> None:
    admission = Admission(2, 100)
    for id in "abc":
        admission.add("me", id, 1)
    assert started(admission) == ["a", "b"]
    admission.ended("a")
    assert started(admission) == ["c"]


def test_heavy_ones_do_not_pile_up() -> None:
    admission = Admission(8, 100)
    for id in ("link1", "link2", "link3"):
        admission.add("me", id, 60)
    assert started(admission) == ["link1"]
    admission.ended("link1")
    assert started(admission) == ["link2"]


def test_each_owner_has_his_turn() -> None:
    admission = Admission(1, 100)
    for n in range(100):
        admission.add("many", ("many", n), 1)
    for n in range(3):
        admission.add("few", ("few", n), 1)
    order = []
    for _ in range(6):
        (id,) = started(admission)
        order.append(id)
        admission.ended(id)
    assert order == [("many", 0), ("few", 0), ("many", 1), ("few", 1), ("many", 2), ("few", 2)]


def test_what_is_bigger_than_the_machine_runs_alone() -> None:
    admission = Admission(4, 100)
    admission.add("me", "small", 10)
    admission.add("me", "huge", 1000)
    admission.add("me", "small2", 10)
    assert started(admission) == ["small"]  # one owner's tasks keep their order
    admission.ended("small")
    assert started(admission) == ["huge"]
    admission.ended("huge")
    assert started(admission) == ["small2"]


def test_a_big_one_is_not_passed_over_for_ever() -> None:
    admission = Admission(4, 100)
    admission.add("a", "running", 50)
    assert started(admission) == ["running"]
    admission.add("big", "big", 60)
    passed = 0
    while True:
        admission.add("b", ("small", passed), 50)
        found = started(admission)
        if not found:
            break
        passed += 1
        admission.ended(found[0])
    assert passed == 16
    admission.ended("running")
    assert started(admission)[0] == "big"


def test_what_waits_can_be_taken_back() -> None:
    admission = Admission(1, 100)
    admission.add("me", "a", 1)
    admission.add("me", "b", 1)
    assert started(admission) == ["a"]
    assert admission.remove("b")
    assert not admission.remove("b")
    assert not admission.remove("a")
    assert admission.waiting == []
    assert admission.running == ["a"]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 150)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_every_task_runs_once_within_the_limits(cpus: int, tasks: list[tuple[str, int]], random: object) -> None:
    from random import Random

    assert isinstance(random, Random)
    admission = Admission(cpus, 100)
    sizes = {n: memory for n, (_, memory) in enumerate(tasks)}
    for n, (owner, memory) in enumerate(tasks):
        admission.add(owner, n, memory)
    ran: list[object] = []
    while True:
        ran += started(admission)
        running = admission.running
        assert len(running) <= cpus
        assert len(running) == 1 or admission.used <= 100
        assert admission.used == sum(sizes[id] for id in running if isinstance(id, int))
        if not running:
            break
        admission.ended(random.choice(running))
    assert sorted(map(str, ran)) == sorted(map(str, sizes))


def had(
    seconds: dict[str, float], until: float, *, cpus: int = 1, weights: dict[str, float] | None = None
) -> dict[str, float]:
    """What owners get of a machine on which their tasks take so long, and there are always some."""
    admission, now, running, got = (
        Admission(cpus, 100),
        0.0,
        list[tuple[float, str, int]](),
        dict.fromkeys(seconds, 0.0),
    )
    numbers = iter(range(1 << 20))
    waiting = dict.fromkeys(seconds, 0)
    while now < until:
        for owner in seconds:
            if not waiting[owner]:
                admission.add(owner, (owner, next(numbers)), 1, weight=(weights or {}).get(owner, 1.0), now=now)
                waiting[owner] += 1
        while (id := admission.next(now)) is not None:
            assert isinstance(id, tuple)
            waiting[id[0]] -= 1
            running.append((now + seconds[id[0]], *id))
            break
        else:
            now, owner, number = min(running)
            running.remove((now, owner, number))
            admission.ended((owner, number), now)
            got[owner] += seconds[owner]
    return got


def test_it_is_time_that_is_shared_and_not_tasks() -> None:
    """Who has long tasks has no more than who has short ones; with weights, as they say."""
    got = had({"long": 2.0, "short": 0.1}, 100.0)
    assert 48 <= got["short"] <= 52
    got = had({"a": 0.3, "b": 0.2}, 120.0, cpus=3, weights={"a": 2.0})
    assert 1.9 <= got["a"] / got["b"] <= 2.1


def test_what_was_not_used_is_not_owed() -> None:
    """Who comes late, or has little to do for a while, does not have the machine for himself afterwards."""
    admission, now = Admission(1, 100), 0.0
    for n in range(100):
        admission.add("always", ("always", n), 1, now=now)
    for _ in range(50):
        (id,) = started_at(admission, now)
        now += 1.0
        admission.ended(id, now)
    for n in range(10):
        admission.add("late", ("late", n), 1, now=now)
    order = []
    for _ in range(10):
        (id,) = started_at(admission, now)
        order.append(id[0])
        now += 1.0
        admission.ended(id, now)
    assert order.count("late") == 5
    assert "late" in order[:2]


def started_at(admission: Admission, now: float) -> list[tuple[str, int]]:
    found = []
    while (id := admission.next(now)) is not None:
        assert isinstance(id, tuple)
        found.append(id)
    return found
