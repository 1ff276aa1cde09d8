"""`gg status`: what is recorded and not forced yet, and how the last runs went."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.workspace.history import Record


@click.command("gg status", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--debug", is_flag=True, hidden=True)
def command(as_json: bool, debug: bool) -> int:
    """Say how many placeholders wait to be forced, how big the store is, and how the last runs went."""
    from gg.store.base import Kind
    from gg.store.directory import DirectoryStore
    from gg.workspace import history

    workspace = Workspace.need()
    waiting = sorted(os.path.relpath(os.fsdecode(path), workspace.root) for path in workspace.placeholders())
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        sizes = {kind.name.lower(): [s.size for s in store.keys(kind)] for kind in Kind}
    finally:
        store.close()
    runs = {command: next(history.runs(workspace, command), None) for command in ("infer", "force")}
    if as_json:
        click.echo(json.dumps(_report(workspace, waiting, sizes) | runs))
        return 0
    tell_line(f"workspace {workspace.root}, with its records in {workspace.dot}")
    tell_line(f"{len(waiting)} placeholders wait to be forced{_some(waiting)}")
    blobs, metadata = sum(sizes["blob"]), sum(sum(s) for name, s in sizes.items() if name != "blob")
    tell_line(f"store {workspace.store}: {len(sizes['blob'])} blobs ({_bytes(blobs)}), {len(sizes['thunk'])} thunks,"
               f" {len(sizes['reduction'])} reductions ({_bytes(metadata)} of metadata)")  # fmt: skip
    for line in (*_of_infer(runs["infer"]), *_of_force(runs["force"])):
        tell_line(line)
    return 0


def _report(workspace: Workspace, waiting: list[str], sizes: Mapping[str, list[int]]) -> dict[str, object]:
    return {
        "workspace": workspace.root,
        "records": workspace.dot,
        "store_directory": workspace.store,
        "placeholders": waiting,
        "store": {name: {"count": len(s), "bytes": sum(s)} for name, s in sizes.items()},
    }


def _of_infer(infer: Record | None) -> Iterator[str]:
    if not infer:
        return
    yield (f"last gg-infer {_ago(infer)}: {infer['thunks']} thunks, {infer['new']} new;"
           f" {_sum(infer.get('real'))} calls ran for real; status {infer['status']}")  # fmt: skip
    forced = infer.get("forced")
    if isinstance(forced, dict) and forced.get("thunks"):
        every = forced["thunks"] + forced["left"]
        yield (f"  {forced['thunks']} of {every} thunks forced while recording, for {forced['readers']} that read"
               f" what was not made yet ({forced['seconds']:.1f} s)")  # fmt: skip


def _of_force(force: Record | None) -> Iterator[str]:
    if force:
        yield (f"last gg-force {_ago(force)}: {force['ran']} ran, {force['cached']} cached,"
               f" {force['failed']} failed; status {force['status']}")  # fmt: skip


def _some(names: list[str]) -> str:
    return f": {', '.join(names[:3])}{', …' if len(names) > 3 else ''}" if names else ""


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _sum(real: object) -> int:
    return sum(n for n in real.values() if isinstance(n, int)) if isinstance(real, Mapping) else 0


def _ago(record: Mapping[str, object]) -> str:
    at = record.get("time")
    seconds = max(0.0, time.time() - float(at)) if isinstance(at, (int, float)) else 0.0
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
