"""Sends a worker's answers to one build, many in a request. After an answer it deletes the answered job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gg.aws.sqs import Queues
from gg.errors import GGError

_FLUSH_S = 0.01
PAUSES_S = (0.2, 1.0, 5.0, 15.0)


class JobAnswers:
    """For one event loop. `source`: URL of the queue from which the jobs come."""

    def __init__(self, queues: Queues, source: str, say: Callable[[str], None]) -> None:
        self._queues = queues
        self._source = source
        self._say = say
        self._answers: dict[str, list[str]] = {}  # by queue
        self._over: list[str] = []  # handles of jobs
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def answer(self, url: str, letter: str) -> None:
        """Send an answer that `encode_answer` has made to the queue at `url`."""
        self._answers.setdefault(url, []).append(letter)
        self._changed.set()

    def finish_with(self, handle: str) -> None:
        """Delete a message, after all answers that were given before have been sent."""
        self._over.append(handle)
        self._changed.set()

    async def close(self, seconds: float) -> None:
        """Send what is left, for `seconds` at most, and stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._changed.is_set():
                    await asyncio.sleep(_FLUSH_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_FLUSH_S)
            answers, over = self._answers, self._over
            self._answers, self._over = {}, []
            await asyncio.gather(*[self._send(url, bodies) for url, bodies in answers.items()])
            with suppress(GGError):  # then another worker does these jobs again, for nobody
                await self._queues.delete(self._source, over)
            if not self._answers and not self._over:
                self._changed.clear()

    async def _send(self, url: str, bodies: list[str]) -> None:
        """Send answers to a coordinator's queue. If the queue is gone, so is the coordinator."""
        for pause in PAUSES_S:
            try:
                refused = await self._queues.send(url, bodies)
                bodies = [body for body, why in zip(bodies, refused, strict=True) if why]
                if not bodies:
                    return
            except GGError as error:
                if "there is no queue" in error.what:
                    return
                self._say(f"cannot answer: {error.what}")
            await asyncio.sleep(pause)
