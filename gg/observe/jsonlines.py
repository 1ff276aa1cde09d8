"""One JSON object a line on standard output, for other programs. Version 1.

Each object has `event` (the class of `gg.observe.build_events` in lower case with hyphens: "thunk-done") and `t`, seconds
since the sink was made; the fields are those of the event. "started" also has `version` and `time`, seconds since 1970.

JSON has no bytes. Text and bytes that are valid UTF-8 stand as a string; any other is under its name with `_base64`
appended, in base64 of the bytes (`stderr_base64`). Empty ones stand as empty strings.

"progress" comes at most twice a second.
"""

from __future__ import annotations

import base64
import json
import re
import time

from gg.light.shown import encoded
from gg.observe.build_events import BuildEvent, Progress, Started
from gg.observe.sink import Clock, TextOutput

VERSION = 1
_EVERY = 0.5  # seconds between progress objects


class JsonLines:
    """The sink of --json."""

    def __init__(self, out: TextOutput, clock: Clock = time.monotonic, now: Clock = time.time) -> None:
        self._out = out
        self._clock = clock
        self._now = now
        self._start = clock()
        self._next = float("-inf")

    def see(self, event: BuildEvent) -> None:
        at = self._clock()
        if isinstance(event, Progress):
            if at < self._next:
                return
            self._next = at + _EVERY
        record: dict[str, object] = {"event": name_of(event), "t": round(at - self._start, 4)}
        if isinstance(event, Started):
            record |= {"version": VERSION, "time": self._now()}
        for name, value in event._asdict().items():
            _put(record, name, value)
        self._out.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Nothing is held."""


def name_of(event: BuildEvent) -> str:
    """ "thunk-done" for a ThunkDone."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(event).__name__).lower()


def _put(record: dict[str, object], name: str, value: object) -> None:
    if isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else encoded(value)
        try:
            record[name] = data.decode()
        except UnicodeDecodeError:
            record[name + "_base64"] = base64.b64encode(data).decode()
    else:
        record[name] = value
