"""A trace of a force for chrome://tracing and Perfetto: which thunk ran where, when and for how long.

The format is the JSON Array Format of "Trace Event Format" (Google, 2016): complete events ("X") with times in
microseconds. Its closing bracket may be missing, so the file of a killed run is readable too. An engine is shown as a
process, and each of its slots as a thread: a thunk takes the first row that is free. What it did in all is its process's label.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import IO

from gg.errors import UsageError
from gg.light.shown import encoded
from gg.observe import wording
from gg.observe.build_events import BuildEvent, Note, Progress, RunFinished, ThunkDone, ThunkFailed, ThunkStarted
from gg.observe.sink import Clock

_GG = 0  # the process row of gg itself


@dataclass(frozen=True, slots=True)
class _Open:
    label: str
    engine: str
    row: int
    at: float


class Trace:
    """Writes as it goes. UsageError when the file cannot be made; a disk that fills up later ends the trace alone."""

    def __init__(self, path: str, clock: Clock = time.monotonic) -> None:
        try:
            self._file: IO[str] | None = open(path, "w", encoding="utf-8")  # noqa: SIM115  # open for the whole run
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", hint="--trace names a file to write") from error
        self._clock = clock
        self._start = clock()
        self._open: dict[str, _Open] = {}
        self._engines: dict[str, int] = {}
        self._rows: dict[str, set[int]] = {}
        self._write("[\n")
        self._event({"ph": "M", "name": "process_name", "pid": _GG, "tid": 0, "args": {"name": "gg"}})

    def see(self, event: BuildEvent) -> None:
        match event:
            case ThunkStarted():
                self._end(event.id, "again")  # a second attempt of the same thunk: the first is not followed any more
                self._begin(event)
            case ThunkDone(how="cached") if event.id not in self._open:
                self._instant("cached", event.label)
            case ThunkDone():
                self._end(event.id, event.how, seconds=event.seconds, engine=event.engine)
            case ThunkFailed():
                self._end(event.id, "failed", status=event.status)
            case Note():
                self._instant("note", event.text)
            case Progress():
                counts = {"running": event.running, "to go": event.to_go}
                self._event({"ph": "C", "name": "thunks", "pid": _GG, "tid": 0, "ts": self._now(), "args": counts})
            case RunFinished():
                for engine, told in event.where.items():
                    self._label(engine, wording.share(told))
            case _:
                pass

    def close(self) -> None:
        for thunk in list(self._open):
            self._end(thunk, "given up")
        self._write('{"ph":"M","name":"end","pid":0,"tid":0,"args":{}}\n]\n')
        if self._file is not None:
            self._file.close()

    def _begin(self, event: ThunkStarted) -> None:
        if event.engine not in self._engines:
            pid = self._engines[event.engine] = len(self._engines) + 1
            self._event({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": event.engine}})
        rows = self._rows.setdefault(event.engine, set())
        row = next(n for n in range(len(rows) + 1) if n not in rows)
        rows.add(row)
        self._open[event.id] = _Open(event.label, event.engine, row, self._now())

    def _label(self, engine: str, text: str) -> None:
        """What an engine did in all, beside its name."""
        args = {"labels": text}
        self._event(
            {"ph": "M", "name": "process_labels", "pid": self._engines.get(engine, _GG), "tid": 0, "args": args}
        )

    def _end(self, thunk: str, how: str, **more: object) -> None:
        known = self._open.pop(thunk, None)
        if known is None:
            return
        self._rows[known.engine].discard(known.row)
        track = {"pid": self._engines[known.engine], "tid": known.row}
        span = {"ts": known.at, "dur": max(0.0, round(self._now() - known.at, 1))}
        args = {"thunk": thunk, "how": how, **more}
        self._event({"ph": "X", "name": _text(known.label), "cat": how, **track, **span, "args": args})

    def _instant(self, kind: str, name: str) -> None:
        self._event({"ph": "i", "s": "p", "name": _text(name), "cat": kind, "pid": _GG, "tid": 0, "ts": self._now()})

    def _now(self) -> float:
        return round((self._clock() - self._start) * 1e6, 1)

    def _event(self, record: dict[str, object]) -> None:
        self._write(json.dumps(record, separators=(",", ":")) + ",\n")

    def _write(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(text)
        except OSError:
            self._file = None


def _text(label: str) -> str:
    """A label that may hold bytes which are no UTF-8, for a format that wants text."""
    return encoded(label).decode("utf-8", "replace")
