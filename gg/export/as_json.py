"""A graph of thunks as one JSON object (docs/export.md has the schema)."""

from __future__ import annotations

import json
import os

from gg.core.ids import ThunkId
from gg.core.thunk import Entry, File, OutputOf, Symlink, Thunk
from gg.export.steps import Step, StepGraph

VERSION = 1


def as_json(graph: StepGraph) -> str:
    groups = {
        group.hex(): {
            "inputs": [_input(entry) for entry in node.entries],
            "groups": [below.hex() for below in node.groups],
        }
        for step in graph.steps.values()
        for group, node in zip(graph.groups.ids_below(step.thunk.groups), graph.nodes(step), strict=True)
    }
    return json.dumps(
        {
            "version": VERSION,
            "root": os.fsdecode(graph.root),
            "targets": [
                {"path": os.fsdecode(path), "step": step.hex(), "output": output}
                for path, step, output in graph.targets
            ],
            "steps": {name.hex(): _step(step) for name, step in graph.steps.items()},
            "groups": groups,
        },
        indent=1,
    )


def command_as_json(thunk: Thunk) -> dict[str, object]:
    """What a thunk runs, in terms that JSON has."""
    return {
        "work": thunk.work.value,
        "model": thunk.model,
        "program": os.fsdecode(thunk.program),
        "argv": [os.fsdecode(word) for word in thunk.argv],
        "cwd": os.fsdecode(thunk.cwd),
        "env": {os.fsdecode(name): os.fsdecode(value) for name, value in thunk.env},
    }


def _step(step: Step) -> dict[str, object]:
    thunk = step.thunk
    made = step.reduction.outputs
    return {
        "name": step.name,
        **command_as_json(thunk),
        "needs": [need.hex() for need in step.needs],
        "inputs": [_input(entry) for entry in step.entries],
        "groups": [group.hex() for group in thunk.groups],
        "outputs": [
            {
                "path": os.fsdecode(output.path),
                "optional": output.optional,
                "dependency_file": output.soft,
                "blake3": blob.blob.hex if blob else None,
                "size": blob.blob.size if blob else None,
                "executable": bool(blob and blob.executable),
            }
            for output, blob in zip(thunk.outputs, made, strict=True)
        ],
        "seconds": step.seconds,
        "memory": step.reduction.usage.memory,
    }


def _input(entry: Entry) -> dict[str, object]:
    path = os.fsdecode(entry.path)
    if isinstance(entry, OutputOf):
        return {"path": path, "step": ThunkId(entry.thunk).hex(), "output": entry.index}
    if isinstance(entry, File):
        return {"path": path, "blake3": entry.blob.hex, "size": entry.blob.size, "executable": entry.executable}
    if isinstance(entry, Symlink):
        return {"path": path, "link": os.fsdecode(entry.target)}
    return {"path": path, "directory": True}
