"""A worker that takes jobs from queues of SQS, as many as its slots can begin, and answers to a queue of each build.

All workers read one queue, in which builds call for workers; no worker takes a call away. Each build has its jobs in a queue of its
own, and `gg.worker.heard_builds` says how many jobs to ask each build for.

A job stays in its queue. Other workers do not see the job while this worker says, every few seconds, that it still works on it.
If the worker dies, the others see the job again, and one of them takes it. The worker deletes a job when it has sent the answer:
so a job may be done twice, and none is lost. A worker that lacks much of what a job reads may give the job to another worker
(`job_places`). Two workers have died of a job that comes for the third time: such a job is not run, and its answer says why.
A job that its build has withdrawn is not begun, or is ended, and is deleted.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from gg.aws.sqs import MOST_WAIT_S, Message, Queues
from gg.errors import FormatError, GGError
from gg.schedule.events import Fault
from gg.wire.letters import (
    JobLetter,
    OfferLetter,
    OtherLetterVersion,
    StoredBody,
    build_queue,
    decode_call,
    decode_job,
    replies_queue,
)
from gg.wire.peers import Holding
from gg.wire.request import Request, decode_request
from gg.worker.answer_letters import AnswerLetters
from gg.worker.heard_builds import Build, Builds
from gg.worker.job_answers import PAUSES_S, JobAnswers
from gg.worker.job_places import JobPlaces
from gg.worker.other_versions import OtherVersions
from gg.worker.s3_relay import SharedObjects
from gg.worker.slots import SlotRequest, Slots
from gg.worker.sparing import SparingSay

VISIBLE_AFTER_S = 60
_BEAT_S = 10.0
_MOST_RECEIVED = 2
_HEAR_S = 0.5  # between two looks for calls, while builds call
_WAIT_S = 2  # for a build's next job; SQS may still send jobs to a worker that dies meanwhile
_AGAIN_S = 0.25  # before a worker without a free slot asks again
_NO_DISK_S = 1.0  # before a worker whose disk is full looks again
_SEND_S = 30.0
_ACCEPT_S = 2.0


class _Source:
    """A build, the queue of its jobs, and what is still to be answered."""

    def __init__(self, build: Build, url: str, outbox: JobAnswers) -> None:
        self.build = build
        self.url = url
        self.outbox = outbox
        self.told = -1  # the last call that was answered
        self.room = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class _Taken:
    """A job that has come and has no answer yet."""

    __slots__ = ("handle", "job", "job_number", "number", "offered", "request", "since", "source", "work")

    def __init__(self, message: Message, job: JobLetter, job_number: int, source: _Source, *, offered: bool) -> None:
        self.handle = message.handle
        self.job = job
        self.job_number = job_number  # its build's
        self.source = source
        self.offered = offered  # by another worker
        self.request = b""  # once it is known
        self.number: int | None = None  # the slots' own, once they have it and until they are told to end it
        self.work: asyncio.Task[None] | None = None  # before it can begin
        self.since = 0.0  # when it began; 0.0 while it waits

    @property
    def key(self) -> tuple[str, int]:
        """Its build and its number there."""
        return self.source.build.name, self.job_number


class QueueWorker:
    """For one event loop. `url`: the queue that all workers read. `name`: this worker's, for coordinators. `version`: of gg."""

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
        self._letters = AnswerLetters(bucket, name, version)
        self._say = say
        self._say_sparingly = SparingSay(say)
        self._builds = Builds(slots.cpus)
        self._others = OtherVersions()
        self._sources: dict[str, _Source] = {}
        self._taken: dict[tuple[str, int], _Taken] = {}
        self._leaving = False
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._dropping: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._places = JobPlaces(bucket.exchange, bucket.cache.holds) if bucket.exchange else None
        self.served = 0

    def start(self) -> None:
        if self._bucket.server:
            self._bucket.server.served.accept = self._accept
        self._tasks = [self._loop.create_task(work) for work in (self._hear(), self._beat())]

    async def leave(self, seconds: float) -> None:
        """Take no more jobs, let the running ones end for `seconds`, give back the rest, and send all answers."""
        self._leaving = True
        self._tasks[0].cancel()
        self._look_again()
        for source in self._sources.values():
            self._say_here(source, 0)
        asking = [source.task for source in self._sources.values() if source.task]
        asking += [taken.work for taken in self._taken.values() if taken.work]
        await self._loop.run_in_executor(None, self._slots.leave, seconds)
        if asking:
            await asyncio.wait(asking, timeout=2 * _WAIT_S)  # they give back what still comes
        await asyncio.gather(*[source.outbox.close(_SEND_S) for source in self._sources.values()])
        left = [*self._tasks, *self._dropping, *asking]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._queues.close()
        if self._places and (exchange := self._bucket.exchange):
            self._places.close()
            self._say(
                f"other workers gave {exchange.objects} objects, of {exchange.bytes} bytes, and took {self._places.given} jobs"
            )
        await self._loop.run_in_executor(None, self._bucket.close)

    # Builds

    async def _hear(self) -> None:
        """Listen to the calls. They stay in their queue, for the other workers."""
        trouble = 0
        while not self._leaving:
            try:
                found = await self._queues.receive(self._url, 10, MOST_WAIT_S, 0)
                gone = [each.handle for each in found if not self._heard(each)]
                await self._queues.delete(self._url, gone)
                trouble = 0
                await asyncio.sleep(_HEAR_S if found and not gone else 0)
            except GGError as error:
                self._say(f"cannot hear of work: {error.what}")
                await asyncio.sleep(PAUSES_S[min(trouble, len(PAUSES_S) - 1)])
                trouble += 1
            for source in self._sources.values():
                if source.told < source.build.call:
                    source.told = source.build.call
                    self._say_here(source, self._slots.cpus if self._slots.has_disk else 0)
            for build in self._builds.silent(time.monotonic()):
                self._end(build)

    def _heard(self, message: Message) -> bool:
        """Take note of a call. True if it must stay in the queue."""
        try:
            call = decode_call(message.body)
        except OtherLetterVersion:
            return self._others.may_stay(message.body, time.monotonic())
        except FormatError as error:
            self._say_sparingly(f"a message that is no call is deleted: {error.what}")
            return False
        build = self._builds.hear(call, time.monotonic())
        if build is not None:
            before, _, jobs = self._url.rpartition("/")
            url, replies = (f"{before}/{name(jobs, build.name)}" for name in (build_queue, replies_queue))
            outbox = JobAnswers(self._queues, url, replies, self._say)
            self._sources[build.name] = source = _Source(build, url, outbox)
            source.task = self._loop.create_task(self._receive(source))
        self._end_withdrawn(call.build)
        return not self._builds.is_old(call)

    def _end_withdrawn(self, name: str) -> None:
        """End the jobs of a build that it waits for no more."""
        for taken in self._taken.values():
            build, number = taken.source.build, taken.number
            if build.name == name and number is not None and not build.waits_for(taken.job_number):
                taken.number = None
                self._loop.run_in_executor(None, self._slots.cancel, name, number)

    def _say_here(self, source: _Source, slots: int) -> None:
        source.outbox.answer(self._letters.here(source.build.key, slots))

    def _end(self, build: Build) -> None:
        """A build is over: its queue is gone, or it has not called for long. Nobody waits for its jobs here."""
        self._builds.end(build)
        source = self._sources.pop(build.name, None)
        if source is not None:
            source.room.set()
            dropping = self._loop.create_task(self._drop(source))
            self._dropping.add(dropping)
            dropping.add_done_callback(self._dropping.discard)
        self._look_again()

    async def _drop(self, source: _Source) -> None:
        await self._loop.run_in_executor(None, self._slots.drop, source.build.name)
        await source.outbox.close(_SEND_S)

    # Taking

    async def _receive(self, source: _Source) -> None:
        """Take jobs of one build."""
        build, trouble = source.build, 0
        while build in self._builds and not self._leaving:
            source.room.clear()
            if not self._slots.has_disk:
                await asyncio.sleep(_NO_DISK_S)
                continue
            most, full = self._builds.wanted(build), self._builds.full
            if most <= 0:
                await source.room.wait()
                continue
            try:
                found = await self._queues.receive(source.url, most, 0 if full else _WAIT_S, VISIBLE_AFTER_S)
                trouble = 0
                for message in found:
                    self._take(message, source)
                if self._leaving:
                    await self._queues.keep(source.url, [message.handle for message in found], 0)
            except GGError as error:
                if "there is no queue" in error.what:
                    self._end(build)
                    return
                self._say(f"cannot take work: {error.what}")
                await asyncio.sleep(PAUSES_S[min(trouble, len(PAUSES_S) - 1)])
                trouble += 1
                continue
            if full and not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(source.room.wait(), _AGAIN_S)

    def _look_again(self) -> None:
        for source in self._sources.values():
            source.room.set()

    def _accept(self, offer: OfferLetter) -> bool:
        """Take a job that another worker offers, if it can begin at once. From any thread."""

        async def take() -> bool:
            source = self._sources.get(offer.build)
            if source is None or self._leaving or self._builds.full or not self._slots.has_disk:
                return False
            self._take(Message(offer.handle, offer.job, offer.received), source, offered=True)
            return True

        taking = asyncio.run_coroutine_threadsafe(take(), self._loop)
        try:
            return taking.result(_ACCEPT_S)
        except TimeoutError:
            return not taking.cancel() and taking.result()

    def _take(self, message: Message, source: _Source, *, offered: bool = False) -> None:
        if self._leaving:
            return
        try:
            job = decode_job(message.body)
        except FormatError as error:
            self._forget(message, source, f"a message that is no job is deleted: {error.what}")
            return
        number = source.build.number_of(job.id)
        if number is None:
            self._forget(message, source, "a message that is no job of its build is deleted")
            return
        if not source.build.waits_for(number):
            source.outbox.answer(self._letters.back(job.id))  # so the build hears that somebody takes jobs
            source.outbox.finish_with(message.handle)
            return
        taken = _Taken(message, job, number, source, offered=offered)
        known = self._taken.get(taken.key)
        if known is not None:  # the job was delivered twice; the newer handle counts
            known.handle = message.handle
            return
        self._taken[taken.key] = taken
        source.build.held += 1
        if isinstance(job.request, StoredBody):
            taken.work = self._loop.create_task(self._read(taken, job.request, message))
        else:
            self._begin(taken, job.request, message)

    async def _read(self, taken: _Taken, body: StoredBody, message: Message) -> None:
        """Begin a job whose request is in the store."""
        try:
            request = await self._loop.run_in_executor(None, self._bucket.read_body, body)
        except OSError as error:
            self._say_sparingly(f"cannot read a request: {error}")
            request = None
        if request is None:
            self._done(taken, None)
        else:
            self._begin(taken, request, message)

    def _begin(self, taken: _Taken, encoded: bytes, message: Message) -> None:
        """Run a job, unless workers have died of it."""
        try:
            request = decode_request(encoded)
            places = self._places if message.received == 1 and not taken.offered else None
            read = places.reads_much(request, taken.job.held) if places else {}
        except FormatError as error:
            self._let_go(taken)
            self._forget(message, taken.source, f"a message that is no job is deleted: {error.what}")
            return
        taken.request = encoded
        if message.received > _MOST_RECEIVED:
            why = f"{_MOST_RECEIVED} workers have died of it"
            self._done(taken, self._letters.refused(taken.job.id, encoded, Fault.DIED, why))
        elif places and read:
            taken.work = self._loop.create_task(self._place(places, taken, request, read, message))
        else:
            self._submit(taken, request, taken.job.held, alone=message.received > 1)

    async def _place(
        self, places: JobPlaces, taken: _Taken, request: Request, read: Mapping[bytes, int], message: Message
    ) -> None:
        """Give a job to the worker that has most of what it reads, or run it here."""
        offer = OfferLetter(taken.source.build.name, taken.handle, message.received, message.body)
        chosen = await places.settle(read, taken.job.held, offer)
        if chosen.given:
            self._let_go(taken)
        else:
            self._submit(taken, request, chosen.held, alone=False)

    def _let_go(self, taken: _Taken) -> None:
        """A job that has not begun is nothing to this worker any more."""
        del self._taken[taken.key]
        taken.source.build.held -= 1
        self._look_again()

    def _forget(self, message: Message, source: _Source, why: str) -> None:
        self._say_sparingly(why)
        source.outbox.finish_with(message.handle)

    def _submit(self, taken: _Taken, request: Request, held: Sequence[Holding], *, alone: bool) -> None:
        def started() -> None:
            self._loop.call_soon_threadsafe(self._started, taken)

        def done(reply: bytes | None) -> None:
            id = taken.job.id
            letter = (
                self._letters.replied(id, taken.request, request.place, relay, reply) if reply is not None else None
            )
            self._loop.call_soon_threadsafe(self._done, taken, letter)

        build = taken.source.build
        memory = self._slots.memory if alone else request.limits.memory
        relay = self._bucket.relay(request.place, request.packs, held)
        number = taken.number = next(self._numbers)
        self._slots.submit(SlotRequest(build.name, number, taken.request, memory, relay, started, done, build.weight))

    def _started(self, taken: _Taken) -> None:
        taken.since = time.monotonic()
        taken.source.build.running += 1
        self._look_again()

    def _done(self, taken: _Taken, letter: str | None) -> None:
        """Answer a job. None gives it back."""
        if self._taken.pop(taken.key, None) is None:
            return
        source, build = taken.source, taken.source.build
        build.held -= 1
        if taken.since:
            build.running -= 1
            build.took(time.monotonic() - taken.since)
        self._look_again()
        self.served += letter is not None
        source.outbox.answer(letter or self._letters.back(taken.job.id))
        source.outbox.finish_with(taken.handle)

    async def _beat(self) -> None:
        """Keep the jobs that are here hidden from other workers, and tell the coordinators which jobs run."""
        while True:
            await asyncio.sleep(_BEAT_S)
            kept: dict[str, list[str]] = {}
            for taken in self._taken.values():
                kept.setdefault(taken.source.url, []).append(taken.handle)
                if taken.since:
                    taken.source.outbox.answer(self._letters.started(taken.job.id))
            keeping = [self._queues.keep(url, handles, VISIBLE_AFTER_S) for url, handles in kept.items()]
            await asyncio.gather(*keeping, return_exceptions=True)
