"""Limits the bytes of requests in memory: a thousand attempts of six megabytes each would be too many."""

from __future__ import annotations

import asyncio
from collections import deque


class ByteSemaphore:
    """`most` bytes. A request for which too few are left waits in line, so that large requests come to their turn too.

    For one event loop.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = most
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> int:
        """Wait for room for `size` bytes, or for all there is. Returns how many bytes to give back."""
        size = min(size, self.most)
        if size <= self.left and not self._line:
            self.left -= size
            return size
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had just been given
                self.give(size)
            raise
        return size

    def give(self, size: int) -> None:
        """Give back what `take` gave."""
        self.left += size
        while self._line and (self._line[0][1].done() or self._line[0][0] <= self.left):
            wanted, turn = self._line.popleft()
            if not turn.done():
                self.left -= wanted
                turn.set_result(None)
