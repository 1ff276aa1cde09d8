"""`gg stats`: how much was recorded, run, known, saved, paid and failed, by day."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import click

from gg.light.slotted import slotted

if TYPE_CHECKING:
    from gg.workspace.runs import RunRecord


@slotted(frozen=False)
class Sums:
    """Sums over some runs. `hits`: thunks whose results were known, `fetched` of them from the team's store. `busy`: seconds of
    commands that ran; `saved`: of commands whose results were known. `meanwhile`: thunks forced while a build was recorded.
    """

    recorded: int = 0
    forced: int = 0
    ran: int = 0
    hits: int = 0
    fetched: int = 0
    meanwhile: int = 0
    failed: int = 0
    busy: float = 0.0
    saved: float = 0.0
    dollars: float = 0.0

    def add(self, run: RunRecord) -> None:
        if run.what == "infer":
            self.recorded += 1
            self.meanwhile += run.forced_meanwhile
        else:
            self.forced += 1
            self.ran += int(run.number("ran"))
            self.hits += int(run.number("cached"))
            self.fetched += int(run.number("fetched"))
            self.failed += int(run.number("failed"))
            self.busy += run.number("busy")
            self.saved += run.number("saved")
        self.dollars += run.dollars

    def as_json(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = ("recorded", "forced", "ran", "hits", "fetched", "meanwhile", "failed", "busy", "saved", "dollars")


@click.command("gg stats", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--all", "every", is_flag=True, help="Of every workspace of yours, not just this one.")
@click.option("--days", type=click.IntRange(min=1), default=30, show_default=True, help="How far back.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--debug", is_flag=True, hidden=True)
def command(every: bool, days: int, as_json: bool, debug: bool) -> int:
    """Say, by day, how many builds there were, how many thunks ran or were known, what that saved and what it cost."""
    from gg.workspace.runs import DAY_S, runs, workspaces

    found = runs(workspaces(every=every), time.time() - days * DAY_S)
    by_day, total = _by_day(found), Sums()
    for run in found:
        total.add(run)
    if as_json:
        per_day = {day: sums.as_json() for day, sums in by_day.items()}
        click.echo(json.dumps({"days": per_day, "total": total.as_json()}))
    elif not found:
        click.echo(f"nothing was recorded or forced in the last {days} days")
    else:
        for line in _table(by_day, total):
            click.echo(line)
    return 0


def _by_day(found: Iterable[RunRecord]) -> dict[str, Sums]:
    """The sums by day, in order of the days by this machine's clock. Days without a run are left out."""
    by_day: dict[str, Sums] = {}
    for run in found:
        by_day.setdefault(time.strftime("%Y-%m-%d", time.localtime(run.started)), Sums()).add(run)
    return dict(sorted(by_day.items()))


_HEAD = ("day", "recorded", "forced", "ran", "known", "from team", "failed", "commands took", "saved", "cost")


def _table(by_day: Mapping[str, Sums], total: Sums) -> list[str]:
    from gg.observe.in_columns import columns

    rows = [_row(day, sums) for day, sums in by_day.items()]
    rows += [_row("all", total)] if len(rows) > 1 else []
    return columns(_HEAD, rows, right=range(1, len(_HEAD)))


def _row(name: str, sums: Sums) -> list[str]:
    from gg.observe.wording import dollars, seconds

    every = sums.ran + sums.hits
    share = f" ({sums.hits / every:.0%})" if every else ""
    counts = [
        str(sums.recorded),
        str(sums.forced),
        str(sums.ran),
        f"{sums.hits}{share}",
        str(sums.fetched),
        str(sums.failed),
    ]
    cost = dollars(sums.dollars) if sums.dollars else ""
    return [name, *counts, seconds(sums.busy), seconds(sums.saved), cost]
