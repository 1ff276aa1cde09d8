"""What gg itself says of a workspace: how many thunks it holds, which calls ran for real, and why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.packages.share import Share, shares
from gg.core import placeholder
from gg.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Summary:
    """`thunks` is None when gg does not say. `real_runs` and `questions` (trials of configure steps too) count by reason.

    `metadata` is in bytes, blobs aside. `waiting`: thunks that were not forced yet when recording ended.
    """

    thunks: int | None = None
    real_runs: dict[str, int] = field(default_factory=dict)
    questions: dict[str, int] = field(default_factory=dict)
    by_work: dict[str, int] = field(default_factory=dict)
    ran: int | None = None
    cached: int | None = None
    metadata: int | None = None
    forced_on_read: int | None = None
    waiting: int | None = None


def _table(value: object) -> dict[str, object]:
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _counts(value: object) -> dict[str, int]:
    return {name: number for name, number in _table(value).items() if isinstance(number, int)}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def parse(text: str) -> Summary:
    """From `gg status --json`: the last recording and forcing, and what the store holds of each kind."""
    try:
        said = _table(json.loads(text))
    except ValueError:
        return Summary()
    infer, force, store = _table(said.get("infer")), _table(said.get("force")), _table(said.get("store"))
    sizes = [_number(_table(counts).get("bytes")) or 0 for kind, counts in store.items() if kind != "blob"]
    return Summary(
        thunks=_number(infer.get("thunks")),
        real_runs=_counts(infer.get("real")),
        questions=_counts(infer.get("questions")),
        by_work=_counts(infer.get("by_work")),
        ran=_number(force.get("ran")),
        cached=_number(force.get("cached")),
        metadata=sum(sizes) if store else None,
        forced_on_read=_number(infer.get("forced_on_read")),
        waiting=_number(_table(infer.get("forced")).get("left")),
    )


def read(gg: Path, workspace: Path, env: Mapping[str, str] | None = None) -> Summary:
    """Ask `gg status --json` in the workspace; an empty summary when it fails."""
    done = subprocess.run(
        [str(gg / "gg"), "status", "--json"], cwd=workspace, env=env, capture_output=True, text=True, check=False
    )
    return parse(done.stdout) if done.returncode == 0 else Summary()


def is_placeholder(path: Path) -> bool:
    """Whether the file is still a placeholder."""
    if path.is_symlink() or path.stat().st_size != placeholder.SIZE:
        return False
    return placeholder.parse(path.read_bytes()) is not None


def shares_of(found: Summary, workspace: Path) -> dict[str, Share]:
    """Which share of the calls of the last recording became thunks, by class."""
    found_there = Workspace.find(str(workspace))
    calls = Path(found_there.dot if found_there else workspace) / "calls.jsonl"
    lines = [json.loads(line) for line in calls.read_text(errors="replace").splitlines()] if calls.exists() else []
    return shares(found.by_work, [(line["tool"], line["argv"]) for line in lines if not line.get("probe", True)])
