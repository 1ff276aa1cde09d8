"""What the last runs in a workspace did: `history.jsonl` among its records, one JSON object a run, and `calls.jsonl`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import cast

from gg.workspace.workspace import Workspace

_MOST_DAMAGED = 1000  # lines: a file with more is no history

Record = Mapping[str, object]


def append(workspace: Workspace, record: Record) -> None:
    """Add one run, by one write of one line, so that two runs at once do not mix. If it cannot be written, it is left out."""
    data = (json.dumps(record) + "\n").encode()
    with suppress(OSError):  # a run does not fail because its story has no place
        fd = os.open(workspace.history, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)


def runs(workspace: Workspace, what: str | None = None) -> Iterator[Record]:
    """The runs, the last one first; `what` is "infer" or "force". A damaged line is passed over."""
    try:
        with open(workspace.history, "rb") as file:
            lines = file.readlines()
    except OSError:
        return
    from gg.core.jsontext import json_from
    from gg.errors import FormatError

    damaged = 0
    for text in reversed(lines):
        try:
            record = json_from(text, "line of the history")
        except FormatError:
            damaged += 1
            if damaged > _MOST_DAMAGED:
                return
            continue
        if isinstance(record, dict) and what in (None, record.get("what")):
            yield record


def real_runs(workspace: Workspace) -> dict[str, int]:
    """Why calls ran for real when the build was last recorded, and how many."""
    for record in runs(workspace, "infer"):
        real = record.get("real")
        return dict(cast("dict[str, int]", real)) if isinstance(real, dict) else {}
    return {}


def calls(workspace: Workspace) -> Iterator[Record]:
    """The calls of the last recording that were not made thunks, in order."""
    return (record for record in _lines(workspace) if "read" not in record)


def reads(workspace: Workspace) -> Iterator[Record]:
    """The programs that opened unmade outputs during the last recording: `reader` opened the file `read`."""
    return (record for record in _lines(workspace) if "read" in record)


def _lines(workspace: Workspace) -> Iterator[Record]:
    from gg.core.jsontext import json_from
    from gg.errors import FormatError

    try:
        with open(os.path.join(workspace.dot, "calls.jsonl"), "rb") as file:
            for text in file:
                record = json_from(text, "line of the calls")
                if isinstance(record, dict):
                    yield record
    except (OSError, FormatError):
        return
