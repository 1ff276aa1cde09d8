"""A week of a team's builds under virtual time: on Lambda, on spot, on a server, and mixed. What it costs, how long one waits.

    python -m benchmarks.virtual.week [--people N] [--builds N] [--days N] [--units N] [--seed S] [--json FILE] [--markdown FILE]

Three projects: mosh and FFmpeg as they were recorded (`*.graph`), and a graph of Chromium's shape with `--units` compiles.
`team.py` says what is built, `places.py` how each place answers; the scheduler is gg's own. Prices of Lambda are those of
`gg-force --estimate`, those of machines are in `machines.toml`; both tables are dated. Waiting is from gg-force's start to its end.
"""

from __future__ import annotations

import argparse
import json
import random
import tomllib
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from benchmarks import scheduler
from benchmarks.machine import machine
from benchmarks.virtual import report, team
from benchmarks.virtual.graph import decode
from benchmarks.virtual.places import BOOT, Fleet, Functions, Pool, Terms
from benchmarks.virtual.team_run import Clock, Place, TeamRun
from gg.cost import models
from gg.cost.prices import HOME, prices

GRAPHS = [Path(__file__).with_name(f"{name}.graph") for name in ("mosh", "ffmpeg")]
MACHINES = Path(__file__).with_name("machines.toml")
TYPE = "c7i.24xlarge"
WEEK_H, OFFICE_H = 7 * 24, 5 * 11
PAUSE_S = 30.0
SMALL, OWN, PART = 16, 8, 16
KINDS = (team.FEW, team.HEADER, team.WIDE, team.WHOLE)
COLD_BYTES = 90 * models.MB


class World(NamedTuple):
    """What a place is made of."""

    clock: Clock
    rng: random.Random
    machine: dict[str, float]

    def lambda_(self) -> Functions:
        price = prices(HOME).second("x86_64", models.ONE_CPU_MB)
        model = models.lambda_model(Functions.LIMIT, (1769, 3008), int(COLD_BYTES * models.PACKED), price=price)
        return Functions(self.clock, self.rng, model, prices(HOME))

    def desk(self) -> Pool:
        """A person's own machine."""
        return Pool(self.clock, self.rng, "local", OWN, slowness=1.0, latency=models.LOCAL_OVERHEAD)

    def spot(self, processors: int) -> Fleet:
        hour = self.machine["spot"] * SMALL / self.machine["processors"]
        return Fleet(self.clock, self.rng, "spot", Terms(SMALL, processors // SMALL, hour))

    def server(self, processors: int, price: str) -> Pool:
        dollars = self.machine[price] * processors / self.machine["processors"] * WEEK_H
        return Pool(self.clock, self.rng, "remote", processors, price=dollars)


class Site(NamedTuple):
    """Places that all share, and whether each person's own machine is there besides."""

    shared: Callable[[World], Sequence[Place]]
    own: bool = False


ALONE = f"each person's own {OWN} processors"
SERVER = "one server of 96 processors, reserved for 3 years"
SITES = {
    ALONE: Site(lambda world: [], own=True),
    "Lambda, at most 1,000 wide": Site(lambda world: [world.lambda_()]),
    "spot, at most 96 processors": Site(lambda world: [world.spot(96)]),
    "spot, at most 384 processors": Site(lambda world: [world.spot(384)]),
    SERVER: Site(lambda world: [world.server(96, "reserved_3y")]),
    "own 8 processors, and Lambda": Site(lambda world: [world.lambda_()], own=True),
    "spot, at most 96, and Lambda": Site(lambda world: [world.spot(96), world.lambda_()]),
    "16 processors reserved for 3 years, and Lambda": Site(
        lambda world: [world.server(PART, "reserved_3y"), world.lambda_()]
    ),
}


class Outcome(NamedTuple):
    """`waits`: seconds by kind of build. `busy`: processor seconds inside of the places."""

    waits: dict[str, list[float]]
    dollars: float
    busy: float
    thunks: int


class Week:
    """One week at one site. Who is still waiting for a build begins the next one after it."""

    def __init__(self, project: team.Project, builds: Sequence[team.TeamBuild], site: Site, seed: int) -> None:
        self._project = project
        self._clock = Clock()
        self._world = World(self._clock, random.Random(seed), machine_prices())
        self._shared = list(site.shared(self._world))
        self._own: dict[int, Place] = {}
        self._due: dict[int, deque[team.TeamBuild]] = {}
        self._waits: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self._thunks = 0
        for build in builds:
            self._due.setdefault(build.person, deque()).append(build)
        for person in self._due:
            if site.own:
                self._own[person] = self._world.desk()
            self._next(person)

    def run(self) -> Outcome:
        self._clock.run()
        assert not any(self._due.values())
        places = [*self._shared, *self._own.values()]
        dollars = sum([place.dollars() for place in places])
        return Outcome(self._waits, dollars, sum([place.busy() for place in places]), self._thunks)

    def _next(self, person: int) -> None:
        if self._due[person]:
            build = self._due[person].popleft()
            earliest = self._clock.now + PAUSE_S if self._clock.now else 0.0
            self._clock.at(max(earliest, build.at), lambda: self._begin(build))

    def _begin(self, build: team.TeamBuild) -> None:
        nodes, roots = self._project.whole() if build.kind is team.WHOLE else self._project.new(build.sources)
        self._thunks += len(nodes)
        own = [self._own[build.person]] if self._own else []

        def done(seconds: float) -> None:
            self._waits[build.kind].append(seconds)
            self._next(build.person)

        TeamRun(self._clock, nodes, roots, [*own, *self._shared], done)


def machine_prices() -> dict[str, float]:
    found: dict[str, float] = tomllib.loads(MACHINES.read_text())[TYPE]
    return found


def dated() -> dict[str, str]:
    return {"Lambda, S3": prices(HOME).dated, "machines": str(tomllib.loads(MACHINES.read_text())["dated"])}


def figures(outcome: Outcome) -> dict[str, Any]:
    waits = {}
    for kind, seconds in outcome.waits.items():
        if seconds:
            points = quantiles([*seconds, seconds[0]], n=20)
            waits[kind] = {"builds": len(seconds), "median s": round(points[9], 1), "95% s": round(points[18], 1)}
    hours = outcome.busy / 3600
    return {"dollars": round(outcome.dollars, 2), "processor hours": round(hours, 1), "waits": waits}


def run_project(project: team.Project, habits: team.Habits, seed: int) -> dict[str, Any]:
    builds = team.week(project, habits, seed)
    rows: dict[str, Any] = {}
    thunks = 0
    for name, site in SITES.items():
        outcome = Week(project, builds, site, seed).run()
        rows[name], thunks = figures(outcome), outcome.thunks
        print(project.name, name, json.dumps(rows[name]), flush=True)
    return {
        "thunks": len(project.nodes),
        "hours of work": round(project.work / 3600, 2),
        "builds": len(builds),
        "thunks of the week": thunks,
        "places": rows,
    }


def server_and_lambda() -> dict[str, float]:
    """Dollars of one processor hour here and there; how much of all hours a server must work to be the cheaper one."""
    machine_ = machine_prices()
    by_the_second = prices(HOME).second("x86_64", models.ONE_CPU_MB) * 3600
    found = {"lambda": by_the_second}
    for name in ("on_demand", "reserved_1y", "reserved_3y", "spot"):
        hour = machine_[name] / machine_["processors"]
        found |= {name: hour, f"{name} part": hour / by_the_second}
    return {name: round(value, 4) for name, value in found.items()}


def markdown(result: dict[str, Any]) -> str:
    habits, rates, dates = result["habits"], result["rates"], result["dated"]
    lines = [f"# A week of a team of {habits['people']}", ""]
    lines += [f"- {key}: {value}" for key, value in result["machine"].items()]
    lines += [
        "",
        f"Prices: {', '.join(f'{what} of {day}' for what, day in dates.items())}; us-east-1. Seed {result['seed']}.",
    ]
    lines += ["Waiting is `gg-force` alone, in seconds: median / what 95 % stay below.", ""]
    for name, project in result["projects"].items():
        lines += _table(name, project)
    lines += ["## A processor hour", "", "| where | dollars | of Lambda's |", "|---|---|---|"]
    lines.append(f"| Lambda, {models.ONE_CPU_MB} MB | {rates['lambda']:.4f} | |")
    lines += [
        f"| {TYPE}, {name.replace('_', ' ')} | {rates[name]:.4f} | {rates[name + ' part']:.0%} |"
        for name in ("on_demand", "reserved_1y", "reserved_3y", "spot")
    ]
    lines += ["", *_answer(result), "", *_assumed(habits)]
    return "\n".join(lines) + "\n"


def _table(name: str, project: dict[str, Any]) -> list[str]:
    lines = [
        f"## {name}",
        "",
        f"{project['thunks']:,} thunks, {project['hours of work']} hours of work for one processor; "
        f"{project['builds']:,} builds in the week, of {project['thunks of the week']:,} thunks. Outputs that come home from AWS "
        f"cost ${_traffic(project):.2f} more, wherever they are made there.",
        "",
        "| | dollars | processor hours | " + " | ".join(KINDS) + " |",
        "|" + "---|" * (3 + len(KINDS)),
    ]
    for place, row in project["places"].items():
        waits = [row["waits"].get(kind) for kind in KINDS]
        cells = [f"{wait['median s']:,} / {wait['95% s']:,}" if wait else "" for wait in waits]
        paid = "has them" if place == ALONE else f"{row['dollars']:,.2f}"
        lines.append(f"| {place} | {paid} | {row['processor hours']:,} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _traffic(project: dict[str, Any]) -> float:
    return float(project["thunks of the week"] * models.OUTPUT / (1 << 30) * prices(HOME).out)


def _answer(result: dict[str, Any]) -> list[str]:
    """What becomes of "a server with the same stats costs a fifth"."""
    part = result["rates"]["reserved_3y part"]
    count, lines = machine_prices()["processors"] * WEEK_H, []
    lines.append(
        f"An hour of the reserved server's processors does cost a fifth of Lambda's ({part:.0%}), and all {count:,.0f} of a "
        f"week are paid. So the server is the cheaper one for who keeps it busy for more than {part:.0%} of them, nights and "
        f"weekends included: {part * count:,.0f} hours a week."
    )
    for name, project in result["projects"].items():
        used = project["places"][SERVER]["processor hours"]
        whole = project["hours of work"] * models.SLOWNESS
        lines.append(
            f"{name}: this team needs {used:,} of them ({used / count:.1%}); the server would pay from "
            f"{(part * count - used) / whole:,.0f} more builds of everything from nothing a week on."
        )
    machine_, rate = machine_prices(), result["rates"]["lambda"]
    lines.append(
        f"The same server costs ${machine_['on_demand'] * WEEK_H:,.0f} a week on demand, ${machine_['reserved_1y'] * WEEK_H:,.0f} "
        f"reserved for a year, ${machine_['on_demand'] * OFFICE_H:,.0f} on demand for {OFFICE_H} office hours. One that is rented "
        f"for P dollars a week elsewhere pays from P / {rate:.4f} hours on: {60 / rate:,.0f} for $60."
    )
    return [line for each in lines for line in ("", each)][1:]


def _assumed(habits: dict[str, Any]) -> list[str]:
    few = 1 - habits["header"] - habits["wide"]
    rows = [
        ("a person's builds", f"{habits['builds']} a day, {habits['days']} days, begun between 9 and 18 o'clock, fewer at noon"),
        ("what they touch", f"{few:.0%} one to three sources, {habits['header']:.0%} a header that 4 compiles to a tenth of all "
         f"include, {habits['wide']:.0%} one that a tenth to six tenths include; side by side; and all that is made of these"),
        ("what is known", "all else: from the person's own store or the team's. Once a night all is built from nothing"),
        ("a processor of EC2", f"as Lambda's, {models.SLOWNESS} times the recorded time; own machines: 1. Variation as for Lambda"),
        ("a request", "Lambda: as for --estimate; server: 30 ms, spot: 100 ms, both log-normal, sigma 0.5"),
        ("Lambda's environments", f"warm for {Functions.KEPT_S:.0f} s after their last work; {Functions.LIMIT:,} at once; "
         "their start counts as processor hours"),
        ("spot machines", f"{SMALL} processors each; as many as would do all that is left within a minute; {BOOT.median:.0f} s to "
         "boot; they end after ten idle minutes; 0.5 % are taken back in an hour, with notice"),
        ("not counted", "a server's disk, care and failures; storage"),
    ]  # fmt: skip
    return ["| assumed | |", "|---|---|", *[f"| {what} | {value} |" for what, value in rows]]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.virtual.week", description="a week of a team's builds under virtual time"
    )
    for name, value in team.Habits()._asdict().items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--units", type=int, default=10_000, help="compiles of the graph of Chromium's shape")
    parser.add_argument("--seed", type=int, default=1)
    report.add_options(parser)
    options = parser.parse_args(argv)
    habits = team.Habits(*[getattr(options, name) for name in team.Habits._fields])
    recorded = [decode(zlib.decompress(graph.read_bytes())) for graph in GRAPHS]
    projects = [
        *[team.Project(each.name, each.graph().nodes) for each in recorded],
        team.Project(f"{options.units:,} units of Chromium's shape", scheduler.build(options.units * 11 // 10)),
    ]
    result: dict[str, Any] = {
        "machine": machine(),
        "habits": habits._asdict(),
        "seed": options.seed,
        "dated": dated(),
        "rates": server_and_lambda(),
        "projects": {project.name: run_project(project, habits, options.seed) for project in projects},
    }
    report.put(result, markdown(result), options)


if __name__ == "__main__":
    main()
