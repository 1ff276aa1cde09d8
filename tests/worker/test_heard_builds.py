"""Which builds a worker takes from, and how much of each."""

from __future__ import annotations

from gg.wire.build_key import KEY_SIZE, job_id
from gg.wire.letters import CallLetter
from gg.worker.heard_builds import SILENT_S, Build, Builds
from gg.worker.other_versions import OtherVersions


def call(name: str, number: int, weight: float = 1.0, withdrawn: tuple[tuple[int, int], ...] = ()) -> CallLetter:
    return CallLetter(name.encode().ljust(KEY_SIZE), number, weight, withdrawn)


def heard(builds: Builds, name: str, weight: float = 1.0) -> Build:
    found = builds.hear(call(name, 1, weight), 0.0)
    assert found is not None
    return found


def test_a_build_is_known_while_it_calls() -> None:
    builds = Builds(2)
    build = heard(builds, "a")
    assert builds.hear(call("a", 1), 1.0) is None
    assert builds.silent(SILENT_S) == []
    assert builds.silent(SILENT_S + 1) == [build]
    builds.hear(call("a", 2), SILENT_S)
    assert builds.silent(SILENT_S + 1) == []
    assert [builds.is_old(call("a", number)) for number in (1, 2)] == [True, False]
    builds.end(build)
    assert builds.is_old(call("a", 2))
    assert builds.hear(call("a", 2), 100.0) is None
    assert not builds.is_old(call("a", 3))
    again = builds.hear(call("a", 3), 100.0)
    assert again is not None
    assert again in builds
    assert build not in builds


def test_the_last_call_says_what_is_withdrawn() -> None:
    builds = Builds(2)
    build = heard(builds, "ab")
    assert build.waits_for(3)
    builds.hear(call("ab", 3, 1.0, ((2, 4), (8, 8))), 1.0)
    builds.hear(call("ab", 2, 1.0, ()), 2.0)  # calls come in any order
    waits = [build.waits_for(number) for number in (1, 2, 4, 5, 8)]
    assert waits == [True, False, False, True, False]
    assert build.number_of(job_id(build.key, 3)) == 3
    assert build.number_of(job_id(heard(builds, "cd").key, 3)) is None


def test_one_build_has_all_slots_and_nothing_waits() -> None:
    builds = Builds(4)
    build = heard(builds, "a")
    assert builds.wanted(build) == 4
    build.held = build.running = 3
    assert builds.wanted(build) == 1
    build.held = build.running = 4
    assert builds.wanted(build) == 0
    assert builds.full


def test_short_jobs_wait_here_so_that_no_slot_is_idle() -> None:
    builds = Builds(4)
    build = heard(builds, "a")
    build.took(0.01)
    build.held = build.running = 4
    assert builds.wanted(build) == 64
    for _ in range(50):
        build.took(2.0)
    assert builds.wanted(build) == 0


def test_of_several_builds_some_jobs_each_wait() -> None:
    """So that the slots have a choice, whatever the other one has queued; more of one whose jobs are short."""
    builds = Builds(4)
    one, two = heard(builds, "a"), heard(builds, "b")
    one.held = one.running = 4
    assert builds.wanted(one) == 0  # nobody else has anything here
    assert builds.wanted(two) == 2
    two.held = 2
    assert builds.wanted(two) == 0
    assert builds.wanted(one) == 2
    two.took(0.1)
    assert (builds.wanted(one), builds.wanted(two)) == (2, 10)


def test_calls_without_an_end() -> None:
    """Each of another build: so many are asked, and no more; when they are over others are heard."""
    builds = Builds(2)
    for n in range(20_000):
        builds.hear(call(f"{n:016x}", 0), 0.0)
    heard = list(builds)
    assert len(heard) == 256
    for build in heard:
        builds.end(build)
    assert builds.hear(call(f"{19_999:016x}", 0), 1.0) is not None
    assert builds.hear(call(f"{1:016x}", 0), 1.0) is None


def test_what_another_version_may_want_stays_for_a_while() -> None:
    """Very many of them do not: they would be in the way of calls, and of memory."""
    others = OtherVersions()
    assert others.may_stay("one", 0.0)
    assert others.may_stay("one", 29.0)
    assert not others.may_stay("one", 31.0)
    assert not others.may_stay("one", 59.0)
    assert sum(others.may_stay(f"{n}", 59.0) for n in range(5000)) < 1000
    assert others.may_stay("other", 200.0)
