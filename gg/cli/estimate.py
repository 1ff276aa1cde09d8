"""`gg-force --estimate`: time and dollars beforehand, for each engine and width, with all that was assumed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gg.cost.models import ASSUMED
from gg.errors import UsageError
from gg.observe.wording import count, dollars, seconds

if TYPE_CHECKING:
    from gg.cost.forecast import Resources, Row, WeightedGraph

_WIDTHS = (100, 500, 1000)
_SPOT_WIDTHS = (64, 256)
_MODELLED = ("local", "lambda", "spot")
_COLUMNS = (
    "engine", "wide", "time", "from", "to", "dollars", "Lambda time", "requests", "S3", "out", "machines", "cold", "peak",
)  # fmt: skip


def show(targets: Sequence[str], widths: tuple[int, ...], *, as_json: bool, engine: str | None, **flags: object) -> int:
    """Print the estimate; exit status 0."""
    from gg.cli.consent import settle
    from gg.cost.forecast import rows, together
    from gg.engines.registry import check_names
    from gg.estimate.spot_price import processor_hour
    from gg.estimate.weighted_graph import what_and_where
    from gg.workspace.targets import Targets
    from gg.workspace.workspace import Workspace

    workspace = Workspace.need(os.path.dirname(os.path.abspath(targets[0])) if targets else ".")
    settings = settle(workspace.root, {"engine": engine, **flags})
    check_names(settings)
    _need_models(settings.engine if engine else ())
    wanted = Targets.named(targets, os.getcwd()) if targets else Targets.all(workspace)
    graph, resources = what_and_where(workspace, settings, wanted)
    engines = settings.engine if engine else _MODELLED
    if "spot" in engines:
        resources = resources._replace(spot=processor_hour(settings, resources.prices.region, resources.architecture))
    said = widths or ((settings.jobs,) if settings.jobs else ())
    found: list[Row] = []
    for name in engines:
        found += rows(graph, [name], said or (_SPOT_WIDTHS if name == "spot" else _WIDTHS), resources)
    if engine and len(engines) > 1:
        found += [together(graph, engines, width, resources) for width in said or _SPOT_WIDTHS]
    if as_json:
        click.echo(json.dumps(_as_json(graph, resources, found)))
    elif sys.stdout.isatty():
        _draw(graph, resources, found)
    else:
        _print(graph, resources, found)
    return 0


def _need_models(engines: Sequence[str]) -> None:
    unknown = [name for name in engines if name not in _MODELLED]
    if unknown:
        raise UsageError(
            f"there is no estimate for the engine {unknown[0]!r}: how fast its machines are, and what they cost, is yours to say",
            hint=f"there is one for: {', '.join(_MODELLED)}",
        )


def _cells(row: Row) -> tuple[str, ...]:
    cost = row.cost
    paid = (cost.total, cost.lambda_time, cost.lambda_requests, cost.s3_requests, cost.bytes_out, cost.machines)
    free = row.engine == "local"
    return (
        row.engine,
        f"{row.width:,}",
        *(seconds(value) for value in (row.seconds, row.fastest, row.slowest)),
        *("-" if free else dollars(value) for value in paid),
        "-" if free else f"{row.cold:,}",
        f"{row.peak:,}",
    )


def _notes(graph: WeightedGraph, resources: Resources, found: Sequence[Row]) -> list[str]:
    """What a reader must know to judge the figures, a sentence each."""
    path = max((row.path for row in found), default=0.0)
    work = max((row.work for row in found), default=0.0)
    notes = [f"{count(len(graph.nodes), 'thunk')} to run, {seconds(work)} of work; the longest chain: {seconds(path)}"]
    unseen = sum(guess.thunks for guess in graph.guessed.values())
    if unseen:
        kinds = [
            f"{guess.thunks} {kind} at {guess.seconds:.2g} s ({'median of those seen' if guess.learnt else 'by default'})"
            for kind, guess in sorted(graph.guessed.items())
        ]
        notes.append(f"{count(unseen, 'duration')} guessed: {', '.join(kinds)}")
    sent = max((row.sending for row in found), default=0.0)
    if sent:
        told = f"{graph.first / 1e6:.0f} MB of tools and headers sent first, in {seconds(sent)}"
        notes.append(f"{told}; {graph.to_send / 1e6:.0f} MB in all, before packing")
    paid = resources.prices
    notes.append(
        f"published prices of {paid.region}, {paid.dated}, without free tiers; {resources.architecture}, functions"
    )
    notes[-1] += f" of {', '.join(map(str, resources.memory_mb))} MB"
    notes += [
        f"not known for {each.region}, taken from us-east-1: {', '.join(each.assumed)}"
        for each in (paid, *resources.more)
        if each.assumed
    ]
    if resources.more:
        others = ", ".join([each.region for each in resources.more])
        notes.append(f"what {paid.region} has no room for runs in {others}, at their own prices")
        notes.append("transfer between regions is not in it: the store stays in its own")
    spot = [row for row in found if row.cost.machines]
    if spot:
        notes.append(
            f"spot machines: {dollars(resources.spot.dollars)} an hour of a processor, {resources.spot.source}"
        )
    notes.append("what others have put into a team's store is not looked for")
    return notes


def _as_json(graph: WeightedGraph, resources: Resources, found: Sequence[Row]) -> dict[str, Any]:
    return {
        "version": 1,
        "thunks": len(graph.nodes),
        "guessed": {kind: guess._asdict() for kind, guess in graph.guessed.items()},
        "bytes_to_send": graph.to_send,
        "bytes_to_send_first": graph.first,
        "bytes_of_a_cold_start": graph.cold_bytes,
        "place": {
            **resources._asdict(),
            "prices": resources.prices._asdict(),
            "spot": resources.spot._asdict(),
            "more": [each._asdict() for each in resources.more],
        },
        "rows": [
            {
                **row._asdict(),
                "cost": {**row.cost._asdict(), "total": row.cost.total},
                "usage": row.usage._asdict(),
            }
            for row in found
        ],
        "assumed": [row._asdict() for row in ASSUMED],
    }


def _print(graph: WeightedGraph, resources: Resources, found: Sequence[Row]) -> None:
    lines = [_COLUMNS, *(_cells(row) for row in found)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(_COLUMNS))]
    for line in lines:
        click.echo("  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)))
    for note in _notes(graph, resources, found):
        click.echo(f"gg: {note}")
    click.echo("assumed:")
    for row in ASSUMED:
        click.echo(f"  {row.what}: {row.value} [{row.source}]")


def _draw(graph: WeightedGraph, resources: Resources, found: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(color_system=None)  # gg shows what orders a terminal, and these are among it
    table = Table(title="What forcing this would take")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "engine" else "right")
    for row in found:
        table.add_row(*_cells(row))
    console.print(table)
    for note in _notes(graph, resources, found):
        console.print(f"gg: {note}", markup=False, highlight=False)
    assumed = Table(title="Assumed", show_lines=False)
    for name in ("what", "value", "source"):
        assumed.add_column(name, overflow="fold")
    for each in ASSUMED:
        assumed.add_row(*each)
    console.print(assumed)
