"""`gg builds`: the runs of gg-infer, gg-force and gg nix force, also those that are still going on."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line

if TYPE_CHECKING:
    from gg.workspace.runs import RunRecord

_WIDEST = 60  # characters of a command


@click.command("gg builds", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--all", "every", is_flag=True, help="Of every workspace of yours, not just this one.")
@click.option("--running", is_flag=True, help="Those that are going on.")
@click.option(
    "-n", "most", type=click.IntRange(min=1), default=20, show_default=True, help="How many, the latest ones."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("--debug", is_flag=True, hidden=True)
def command(every: bool, running: bool, most: int, as_json: bool, debug: bool) -> int:
    """List runs, the latest first: when, what, how it ended, how many thunks or derivations, how long, what it cost.

    `gg show NAME` tells more of one.
    """
    from gg.workspace.runs import runs, workspaces

    shown = workspaces(every=every)
    if running:
        from gg.workspace.running import running as going_on

        found = [{**each, "workspace": workspace.root} for workspace in shown for each in going_on(workspace)]
        lines = [json.dumps(each) if as_json else _going_on(each, every) for each in found]
        nothing = "nothing is going on"
    else:
        ended = runs(shown)[:most]
        lines = [json.dumps({"name": r.name, "workspace": r.root, **r.record}) for r in ended]
        lines = lines if as_json else _table(ended, every)
        nothing = "nothing was recorded or forced yet"
    for line in lines or ([] if as_json else [nothing]):
        tell_line(line)
    return 0


def _going_on(each: dict[str, object], every: bool) -> str:
    from gg.observe.wording import seconds
    from gg.workspace.runs import command as command_of

    began, words = each.get("time"), each.get("words")
    since = seconds(max(0.0, time.time() - began)) if isinstance(began, (int, float)) else "?"
    of = _short([str(word) for word in words] if isinstance(words, list) else [])
    line = f"{command_of(str(each.get('what')))} {of}".rstrip()
    return f"{line}: for {since}, process {each.get('pid')}" + (f", in {each['workspace']}" if every else "")


def _table(ended: Sequence[RunRecord], every: bool) -> list[str]:
    from gg.observe.in_columns import columns

    head = ["name", "began", "what", "status", "thunks", "took", "cost", *(["workspace"] if every else []), "of"]
    return columns(head, [_row(run, every) for run in ended], right=(3, 4, 5, 6)) if ended else []


def _row(run: RunRecord, every: bool) -> list[str]:
    from gg.observe.wording import dollars, seconds

    if run.what == "infer":
        thunks = f"{run.number('thunks'):.0f} recorded"
    else:
        thunks = f"{run.number('ran'):.0f} ran, {run.number('cached'):.0f} cached"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    return [
        run.name,
        began,
        run.what,
        f"{run.number('status'):.0f}",
        thunks,
        seconds(run.number("wall")),
        dollars(run.dollars) if run.dollars else "",
        *([run.root] if every else []),
        _short(run.words),
    ]


def _short(words: Sequence[str]) -> str:
    text = shlex.join([os.fsdecode(word) for word in words])
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
