"""What is told of a force while a build goes on beside it, which writes to the same place at any time.

What tools print is passed on. On a terminal a line tells now and then how far what somebody waits for is: a picture that
moves would be torn by the build's own lines, and a log is to hold what the build has said.
"""

from __future__ import annotations

import time

from gg.observe import wording
from gg.observe.build_events import BuildEvent, Note, Progress
from gg.observe.plain import EVERY, NoteRate
from gg.observe.quiet import Quiet
from gg.observe.sink import Clock, TextOutput


class Meanwhile(Quiet):
    """The sink of gg-infer. `progress`: whether lines tell how far it is."""

    def __init__(self, out: TextOutput, err: TextOutput, *, progress: bool, clock: Clock = time.monotonic) -> None:
        super().__init__(out, err)
        self._progress = progress
        self._clock = clock
        self._notes = NoteRate(clock)
        self._next = clock() + EVERY
        self._last = clock()

    def see(self, event: BuildEvent) -> None:
        super().see(event)
        if isinstance(event, Note) and (text := self._notes.line(event)):
            self._err.line(text)
        if isinstance(event, Progress) and self._progress:
            now = self._clock()
            if now - self._last > EVERY:  # nobody has waited for a while
                self._next = now + EVERY
            self._last = now
            if now >= self._next and event.running + event.to_go:
                self._next = now + EVERY
                self._err.line(wording.progress(event))
