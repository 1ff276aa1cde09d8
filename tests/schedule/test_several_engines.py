"""Several engines in one build, under virtual time: which of them is given what, at which price, and when it recovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from gg.core.thunk import Work
from gg.schedule.commands import Unmanned
from gg.schedule.engine_model import EngineModel, LogNormal
from gg.schedule.events import EngineCaps, EngineChanged, Fault, NodeId, NodeSpec
from gg.schedule.policy import Policy
from gg.schedule.simulator import Simulation, simulate
from tests.schedule.schedule_rig import Rig

SECOND = 0.00003  # dollars, of a function with one processor
DEAR = EngineCaps(overhead=0.2, price=SECOND, announces=True)
QUEUE = EngineCaps(overhead=0.2, announces=True, queued=True)


def functions(**more: object) -> EngineModel:
    return EngineModel(name="lambda", slots=1000, caps=DEAR, latency=LogNormal(0.2), **more)  # type: ignore[arg-type]


def spot(workers: int, **more: object) -> EngineModel:
    return EngineModel(
        name="spot",
        slots=256,
        caps=QUEUE,
        latency=LogNormal(0.2),
        workers=workers,
        **more,  # type: ignore[arg-type]
    )


def desk(slots: int) -> EngineModel:
    return EngineModel(name="local", slots=slots, caps=EngineCaps(independent=False, memory_total=64 << 30))


def leaves(count: int, seconds: float = 1.0) -> list[NodeSpec]:
    return [NodeSpec(id=f"leaf {n}", seconds=seconds, work=Work.COMPILE) for n in range(count)]


def chain(count: int, seconds: float = 5.0) -> list[NodeSpec]:
    return [
        NodeSpec(id=f"link {n}", deps=(f"link {n - 1}",) if n else (), seconds=seconds, work=Work.OTHER)
        for n in range(count)
    ]


def build(nodes: Sequence[NodeSpec], *engines: EngineModel) -> Simulation:
    last = NodeSpec(id="all", deps=tuple(node.id for node in nodes), seconds=1.0, work=Work.LINK)
    run = simulate([*nodes, last], ["all"], engines, Policy(fallback=None))
    assert run.summary.ok
    return run


def used(run: Simulation, engine: str) -> int:
    return run.engines[engine].attempts


def test_what_has_time_waits_for_what_costs_nothing() -> None:
    """A chain of 100 s, and beside it what one machine can do meanwhile: functions would not make the build end sooner."""
    nodes = [*leaves(500), *chain(20)]
    alone = build(nodes, functions())
    both = build(nodes, desk(8), functions())
    assert both.makespan <= alone.makespan * 1.07
    assert used(both, "lambda") < 30  # links of the chain that found all slots here taken


def test_what_is_dear_does_just_what_the_rest_has_no_time_for() -> None:
    nodes = [*leaves(3000), *chain(20)]
    alone = build(nodes, functions())
    both = build(nodes, desk(16), functions())
    assert both.makespan <= alone.makespan * 1.07
    assert 1000 < used(both, "lambda") < 2000  # sixteen slots have time for 1,600 seconds, and the chain is 100 of them


def test_where_nothing_has_time_all_is_used() -> None:
    nodes = leaves(500)
    both = build(nodes, desk(8), functions())
    assert both.makespan == pytest.approx(2.4, abs=0.4)
    assert used(both, "local") >= 8


def test_the_longest_way_goes_where_it_ends_first() -> None:
    """A cheap engine that is slow is no place for a thunk that everything waits for."""
    slow = EngineModel(name="local", slots=8, caps=EngineCaps(independent=False, slowness=3.0))
    run = build([*chain(10), *leaves(20)], slow, functions())
    assert used(run, "lambda") == 11
    assert run.makespan == pytest.approx(11 * 0.2 + 51.0, abs=0.5)


def test_speed_is_what_was_seen_not_what_was_said() -> None:
    said, real = EngineCaps(independent=False), EngineCaps(independent=False, slowness=4.0)
    nodes = chain(30, 2.0)
    rig = Rig(Policy(fallback=None))
    rig.up("local", 1, said)
    rig.up("lambda", 100, DEAR)
    rig.add(*nodes)
    rig.want("link 29")
    where = []
    for node in nodes:
        start = rig.start_of(node.id)
        where.append(start.engine)
        took = 2.0 * real.slowness if start.engine == "local" else 2.0
        rig.tick(took)
        if rig.state(str(node.id)) == "RUNNING":  # perhaps its duplicate has run meanwhile
            rig.ran(rig.start_of(node.id).attempt, took)
    assert where[0] == "local"
    assert where[-1] == "lambda"


def test_a_queue_is_given_as_much_as_its_workers_take() -> None:
    nodes = leaves(4000)
    run = build(nodes, spot(64), desk(1))
    assert run.makespan < 1.15 * 4000 * 1.2 / 65
    assert used(run, "spot") > 3800


def test_a_queue_nobody_takes_from_costs_a_moment() -> None:
    nodes = leaves(500)
    alone = build(nodes, functions())
    both = build(nodes, spot(64, boot=LogNormal(10_000.0)), functions())
    assert both.makespan < alone.makespan + 3.0
    assert used(both, "spot") <= 16


def test_workers_that_come_later_are_found() -> None:
    run = build(leaves(4000, 10.0), spot(100, boot=LogNormal(60.0)), functions(limit=50))
    assert used(run, "spot") > 2000
    assert run.summary.ran == 4001


def test_what_is_refused_goes_elsewhere_and_comes_back() -> None:
    nodes = leaves(3000)
    well = build(nodes, desk(4), functions(limit=100))
    refused = build(nodes, desk(4), functions(limit=100, refuses=(5.0, 15.0)))
    assert well.makespan < refused.makespan < well.makespan + 25.0
    assert used(refused, "lambda") > 2000
    assert refused.summary.retries[Fault.THROTTLED] > 0


def test_that_no_worker_takes_work_is_told_once() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("spot", 8, QUEUE)
    rig.up("lambda", 8, EngineCaps(overhead=5.0, price=SECOND))
    rig.add(*leaves(3, 30.0))
    rig.want("leaf 0", "leaf 1", "leaf 2")
    assert {start.engine for start in rig.starts} == {"spot"}
    rig.tick(10.0)
    assert [command for command in rig.log if isinstance(command, Unmanned)] == [Unmanned("spot")]
    assert sorted(start.engine for start in rig.starts if start.hedge) == ["lambda"] * 3


def test_a_straggler_gets_its_second_attempt_on_another_engine() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("spot", 8, QUEUE)
    rig.up("lambda", 8, EngineCaps(overhead=5.0, price=SECOND))
    rig.add(*leaves(1))
    rig.want("leaf 0")
    first = rig.start_of("leaf 0")
    assert first.engine == "spot"
    rig.sent(first.attempt)
    rig.tick(60.0)
    assert [(start.engine, start.hedge) for start in rig.starts[:2]] == [("spot", False), ("lambda", True)]


KEEPS = EngineCaps(memory_total=64 << 30, keeps=True)


def started(rig: Rig) -> dict[NodeId, str]:
    return {start.id: start.engine for start in rig.starts}


def made(rig: Rig, **engines: str) -> None:
    """These leaves have run, each on its engine."""
    rig.add(**dict.fromkeys(engines, ""))
    rig.add(NodeSpec("prog", tuple(engines), Work.LINK, 1.0))
    rig.want("prog")
    for attempt, start in list(rig.live.items()):
        assert start.engine == engines[str(start.id)]
        rig.ran(attempt)


def three(caps: EngineCaps = KEEPS) -> Rig:
    rig = Rig()
    for name, slots in (("a", 1), ("b", 2), ("c", 1)):
        rig.up(name, slots, caps)
    return rig


def test_a_link_goes_where_most_of_its_objects_were_made() -> None:
    rig = three()
    made(rig, one="a", two="b", three="b", four="c")
    assert started(rig)["prog"] == "b"


def test_where_nothing_is_kept_the_first_takes_it() -> None:
    rig = three(KEEPS._replace(keeps=False))
    made(rig, one="a", two="b", three="b", four="c")
    assert started(rig)["prog"] == "a"


def test_a_link_after_an_edit_goes_where_the_last_one_ran() -> None:
    """What was not made anew is there from the last time."""
    rig = three()
    rig.add(NodeSpec("object", (), Work.COMPILE, 1.0), NodeSpec("prog", ("object",), Work.LINK, 1.0, ran_on="c"))
    rig.want("prog")
    (attempt,) = rig.live
    assert started(rig)["object"] == "a"
    rig.ran(attempt)
    assert started(rig)["prog"] == "c"


def test_nobody_waits_for_who_has_most() -> None:
    """Neither for its slots nor for its memory; and a slow machine gets nothing for what it has."""
    rig = three()
    rig.add(NodeSpec("object", (), Work.COMPILE, 1.0), NodeSpec("prog", ("object",), Work.LINK, 1.0, ran_on="c"))
    rig.tell(EngineChanged(rig.now, "c", 0))
    rig.want("prog")
    rig.ran(next(iter(rig.live)))
    assert started(rig)["prog"] == "a"
    rig = three()
    rig.tell(EngineChanged(rig.now, "c", 1, KEEPS._replace(slowness=1.5)))
    rig.add(NodeSpec("object", (), Work.COMPILE, 1.0), NodeSpec("prog", ("object",), Work.LINK, 1.0, ran_on="c"))
    rig.want("prog")
    rig.ran(next(iter(rig.live)))
    assert started(rig)["prog"] == "a"


def test_this_machine_has_everything_already() -> None:
    rig = Rig()
    rig.up("local", 1, EngineCaps(independent=False, memory_total=64 << 30))
    for name in ("a", "b"):
        rig.up(name, 2, KEEPS._replace(overhead=0.03))
    rig.add(NodeSpec("object", (), Work.COMPILE, 1.0), NodeSpec("prog", ("object",), Work.LINK, 1.0, ran_on="b"))
    rig.want("prog")
    rig.ran(next(iter(rig.live)))
    assert started(rig)["prog"] == "local"


def test_a_queue_whose_workers_tell_is_filled_at_once() -> None:
    """And not by trying: the first round is as wide as they are. A queue that lost workers keeps what it has shown to take."""
    rig = Rig()
    rig.up("spot", 256, QUEUE)
    rig.up("lambda", 256, DEAR)
    rig.add(*leaves(300, 50.0))
    rig.tell(EngineChanged(rig.now, "spot", 256, QUEUE._replace(taken=64)))
    rig.want(*[f"leaf {n}" for n in range(300)])
    assert Counter(start.engine for start in rig.starts)["spot"] == 64
    rig.tell(EngineChanged(rig.now, "spot", 256, QUEUE._replace(taken=8)))
    assert rig.scheduler._fleet["spot"].ahead == 64
