"""What a force would take and cost, by running the real scheduler under virtual time. Pure: a graph goes in, rows come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median

from gg.core.thunk import Work
from gg.cost import models
from gg.cost.meter import BilledUsage, Cost, cost
from gg.cost.prices import FREE_DISK_MB, Prices, ProcessorHour
from gg.light.named import NamedTuple
from gg.schedule.engine_model import EngineModel, EngineUse
from gg.schedule.events import NodeId, NodeSpec
from gg.schedule.policy import DEFAULT_SECONDS, Policy
from gg.schedule.simulator import Simulation, simulate

_MOST_RUNS = 5
_NODES = 5000  # simulated at most for one row, unless one run needs more
_ENOUGH = 3  # durations from which a guess is made


class Guess(NamedTuple):
    """How many thunks of a kind were never seen, and how long each is assumed to take. `learnt`: it is the median of those seen."""

    thunks: int
    seconds: float
    learnt: bool


class WeightedGraph(NamedTuple):
    """The graph to force. `guessed`: by kind of work. `cold_bytes`: bytes of tools and headers that an environment fetches
    before its first thunk; `to_send`: bytes that are not in the store yet, `first` of them needed before anything can run.
    All bytes are counted unpacked.
    """

    nodes: tuple[NodeSpec, ...]
    roots: tuple[NodeId, ...]
    guessed: Mapping[str, Guess] = {}
    cold_bytes: int = 0
    to_send: int = 0
    first: int = 0


class Resources(NamedTuple):
    """Where the graph would run: on Lambda, with its prices and functions, on spot machines, and on this machine. `more`: further
    regions with functions like those of the first, at their own prices.
    """

    prices: Prices
    architecture: str
    memory_mb: tuple[int, ...]
    disk_mb: int
    processors: int
    memory: int
    more: tuple[Prices, ...] = ()
    spot: ProcessorHour = ProcessorHour(0.0, "")


class Row(NamedTuple):
    """One engine at one width. `seconds`: the median of `runs`, which were `fastest` to `slowest`; `path`: the longest
    chain on this machine's durations, `sending`: the part of `seconds` before anything can run.
    """

    engine: str
    width: int
    seconds: float
    fastest: float
    slowest: float
    runs: int
    cost: Cost
    usage: BilledUsage
    cold: int
    peak: int
    path: float
    work: float
    sending: float


def known_or_guessed(nodes: Sequence[NodeSpec]) -> tuple[tuple[NodeSpec, ...], dict[str, Guess]]:
    """The nodes, each with a duration, and the guesses for unknown ones: the median of the kind, if a few durations of it are
    known, else the scheduler's own expectation.
    """
    known: dict[Work, list[float]] = {}
    lacking: dict[Work, int] = {}
    for node in nodes:
        if node.seconds is None:
            lacking[node.work] = lacking.get(node.work, 0) + 1
        else:
            known.setdefault(node.work, []).append(node.seconds)
    guesses: dict[str, Guess] = {}
    for work, count in lacking.items():
        seen = known.get(work, [])
        learnt = len(seen) >= _ENOUGH
        guesses[work.value] = Guess(count, median(seen) if learnt else DEFAULT_SECONDS[work], learnt)
    filled = [n if n.seconds is not None else n._replace(seconds=guesses[n.work.value].seconds) for n in nodes]
    return tuple(filled), guesses


def rows(graph: WeightedGraph, engines: Iterable[str], widths: Sequence[int], resources: Resources) -> list[Row]:
    """A row for each engine and width. This machine has only one width, its processors."""
    found: list[Row] = []
    for engine in engines:
        if engine == "local":
            width = min(resources.processors, max(widths))
            found.append(_row(graph, "local", [models.local_model(width, resources.memory)], width, resources))
            continue
        for width in widths:
            found.append(_row(graph, engine, _models(graph, engine, width, resources), width, resources))
    return found


def together(graph: WeightedGraph, engines: Sequence[str], width: int, resources: Resources) -> Row:
    """A row for several engines in one build: this machine with its processors, the others with this width each."""
    used = [model for engine in engines for model in _models(graph, engine, width, resources)]
    return _row(graph, ",".join(engines), used, width * len(engines), resources)


def _models(graph: WeightedGraph, engine: str, width: int, resources: Resources) -> list[EngineModel]:
    cold = int(graph.cold_bytes * models.PACKED)
    if engine == "local":
        return [models.local_model(resources.processors, resources.memory)]
    if engine == "spot":
        return [models.spot_model(width, cold)]
    price = resources.prices.second(resources.architecture, resources.memory_mb[0], resources.disk_mb)
    model = models.lambda_model(width, resources.memory_mb, cold, price=price)
    return [model, *[replace(model, name=f"{model.name}/{each.region}") for each in resources.more]]


def _row(graph: WeightedGraph, engine: str, engines: Sequence[EngineModel], width: int, resources: Resources) -> Row:
    """One row. `engines`: all that share the build; regions too, and as in a force, the width is for all of them together."""
    policy = Policy(width=width) if len(engines) > 1 else None
    sending = 0.0 if engine == "local" else graph.first * models.PACKED / models.UPLINK
    count = max(1, min(_MOST_RUNS, _NODES // max(1, len(graph.nodes))))
    runs = sorted(
        [simulate(graph.nodes, graph.roots, engines, policy, seed=seed) for seed in range(1, count + 1)],
        key=lambda run: run.makespan,
    )
    middle = runs[len(runs) // 2]
    usage, paid = _paid(graph, engines, middle, resources)
    uses = [use for name, use in middle.engines.items() if name != "local" or engine == "local"]
    return Row(
        engine=engine,
        width=width,
        seconds=sending + middle.makespan,
        fastest=sending + runs[0].makespan,
        slowest=sending + runs[-1].makespan,
        runs=count,
        cost=paid,
        usage=usage,
        cold=sum([use.cold for use in uses]),
        peak=min(width, sum([use.peak for use in uses])),
        path=middle.path,
        work=middle.work,
        sending=sending,
    )


def _paid(
    graph: WeightedGraph, engines: Sequence[EngineModel], run: Simulation, resources: Resources
) -> tuple[BilledUsage, Cost]:
    """What a run uses and costs. What has to be sent is sent once, whoever reads it."""
    usage, paid = BilledUsage(), Cost()
    regions = iter((resources.prices, *resources.more))
    for model in engines:
        if model.name == "local":
            continue
        use = run.engines[model.name]
        rest = graph._replace(to_send=0) if usage.put else graph
        if model.name == "spot":
            part, prices = _spot_usage(rest, use, model.workers), resources.prices
            hours = model.workers * (run.makespan + models.IDLE) / 3600 if use.attempts else 0.0
            paid = paid.plus(Cost(machines=hours * resources.spot.dollars))
        else:
            part, prices = _usage(rest, use, resources), next(regions)
        usage, paid = usage.plus(part), paid.plus(cost(part, prices, resources.architecture))
    return usage, paid


def _spot_usage(graph: WeightedGraph, use: EngineUse, processors: int) -> BilledUsage:
    if not use.attempts:
        return BilledUsage()
    packs = -(-int(graph.to_send * models.PACKED) // models.PACK)
    return BilledUsage(
        put=packs + 2 + int(use.attempts * models.PUT_SHARE),
        get=-(-processors // models.MACHINE) * models.COLD_GETS,
        out=use.attempts * models.OUTPUT,
    )


def _usage(graph: WeightedGraph, use: EngineUse, resources: Resources) -> BilledUsage:
    by_class = {mb * models.MB - models.RESERVE: mb for mb in resources.memory_mb}
    milliseconds = {by_class[size]: int(seconds * 1000) for size, seconds in use.inside.items()}
    total = sum(milliseconds.values())
    if not use.attempts:
        return BilledUsage()
    packs = -(-int(graph.to_send * models.PACKED) // models.PACK)
    return BilledUsage(
        invocations=use.calls,
        milliseconds=total,
        mb_ms=sum(mb * took for mb, took in milliseconds.items()),
        disk_mb_ms=total * max(0, resources.disk_mb - FREE_DISK_MB),
        put=packs + 2 + int(use.attempts * models.PUT_SHARE),
        get=use.cold * models.COLD_GETS,
        out=use.attempts * models.OUTPUT,
    )
