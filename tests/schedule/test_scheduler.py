"""The scheduler by its stories: each test is one thing that happens to a build, told in events."""

from __future__ import annotations

import itertools

import pytest

from gg.core.thunk import Work
from gg.schedule.commands import Cancel, Done, Failed, Finished, How, Lookup, Silent, Skipped, Start, Tripped, WakeAt
from gg.schedule.events import (
    Add,
    Became,
    EngineCaps,
    EngineChanged,
    EngineDown,
    Fault,
    Grew,
    Hit,
    Lost,
    Miss,
    NodeSpec,
    Ramp,
    Ran,
    SchedulerError,
    Stop,
    Want,
)
from gg.schedule.policy import Policy
from gg.schedule.scheduler import Scheduler
from gg.schedule.states import IllegalTransition, State
from tests.schedule.schedule_rig import Rig, outcomes, starts

GIB = 1 << 30
KEEP_GOING = Policy(keep_going=True)


def program(rig: Rig) -> None:
    """Two objects, one program."""
    rig.add(a="", b="", prog="a b")


def test_a_small_build_from_want_to_done() -> None:
    rig = Rig(missing=False)
    rig.up("local", 2)
    program(rig)
    assert rig.want("prog") == [Lookup(("b", "a"))]
    out = rig.tell(Miss(0.0, ("a", "b")))
    assert starts(out) == [("a", "local"), ("b", "local")]
    assert outcomes(rig.ran(rig.start_of("a").attempt)) == [Finished("a", How.RAN, rig.starts[0].attempt)]
    assert Lookup(("prog",)) in rig.ran(rig.start_of("b").attempt)
    assert starts(rig.tell(Miss(2.0, ("prog",)))) == [("prog", "local")]
    out = rig.ran(rig.start_of("prog").attempt)
    assert isinstance(out[-1], Done)
    assert out[-1].summary.ok
    assert (out[-1].summary.ran, out[-1].summary.attempts) == (3, 3)


def test_what_nobody_wants_is_not_run() -> None:
    rig = Rig()
    rig.up("local", 8)
    rig.add(a="", b="", other="b")
    assert starts(rig.want("a")) == [("a", "local")]
    assert isinstance(rig.ran(rig.start_of("a").attempt)[-1], Done)
    assert rig.state("b") == rig.state("other") == "IDLE"


def test_equal_results_stop_the_work() -> None:
    rig = Rig()
    rig.known = {"prog"}
    rig.up("local", 2)
    program(rig)
    rig.want("prog")
    rig.ran(rig.start_of("a").attempt)
    out = rig.ran(rig.start_of("b").attempt)
    assert Finished("prog", How.HIT) in out
    assert rig.summary is not None
    assert (rig.summary.ran, rig.summary.hits) == (2, 1)


def test_an_unasked_hit_prunes_its_cone() -> None:
    rig = Rig()
    rig.up("local", 2)
    program(rig)
    rig.tell(Hit(0.0, ("prog",)))
    assert isinstance(rig.want("prog")[-1], Done)
    assert rig.starts == []


def test_nodes_may_be_added_in_any_order_and_while_it_runs() -> None:
    rig = Rig()
    rig.up("local", 4)
    rig.add(prog="a", a="")
    rig.want("prog")
    rig.add(late="a")
    assert starts(rig.want("late")) == []
    assert set(starts(rig.ran(rig.start_of("a").attempt))) == {("prog", "local"), ("late", "local")}


def test_done_is_said_again_for_a_later_want() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", b="")
    rig.want("a")
    assert isinstance(rig.ran(rig.start_of("a").attempt)[-1], Done)
    rig.want("b")
    assert rig.summary is None
    assert isinstance(rig.ran(rig.start_of("b").attempt)[-1], Done)
    assert isinstance(rig.want("b")[-1], Done)


def test_a_batch_of_events_makes_one_lookup() -> None:
    scheduler = Scheduler()
    nodes = tuple(NodeSpec(id=i) for i in range(100))
    out = scheduler.steps([Add(0.0, nodes[:50]), Add(0.0, nodes[50:]), Want(0.0, tuple(range(100)))])
    assert [type(c) for c in out] == [Lookup]


# Failures of the user's


def test_a_compile_error_ends_the_build_as_make_does() -> None:
    rig = Rig()
    rig.up("local", 2)
    rig.add(bad="", long="", next="", prog="bad long next")
    rig.want("prog")
    bad, running = rig.starts
    out = rig.fault(bad.attempt, Fault.TOOL)
    assert out == [Failed(bad.id, Fault.TOOL, bad.attempt), Skipped("prog", bad.id)]
    assert starts(rig.tick(10.0)) == []
    out = rig.ran(running.attempt)
    assert outcomes(out) == [Finished(running.id, How.RAN, running.attempt)]
    assert isinstance(out[-1], Done)
    summary = out[-1].summary
    assert (summary.failed, summary.skipped, summary.dropped, summary.ok) == (1, 1, 1, False)


def test_keep_going_does_all_that_does_not_need_the_failed_one() -> None:
    rig = Rig(KEEP_GOING)
    rig.up("local", 1)
    rig.add(bad="", good="", above="bad", top="above good")
    rig.want("top", "good")
    out = rig.fault(rig.start_of("bad").attempt, Fault.TOOL)
    assert [c for c in out if isinstance(c, Skipped)] == [Skipped("above", "bad"), Skipped("top", "bad")]
    assert starts(out) == [("good", "local")]
    assert isinstance(rig.ran(rig.start_of("good").attempt)[-1], Done)


def test_a_failed_node_is_tried_again_only_when_asked_to() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", prog="a")
    rig.want("prog")
    rig.fault(rig.start_of("a").attempt, Fault.TOOL)
    assert starts(rig.want("prog")) == []
    assert starts(rig.want("prog", again=True)) == [("a", "local")]
    rig.ran(rig.start_of("a").attempt)
    assert isinstance(rig.ran(rig.start_of("prog").attempt)[-1], Done)
    assert rig.summary is not None
    assert rig.summary.ok


def test_a_compile_error_is_never_held_against_an_engine() -> None:
    rig = Rig(KEEP_GOING)
    rig.up("lambda", 50)
    nodes = [NodeSpec(id=i) for i in range(50)]
    rig.add(*nodes)
    rig.want(*range(50))
    for start in list(rig.starts):
        rig.fault(start.attempt, Fault.TOOL)
    assert rig.summary is not None
    assert (rig.summary.failed, rig.summary.attempts, rig.summary.trips) == (50, 50, 0)
    assert rig.summary.retries == {}


# Failures that are not


def test_infrastructure_is_retried_with_backoff_and_a_cap() -> None:
    rig = Rig()
    rig.up("lambda", 1)
    rig.add(a="")
    rig.want("a")
    waits = []
    for _ in range(3):
        assert starts(rig.fault(rig.starts[-1].attempt, Fault.INFRA)) == []
        assert rig.state("a") == "BACKOFF"
        assert rig.wake is not None
        waits.append(rig.wake - rig.now)
        assert starts(rig.sleep()) == [("a", "lambda")]
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1.0 <= waits[2] <= 2.0
    out = rig.fault(rig.starts[-1].attempt, Fault.INFRA)
    assert outcomes(out) == [Failed("a", Fault.INFRA, rig.starts[-1].attempt)]
    assert len(rig.starts) == 4
    assert rig.summary is not None
    assert rig.summary.retries == {Fault.INFRA: 3}


def goes_home(engine: str, fault: Fault, after: int) -> None:
    """A node ends so often with this fault on the engine, and then runs here."""
    rig = Rig()
    rig.up(engine, 1)
    rig.up("local", 1, EngineCaps(reserve=True, independent=False))
    rig.add(a="")
    rig.want("a")
    for _ in range(after):
        assert rig.starts[-1].engine == engine
        rig.fault(rig.starts[-1].attempt, fault)
        rig.sleep()
    assert rig.starts[-1].engine == "local"


def test_what_failed_twice_there_falls_back_here() -> None:
    goes_home("lambda", Fault.INFRA, after=2)


def test_who_gives_back_whatever_he_gets_ends_no_run() -> None:
    """It costs nothing, again and again; then it counts as a failure there."""
    goes_home("remote", Fault.CANCELLED, after=Policy().max_free + Policy().fallback_after)


def test_later_attempts_go_to_an_engine_that_has_not_failed_it() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("lambda", 1)
    rig.up("spot", 1, EngineCaps(overhead=0.5))
    rig.add(a="")
    rig.want("a")
    for _ in range(2):
        rig.fault(rig.starts[-1].attempt, Fault.INFRA)
        rig.sleep()
    assert [s.engine for s in rig.starts] == ["lambda", "lambda", "spot"]


def test_without_fallback_it_stays_there() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("lambda", 1)
    rig.up("local", 1, EngineCaps(reserve=True))
    rig.add(a="")
    rig.want("a")
    for _ in range(3):
        rig.fault(rig.starts[-1].attempt, Fault.INFRA)
        rig.sleep()
    assert {s.engine for s in rig.starts} == {"lambda"}


def test_a_node_that_kills_workers_does_not_loop() -> None:
    rig = Rig()
    rig.up("lambda", 1)
    rig.add(a="")
    rig.want("a")
    for _ in range(2):
        rig.fault(rig.starts[-1].attempt, Fault.LOST)
        rig.sleep()
    out = rig.fault(rig.starts[-1].attempt, Fault.LOST)
    assert outcomes(out) == [Failed("a", Fault.LOST, rig.starts[-1].attempt)]


def test_throttling_costs_no_attempt_and_narrows_the_window() -> None:
    rig = Rig()
    rig.up("lambda", 100)
    rig.add(*[NodeSpec(id=i) for i in range(200)])
    rig.want(*range(200))
    assert len(rig.live) == 100
    refused, accepted = rig.starts[:40], rig.starts[40:]
    for start in refused:
        assert starts(rig.fault(start.attempt, Fault.THROTTLED)) == []
    for start in accepted[:20]:
        rig.ran(start.attempt)
    rig.sleep()
    # What it has taken, 60, and a quarter more for each of 20 successes.
    assert len(rig.live) == 65
    while rig.live or rig.wake:
        if rig.live:
            rig.ran(next(iter(rig.live)))
        else:
            rig.sleep()
    assert rig.summary is not None
    assert rig.summary.ok
    assert rig.summary.faults == {Fault.THROTTLED: 40}


def test_an_engine_that_throttles_without_end_spills_to_the_fallback() -> None:
    rig = Rig()
    rig.up("lambda", 4)
    rig.up("local", 1, EngineCaps(reserve=True, independent=False))
    rig.add(a="")
    rig.want("a")
    for _ in range(200):
        if rig.live:
            start = rig.start_of("a")
            if start.engine == "local":
                break
            rig.fault(start.attempt, Fault.THROTTLED)
        else:
            rig.sleep()
    assert isinstance(rig.ran(rig.start_of("a").attempt)[-1], Done)
    assert rig.now < 120


def test_a_ramp_is_followed() -> None:
    rig = Rig()
    rig.up("lambda", 1000, EngineCaps(ramp=Ramp(burst=10, rate=5.0)))
    rig.add(*[NodeSpec(id=i, seconds=60.0) for i in range(100)])
    rig.want(*range(100))
    assert len(rig.live) == 10
    rig.tick(2.0)
    assert len(rig.live) == 20
    rig.ran(rig.starts[0].attempt)
    assert len(rig.live) == 20  # a warm environment takes the next one at once
    rig.tick(2.0)
    assert len(rig.live) == 30


def test_out_of_memory_goes_to_the_next_class_at_once() -> None:
    rig = Rig()
    rig.up("lambda", 2, EngineCaps(memory_classes=(GIB, 2 * GIB, 4 * GIB)))
    rig.up("local", 2, EngineCaps(memory_total=16 * GIB, independent=False, reserve=True))
    rig.add(a="")
    rig.want("a")
    for _ in range(3):
        rig.fault(rig.starts[-1].attempt, Fault.MEMORY)
    assert [(s.engine, s.memory) for s in rig.starts] == [
        ("lambda", GIB),
        ("lambda", 2 * GIB),
        ("lambda", 4 * GIB),
        ("local", 8 * GIB),
    ]
    rig.fault(rig.starts[-1].attempt, Fault.MEMORY)
    assert rig.starts[-1].memory == 16 * GIB  # alone on the machine
    out = rig.fault(rig.starts[-1].attempt, Fault.MEMORY)
    assert outcomes(out) == [Failed("a", Fault.MEMORY, None)]


def test_what_is_too_big_goes_where_it_fits() -> None:
    rig = Rig()
    rig.up("lambda", 2, EngineCaps(max_input=100))
    rig.up("local", 1, EngineCaps(reserve=True))
    rig.add(NodeSpec(id="small", input_size=100), NodeSpec(id="big", input_size=101))
    rig.want("small", "big")
    assert sorted(starts(rig.starts)) == [("big", "local"), ("small", "lambda")]
    rig.ran(rig.start_of("big").attempt)
    rig.fault(rig.start_of("small").attempt, Fault.TOO_BIG)  # and if it was larger than it looked
    assert rig.start_of("small").engine == "local"


def test_what_fits_nowhere_fails_at_once() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("lambda", 2, EngineCaps(max_input=100))
    rig.add(NodeSpec(id="big", input_size=101))
    assert outcomes(rig.want("big")) == [Failed("big", Fault.NO_ENGINE)]


def test_a_node_waits_for_an_engine_that_is_gone_but_not_for_ever() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", b="a")
    rig.want("b")
    rig.tell(EngineDown(0.0, "local"))
    assert rig.state("a") == "READY"
    rig.tick(20.0)
    assert starts(rig.up("local", 1)) == [("a", "local")]
    rig.tell(EngineDown(rig.now, "local"))
    out = rig.tick(31.0)
    assert [type(c) for c in outcomes(out)] == [Failed, Skipped]


def test_a_bad_engine_is_left_alone_probed_and_given_up() -> None:
    rig = Rig(Policy(keep_going=True, max_attempts=100, max_lost_workers=100, fallback=None))
    rig.up("lambda", 20)
    rig.up("spot", 1)
    rig.add(*[NodeSpec(id=i) for i in range(60)])
    rig.want(*range(60))
    for start in [s for s in rig.starts if s.engine == "lambda"]:
        rig.fault(start.attempt, Fault.INFRA)
    assert rig.scheduler.summary().trips == 1
    for start in [s for s in rig.live.values() if s.engine == "lambda"]:
        rig.fault(start.attempt, Fault.INFRA)  # those it was given before the breaker opened
    probes = 0
    while rig.now < 1000 and rig.wake is not None:
        rig.sleep()
        for start in [s for s in rig.live.values() if s.engine == "lambda"]:
            probes += 1
            rig.fault(start.attempt, Fault.INFRA)
    assert probes == rig.policy.breaker_probes
    while rig.live:
        rig.ran(next(iter(rig.live)))
        if rig.wake is not None:
            rig.sleep()
    assert rig.summary is not None
    assert rig.summary.ok


def test_a_good_probe_opens_the_engine_again() -> None:
    rig = Rig(Policy(max_attempts=100, fallback=None))
    rig.up("lambda", 10)
    rig.add(*[NodeSpec(id=i) for i in range(10)])
    rig.want(*range(10))
    for start in list(rig.starts):
        rig.fault(start.attempt, Fault.INFRA)
    while not rig.live:
        rig.sleep()
    assert len(rig.live) == 1
    rig.ran(next(iter(rig.live)))
    assert len(rig.live) == 9


def test_lost_blobs_are_forced_again_and_their_users_wait() -> None:
    rig = Rig()
    rig.up("local", 2)
    rig.add(a="", b="a", c="a", top="b c")
    rig.want("top")
    rig.ran(rig.start_of("a").attempt)
    rig.tell(Lost(rig.now, ("a",)))
    assert rig.state("b") == "RUNNING"
    rig.fault(rig.start_of("b").attempt, Fault.MISSING_INPUT)
    assert rig.state("b") == "WAITING"
    rig.ran(rig.start_of("c").attempt)  # it had read its input before
    rig.ran(rig.start_of("a").attempt)
    rig.ran(rig.start_of("b").attempt)
    assert isinstance(rig.ran(rig.start_of("top").attempt)[-1], Done)
    assert rig.summary is not None
    assert rig.summary.lost_again == 1


def test_a_ready_node_whose_input_is_lost_is_not_started() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", b="a", c="a")
    rig.want("b", "c")
    rig.ran(rig.start_of("a").attempt)
    (running,) = rig.live.values()
    (ready,) = {"b", "c"} - {running.id}
    assert rig.state(ready) == "READY"
    rig.tell(Lost(rig.now, ("a",)))
    assert rig.state(ready) == "WAITING"
    assert starts(rig.ran(running.attempt)) == [("a", "local")]
    assert starts(rig.ran(rig.start_of("a").attempt)) == [(ready, "local")]


def test_losses_that_close_a_circle_end_in_a_failure() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", b="a")
    rig.want("b")
    rig.ran(rig.start_of("a").attempt)
    rig.ran(rig.start_of("b").attempt)
    rig.tell(Lost(rig.now, ("a",)))
    rig.tell(Grew(rig.now, "a", ("b",), rig.start_of("a").attempt))  # no circle as long as b is done
    assert rig.state("a") == "RUNNING"
    out = rig.tell(Lost(rig.now, ("b",)))
    assert outcomes(out) == [Failed("b", Fault.CYCLE)]
    rig.want("b", again=True)
    assert rig.state("b") == "FAILED"


def test_blobs_that_are_lost_over_and_over_end_in_a_failure() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="")
    rig.want("a")
    for _ in range(4):
        rig.ran(rig.start_of("a").attempt)
        rig.tell(Lost(rig.now, ("a",)))
    rig.ran(rig.start_of("a").attempt)
    assert outcomes(rig.tell(Lost(rig.now, ("a",)))) == [Failed("a", Fault.MISSING_INPUT)]


# Graphs that grow


def test_an_undeclared_placeholder_is_waited_for_at_no_cost() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", hidden="")
    rig.want("a")
    out = rig.tell(Grew(0.0, "a", ("hidden",), rig.start_of("a").attempt))
    assert starts(rig.starts) == [("a", "local"), ("hidden", "local")]
    assert outcomes(out) == []
    rig.ran(rig.start_of("hidden").attempt)
    rig.ran(rig.start_of("a").attempt)
    assert rig.summary is not None
    assert rig.summary.ok
    assert rig.summary.faults == {}


def test_a_node_that_needs_itself_fails() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="", b="a")
    rig.want("b")
    attempt = rig.start_of("a").attempt
    out = rig.tell(Grew(0.0, "a", ("b",), attempt))
    assert outcomes(out) == [Failed("a", Fault.CYCLE, attempt), Skipped("b", "a")]


def test_a_dynamic_thunk_is_done_when_its_value_is() -> None:
    rig = Rig()
    rig.up("local", 2)
    rig.add(fib3="", print="fib3")
    rig.want("print")
    rig.add(fib2="", fib1="", add="fib1 fib2")
    rig.tell(Became(0.0, "fib3", "add", rig.start_of("fib3").attempt, 1.0))
    assert rig.state("fib3") == "FOLLOWING"
    rig.ran(rig.start_of("fib1").attempt)
    rig.ran(rig.start_of("fib2").attempt)
    out = rig.ran(rig.start_of("add").attempt)
    assert [(c.id, c.how) for c in out if isinstance(c, Finished)] == [("add", How.RAN), ("fib3", How.BECAME)]
    assert starts(out) == [("print", "local")]


def test_a_lookup_may_tell_that_a_node_needs_more() -> None:
    rig = Rig(missing=False)
    rig.up("local", 1)
    rig.add(a="", hidden="")
    rig.want("a")
    assert rig.tell(Grew(0.0, "a", ("hidden",))) == [Lookup(("hidden",))]
    assert rig.tell(Hit(0.0, ("hidden",))) == [Finished("hidden", How.HIT), Lookup(("a",))]
    assert starts(rig.tell(Miss(0.0, ("a",)))) == [("a", "local")]


def test_a_recorded_reduction_may_tell_that_a_node_became_another() -> None:
    rig = Rig(missing=False)
    rig.up("local", 1)
    rig.add(fib2="", one="")
    rig.want("fib2")
    assert rig.tell(Became(0.0, "fib2", "one")) == [Lookup(("one",))]
    out = rig.tell(Hit(0.0, ("one",)))
    assert out[:2] == [Finished("one", How.HIT), Finished("fib2", How.BECAME)]
    assert isinstance(out[2], Done)


def test_a_node_that_asks_for_what_it_has_is_run_again_but_not_for_ever() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(a="")
    rig.want("a")
    for _ in range(rig.policy.max_free):
        assert starts(rig.tell(Grew(0.0, "a", (), rig.start_of("a").attempt))) == [("a", "local")]
    attempt = rig.start_of("a").attempt
    assert outcomes(rig.tell(Grew(0.0, "a", (), attempt))) == [Failed("a", Fault.UNDECLARED, attempt)]


def test_what_follows_a_node_that_failed_is_skipped() -> None:
    rig = Rig(KEEP_GOING)
    rig.up("local", 2)
    rig.add(bad="", dynamic="", user="dynamic")
    rig.want("bad")
    rig.fault(rig.start_of("bad").attempt, Fault.TOOL)
    rig.want("user")
    out = rig.tell(Became(0.0, "dynamic", "bad", rig.start_of("dynamic").attempt, 1.0))
    assert outcomes(out) == [Skipped("dynamic", "bad"), Skipped("user", "bad")]


def test_long_chains_need_no_stack() -> None:
    deep = 20_000
    scheduler = Scheduler(Policy(lookup=False))
    nodes = [NodeSpec(id=i, deps=(i - 1,) if i else (), seconds=1.0) for i in range(deep)]
    scheduler.steps([Add(0.0, tuple(reversed(nodes))), Want(0.0, (deep - 1,))])
    assert scheduler.longest() == deep
    assert scheduler.count(State.WAITING) == deep - 1
    scheduler.step(Stop(0.0))
    assert scheduler.count(State.IDLE) == deep


# Order and place


def test_the_long_pole_goes_first() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(
        NodeSpec(id="short", seconds=3.0),
        NodeSpec(id="first", seconds=1.0),
        NodeSpec(id="second", seconds=5.0, deps=("first",)),
    )
    assert starts(rig.want("short", "second")) == [("first", "local")]


def test_a_later_want_raises_what_it_needs() -> None:
    rig = Rig()
    rig.up("local", 1)
    rig.add(busy="", a="", b="")
    rig.want("busy")
    rig.want("a", "b")
    rig.want("b", boost=100.0)
    assert starts(rig.ran(rig.start_of("busy").attempt)) == [("b", "local")]


def test_ranks_reach_what_is_wanted_again() -> None:
    rig = Rig(KEEP_GOING)
    rig.up("local", 1)
    rig.add(
        NodeSpec(id="bad", seconds=1.0),
        NodeSpec(id="middle", seconds=9.0, deps=("bad",)),
        NodeSpec(id="far", seconds=9.0, deps=("middle",)),
        NodeSpec(id="busy"),
        NodeSpec(id="other", seconds=5.0),
    )
    rig.want("bad")
    rig.fault(rig.start_of("bad").attempt, Fault.TOOL)
    rig.want("busy")
    rig.want("far", "other")  # the ranks go down as far as "middle": what that needs has failed
    rig.want("far", again=True)
    assert starts(rig.ran(rig.start_of("busy").attempt)) == [("bad", "local")]


def test_a_link_is_pinned_here_while_compiles_go_there() -> None:
    rig = Rig()
    rig.up("lambda", 10)
    rig.up("local", 1, EngineCaps(reserve=True))
    rig.add(
        NodeSpec(id="a", work=Work.COMPILE),
        NodeSpec(id="prog", work=Work.LINK, deps=("a",), engines=("local",)),
    )
    rig.want("prog")
    rig.ran(rig.start_of("a").attempt)
    assert starts(rig.starts) == [("a", "lambda"), ("prog", "local")]


def test_the_memory_of_one_machine_is_shared() -> None:
    rig = Rig()
    rig.up("local", 8, EngineCaps(memory_total=4 * GIB, independent=False))
    rig.add(*[NodeSpec(id=i, memory=GIB + GIB // 2, seconds=1.0) for i in range(4)])
    rig.want(*range(4))
    assert len(rig.live) == 2
    rig.ran(rig.starts[0].attempt)
    assert len(rig.live) == 2


def test_a_large_one_is_not_passed_over_for_ever() -> None:
    rig = Rig(Policy(max_passed=5))
    rig.up("local", 4, EngineCaps(memory_total=4 * GIB, independent=False))
    rig.add(
        *[NodeSpec(id=i, memory=GIB, seconds=1.0) for i in range(40)],
        NodeSpec(id="large", memory=99 * GIB, seconds=0.5),
        NodeSpec(id="top", seconds=50.0, deps=("large",)),
    )
    rig.want(*range(4))
    rig.want(*range(4, 40), "top")
    while not any(s.id == "large" for s in rig.starts):
        rig.ran(next(iter(rig.live)))
    assert len(rig.starts) == 4 + 5 + 1
    assert rig.start_of("large").memory == 4 * GIB


def test_new_slots_are_used_and_lost_ones_are_not_filled() -> None:
    rig = Rig()
    rig.up("spot", 0)
    rig.add(*[NodeSpec(id=i) for i in range(10)])
    rig.want(*range(10))
    assert rig.live == {}
    rig.tell(EngineChanged(0.0, "spot", 4))
    assert len(rig.live) == 4
    rig.tell(EngineChanged(0.0, "spot", 2))
    rig.ran(rig.starts[0].attempt)
    rig.ran(rig.starts[1].attempt)
    assert len(rig.live) == 2
    rig.ran(rig.starts[2].attempt)
    assert len(rig.live) == 2


def test_a_worker_taken_away_costs_no_attempt() -> None:
    rig = Rig()
    rig.up("spot", 1)
    rig.add(a="")
    rig.want("a")
    for _ in range(10):
        assert starts(rig.fault(rig.starts[-1].attempt, Fault.CANCELLED)) == [("a", "spot")]


def test_the_width_is_that_of_all_engines_together() -> None:
    rig = Rig(Policy(width=3))
    rig.up("here", 2)
    rig.up("there", 2)
    rig.add(a="", b="", c="", d="", e="")
    rig.want("a", "b", "c", "d", "e")
    assert starts(rig.starts) == [("a", "here"), ("b", "here"), ("c", "there")]
    assert starts(rig.ran(rig.starts[0].attempt)) == [("d", "here")]
    assert starts(rig.tick(60.0)) == []  # nor for a duplicate


def test_a_dead_regions_work_goes_to_the_others_and_then_to_the_fallback() -> None:
    rig = Rig(KEEP_GOING)
    rig.up("here", 100)
    rig.up("there", 100, EngineCaps(overhead=0.1))
    rig.up("local", 1, EngineCaps(reserve=True, independent=False))
    names = [f"n{i}" for i in range(30)]
    rig.add(**dict.fromkeys(names, ""))
    rig.want(*names)
    assert {engine for _, engine in starts(rig.starts)} == {"here"}

    def answer(dead: set[str], seconds: float) -> None:
        for _ in range(int(seconds / 0.5)):
            for attempt, start in list(rig.under_way.items()):
                if start.engine in dead:
                    rig.fault(attempt, Fault.INFRA)
                else:
                    rig.ran(attempt)
            rig.tick(0.5)

    answer({"here"}, 30.0)
    assert next(c for c in rig.log if isinstance(c, Tripped)) == Tripped("here", given_up=False)
    by_engine = rig.scheduler.summary().attempts_by_engine
    assert rig.scheduler.count(State.DONE) == 30
    assert by_engine["there"] == 30
    assert by_engine["local"] == 0
    more = [f"m{i}" for i in range(30)]
    rig.add(**dict.fromkeys(more, ""))
    rig.want(*more)
    answer({"here", "there"}, 90.0)
    assert rig.scheduler.count(State.DONE) == 60
    assert rig.scheduler.summary().attempts_by_engine["local"] == 30


# Stragglers


def straggling(slots: int, caps: EngineCaps | None = None) -> Rig:
    """Ten nodes of two seconds each have run; the eleventh drags."""
    rig = Rig()
    rig.up("lambda", slots, caps)
    rig.add(*[NodeSpec(id=i, seconds=2.0) for i in range(11)])
    for i in range(10):
        rig.want(i)
        rig.tick(2.0)
        rig.ran(rig.start_of(i).attempt, 2.0)
    rig.want(10)
    return rig


def test_a_straggler_is_hedged_and_the_first_answer_wins() -> None:
    rig = straggling(2)
    (first,) = rig.live.values()
    (second,) = [c for c in rig.tick(12.0) if isinstance(c, Start)]
    assert second.hedge
    assert Cancel(first.attempt, "lambda") in rig.ran(second.attempt)
    assert outcomes(rig.ran(first.attempt)) == []
    assert rig.scheduler.summary().hedges_won == 1
    assert rig.scheduler.summary().late == 1


def test_a_hedge_that_loses_is_cancelled() -> None:
    rig = straggling(2)
    first = rig.start_of(10)
    rig.tick(12.0)
    second = rig.starts[-1]
    assert Cancel(second.attempt, "lambda") in rig.ran(first.attempt)
    assert rig.scheduler.summary().hedges_lost == 1
    rig.tick(60.0)  # its engine never answers, and the slot comes back all the same
    assert starts(rig.starts[-1:]) == [(10, "lambda")]


def test_no_hedge_without_a_free_slot_nor_twice_nor_on_the_same_machine() -> None:
    assert not any(s.hedge for s in straggling(1).tick(1000.0) if isinstance(s, Start))
    assert not any(s.hedge for s in straggling(4, EngineCaps(independent=False)).tick(1000.0) if isinstance(s, Start))


def test_a_hedge_that_drags_too_is_hedged_later_each_time_and_not_for_ever() -> None:
    rig = straggling(8)
    rig.tick(80.0)
    hedges = [start.hedge for start in rig.starts].count(True)
    assert hedges == rig.policy.max_hedges
    rig = straggling(8)
    begun = [rig.now]
    while len(begun) <= hedges:
        if any(isinstance(c, Start) for c in rig.sleep()):
            begun.append(rig.now)
    waits = [later - sooner for sooner, later in itertools.pairwise(begun)]
    assert waits[1] >= 2 * waits[0] - 4.0  # it is looked at only now and then
    assert waits[2] > waits[1] > waits[0]
    last = rig.starts[-1]
    assert len([c for c in rig.ran(last.attempt) if isinstance(c, Cancel)]) == hedges
    assert rig.scheduler.summary().hedges_won == 1


def test_when_a_hedge_breaks_the_first_one_gets_another() -> None:
    rig = straggling(8)
    rig.tick(12.0)
    assert rig.starts[-1].hedge
    rig.fault(rig.starts[-1].attempt, Fault.LOST)
    before = len(rig.starts)
    rig.tick(4.0)  # no later than the first would have been, for nobody was asked twice
    assert len(rig.starts) == before + 1
    assert rig.starts[-1].hedge


def test_hedges_do_not_go_on_when_its_attempts_are_used_up() -> None:
    rig = straggling(8)
    for _ in range(rig.policy.max_lost_workers):
        rig.tick(60.0)
        hedges = [s for s in rig.live.values() if s.hedge]
        for hedge in hedges:
            rig.fault(hedge.attempt, Fault.LOST)
    before = len(rig.starts)
    rig.tick(300.0)
    assert len(rig.starts) == before
    assert rig.state(10) == "FAILED"


def test_what_is_not_sent_is_not_late() -> None:
    rig = straggling(4, EngineCaps(announces=True))
    first = rig.start_of(10)
    rig.tick(80.0)
    assert not any(start.hedge for start in rig.starts)
    rig.sent(first.attempt)
    rig.tick(2.0)
    assert not any(start.hedge for start in rig.starts)
    rig.tick(15.0)
    assert rig.starts[-1].hedge


def test_a_clock_starts_when_an_attempt_is_sent() -> None:
    rig = straggling(1, EngineCaps(announces=True, max_seconds=900.0))
    first = rig.start_of(10)
    assert first.deadline == 60.0
    rig.tick(300.0)
    rig.sent(first.attempt)
    assert not any(isinstance(c, Cancel) for c in rig.tick(89.0))
    assert Cancel(first.attempt, "lambda") in rig.tick(2.0)


def test_a_machine_that_is_behind_with_answers_does_not_hedge() -> None:
    """All answers come ten seconds late: that is no reason to ask for the next one twice."""
    rig = Rig()
    rig.up("lambda", 4, EngineCaps(announces=True))
    rig.add(*[NodeSpec(id=i, seconds=0.1) for i in range(20)])
    for i in range(19):
        rig.want(i)
        rig.sent(rig.start_of(i).attempt)
        rig.tick(1.9 if i < 4 else 10.0)
        rig.ran(rig.start_of(i).attempt, 0.1)
    hedges = rig.scheduler.summary().hedges
    rig.want(19)
    rig.sent(rig.start_of(19).attempt)
    rig.tick(10.0)
    assert rig.scheduler.summary().hedges == hedges
    assert rig.scheduler.summary().hedges <= rig.policy.max_hedges  # as long as it was not known


def test_a_fault_of_one_of_two_is_no_retry() -> None:
    rig = straggling(2)
    first = rig.start_of(10)
    rig.tick(12.0)
    assert rig.fault(first.attempt, Fault.LOST) == []
    assert rig.state(10) == "RUNNING"
    assert outcomes(rig.ran(rig.starts[-1].attempt)) == [Finished(10, How.RAN, rig.starts[-1].attempt)]


def test_an_attempt_that_is_never_answered_counts_as_lost() -> None:
    rig = Rig()
    rig.up("lambda", 1)
    rig.add(a="")
    rig.want("a")
    (start,) = rig.starts
    assert start.deadline == 60.0
    out = rig.tick(90.0)
    assert Cancel(start.attempt, "lambda") in out
    assert rig.scheduler.summary().faults == {Fault.LOST: 1}
    out = rig.ran(start.attempt)
    assert outcomes(out) == []
    assert rig.scheduler.summary().late == 1


# The end


def test_stop_cancels_all_and_keeps_what_still_comes() -> None:
    rig = Rig()
    rig.up("lambda", 2)
    rig.add(a="", b="", c="", d="c")
    rig.want("a", "b", "d")
    first, second = rig.starts
    out = rig.tell(Stop(0.0))
    assert [c.attempt for c in out if isinstance(c, Cancel)] == [first.attempt, second.attempt]
    assert outcomes(rig.ran(first.attempt)) == [Finished(first.id, How.RAN, first.attempt)]
    out = rig.fault(second.attempt, Fault.CANCELLED)
    assert isinstance(out[-1], Done)
    assert out[-1].summary.stopped
    assert out[-1].summary.dropped == 3
    assert starts(rig.want("d")) == []


def test_a_stop_may_let_end_what_runs() -> None:
    rig = Rig()
    rig.up("lambda", 2)
    rig.add(a="", b="", c="", d="a")
    rig.want("a", "b", "c", "d")
    first, second = rig.starts
    assert [c for c in rig.tell(Stop(0.0, finish=True)) if isinstance(c, Cancel)] == []
    out = rig.ran(first.attempt)
    assert outcomes(out) == [Finished(first.id, How.RAN, first.attempt)]
    assert starts(out) == []
    assert [c.attempt for c in rig.tell(Stop(0.0)) if isinstance(c, Cancel)] == [second.attempt], "then Ctrl-C"
    out = rig.fault(second.attempt, Fault.CANCELLED)
    assert isinstance(out[-1], Done)
    assert out[-1].summary.ran == 1


def test_blobs_lost_and_nodes_that_grow_after_a_stop_are_dropped() -> None:
    rig = Rig()
    rig.up("lambda", 2)
    rig.add(a="", b="a", c="", d="")
    rig.want("b", "c", "d")
    rig.ran(rig.start_of("a").attempt)
    attempt = rig.start_of("c").attempt
    rig.tell(Stop(0.0))
    rig.tell(Lost(0.0, ("a",)))
    rig.tell(Became(0.0, "c", "d", attempt, 1.0))
    for attempt in list(rig.under_way):
        rig.fault(attempt, Fault.CANCELLED)
    assert {rig.state(id) for id in "abcd"} == {"IDLE"}
    assert rig.summary is not None


def test_stop_does_not_wait_for_an_engine_that_hangs() -> None:
    rig = Rig()
    rig.up("lambda", 2)
    rig.add(a="")
    rig.want("a")
    rig.tell(Stop(0.0))
    assert isinstance([c for c in rig.tick(30.0) if not isinstance(c, WakeAt)][-1], Done)


def test_the_rest_is_estimated_along_the_path_and_over_the_width() -> None:
    rig = Rig()
    rig.up("local", 2)
    rig.add(
        *[NodeSpec(id=i, seconds=10.0) for i in range(4)],
        NodeSpec(id="last", seconds=5.0, deps=(0, 1, 2, 3)),
    )
    rig.want("last")
    eta = rig.scheduler.eta(0.0)
    assert (eta.path, eta.work, eta.width) == (15.0, 45.0, 2)
    assert eta.seconds == 22.5
    assert rig.scheduler.eta(4.0).work == 37.0


# Bugs of others


def test_an_illegal_transition_tells_the_story() -> None:
    scheduler = Scheduler()
    scheduler.steps([Add(0.0, (NodeSpec(id="a"),)), Want(1.0, ("a",))])
    node = scheduler._nodes.graph["a"]
    with pytest.raises(IllegalTransition, match="LOOKUP to SKIPPED") as caught:
        scheduler._nodes.move(node, State.SKIPPED)
    assert caught.value.story[0] == "states: IDLE WAITING LOOKUP"
    assert caught.value.story[1] == "1.000000 Want: WAITING"


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ((NodeSpec(id="a", deps=("b",)),), "never added"),
        ((NodeSpec(id="a", deps=("b",)), NodeSpec(id="b", deps=("a",))), "depends on itself"),
    ],
)
def test_a_graph_that_cannot_be_is_refused(nodes: tuple[NodeSpec, ...], what: str) -> None:
    with pytest.raises(SchedulerError, match=what):
        Scheduler().step(Add(0.0, nodes))


def test_the_protocol_of_engines_is_checked() -> None:
    rig = Rig()
    rig.up("local", 1)
    with pytest.raises(SchedulerError, match="is up already"):
        rig.up("local", 1)
    with pytest.raises(SchedulerError, match="is not up"):
        rig.tell(EngineDown(0.0, "lambda"))
    rig.add(a="", b="")
    rig.want("a")
    with pytest.raises(SchedulerError, match="is not one of"):
        rig.scheduler.step(Grew(0.0, "b", (), rig.start_of("a").attempt))
    with pytest.raises(SchedulerError, match="was never added"):
        rig.scheduler.step(Want(0.0, ("z",)))


def test_the_same_events_give_the_same_commands() -> None:
    def run() -> list[object]:
        rig = straggling(3)
        rig.tick(12.0)
        rig.fault(rig.starts[-1].attempt, Fault.INFRA)
        rig.tell(Ran(rig.now, rig.start_of(10).attempt, 1.0))
        return list(rig.log)

    assert run() == run()


def test_what_nobody_has_seen_is_no_straggler_until_its_like_are_done() -> None:
    """Two nodes of unknown duration on an engine with room: to duplicate both at once would only cost twice as much."""
    rig = Rig()
    rig.up("lambda", 8)
    rig.add(*[NodeSpec(id=i) for i in range(6)])
    rig.want(*range(6))
    assert not any(s.hedge for s in rig.tick(12.0) if isinstance(s, Start))
    for i in range(5):
        rig.ran(rig.start_of(i).attempt, 12.0)
    assert not any(s.hedge for s in rig.tick(20.0) if isinstance(s, Start))
    assert any(s.hedge for s in rig.tick(400.0) if isinstance(s, Start))


def held(*, seen: int, unknown: str, policy: Policy | None = None) -> Rig:
    """One machine elsewhere, and this one in reserve. There, so many nodes of unknown duration have run; one more has begun."""
    rig = Rig(policy or Policy())
    rig.up("there", 8, EngineCaps(announces=True))
    rig.up("local", 2, EngineCaps(reserve=True, independent=False))
    rig.add(*[NodeSpec(id=i) for i in range(seen)], NodeSpec(id=unknown))
    for i in range(seen):
        rig.want(i)
        rig.sent(rig.start_of(i).attempt)
        rig.tick(3.0)
        rig.ran(rig.start_of(i).attempt, 3.0)
    rig.want(unknown)
    return rig


def keeps_beginning(rig: Rig, seconds: float) -> list[float]:
    """A worker begins all that it gets, and answers nothing. When attempts began here."""
    end, here = rig.now + seconds, []
    begun = rig.now
    while rig.now < end:
        for start in list(rig.live.values()):
            if start.engine == "there":
                rig.sent(start.attempt)
        before = len(rig.starts)
        rig.tick(1.0)
        here += [rig.now - begun for start in rig.starts[before:] if start.engine == "local"]
    return here


@pytest.mark.parametrize(("seen", "least", "most"), [(0, 300.0, 400.0), (10, 60.0, 110.0)])
def test_who_begins_all_and_answers_nothing_keeps_nobody_waiting(seen: int, least: float, most: float) -> None:
    """It takes the duplicates, too: nobody knows how long they take. So this machine begins the node as well, once."""
    rig = held(seen=seen, unknown="x")
    (begun,) = keeps_beginning(rig, 600.0)
    assert least <= begun <= most
    here = rig.start_of("x")
    assert here.hedge
    assert outcomes(rig.ran(here.attempt)) == [Finished("x", How.RAN, here.attempt)]
    assert rig.summary is not None


def test_who_begins_nothing_keeps_nobody_waiting() -> None:
    """Such as a cluster that has it queued for ever."""
    rig = held(seen=10, unknown="x")
    rig.tick(299.0)
    assert len(rig.starts) == 11
    rig.tick(2.0)
    assert starts(rig.starts[11:]) == [("x", "local")]
    here = rig.starts[-1].attempt
    rig.tick(1000.0)
    assert [start.attempt for start in rig.starts if start.engine == "local"] == [here]
    rig.ran(here)
    assert rig.state("x") == "DONE"


def test_what_is_slow_there_is_not_ended_when_it_begins_here() -> None:
    rig = held(seen=0, unknown="x")
    first = rig.start_of("x").attempt
    assert keeps_beginning(rig, 800.0)
    assert first in rig.live
    assert outcomes(rig.ran(first, 800.0)) == [Finished("x", How.RAN, first)]


def test_what_began_here_and_broke_does_not_begin_here_again() -> None:
    rig = held(seen=0, unknown="x")
    assert keeps_beginning(rig, 400.0)
    rig.fault(rig.start_of("x").attempt, Fault.INFRA)
    assert not keeps_beginning(rig, 1000.0)


def test_without_fallback_nothing_begins_here() -> None:
    assert not keeps_beginning(held(seen=0, unknown="x", policy=Policy(fallback=None)), 1000.0)


# An engine that says nothing


def silent(slots: int, ready: int = 0, *, known: bool = True, policy: Policy | None = None) -> Rig:
    """Ten of a kind have run; then all slots are taken, and nothing comes any more."""
    rig = Rig(policy or Policy(fallback=None))
    rig.up("lambda", slots, EngineCaps(max_seconds=900.0))
    seconds = 1.0 if known else None
    rig.add(*[NodeSpec(id=i, seconds=seconds) for i in range(10 + slots + ready)])
    rig.want(*range(10 + slots + ready))
    for start in list(rig.starts)[:10]:
        rig.ran(start.attempt)
    while len(rig.starts) < 10 + slots:
        rig.ran(next(iter(rig.live)))
    return rig


def test_silence_is_told_and_one_at_a_time_is_asked_for_again() -> None:
    """Twenty drag at once: that is not each one's bad luck. What has an answer on its way is not paid for twice."""
    rig = silent(20)
    rig.scheduler._fleet["lambda"].slots = rig.slots["lambda"] = 40
    out = rig.tick(21.0)
    told = [c for c in out if isinstance(c, Silent)]
    assert [(c.engine, c.attempts) for c in told] == [("lambda", 21)]
    assert 10.0 <= told[0].seconds <= 16.0
    assert len([c for c in out if isinstance(c, Start)]) <= 2
    for attempt in sorted(rig.live)[:20]:
        rig.ran(attempt)
    rig.tick(1.0)
    assert rig.scheduler.summary().hedges <= 2
    assert rig.summary is not None
    assert rig.summary.ok


def test_when_a_probe_is_answered_the_others_are_asked_for_again() -> None:
    rig = silent(20)
    rig.scheduler._fleet["lambda"].slots = rig.slots["lambda"] = 40
    rig.tick(12.0)
    (probe,) = [s for s in rig.live.values() if s.hedge]
    rig.ran(probe.attempt)
    rig.tick(6.0)
    assert {s.id for s in rig.live.values() if s.hedge} == {s.id for s in rig.live.values() if not s.hedge}


@pytest.mark.parametrize("known", [True, False])
def test_all_slots_silent_is_acted_upon_long_before_the_engines_own_limit(known: bool) -> None:
    """None is free for a duplicate, and more is ready: the oldest gives its place, one by one, until something is heard."""
    rig = silent(8, ready=20, known=known)
    hung = set(rig.live)
    while not any(c for c in rig.log if isinstance(c, Cancel)):
        rig.sleep()
    assert rig.now <= 65.0
    (cancelled,) = [c.attempt for c in rig.log if isinstance(c, Cancel)]
    rig.fault(cancelled, Fault.CANCELLED)
    probe = rig.starts[-1]
    assert probe.attempt not in hung
    while rig.live.keys() - hung:  # it works again, but for what hangs
        rig.ran(next(iter(rig.live.keys() - hung)))
    assert rig.now <= 65.0
    while rig.summary is None and rig.now < 300.0:
        given_up = {c.attempt for c in rig.log if isinstance(c, Cancel)} & rig.under_way.keys()
        for attempt in given_up:
            rig.fault(attempt, Fault.CANCELLED)
        for attempt in list(rig.live.keys() - hung):
            rig.ran(attempt)
        rig.tick(1.0)
    assert rig.summary is not None
    assert (rig.summary.ok, rig.summary.finished) == (True, 38)
    assert rig.now <= 160.0


def test_what_takes_its_time_is_not_taken_for_silence() -> None:
    """Commands that are known to take ten minutes each run side by side, and nothing comes in between."""
    rig = Rig(Policy(fallback=None))
    rig.up("lambda", 4, EngineCaps(max_seconds=900.0))
    rig.add(*[NodeSpec(id=i, seconds=600.0) for i in range(8)])
    rig.want(*range(8))
    rig.tick(600.0)
    assert not any(isinstance(c, Silent | Cancel) for c in rig.log)
    assert rig.scheduler.summary().hedges == 0


def test_the_fallback_helps_where_there_is_silence() -> None:
    rig = silent(4, ready=4, policy=Policy(fallback="local"))
    rig.up("local", 2, EngineCaps(reserve=True, independent=False))
    rig.tick(15.0)
    assert [s.engine for s in rig.starts].count("local") == 2
    rig.ran(next(a for a, s in rig.live.items() if s.engine == "lambda"))
    assert rig.scheduler._fleet["lambda"].tripped is False


# Workers that die


def deadly(*names: str) -> Rig:
    """Nodes on one machine elsewhere with two slots; this one is in reserve. The machine dies as it runs the first two."""
    rig = Rig(Policy(fallback="here", keep_going=True))
    rig.up("there", 2, EngineCaps(memory_total=4 * GIB))
    rig.up("here", 2, EngineCaps(memory_total=4 * GIB, independent=False, reserve=True))
    rig.add(**dict.fromkeys(names, ""))
    rig.want(*names)
    for start in rig.starts[:2]:
        rig.fault(start.attempt, Fault.DIED)
    rig.tell(EngineDown(rig.now, "there"))
    return rig


def test_what_a_worker_died_of_runs_alone_next_time_and_not_here() -> None:
    rig = deadly("a", "b")
    rig.add(c="")
    rig.want("c")
    assert starts(rig.log)[2:] == [("c", "here")]
    rig.ran(rig.start_of("c").attempt)
    rig.tick(5.0)
    assert len(rig.starts) == 3
    rig.up("there", 2, EngineCaps(memory_total=4 * GIB))
    rig.tick(1.0)
    first = rig.starts[-1]
    assert len(rig.starts) == 4
    assert (first.engine, first.memory) == ("there", 4 * GIB)
    rig.ran(first.attempt)
    assert rig.starts[-1].memory == 4 * GIB
    rig.ran(rig.starts[-1].attempt)
    assert {rig.state(name) for name in "abc"} == {"DONE"}


def test_what_two_workers_died_of_is_not_tried_again() -> None:
    rig = deadly("a", "b")
    rig.up("there", 2, EngineCaps(memory_total=4 * GIB))
    rig.tick(5.0)
    poison = rig.starts[-1]
    out = rig.fault(poison.attempt, Fault.DIED)
    assert Failed(poison.id, Fault.DIED, poison.attempt) in out
    rig.ran(rig.starts[-1].attempt)
    rig.tick(600.0)
    assert sorted(rig.state(name) for name in "ab") == ["DONE", "FAILED"]
    assert {s.engine for s in rig.starts} == {"there"}


def test_with_no_other_machine_it_runs_where_make_would_run_it() -> None:
    rig = deadly("a", "b")
    rig.tick(5.0)
    assert len(rig.starts) == 2
    rig.tick(rig.policy.patience)
    assert [s.engine for s in rig.starts[2:]] == ["here"]  # alone there too
    rig.ran(rig.starts[2].attempt)
    rig.ran(rig.starts[3].attempt)
    assert {rig.state(name) for name in "ab"} == {"DONE"}


def test_nothing_more_is_given_to_who_leaves() -> None:
    rig = Rig(Policy(fallback="here"))
    rig.up("there", 1, EngineCaps())
    rig.up("here", 2, EngineCaps(independent=False, reserve=True))
    rig.add(a="", b="")
    rig.want("a", "b")
    assert starts(rig.log) == [(rig.starts[0].id, "there")]
    rig.tell(EngineChanged(rig.now, "there", 0, EngineCaps(leaving=True)))
    assert [s.engine for s in rig.starts] == ["there", "here"]
    rig.ran(rig.starts[0].attempt)
    rig.ran(rig.starts[1].attempt)
    assert {rig.state(name) for name in "ab"} == {"DONE"}
