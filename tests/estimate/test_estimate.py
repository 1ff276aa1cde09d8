"""Estimates: rows that follow from the graph and the models, and guesses that are told."""

from __future__ import annotations

import pytest

from benchmarks.scheduler import build
from gg.core.thunk import Work
from gg.cost import models
from gg.cost.forecast import Guess, Resources, Row, WeightedGraph, known_or_guessed, rows, together
from gg.cost.meter import Cost, cost
from gg.cost.prices import HOME, ProcessorHour, asked_hour, prices, spot_hour
from gg.deploy.spot.fleet_plan import cpus_of
from gg.schedule.events import NodeSpec
from gg.schedule.policy import DEFAULT_SECONDS

RESOURCES = Resources(prices(HOME), "x86_64", (1769, 3008), 2048, processors=2, memory=8 << 30)


def graph(thunks: int = 600, *, first: int = 0, to_send: int = 0) -> WeightedGraph:
    nodes = tuple(build(thunks))
    return WeightedGraph(nodes, (nodes[-1].id,), first=first, to_send=to_send)


def lambda_row(graph: WeightedGraph, width: int) -> Row:
    return rows(graph, ["lambda"], [width], RESOURCES)[0]


def test_this_machine_has_one_width_and_costs_nothing() -> None:
    found = rows(graph(), ["local", "lambda"], [100, 500], RESOURCES)
    assert [(row.engine, row.width) for row in found] == [("local", 2), ("lambda", 100), ("lambda", 500)]
    assert found[0].cost == Cost()
    assert found[0].peak == 2


def test_the_limits_of_theory_hold() -> None:
    """No engine is faster than the longest chain; and this machine is near to its share of the work (Graham 1969)."""
    local, remote = rows(graph(), ["local", "lambda"], [100], RESOURCES)
    assert local.path <= local.seconds <= (local.path + local.work / 2) * 1.3
    assert remote.path * 0.9 <= remote.fastest <= remote.seconds <= remote.slowest < local.seconds


def test_dollars_are_those_of_the_usage() -> None:
    row = lambda_row(graph(), 100)
    assert row.cost == cost(row.usage, RESOURCES.prices, "x86_64")
    assert row.usage.invocations >= 600
    assert row.usage.milliseconds / 1000 >= row.work  # a slower processor, cold starts and fetching besides
    assert row.usage.mb_ms >= 1769 * row.usage.milliseconds
    assert row.usage.disk_mb_ms == row.usage.milliseconds * 1536
    assert row.usage.get == row.cold * models.COLD_GETS


def test_wider_starts_more_environments_and_costs_more() -> None:
    narrow, wide = (lambda_row(graph(), width) for width in (20, 500))
    assert wide.seconds < narrow.seconds
    assert wide.cold > narrow.cold
    assert wide.cost.total > narrow.cost.total


def test_what_must_be_sent_first_takes_its_time() -> None:
    there, sent = lambda_row(graph(), 100), lambda_row(graph(first=100_000_000, to_send=200_000_000), 100)
    assert sent.sending == pytest.approx(100e6 * models.PACKED / models.UPLINK)
    assert sent.seconds == pytest.approx(there.seconds + sent.sending)
    assert sent.usage.put > there.usage.put


def test_a_small_function_has_a_share_of_a_processor() -> None:
    small = rows(graph(), ["lambda"], [50], RESOURCES._replace(memory_mb=(884,)))[0]
    whole = rows(graph(), ["lambda"], [50], RESOURCES._replace(memory_mb=(1769,)))[0]
    assert small.usage.milliseconds > 1.7 * whole.usage.milliseconds


SPOT = RESOURCES._replace(spot=ProcessorHour(0.018, "said"))


def test_spot_machines_boot_first_and_are_paid_by_the_hour() -> None:
    (row,) = rows(graph(), ["spot"], [64], SPOT)
    (same,) = rows(graph(), ["lambda"], [64], SPOT)
    assert row.seconds > same.seconds + 40.0
    assert row.cost.machines == pytest.approx(64 * 0.018 * (row.seconds + models.IDLE) / 3600)
    assert (row.cost.lambda_time, row.usage.invocations) == (0.0, 0)
    assert row.usage.get == 4 * models.COLD_GETS


def test_functions_do_the_work_while_spot_machines_boot() -> None:
    """A build that is over before they are there costs their time all the same, and one that lasts is cheaper for them."""
    long = WeightedGraph(
        tuple(NodeSpec(id=n, seconds=60.0, work=Work.COMPILE) for n in range(2000)), tuple(range(2000))
    )
    alone, both = rows(long, ["lambda"], [64], SPOT)[0], together(long, ["spot", "lambda"], 64, SPOT)
    assert both.seconds < 0.7 * alone.seconds
    assert both.cost.lambda_time < 0.7 * alone.cost.lambda_time


def test_a_processor_of_spot_machines_has_a_price_and_a_source() -> None:
    found = spot_hour(HOME, {"c7i"})
    assert found.dollars == pytest.approx(1.7372 / 96, rel=0.001)
    assert HOME in found.source
    assert "is not in it" in spot_hour("eu-west-1", {"c7i"}).source
    asked = asked_hour({"c7i.4xlarge": 0.32, "c6a.8xlarge": 0.48}, cpus_of)
    assert asked is not None
    assert asked.dollars == pytest.approx((0.02 + 0.015) / 2)
    assert asked_hour({}, cpus_of) is None


def test_nothing_to_run_costs_nothing() -> None:
    row = lambda_row(WeightedGraph((), ()), 100)
    assert (row.seconds, row.cost) == (0.0, Cost())


def test_what_was_never_seen_is_guessed_and_told() -> None:
    compiles = [NodeSpec(id=n, work=Work.COMPILE, seconds=s) for n, s in enumerate((1.0, 2.0, 9.0, None, None))]
    link = NodeSpec(id="link", work=Work.LINK, seconds=None)
    filled, guessed = known_or_guessed([*compiles, link])
    assert [node.seconds for node in filled] == [1.0, 2.0, 9.0, 2.0, 2.0, DEFAULT_SECONDS[Work.LINK]]
    assert guessed == {"compile": Guess(2, 2.0, True), "link": Guess(1, DEFAULT_SECONDS[Work.LINK], False)}


def test_the_table_says_where_each_assumption_is_from() -> None:
    assert all(all(row) for row in models.ASSUMED)
    assert len({row.what for row in models.ASSUMED}) == len(models.ASSUMED)


def test_several_regions_add_their_ramps_and_are_paid_at_their_own_prices() -> None:
    """A region alone has 1,000 at once and 100 more a second, two have twice that; the first are done after 6 s."""
    nodes = tuple(NodeSpec(id=n, seconds=5.0, work=Work.COMPILE) for n in range(2500))
    wide = WeightedGraph(nodes, tuple(range(2500)))
    one = RESOURCES._replace(memory_mb=(1769,))
    two = one._replace(more=(prices("ap-northeast-1"),))
    (alone,), (both,) = rows(wide, ["lambda"], [2500], one), rows(wide, ["lambda"], [2500], two)
    assert both.engine == "lambda"
    assert alone.peak < 1900 < both.peak
    assert both.usage.invocations >= 2500
    assert both.peak <= 2500
    at_home = cost(both.usage, one.prices, "x86_64").total
    assert both.cost.total != pytest.approx(at_home, rel=1e-6), "what runs in Tokyo is paid there"


def test_the_first_region_does_what_it_has_room_for() -> None:
    two = RESOURCES._replace(more=(prices("ap-northeast-1"),))
    (row,) = rows(graph(), ["lambda"], [100], two)
    at_home = cost(row.usage, RESOURCES.prices, "x86_64").total
    assert row.cost.total == pytest.approx(at_home, rel=0.01), "but for duplicates of stragglers"


def test_short_thunks_share_invocations_as_in_a_force() -> None:
    from gg.engines.awslambda import lambda_engine as engine

    assert (models.BATCH, models.CALL) == (engine._BATCH, engine._CALL_S)
    nodes = tuple(NodeSpec(id=n, seconds=0.005, work=Work.ASSEMBLE) for n in range(2000))
    row = lambda_row(WeightedGraph(nodes, tuple(range(2000))), 100)
    assert row.usage.invocations < 1000
    assert row.usage.milliseconds / 1000 >= row.work
