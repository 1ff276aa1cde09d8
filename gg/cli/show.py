"""`gg show`: all that is known of one run, or of one thunk."""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line

if TYPE_CHECKING:
    from gg.workspace.runs import RunRecord


@click.command("gg show", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("name")
@click.pass_context
def command(context: click.Context, name: str, as_json: bool, debug: bool) -> int:
    """Say what became of the run NAME (`gg builds` names them), or what a thunk or file is, as gg describe does."""
    from gg.workspace.runs import is_name, named, workspaces

    run = named(workspaces(every=True), name) if is_name(name) else None
    if run is None:
        from gg.cli.describe import command as describe

        context.invoke(describe, name=name, as_json=as_json)
        return 0
    if as_json:
        click.echo(json.dumps({"name": run.name, "workspace": run.root, **run.record}))
        return 0
    for line in _recorded(run) if run.what == "infer" else _forced(run):
        tell_line(line)
    return 0


def _head(run: RunRecord) -> list[str]:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    words = shlex.join([os.fsdecode(word) for word in run.words])
    return [
        f"{run.command} {words}".rstrip(),
        f"in {run.root}, began {began}, took {run.number('wall'):.1f} s, ended with status {run.number('status'):.0f}",
    ]


def _recorded(run: RunRecord) -> list[str]:
    lines = [*_head(run), f"{run.number('thunks'):.0f} thunks, {run.number('new'):.0f} of them new"]
    lines += [f"{count:6} by {tool}" for tool, count in _largest(run.table("by_tool"))]
    real = _largest(run.table("real"))
    lines += ["calls that ran for real:"] if real else []
    lines += [f"{count:6} {why}" for why, count in real]
    if run.forced_meanwhile:
        forced = run.table("forced")
        lines.append(
            f"{run.forced_meanwhile} thunks forced meanwhile, for {forced.get('readers')} that read what they make"
        )
    return lines


def _forced(run: RunRecord) -> list[str]:
    from gg.observe.build_events import RunFinished
    from gg.observe.wording import count, dollars, finished, seconds

    record = {name: value for name, value in run.record.items() if name in RunFinished._fields}
    missing = {name: 0 for name in RunFinished._fields[:8] if name not in record}
    lines = [*_head(run), finished(RunFinished(**{**missing, **record})).removeprefix("gg: ")]  # type: ignore[arg-type]
    if run.number("here"):
        lines.append(f"{run.number('here'):.0f} derivations were built by nix here")
    for engine, told in sorted(run.table("where").items()):
        if isinstance(told, dict):
            spent = f", {dollars(told['dollars'])}" if told.get("dollars") else ""
            lines.append(
                f"{count(told['thunks'], 'thunk')} ran on {engine}, for {seconds(told['seconds'])} of commands{spent}"
            )
    if run.number("saved"):
        lines.append(f"what was known had taken {seconds(run.number('saved'))} of commands")
    if run.number("fetched"):
        lines.append(f"{run.number('fetched'):.0f} results came from the team's store")
    failures = run.record.get("failures")
    lines += [f"failed: {each}" for each in failures] if isinstance(failures, list) else []
    return lines


def _largest(counts: dict[str, object]) -> list[tuple[str, int]]:
    known = [(name, number) for name, number in counts.items() if isinstance(number, int)]
    return sorted(known, key=lambda item: (-item[1], item[0]))
