"""Whole builds under virtual time. Numbers follow from the models, so they can be said exactly or bounded by theory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scheduler import build
from gg.schedule.engine_model import EngineModel, LogNormal
from gg.schedule.events import EngineCaps, Fault, NodeSpec, Ramp
from gg.schedule.policy import Policy
from gg.schedule.simulator import simulate
from tests.schedule.schedule_rig import Rig

LAMBDA = EngineModel(
    name="lambda",
    slots=1000,
    caps=EngineCaps(overhead=0.1),
    latency=LogNormal(0.03, 0.3),
    cold=LogNormal(0.3, 0.3),
    bandwidth=80e6,
    noise=LogNormal(1.0, 0.1),
)
LOCAL = EngineModel(name="local", slots=2, caps=EngineCaps(independent=False, memory_total=8 << 30))


def sleepers(count: int, seconds: float = 2.0) -> list[NodeSpec]:
    return [NodeSpec(id=i, seconds=seconds) for i in range(count)]


def test_a_thousand_sleepers_a_thousand_wide_take_as_long_as_one() -> None:
    run = simulate(sleepers(1000), range(1000), [EngineModel(name="lambda", slots=1000)])
    assert run.makespan == pytest.approx(2.0)
    assert run.engines["lambda"].peak == 1000
    assert run.engines["lambda"].seconds == pytest.approx(2000.0)
    assert run.mean_width == pytest.approx(1000.0)


def test_the_limits_of_theory_hold() -> None:
    nodes = build(3000)
    run = simulate(nodes, [nodes[-1].id], [EngineModel(name="lambda", slots=50)])
    assert run.path <= run.makespan <= run.path + run.work / 50  # Graham 1969
    assert run.work == pytest.approx(sum(n.seconds or 0 for n in nodes))
    assert run.engines["lambda"].peak == 50
    assert run.summary.ran == len(nodes)


def test_known_nodes_cost_nothing() -> None:
    nodes = build(1000)
    run = simulate(nodes, [nodes[-1].id], [LOCAL], known={n.id for n in nodes})
    assert run.makespan == 0.0
    assert (run.summary.hits, run.summary.attempts) == (len(nodes), 0)


def test_the_same_seed_gives_the_same_run() -> None:
    nodes = build(500)
    first, second, other = (simulate(nodes, [nodes[-1].id], [LAMBDA], seed=seed) for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_cold_starts_and_bytes_take_their_time() -> None:
    model = EngineModel(name="lambda", slots=1, cold=LogNormal(3.0), latency=LogNormal(0.5), bandwidth=100.0)
    nodes = [NodeSpec(id=i, seconds=1.0, input_size=200) for i in range(2)]
    run = simulate(nodes, [0, 1], [model], lookup_seconds=0.25)
    assert run.makespan == pytest.approx(0.25 + 3.0 + 2 * (0.5 + 2.0 + 1.0))
    assert run.engines["lambda"].cold == 1


def test_bad_workers_are_outlived() -> None:
    nodes = build(1000)
    bad = EngineModel(name="lambda", slots=100, failures=0.05, losses=0.03, stragglers=0.01, straggler_factor=30.0)
    run = simulate(nodes, [nodes[-1].id], [bad, LOCAL], Policy(max_attempts=8, max_lost_workers=8))
    assert run.summary.ok
    assert run.summary.retries[Fault.INFRA] > 10
    assert run.summary.hedges_won > 0
    assert run.summary.attempts < 1.3 * len(nodes)


def test_hedging_cuts_the_tail() -> None:
    slow = EngineModel(name="lambda", slots=200, stragglers=0.02, straggler_factor=50.0)
    hedged, patient = (simulate(sleepers(400), range(400), [slow], Policy(hedge=hedge)) for hedge in (True, False))
    assert patient.makespan >= 60.0  # only the deadline ends it there
    assert hedged.makespan < 0.5 * patient.makespan
    assert hedged.summary.faults == {}


def test_a_ramp_that_nobody_told_of_is_found_out() -> None:
    model = EngineModel(
        name="lambda", slots=1000, latency=LogNormal(0.02), ramp=Ramp(burst=100, rate=10.0), noise=LogNormal(1.0, 0.2)
    )
    run = simulate(sleepers(2000, 1.0), range(2000), [model])
    refused = run.engines["lambda"].refused
    assert run.summary.ok
    assert run.summary.faults == {Fault.THROTTLED: refused}
    assert run.summary.ran == 2000
    assert 0 < refused < 2000
    assert run.makespan < 30.0  # the ramp itself lets 2,000 seconds of work through in 12.4


def test_a_ramp_that_is_told_refuses_nothing() -> None:
    ramp = Ramp(burst=100, rate=10.0)
    model = EngineModel(name="lambda", slots=1000, caps=EngineCaps(ramp=ramp), ramp=ramp)
    run = simulate(sleepers(2000, 1.0), range(2000), [model])
    assert run.engines["lambda"].refused == 0
    assert run.makespan < 16.0


def test_an_engine_that_never_works_is_survived() -> None:
    nodes = build(300)
    dead = EngineModel(name="lambda", slots=50, failures=1.0)
    run = simulate(nodes, [nodes[-1].id], [dead, EngineModel(name="local", slots=8, caps=EngineCaps(reserve=True))])
    assert run.summary.ok
    assert run.summary.trips >= 1


def test_local_and_lambda_share_a_build() -> None:
    nodes = build(1000)
    alone = simulate(nodes, [nodes[-1].id], [LOCAL])
    both = simulate(nodes, [nodes[-1].id], [LOCAL, LAMBDA])
    assert both.makespan < alone.makespan / 10
    assert min(use.attempts for use in both.engines.values()) > 0


def test_ten_thousand_wide() -> None:
    run = simulate(sleepers(12_000), range(12_000), [EngineModel(name="lambda", slots=10_000)])
    assert run.makespan == pytest.approx(4.0)
    assert run.engines["lambda"].peak == 10_000


def test_with_width_to_spare_the_path_is_what_is_left() -> None:
    nodes = build(2000)
    run = simulate(nodes, [nodes[-1].id], [EngineModel(name="lambda", slots=10_000)])
    assert run.makespan == pytest.approx(run.path)


@pytest.mark.parametrize("seed", range(10))
def test_a_thousand_under_faults_are_all_done(seed: int) -> None:
    """A tenth throttled, a twentieth each refused, hung and lost, a fiftieth corrupt: no thunk is given up by ill luck."""
    bad = replace(
        LAMBDA, slots=100, caps=EngineCaps(max_seconds=60.0), throttles=0.1, failures=0.07, hangs=0.05, losses=0.05
    )
    run = simulate(sleepers(1000, 1.0), range(1000), [bad], Policy(fallback=None), seed=seed)
    assert run.summary.finished == 1000
    assert run.summary.attempts <= 1500


@pytest.mark.parametrize("share", [0.2, 0.3, 0.4])
def test_attempts_grow_with_the_share_of_faults(share: float) -> None:
    bad = replace(LAMBDA, failures=share)
    run = simulate(sleepers(2000, 1.0), range(2000), [bad], Policy(fallback=None), seed=3)
    assert run.summary.finished == 2000
    assert run.summary.attempts <= 2000 / (1 - share) * 1.15


def test_a_bad_node_is_given_up_and_others_go_on() -> None:
    rig = Rig(Policy(fallback=None))
    rig.up("lambda", 2)
    rig.add(good="", bad="", above="bad", other="good", top="above other")
    rig.want("top", "other")
    rig.ran(rig.start_of("good").attempt)
    for _ in range(4):
        rig.fault(rig.start_of("bad").attempt, Fault.INFRA)
        if rig.state("bad") == "BACKOFF":
            rig.sleep()
    assert rig.state("bad") == "FAILED"
    rig.ran(rig.start_of("other").attempt)
    assert rig.summary is not None
    assert (rig.summary.finished, rig.summary.failed, rig.summary.skipped, rig.summary.dropped) == (2, 1, 2, 0)


def test_a_region_that_is_silent_for_a_while_is_not_paid_twice() -> None:
    """Twenty seconds in which answers stay away, in the middle: one or two are asked for again, not all that run."""
    quiet = replace(LAMBDA, slots=200, caps=EngineCaps(max_seconds=900.0), silent=(20.0, 40.0))
    run = simulate(sleepers(2000, 3.0), range(2000), [quiet], Policy(fallback=None))
    plain = simulate(sleepers(2000, 3.0), range(2000), [replace(quiet, silent=(0.0, 0.0))], Policy(fallback=None))
    assert run.summary.finished == 2000
    assert run.summary.attempts - plain.summary.attempts <= 4
    assert run.makespan <= plain.makespan + 25.0
