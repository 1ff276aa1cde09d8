"""A clock that stands still while this process does not run: its machine slept, or it was stopped (Ctrl-Z, SIGSTOP).

After such a time every timer is due at once, while answers that came meanwhile still lie unread in sockets. A program that
looked at its timers first would give up attempts that have been answered, and pay for them twice. On this clock the time has
not passed, and another second is left to read what has come.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK_S = 1.0
"""Seconds. Whoever waits looks at the clock at least this often, so a longer gap means that the process did not run."""
_STOPPED_S = 3.0
_READING_S = 1.0


class Awake:
    """Seconds from any start. For one thread, which looks at it every `LOOK_S` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = self._shown = clock()
        self._asleep = 0.0

    def now(self) -> float:
        real = self._clock()
        gap, self._last = real - self._last, real
        if gap > _STOPPED_S:
            self._asleep += gap + _READING_S
        self._shown = max(self._shown, real - self._asleep)
        return self._shown
