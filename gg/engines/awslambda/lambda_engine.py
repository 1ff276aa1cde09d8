"""Runs thunks in AWS Lambda functions: an attempt is an invocation, or short attempts share one.

The engine works in one event loop in a thread of its own; `submit` hands an attempt over and returns. The engine sends the
attempt's groups ahead, encodes and invokes it, and checks the reply: it compares outputs with their digests, and looks here for
the paths that the worker missed. The engine never retries and counts nothing: it answers THROTTLED when Lambda throttles, and the
scheduler, which knows Lambda's ramp from `EngineCaps`, holds back.

The scheduler says which attempts share an invocation. Each attempt has an answer of its own; a failed invocation is a fault of all
its attempts. A cancelled attempt is answered at once, and the others go on.

Thousands of attempts are under way at once, so the engine uses the store for many together: it reads the sources of all attempts
that begin in one go, and writes the outputs of all replies that came in one turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gg.aws.loop import LoopThread
from gg.engines.awslambda.asking import Asking
from gg.engines.awslambda.byte_semaphore import ByteSemaphore
from gg.engines.awslambda.habits import Habits
from gg.engines.awslambda.home import Home
from gg.engines.awslambda.inputs import InputStager, Shipping
from gg.engines.awslambda.parts import Invocation, InvocationReply, Part, PartResult, WorkerResult, own_size, portions
from gg.engines.awslambda.plugins import Plugins
from gg.engines.awslambda.replies import Replies, failure_of, same_as_inputs
from gg.engines.engine import Answer, Failure, Post, Submission, Tell
from gg.engines.way import Way
from gg.light.named import NamedTuple
from gg.run.expand import Groups
from gg.schedule.events import EngineCaps, Fault, Ramp
from gg.store.base import Key, Store, blob_key
from gg.workspace.granted import Granted

if TYPE_CHECKING:
    from gg.core.ids import BlobId, ThunkId
    from gg.core.renaming import Renaming
    from gg.core.thunk import Thunk
    from gg.host.filedb import FileDB
    from gg.wire.request import BucketLocation
    from gg.workspace.later import Later

_RAMP = Ramp(burst=1000, rate=100.0)
_OVERHEAD_S = 0.15
_BATCH = 16
_CALL_S = 0.0005  # of this machine's processor, for an invocation (benchmarks.coordinator)
_SOME = 64  # attempts that begin in one turn of the loop
_IN_FLIGHT = 256 << 20  # bytes of inputs
NAME = "lambda"
_ANNOUNCE_S = 0.25  # an attempt that is answered sooner need not be announced
_HEDGE_WAIT_S = 0.05


class _Handed(NamedTuple):
    """Attempts that were submitted together, and where their answers go."""

    submission: Submission
    post: Post


class StoreBetween(Shipping, Protocol):
    """The store between this machine and its workers."""

    @property
    def place(self) -> BucketLocation: ...

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]: ...

    def gone(self, keys: Sequence[Key]) -> None: ...


class LambdaEngine:
    """See the head of this module."""

    def __init__(
        self,
        region: Way,
        *,
        store: Store,
        groups: Groups,
        files: Callable[[], FileDB],
        remote: StoreBetween | None,
        slots: int,
        ramp: Ramp | None = _RAMP,
        renaming: Renaming | None = None,
        granted: Granted = Granted(b"/"),  # noqa: B008 (it has no state)
        coordinator: bytes = b"",
        later: Later | None = None,
        caps: EngineCaps | None = None,
    ) -> None:
        """`caps`: what is known of where it runs, if that is not Lambda."""
        self.name = region.name
        self.slots = slots
        self.caps = caps or _caps(region, ramp)
        home = Home(files, renaming.real_path if renaming else bytes, granted)
        self._region = region
        self._store = store
        self._remote = remote
        self._inputs = InputStager(store, groups, remote, region.carries)
        self._plugins = Plugins(store, groups)
        place = (lambda: remote.place) if remote is not None else None
        self._habits = Habits(store, groups, home, granted, later)
        self._asking = Asking(region, self._inputs, self._plugins, home, self._habits, place, coordinator)
        self._replies = self._judging(groups, home, renaming, granted, later)
        self._loop = LoopThread(region.name)
        self._new: deque[_Handed | Sequence[Thunk]] = deque()
        self._came: list[tuple[Invocation, InvocationReply]] = []
        self._room = ByteSemaphore(_IN_FLIGHT)
        self._invocations: dict[int, Invocation] = {}  # by attempt; only attempts without an answer
        self._asked_for: Counter[ThunkId] = Counter()  # attempts without an answer
        self._sent: list[Submission] = []  # attempts that were sent and are not announced yet
        self._woken = self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.start(region.warm())

    def _judging(
        self, groups: Groups, home: Home, renaming: Renaming | None, granted: Granted, later: Later | None
    ) -> Replies:
        return Replies(
            self.name,
            store=self._store,
            groups=groups,
            home=home,
            meter=self._region.meter,
            remote=self._remote,
            renaming=renaming,
            granted=granted,
            later=later,
            habits=self._habits,
            forget=self._inputs.forget,
        )

    # For other threads

    def expect(self, thunks: Sequence[Thunk]) -> None:
        unlike = {(t.groups, t.program): t for t in thunks if t.groups}  # as `Plugins` tells them apart
        if unlike:
            self._hand_over(list(unlike.values()))

    def submit(self, submission: Submission, post: Post) -> None:
        self._hand_over(_Handed(submission, post))

    def cancel(self, attempt: int) -> None:
        self._loop.loop().call_soon_threadsafe(self._cancel, attempt)

    def follow(self, tell: Tell) -> None:
        def changed(slots: int | None, caps: EngineCaps | None) -> None:
            if not self._closed:
                tell(self.name, slots, caps)

        self._loop.loop().call_soon_threadsafe(self._region.follow, changed)

    def close(self) -> None:
        """Drop all connections. What runs in functions ends there by itself, and nobody hears of it."""
        self._closed = True
        self._loop.run(self._end())
        self._habits.keep()
        self._inputs.close()
        self._loop.close()

    def _hand_over(self, item: _Handed | Sequence[Thunk]) -> None:
        self._new.append(item)
        if not self._woken:  # one wake-up for all that comes until the loop looks
            self._woken = True
            self._loop.loop().call_soon_threadsafe(self._take_new)

    @property
    def under_way(self) -> int:
        """How many attempts have begun and have no answer."""
        return len(self._invocations)

    @property
    def closed(self) -> bool:
        """Whether the engine posts no answers any more."""
        return self._closed

    # In the loop

    def _take_new(self) -> None:
        """Begin some of the new attempts, and the rest in the loop's next turn, when the first ones are on their way."""
        self._woken = False
        submissions: list[Submission] = []
        invocations: list[Invocation] = []
        while self._new and len(submissions) < _SOME:
            item = self._new.popleft()
            if isinstance(item, _Handed):
                for portion in portions(item.submission, self._region.carries):
                    invocations.append(Invocation(portion, item.post))
                    submissions += portion
            else:
                self._inputs.expect([t._replace(groups=self._plugins.without(t).groups) for t in item])
        ahead = self._inputs.read_ahead([submission.thunk for submission in submissions])
        self._asked_for.update([submission.id for submission in submissions])
        for invocation in invocations:
            self._invocations.update(dict.fromkeys(invocation.waiting, invocation))
            invocation.task = self._begin(self._run(invocation, ahead))
        if self._new and not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._take_new)

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _cancel(self, attempt: int) -> None:
        while attempt not in self._invocations and self._new:
            self._take_new()  # it may be among the new ones
        invocation = self._invocations.get(attempt)
        if invocation is not None:
            submission = next(each for each in invocation.submissions if each.attempt == attempt)
            self._answer(invocation, submission, Failure(Fault.CANCELLED, "cancelled"))
            if not invocation.waiting and invocation.task is not None:
                invocation.task.cancel()

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._invocations.clear()
        await self._region.close()

    async def _run(self, invocation: Invocation, ahead: Mapping[Key, bytes]) -> None:
        """Run an invocation up to its reply, which is judged together with others, or up to its failure."""
        try:
            result = await self._ask(invocation, ahead)
        except asyncio.CancelledError:
            result = Failure(Fault.CANCELLED, "cancelled")
        except Exception as error:
            result = failure_of(error)
        if isinstance(result, InvocationReply):
            if not self._came:
                asyncio.get_running_loop().call_soon(self._settle)
            self._came.append((invocation, result))
        elif result is not None:
            for submission in invocation.submissions:
                self._answer(invocation, submission, result)

    async def _ask(self, invocation: Invocation, ahead: Mapping[Key, bytes]) -> InvocationReply | Failure | None:
        """The reply of an invocation; None if all its attempts have been answered already."""
        taken = await self._room.take(sum([own_size(submission) for submission in invocation.submissions]))
        try:
            parts: list[Part] = []
            for submission in invocation.submissions:
                part = await self._part(submission, ahead)
                if isinstance(part, Failure):
                    self._answer(invocation, submission, part)
                else:
                    parts.append(part)
            parts = [part for part in parts if part.handed.attempt in invocation.waiting]
            if not parts:
                return None
            return await self._asking.ask(parts, lambda: self._was_sent(parts))
        finally:
            self._room.give(taken)

    async def _part(self, submission: Submission, ahead: Mapping[Key, bytes]) -> Part | Failure:
        try:
            if submission.hedge and await self._is_late(submission):
                return Failure(Fault.CANCELLED, "another attempt of it has been answered")
            return await self._asking.part(submission, ahead)
        except Exception as error:
            return failure_of(error)

    async def _is_late(self, submission: Submission) -> bool:
        """Wait a moment for a reply that has come and was not read yet. True if a duplicate is not needed any more."""
        await asyncio.sleep(_HEDGE_WAIT_S)
        return self._asked_for[submission.id] < 2

    def _was_sent(self, parts: Sequence[Part]) -> None:
        if not self._sent:
            asyncio.get_running_loop().call_later(_ANNOUNCE_S, self._announce)
        self._sent += [part.handed for part in parts]

    def _announce(self) -> None:
        """Announce the attempts that were sent and have no answer yet, many at once: their clocks start now."""
        sent, self._sent = self._sent, []
        waiting = [submission for submission in sent if submission.attempt in self._invocations]
        if waiting and waiting[0].sent is not None and not self._closed:
            waiting[0].sent([submission.attempt for submission in waiting])

    # Replies

    def _settle(self) -> None:
        """Judge the replies that have come, store what they brought, and answer."""
        came, self._came = self._came, []
        judged: list[tuple[Invocation, Submission, PartResult]] = []
        items: dict[Key, bytes] = {}
        for invocation, each in came:
            for part, result in zip(each.parts, self._replies.judge(each), strict=True):
                judged.append((invocation, part.handed, result))
                if isinstance(result, WorkerResult):
                    items.update(result.outputs)
        trouble: Failure | None = None
        try:
            if items:
                self._store.put(items)
        except Exception as error:
            trouble = failure_of(error)
        for invocation, submission, result in judged:
            if isinstance(result, Failure) or trouble is None:
                if isinstance(result, WorkerResult) and result.elsewhere and submission.attempt in invocation.waiting:
                    invocation.task = self._begin(self._complete(invocation, submission, result))
                else:
                    self._answer(invocation, submission, result)
            else:
                self._answer(invocation, submission, trouble)

    def _answer(self, invocation: Invocation, submission: Submission, result: PartResult) -> None:
        """Give an attempt its one answer. What comes later is dropped."""
        post = invocation.waiting.pop(submission.attempt, None)
        if post is None:
            return
        del self._invocations[submission.attempt]
        self._asked_for[submission.id] -= 1
        if not self._closed:
            if isinstance(result, Failure):
                post(Answer(submission.attempt, result))
            else:
                post(Answer(submission.attempt, result.reduction, result.encoded))

    async def _complete(self, invocation: Invocation, submission: Submission, made: WorkerResult) -> None:
        """Fetch the outputs that the worker has put into the store; others run meanwhile."""
        result: PartResult
        try:
            absent = await self._bring(made.elsewhere, same_as_inputs(submission))
            result = Failure(Fault.INFRA, f"{len(absent)} of its outputs have not arrived") if absent else made
        except asyncio.CancelledError:
            result = Failure(Fault.CANCELLED, "cancelled")
        except Exception as error:
            result = failure_of(error)
        self._answer(invocation, submission, result)

    async def _bring(self, blobs: set[BlobId], same: set[BlobId]) -> set[BlobId]:
        """Fetch outputs that the worker has put into the store. Returns those that are nowhere."""
        here = self._store.has([blob_key(blob) for blob in blobs & same])
        left = {blob for blob in blobs if blob_key(blob) not in here}
        if left and self._remote is not None:
            remote = self._remote
            found = await asyncio.get_running_loop().run_in_executor(None, remote.bring, left)
            left -= found
        return left


def _caps(region: Way, ramp: Ramp | None) -> EngineCaps:
    """The capabilities of Lambda's functions in a region."""
    return EngineCaps(
        memory_classes=tuple(f.memory for f in region.functions),
        max_seconds=min(f.seconds for f in region.functions),
        overhead=_OVERHEAD_S,
        ramp=ramp,
        announces=True,
        batch=_BATCH,
        call=_CALL_S,
    )
