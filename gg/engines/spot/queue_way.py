"""The way to workers through queues: a run sends its requests into a queue of its own, and takes replies out of another one.

The run calls for workers in the queue that all workers read (`gg.wire.letters`). Each worker takes requests from the queues of all
runs, by their weights, so thousands of requests of one run are in no other run's way.

A run does not know who has a request before that worker says so, and cannot take it out of the queue. So a cancelled request is
answered here at once, and a reply that comes for it later is dropped. The next call tells the workers: they do not begin what was
withdrawn, or end it. So a fleet that boots does not do again what other engines did meanwhile. If requests wait and no worker says
anything for a while, the engine counts as gone, and other engines do the work until a worker is heard again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from gg.aws.failures import Passing
from gg.aws.sqs import MOST_WAIT_S, Message, Queues
from gg.cost.meter import Meter
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.engine import Failure
from gg.engines.spot.heard_workers import HeardWorkers
from gg.engines.spot.holders import Holders
from gg.engines.spot.present_workers import PresentWorkers
from gg.engines.way import Question, TellChange
from gg.engines.worker_reply import judged
from gg.errors import FormatError, GGError, SetupError
from gg.schedule.events import EngineCaps, Fault
from gg.wire.build_key import build_name, here_id, job_id, job_number, new_key
from gg.wire.letters import (
    CALL_S,
    AnswerLetter,
    CallLetter,
    JobLetter,
    StoredBody,
    build_queue,
    decode_answer,
    encode_call,
    encode_job,
    fits,
    ranges,
    replies_queue,
)
from gg.wire.reply import Reply, asked
from gg.wire.request import Limits

NAME = "spot"
_DAY_S = 86400.0
_RECEIVERS = 2
_FLUSH_S = 0.005
_LOOK_S = 1.0
_PAUSE_S = 1.0
_COUNT_S = 5.0
_WITHDRAW_S = 2.0  # between two calls, when there is something to withdraw
_PAUSED_S = 3.0
_JOBS = {"MessageRetentionPeriod": "86400", "VisibilityTimeout": "60"}
_REPLIES = {"MessageRetentionPeriod": "3600", "VisibilityTimeout": "30"}


class Bodies(Protocol):
    """Where requests and replies go that are too big for a message: the store that the workers use too. GGError."""

    async def put(self, data: bytes) -> StoredBody: ...

    async def get(self, body: StoredBody) -> bytes | None:
        """None if the store has no such bytes."""
        ...


class _SentRequest:
    """A request that was sent."""

    __slots__ = ("answered", "read", "reply", "sent", "since", "started")

    def __init__(self, sent: Callable[[], None]) -> None:
        self.reply: asyncio.Future[bytes | Failure] = asyncio.get_running_loop().create_future()
        self.sent = sent
        self.since = time.monotonic()
        self.started = False
        self.answered = False  # by a worker
        self.read = False  # its reply is being read, or was

    def start(self) -> None:
        """A worker has it: its time limit starts now."""
        if not self.started:
            self.started = True
            self.sent()


class _Withdrawn:
    """The jobs that nobody waits for, by their numbers. `since`: there is one that no call has named."""

    __slots__ = ("numbers", "since")

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        self.since = asyncio.Event()

    def add(self, number: int) -> None:
        self.numbers.add(number)
        self.since.set()


class QueueWay:
    """`open_queues` is called in the loop. `fleet`: URL of the queue that workers read. `silence`: seconds in which some worker
    must say something. `weight`: see `CallLetter`.
    """

    carries = 96 << 10

    def __init__(
        self,
        open_queues: Callable[[], Queues],
        fleet: str,
        meter: Meter,
        *,
        slots: int,
        memory: int,
        silence: float,
        bodies: Bodies,
        heard: HeardWorkers,
        caps: EngineCaps,
        weight: float = 1.0,
    ) -> None:
        self.name = NAME
        self.meter = meter
        self.functions = (DeployedFunction(NAME, memory, _DAY_S),)
        self._open_queues = open_queues
        self._fleet = fleet
        self._weight = weight
        self._slots = slots
        self._silence = silence
        self._bodies = bodies
        self._reading: set[asyncio.Task[None]] = set()
        self._queues: Queues | None = None
        self._jobs = self._replies = ""
        self._calls, self._called = 0, -CALL_S
        self._ready: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._key = new_key()
        self._count = 0
        self._asked: dict[str, _SentRequest] = {}
        self._outbox: list[tuple[str, str]] = []  # identities and letters
        self._to_send, self._work = asyncio.Event(), asyncio.Event()
        self._withdrawn = _Withdrawn()
        self._holders = Holders(heard)
        self._caps = caps
        self._present = PresentWorkers()
        self._tell: TellChange = lambda slots, caps: None
        self._heard, self._there = 0.0, True

    def limits(self, memory: int) -> Limits:
        return Limits(memory=memory, inline=48 << 10, reply=96 << 10)

    async def warm(self) -> None:
        """Make the queues of this run."""
        with suppress(GGError):
            await self._have_ready()

    def follow(self, tell: TellChange) -> None:
        self._tell = tell

    async def ask(self, question: Question) -> Reply | Failure:
        self._count += 1
        number, id = self._count, job_id(self._key, self._count)
        try:
            await self._have_ready()
            letter = await self._letter(id, question)
        except Passing as error:
            return Failure(Fault.INFRA, str(error))
        self._asked[id] = waiting = _SentRequest(question.sent)
        if len(self._asked) == 1:
            self._heard = time.monotonic()  # before this no worker had anything to say
        self._outbox.append((id, letter))
        self._to_send.set()
        self._work.set()
        try:
            reply = await waiting.reply
        finally:
            del self._asked[id]
            if not waiting.answered:
                self._withdrawn.add(number)
                self._work.set()
        return reply if isinstance(reply, Failure) else judged(reply, asked(question.request))

    async def _letter(self, id: str, question: Question) -> str:
        """A request as a message has room for it: with who keeps its inputs, or without, or by the store."""
        job = JobLetter(id, question.request, self._holders.of(question.parts))
        letter = encode_job(job)
        if not fits(letter):
            letter = encode_job(job._replace(held=()))
        if not fits(letter):
            letter = encode_job(job._replace(request=await self._bodies.put(question.request), held=()))
        return letter

    async def close(self) -> None:
        for task in [*self._tasks, *self._reading, *([self._ready] if self._ready else [])]:
            task.cancel()
        self._holders.close()
        if self._queues is not None:
            for url in (self._jobs, self._replies):
                with suppress(GGError):
                    if url:
                        await self._queues.remove(url)
            await self._queues.close()

    # The queues

    async def _have_ready(self) -> None:
        if self._ready is None or (self._ready.done() and (self._ready.cancelled() or self._ready.exception())):
            self._ready = asyncio.get_running_loop().create_task(self._begin())
        await asyncio.shield(self._ready)

    async def _begin(self) -> None:
        self._queues = self._queues or self._open_queues()
        fleet, name = self._fleet.rpartition("/")[2], build_name(self._key)
        self._jobs, self._replies = await asyncio.gather(
            self._queues.create(build_queue(fleet, name), _JOBS),
            self._queues.create(replies_queue(fleet, name), _REPLIES),
        )
        loop = asyncio.get_running_loop()
        work = [self._send(self._queues), self._call(self._queues), self._count_taken(self._queues)]
        work += [self._listen_for_silence()]
        work += [self._receive(self._queues) for _ in range(_RECEIVERS)]
        self._tasks = [loop.create_task(each) for each in work]

    async def _send(self, queues: Queues) -> None:
        while True:
            await self._to_send.wait()
            await asyncio.sleep(_FLUSH_S)
            self._to_send.clear()
            outbox, self._outbox = self._outbox, []
            letters = [(id, letter) for id, letter in outbox if id in self._asked]  # others were cancelled
            try:
                refused = await queues.send(self._jobs, [letter for _, letter in letters])
                failures = [Failure(Fault.INFRA, f"SQS does not take it: {why}") if why else None for why in refused]
            except GGError as error:
                setup = None if isinstance(error, Passing) or not isinstance(error, SetupError) else error
                throttled = isinstance(error, Passing) and error.throttled
                fault = Fault.THROTTLED if throttled else Fault.INFRA
                failures = [Failure(fault, str(error), setup=setup)] * len(letters)
            for (id, _), failure in zip(letters, failures, strict=True):
                if failure is not None:
                    self._end(id, failure)

    async def _call(self, queues: Queues) -> None:
        """Call for workers, again and again while there is work or something was withdrawn."""
        while True:
            await self._work.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._withdrawn.since.wait(), max(self._called + CALL_S - time.monotonic(), 0))
            await asyncio.sleep(max(self._called + _WITHDRAW_S - time.monotonic(), 0))
            if not self._asked and not self._withdrawn.since.is_set():
                self._work.clear()
                continue
            self._withdrawn.since.clear()
            letter = encode_call(CallLetter(self._key, self._calls, self._weight, ranges(self._withdrawn.numbers)))
            try:
                if not any(await queues.send(self._fleet, [letter])):
                    self._calls, self._called = self._calls + 1, time.monotonic()
                    continue
            except GGError:
                pass
            self._withdrawn.since.set()
            await asyncio.sleep(_PAUSE_S)

    async def _count_taken(self, queues: Queues) -> None:
        """Find out which requests workers have taken: all that are no longer in the queue, the oldest first. Their time limits
        start now, so a request whose answer is lost counts as late some time, and is made again.
        """
        while True:
            await asyncio.sleep(_COUNT_S)
            until = time.monotonic() - _COUNT_S
            unheard = [each for each in self._asked.values() if not each.started and each.since <= until]
            if unheard:
                with suppress(GGError):
                    later = sum(each.since > until for each in self._asked.values())
                    left = max(await queues.waiting(self._jobs) - later, 0)
                    for each in unheard[: max(len(unheard) - left, 0)]:
                        each.start()

    async def _receive(self, queues: Queues) -> None:
        while True:
            try:
                found = await queues.receive(self._replies, 10, MOST_WAIT_S, 30)
                for message in found:
                    self._take(message)
                if found:
                    await queues.delete(self._replies, [message.handle for message in found])
            except GGError:
                await asyncio.sleep(_PAUSE_S)  # letters that were not deleted come again, and are dropped then

    def _take(self, message: Message) -> None:
        try:
            answer = decode_answer(message.body)
        except FormatError:
            return
        if answer.what == "here":  # which does not say that it takes jobs
            if answer.id == here_id(self._key):
                self._present.hear(answer.worker, answer.slots, time.monotonic())
            return
        if job_number(self._key, answer.id) is None:
            return
        self._heard_somebody()
        waiting = self._asked.get(answer.id)
        if waiting is not None:
            self._answered(answer, waiting)

    def _answered(self, answer: AnswerLetter, waiting: _SentRequest) -> None:
        waiting.answered |= answer.what != "started"
        if answer.what == "started":
            waiting.start()
        elif answer.what == "back":
            self._end(
                answer.id, Failure(Fault.CANCELLED, f"worker {answer.worker[:40]!r} leaves and has given it back")
            )
        elif not waiting.read:  # an answer may come twice, and somebody may send one a thousand times
            waiting.read = True
            self._holders.learn(answer.held)
            if isinstance(answer.data, bytes):
                self._end(answer.id, answer.data)
            else:
                task = asyncio.get_running_loop().create_task(self._read(answer.id, answer.data))
                self._reading.add(task)
                task.add_done_callback(self._reading.discard)

    async def _read(self, id: str, body: StoredBody) -> None:
        """Take a reply out of the store."""
        try:
            data = await self._bodies.get(body)
            why = "the store does not have it"
        except GGError as error:
            data, why = None, str(error)
        self._end(id, Failure(Fault.INFRA, f"its reply cannot be read: {why}") if data is None else data)

    def _end(self, id: str, reply: bytes | Failure) -> None:
        waiting = self._asked.get(id)
        if waiting is not None and not waiting.reply.done():
            waiting.reply.set_result(reply)

    # Is anybody there?

    def _heard_somebody(self) -> None:
        now = time.monotonic()
        back, self._heard = not self._there or now - self._heard > _PAUSED_S, now
        if back:  # perhaps a fleet that boots, and then its first workers answer what others have done meanwhile
            self._there = True
            self._tell(self._slots, None)

    def _tell_slots(self) -> None:
        """Tell of the workers that have said that they are here."""
        taken = self._present.slots(time.monotonic())
        if taken != self._caps.taken and self._there:
            self._caps = self._caps._replace(taken=taken)
            self._tell(self._slots, self._caps)

    async def _listen_for_silence(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._tell_slots()
            if self._asked and self._there and time.monotonic() - self._heard > self._silence:
                self._there = False
                why = f"no worker has taken work from {self._fleet.rpartition('/')[2]} for {self._silence:.0f} s"
                for id in list(self._asked):
                    self._end(id, Failure(Fault.THROTTLED, why))
                await asyncio.sleep(0.1)  # the cancelled requests are answered first
                self._tell(None, None)
