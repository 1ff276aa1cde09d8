"""`gg gc`: make the store smaller."""

from __future__ import annotations

import os
import re

import click

from gg.cli.tell_line import tell_line
from gg.errors import UsageError
from gg.workspace import homes
from gg.workspace.setting_values import size
from gg.workspace.workspace import Workspace

_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command("gg gc", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--max-age", default="30d", show_default=True, metavar="AGE", help="Drop what was not used for so long (12h, 30d)."
)
@click.option("--max-size", metavar="SIZE", help="Then drop the oldest until the store is this small (500M, 10G).")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--debug", is_flag=True, hidden=True)
def command(max_age: str, max_size: str | None, dry_run: bool, debug: bool) -> int:
    """Drop results, thunks and blobs that no placeholder of a workspace needs, the oldest first, from the store of all of them.

    What is remembered of workspaces whose directories were removed goes too. Builds may go on meanwhile: what was used in the
    last two hours stays, or since before the oldest gg that runs was started.
    """
    from gg.force.housekeeping import tidy

    age, size = _age(max_age), _size(max_size) if max_size else None
    found = Workspace.find()
    home = homes.cache_home() if found is None else found.home
    store = os.path.join(home, "store") if found is None else found.store
    if found is None and not os.path.isdir(store):
        Workspace.need()
    sharing = list(Workspace.every(home)) if home else [found] if found else []
    done = tidy(sharing, home, store, max_age_s=age, max_bytes=size, dry_run=dry_run)
    verb, report = "would drop" if dry_run else "dropped", done.report
    dropped = sum(report.dropped.values())
    tell_line(
        f"{verb} {dropped} of {report.objects} objects, {report.dropped_size / 1e6:.1f} of {report.size / 1e6:.1f} MB;"
        f" {done.placeholders} placeholders need {report.needed_size / 1e6:.1f} MB"
    )
    for path in done.forgotten:
        tell_line(f"{'would forget' if dry_run else 'forgot'} {path}, which is gone")
    return 0


def _size(text: str) -> int:
    try:
        return size(text, "--max-size")
    except UsageError:
        raise click.BadParameter(f"{text!r} is no size", param_hint="--max-size") from None


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text!r} is no age", param_hint="--max-age")
    return float(found[1]) * _AGES[found[2]]
