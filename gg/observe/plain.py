"""Plain lines, for logs and pipes: what tools print, failures, a progress line now and then, and the last line."""

from __future__ import annotations

import time
from typing import assert_never

from gg.observe import wording
from gg.observe.build_events import (
    BuildEvent,
    Diagnostics,
    Note,
    Placed,
    Progress,
    RunFinished,
    Started,
    ThunkDone,
    ThunkFailed,
    ThunkStarted,
)
from gg.observe.sink import Clock, TextOutput

EVERY = 5.0  # seconds between progress lines
_NOTES = 1.0  # seconds between notes: an outage makes thousands
_NEW = 10  # texts that are let through at once the first time


class NoteRate:
    """Lets one note through a second, and says how many it kept back. The first few new ones need not wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = float("-inf")
        self._hidden = 0
        self._seen: set[str] = set()

    def line(self, note: Note) -> str | None:
        now = self._clock()
        new = len(self._seen) < _NEW and note.text not in self._seen
        if new:
            self._seen.add(note.text)
        elif now < self._next:
            self._hidden += 1
            return None
        self._next = now + _NOTES
        hidden, self._hidden = self._hidden, 0
        return f"gg: {note.text}" + (f" (and {wording.count(hidden, 'note')} before it)" if hidden else "")


class Plain:
    """The sink for a standard error that is no terminal. Tools' own output is passed on byte for byte."""

    def __init__(self, out: TextOutput, err: TextOutput, clock: Clock = time.monotonic) -> None:
        self._out = out
        self._err = err
        self._clock = clock
        self._notes = NoteRate(clock)
        self._next = clock() + EVERY

    def see(self, event: BuildEvent) -> None:
        match event:
            case Diagnostics():
                self._show(event)
            case ThunkFailed():
                self._show(event)
                text = wording.failed(event)
                if text:
                    self._err.line(text)
            case Progress():
                now = self._clock()
                if now >= self._next:
                    self._next = now + EVERY
                    self._err.line(wording.progress(event))
            case Note():
                text = self._notes.line(event)
                if text:
                    self._err.line(text)
            case RunFinished():
                for line in (*wording.failures(event), *wording.shares(event), wording.finished(event)):
                    self._err.line(line)
            case Started() | ThunkStarted() | ThunkDone() | Placed():
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Nothing is held."""

    def _show(self, event: Diagnostics | ThunkFailed) -> None:
        self._out.show(event.stdout)
        self._err.show(event.stderr)
