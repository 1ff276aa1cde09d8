"""Limits how many requests are under way at once: more while all is well, half when the other side asks for fewer.

Additive increase, multiplicative decrease, as in TCP. S3 answers SlowDown when a prefix gets too many requests, and needs
time to spread the load; a client that goes on at the same pace keeps it from doing so.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from types import TracebackType

_CALM_S = 1.0


class Adaptive:
    """An async context manager that lets `width` in at once. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], *, first: float = 16.0, most: float = 64.0) -> None:
        self.width = first
        self.slowed = 0
        self._most = most
        self._clock = clock
        self._inside = 0
        self._calm = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        while self._inside >= int(self.width):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._wake()
                raise
        self._inside += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        self._wake()

    def went_well(self) -> None:
        """A request was served: the width grows by one for each round of requests."""
        self.width = min(self._most, self.width + 1.0 / self.width)

    def slow_down(self) -> None:
        """The other side wants fewer requests: halve the width. Answers of one burst count once."""
        now = self._clock()
        self.slowed += 1
        if now >= self._calm:
            self.width = max(1.0, self.width / 2.0)
            self._calm = now + _CALM_S

    def _wake(self) -> None:
        free = int(self.width) - self._inside
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1


def pause(failures: int, *, first_s: float = 0.1, most_s: float = 5.0) -> float:
    """Seconds to wait after `failures` failures: doubled each time, and spread at random so that clients do not stay in step."""
    return float(min(most_s, first_s * 2.0 ** (failures - 1)) * (0.5 + random.random()))
