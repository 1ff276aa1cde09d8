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
    """For one event loop. `source`: URL of the queue from which the jobs come; `replies`: of the one where the build waits."""

    def __init__(self, queues: Queues, source: str, replies: str, say: Callable[[str], None]) -> None:
        self._queues = queues
        self._source = source
        self._replies = replies
        self._say = say
        self._answers: list[str] = []
        self._over: list[str] = []  # handles of jobs
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def answer(self, letter: str) -> None:
        """Send an answer that `encode_answer` has made."""
        self._answers.append(letter)
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
            self._answers, self._over = [], []
            if await self._send(answers):  # else other workers do these jobs, and answer
                with suppress(GGError):  # then another worker does these jobs again, for nobody
                    await self._queues.delete(self._source, over)
            if not self._answers and not self._over:
                self._changed.clear()

    async def _send(self, bodies: list[str]) -> bool:
        """Send answers to the build. False if nobody gets some of them. If the queue is gone, so is the build."""
        for pause in PAUSES_S:
            try:
                refused = await self._queues.send(self._replies, bodies)
                bodies = [body for body, why in zip(bodies, refused, strict=True) if why]
                if not bodies:
                    return True
            except GGError as error:
                if "there is no queue" in error.what:
                    return True
                self._say(f"cannot answer: {error.what}")
            await asyncio.sleep(pause)
        return False
