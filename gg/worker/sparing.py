"""Says what a stranger can have happen without an end: the first times in a minute, and then how often more."""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST = 10
_MINUTE_S = 60.0


class SparingSay:
    """`say`, called `_MOST` times a minute and once more at most."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._until = 0.0
        self._count = 0

    def __call__(self, text: str) -> None:
        now = self._clock()
        if now >= self._until:
            if self._count > _MOST:
                self._say(f"and {self._count - _MOST} more such")
            self._count, self._until = 0, now + _MINUTE_S
        self._count += 1
        if self._count <= _MOST:
            self._say(text)
