"""A worker that takes jobs from a queue of SQS, as many as its slots can begin, and answers to the queue that each job names.

A job stays in the queue, unseen by others, for as long as this worker says every few seconds that it is still at it; when the
worker dies it is seen again, and another one takes it. It is deleted once its answer has been sent: it may be done twice, and
is never lost. A job that comes for the third time has had two workers die of it: it runs no more, and that is its answer.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from gg.aws.sqs import MOST_WAIT_S, Message, Queues
from gg.errors import FormatError, GGError
from gg.schedule.events import Fault
from gg.wire.letters import MOST_REPLY, AnswerLetter, JobLetter, decode_job, encode_answer
from gg.wire.reply import Refused, Reply, WorkerInfo, encode_reply
from gg.wire.request import Request, decode_request
from gg.worker.s3_relay import SharedObjects
from gg.worker.slots import SlotRequest, Slots

VISIBLE_AFTER_S = 60
_BEAT_S = 10.0
_MOST_RECEIVED = 2
_PAUSES_S = (0.2, 1.0, 5.0, 15.0)
_FLUSH_S = 0.01
_SEND_S = 30.0


class _Taken:
    """A job that was received and is not answered."""

    __slots__ = ("handle", "job", "since")

    def __init__(self, message: Message, job: JobLetter) -> None:
        self.handle = message.handle
        self.job = job
        self.since = 0.0  # when it was begun


class QueueWorker:
    """In one event loop. `name`: this worker, to coordinators. `version`: of gg."""

    def __init__(
        self,
        slots: Slots,
        queues: Queues,
        url: str,
        bucket: SharedObjects,
        name: str,
        version: str,
        say: Callable[[str], None],
    ) -> None:
        self._slots = slots
        self._queues = queues
        self._url = url
        self._bucket = bucket
        self._name = name
        self._version = version
        self._say = say
        self._taken: dict[str, _Taken] = {}
        self._answers: dict[str, list[str]] = {}  # by queue
        self._over: list[str] = []  # handles, to be deleted with the next answers
        self._room = asyncio.Event()
        self._to_send = asyncio.Event()
        self._leaving = False
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._numbers = itertools.count()
        self.served = 0

    def start(self) -> None:
        self._tasks = [self._loop.create_task(work) for work in (self._receive(), self._send(), self._beat())]

    async def leave(self, seconds: float) -> None:
        """Take nothing more, let what runs end for so long, give back the rest, and have all of that said."""
        self._leaving = True
        self._tasks[0].cancel()
        await self._loop.run_in_executor(None, self._slots.leave, seconds)
        await asyncio.sleep(2 * _FLUSH_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_SEND_S):
                while self._answers or self._over or self._to_send.is_set():
                    await asyncio.sleep(_FLUSH_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._queues.close()

    # Taking

    async def _receive(self) -> None:
        trouble = 0
        while not self._leaving:
            free = self._slots.cpus - self._slots.under_way
            if free <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            try:
                found = await self._queues.receive(self._url, free, MOST_WAIT_S, VISIBLE_AFTER_S)
                trouble = 0
            except GGError as error:
                self._say(f"cannot take work: {error.what}")
                await asyncio.sleep(_PAUSES_S[min(trouble, len(_PAUSES_S) - 1)])
                trouble += 1
                continue
            for message in found:
                self._take(message)

    def _take(self, message: Message) -> None:
        try:
            job = decode_job(message.body)
            request = decode_request(job.request)
        except FormatError as error:
            self._say(f"a message that is no job is deleted: {error.what}")
            self._finish_with(message.handle)
            return
        known = self._taken.get(job.id)
        if known is not None:  # it was delivered twice; the newer handle is the one that counts
            known.handle = message.handle
            return
        self._taken[job.id] = taken = _Taken(message, job)
        if message.received > _MOST_RECEIVED:
            self._done(job.id, self._refusal(request, job))
            return
        memory = self._slots.memory if message.received > 1 else request.limits.memory

        def started() -> None:
            self._loop.call_soon_threadsafe(self._started, taken)

        def done(reply: bytes | None) -> None:
            self._loop.call_soon_threadsafe(self._done, job.id, reply)

        relay = self._bucket.relay(request.place, request.packs)
        self._slots.submit(SlotRequest("queue", next(self._numbers), job.request, memory, relay, started, done))

    def _refusal(self, request: Request, job: JobLetter) -> bytes:
        died = Refused(Fault.DIED, f"{_MOST_RECEIVED} workers have died of it")
        results = tuple([died] * len(request.tasks))
        return encode_reply(Reply(WorkerInfo(self._version, self._name), results), job.request)

    def _started(self, taken: _Taken) -> None:
        taken.since = time.monotonic()

    def _done(self, id: str, reply: bytes | None) -> None:
        taken = self._taken.pop(id, None)
        self._room.set()
        if taken is None:
            return
        self.served += reply is not None
        if reply is not None and len(reply) > MOST_REPLY:
            request = decode_request(taken.job.request)
            big = Refused(Fault.TOO_BIG, "what it printed is too big for a message")
            results = tuple([big] * len(request.tasks))
            reply = encode_reply(Reply(WorkerInfo(self._version, self._name), results), taken.job.request)
        what = "back" if reply is None else "reply"
        self._tell(taken, AnswerLetter(id, self._name, what, reply or b""))
        self._finish_with(taken.handle)

    def _tell(self, taken: _Taken, answer: AnswerLetter) -> None:
        self._answers.setdefault(taken.job.reply, []).append(encode_answer(answer))
        self._to_send.set()

    def _finish_with(self, handle: str) -> None:
        self._over.append(handle)
        self._to_send.set()

    # Saying

    async def _send(self) -> None:
        """Send answers, many together, and only then delete their jobs."""
        while True:
            await self._to_send.wait()
            await asyncio.sleep(_FLUSH_S)
            answers, over = self._answers, self._over
            self._answers, self._over = {}, []
            await asyncio.gather(*[self._send_to(url, bodies) for url, bodies in answers.items()])
            with suppress(GGError):  # then somebody does them again, and nobody waits for that
                await self._queues.delete(self._url, over)
            if not self._answers and not self._over:
                self._to_send.clear()

    async def _send_to(self, url: str, bodies: list[str]) -> None:
        """A queue that is gone was that of a coordinator who is."""
        for pause in _PAUSES_S:
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

    async def _beat(self) -> None:
        """Keep the jobs that are here from others, and say to who waits that they are at work."""
        while True:
            await asyncio.sleep(_BEAT_S)
            with suppress(GGError):
                await self._queues.keep(self._url, [taken.handle for taken in self._taken.values()], VISIBLE_AFTER_S)
            for id, taken in self._taken.items():
                if taken.since:
                    self._tell(taken, AnswerLetter(id, self._name, "started"))
