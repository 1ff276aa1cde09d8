"""A team's week under virtual time: what is drawn, that all of it is built in each place, and what that costs."""

from __future__ import annotations

import random

import pytest

from benchmarks import scheduler
from benchmarks.virtual import team, week
from benchmarks.virtual.places import Fleet, Pool, Terms
from benchmarks.virtual.team_run import Clock, TeamRun
from gg.core.thunk import Work
from gg.schedule.events import NodeSpec

HABITS = team.Habits(people=3, days=1, builds=4, header=0.3, wide=0.2)


@pytest.fixture(scope="module")
def project() -> team.Project:
    return team.Project("of Chromium's shape", scheduler.build(400))


@pytest.fixture(scope="module")
def builds(project: team.Project) -> list[team.TeamBuild]:
    return team.week(project, HABITS, 1)


def test_a_seed_says_all(project: team.Project, builds: list[team.TeamBuild]) -> None:
    assert team.week(project, HABITS, 1) == builds
    assert team.week(project, HABITS, 2) != builds
    assert sum(build.person != team.NOBODY for build in builds) == 12
    assert all(9 <= build.at / 3600 < 18 for build in builds if build.person != team.NOBODY)


def test_what_an_edit_makes_anew(project: team.Project) -> None:
    """Its archive, the library of that, the program; no library that is only linked against it."""
    nodes, roots = project.new(project.sources[:1])
    assert [node.work for node in nodes] == [Work.COMPILE, Work.ARCHIVE, Work.LINK, Work.LINK]
    assert roots == (nodes[-1].id,)
    assert [len(node.deps) for node in nodes] == [0, 1, 1, 1]
    assert len(project.whole()[0]) == len(project.nodes)


@pytest.mark.parametrize("site", week.SITES)
def test_all_is_built_everywhere(project: team.Project, builds: list[team.TeamBuild], site: str) -> None:
    first, again = (week.Week(project, builds, week.SITES[site], 1).run() for _ in range(2))
    assert first == again
    assert sum(map(len, first.waits.values())) == len(builds)
    assert first.busy >= 0.8 * sum(
        node.seconds or 0 for build in builds for node in project.new(build.sources)[0] if build.sources
    )


def test_what_a_week_costs(project: team.Project, builds: list[team.TeamBuild]) -> None:
    server = week.Week(project, builds, week.SITES[week.SERVER], 1).run()
    assert server.dollars == pytest.approx(1.88608 * 24 * 7)
    functions = week.Week(project, builds, week.SITES["Lambda, at most 1,000 wide"], 1).run()
    hour = week.server_and_lambda()["lambda"]
    assert functions.dollars == pytest.approx(functions.busy / 3600 * hour, rel=0.2)
    spot = week.Week(project, builds, week.SITES["spot, at most 96 processors"], 1).run()
    assert spot.busy / 3600 * 1.7372 / 96 < spot.dollars < server.dollars


def _alike(count: int, name: str) -> tuple[NodeSpec, ...]:
    return tuple([NodeSpec(id=f"{name}{n}", work=Work.COMPILE, seconds=1.0) for n in range(count)])


def test_builds_take_turns() -> None:
    """A small build does not wait for a large one that came before it."""
    clock = Clock()
    pool = Pool(clock, random.Random(1), "remote", 4, slowness=1.0)
    ends: dict[str, float] = {}
    for name, count in (("large", 400), ("small", 4)):
        nodes = _alike(count, name)
        TeamRun(clock, nodes, [node.id for node in nodes], [pool], lambda s, name=name: ends.update({name: s}))  # type: ignore[misc]
    clock.run()
    assert ends["small"] < 10
    assert ends["large"] > 95


def test_machines_that_are_taken_back_lose_no_build() -> None:
    """One every half minute: what runs there when two minutes are over runs again on another one."""
    clock = Clock()
    fleet = Fleet(clock, random.Random(1), "spot", Terms(4, 8, 1.0, notices=120.0))
    nodes = tuple([node._replace(seconds=90.0) for node in _alike(60, "n")])
    ends: list[float] = []
    TeamRun(clock, nodes, [node.id for node in nodes], [fleet], ends.append)
    clock.run()
    assert len(ends) == 1
    assert fleet.taken > 3
    assert not fleet.machines


def test_machines_end_when_nobody_builds() -> None:
    clock = Clock()
    fleet = Fleet(clock, random.Random(1), "spot", Terms(16, 6, 3.6, notices=1e-9))
    TeamRun(clock, _alike(1, "n"), ["n0"], [fleet], lambda seconds: None)
    clock.run()
    assert 0.6 < fleet.dollars() < 0.8  # ten idle minutes, and what it took to boot


def test_the_table_says_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    week.main(["--people", "2", "--days", "1", "--builds", "2", "--units", "300"])
    told = capsys.readouterr().out
    assert "# A week of a team of 2" in told
    assert "machines of 2026-09-25" in told
    assert all(f"| {site} |" in told for site in week.SITES)
