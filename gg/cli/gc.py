"""`gg gc`: make the store smaller."""

from __future__ import annotations

import os
import re

import click

from gg.workspace import Workspace

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.command("gg gc", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--max-age", default="30d", show_default=True, metavar="AGE", help="Drop what was not used for so long (12h, 30d)."
)
@click.option("--max-size", metavar="SIZE", help="Then drop the oldest until the store is this small (500M, 10G).")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--debug", is_flag=True, hidden=True)
def command(max_age: str, max_size: str | None, dry_run: bool, debug: bool) -> int:
    """Drop results, thunks and blobs that no placeholder of a workspace needs, the oldest first."""
    from gg.record.softfiles import soft_key
    from gg.store.base import Key, Kind
    from gg.store.directory import DirectoryStore
    from gg.store.gc import collect

    age, size = _age(max_age), _size(max_size) if max_size else None
    workspace = Workspace.need()
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        thunks = {known.thunk for each in _sharing(workspace) for known in each.placeholders().values()}
        roots = [Key(kind, thunk) for thunk in thunks for kind in (Kind.THUNK, Kind.REDUCTION)]
        roots += [soft_key(thunk) for thunk in thunks]
        report = collect(store, roots, max_age_s=age, max_bytes=size, dry_run=dry_run)
    finally:
        store.close()
    if not dry_run:
        workspace.remove_scratch()
    verb = "would drop" if dry_run else "dropped"
    dropped = sum(report.dropped.values())
    click.echo(
        f"{verb} {dropped} of {report.objects} objects, {report.dropped_size / 1e6:.1f} of {report.size / 1e6:.1f} MB;"
        f" {len(thunks)} placeholders need {report.needed_size / 1e6:.1f} MB"
    )
    return 0


def _sharing(workspace: Workspace) -> list[Workspace]:
    """The workspaces that use the store of this one."""
    return list(Workspace.every(workspace.home)) if workspace.home else [workspace]


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text!r} is no age", param_hint="--max-age")
    return float(found[1]) * _AGES[found[2]]


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise click.BadParameter(f"{text!r} is no size", param_hint="--max-size")
    return int(float(found[1]) * _UNITS[found[2]])
