"""What may leave with an export: nix's store is everybody's, and an export is often put where others get it."""

from __future__ import annotations

import os

from gg.core.ids import GroupId
from gg.core.thunk import BY_HAND, File
from gg.export.steps import CannotExport, Step, StepGraph
from gg.workspace.granted import Granted


def need_to_stay_nowhere(graph: StepGraph, granted: Granted) -> None:
    """CannotExport if a step reads a file that is neither the workspace's, the system's nor its tool's, and not `readable`.

    A stranger's source may name any file (`.incbin "/home/ann/.ssh/id_ed25519"`), and a link may lead to any.
    """
    seen: set[tuple[bytes, tuple[GroupId, ...]]] = set()
    for step in graph.steps.values():
        kept = granted.first_kept(_read_by(graph, step, seen), step.thunk.program)
        if kept:
            raise CannotExport(
                f"{step.name} is made of {os.fsdecode(kept)}, which is not the build's own",
                hint=f'whoever gets the export gets that file: if that is meant, readable = ["{os.fsdecode(kept)}"]',
            )


def _read_by(graph: StepGraph, step: Step, seen: set[tuple[bytes, tuple[GroupId, ...]]]) -> list[bytes]:
    """The files of a step; those of its groups once for each tool."""
    entries = list(step.entries)
    key = (step.thunk.program, step.thunk.groups)
    if key not in seen:
        seen.add(key)
        entries += [entry for node in graph.nodes(step) for entry in node.entries]
    return [entry.path for entry in entries if isinstance(entry, File) and not entry.path.startswith(BY_HAND + b"/")]
