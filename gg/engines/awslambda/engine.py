"""Runs thunks in AWS Lambda functions: one attempt is one invocation.

All is done in one event loop in a thread of its own; `submit` hands over and returns. An attempt waits until its groups
have been sent, is encoded, invoked, and its reply checked: outputs against their digests, what was asked for in vain
against what is here. The engine never retries and counts nothing: throttling is answered as THROTTLED, and the scheduler,
which knows Lambda's ramp from `Caps`, holds back.

Thousands are under way at once, so what has to do with the store is done for many together: the sources of attempts that
begin are read in one go, and so are the outputs written of all replies that one turn of the loop has brought.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from gg.aws.errors import Asked
from gg.aws.http import Client
from gg.aws.loop import LoopThread
from gg.aws.trouble import NoAnswer
from gg.core.codec import encode_thunk
from gg.core.events import Caps, Fault, Ramp
from gg.core.ids import BlobId
from gg.core.named import NamedTuple
from gg.core.reduction import decode_reduction, ran_on
from gg.core.thunk import File, Reduction
from gg.cost.meter import Meter, billed
from gg.engines.awslambda.functions import Function, choose, invocation_path
from gg.engines.awslambda.home import Home
from gg.engines.awslambda.inputs import MOST, SMALL, Inputs, Shipping
from gg.engines.awslambda.outcome import from_answer, from_silence, maybe_ran
from gg.engines.awslambda.plugins import Plugins
from gg.engines.awslambda.room import Room
from gg.engines.base import Answer, Failure, Post, Start
from gg.errors import FormatError, GGError, MissingObject, SetupError
from gg.execute.expand import Groups
from gg.execute.processor import needs_home
from gg.store.base import Key, Kind, Store, blob_key
from gg.store.s3.pack import decompress
from gg.wire.reply import Refused, Reply, Succeeded, ToolFailed, asked, decode_outputs
from gg.wire.request import RAW, ZSTD, Limits, Place, Request, Task, encode_objects, encode_request

if TYPE_CHECKING:
    from gg.core.ids import SandboxPath, ThunkId
    from gg.core.renaming import Renaming
    from gg.core.thunk import Thunk
    from gg.store.filedb import FileDB

_RAMP = Ramp(burst=1000, rate=100.0)
_MOST_REQUEST = 6 * 1000 * 1000  # Lambda's own limit is 6 MiB, and says so only after all of it was sent
_MOST_OUTPUTS = 1 << 30
_COMPRESS_FROM = 1024
_MARGIN_S = 20.0
_OVERHEAD_S = 0.15
_TAIL = {"X-Amz-Log-Type": "Tail"}  # the end of the log tells what is billed
_SOME = 64  # attempts that begin together
_IN_FLIGHT = 256 << 20  # bytes of inputs
NAME = "lambda"
_ANNOUNCE_S = 0.25  # what is answered sooner need not be announced
_HEDGE_WAIT_S = 0.05


class _Handed(NamedTuple):
    """An attempt that was submitted, and who is to be told."""

    start: Start
    post: Post


class _Came(NamedTuple):
    """A reply to what was asked (`start`), and what the worker was told of directories."""

    handed: _Handed
    start: Start
    reply: Reply
    told: set[bytes]


class _Made(NamedTuple):
    """A reduction, the outputs that came with it, and those that must be fetched."""

    reduction: Reduction
    encoded: bytes
    outputs: dict[Key, bytes]
    elsewhere: set[BlobId]


class Remote(Shipping, Protocol):
    """What the engine asks of the store between."""

    @property
    def place(self) -> Place: ...

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]: ...

    def gone(self, keys: Sequence[Key]) -> None: ...


class LambdaEngine:
    """See the head of this module. `open_client` is called in the loop when the first attempt comes.

    `alone`: there are no functions in other regions, so a set-up that turns out to be wrong ends the run; else it is this
    region's trouble, and the others go on. `forget` is told when functions are not as they were found.
    """

    def __init__(
        self,
        *,
        name: str = NAME,
        alone: bool = True,
        forget: Callable[[], None] = lambda: None,
        store: Store,
        groups: Groups,
        files: Callable[[], FileDB],
        functions: Sequence[Function],
        open_client: Callable[[], Client],
        asked: Asked,
        remote: Remote | None,
        slots: int,
        meter: Meter,
        ramp: Ramp | None = _RAMP,
        renaming: Renaming | None = None,
    ) -> None:
        self.name = name
        self._alone = alone
        self._forget = forget
        self.slots = slots
        memory = tuple(f.memory for f in functions)
        longest = min(f.seconds for f in functions)
        self.caps = Caps(memory_classes=memory, max_seconds=longest, overhead=_OVERHEAD_S, ramp=ramp, announces=True)
        self._functions = tuple(functions)
        self._store = store
        self._groups = groups
        self._asked = asked
        self._remote = remote
        self._meter = meter
        self._place = Place()
        self._open_client = open_client
        self._client: Client | None = None
        self._inputs = Inputs(store, groups, remote)
        self._renaming = renaming
        self._home = Home(files, renaming.outside_path) if renaming else Home(files)
        self._plugins = Plugins(store, groups)
        self._loop = LoopThread("lambda")
        self._new: deque[_Handed | Sequence[Thunk]] = deque()
        self._came: list[_Came] = []
        self._waiting: set[ThunkId] = set()  # whose inputs are on their way
        self._room = Room(_IN_FLIGHT)
        self._woken = False
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._asked_for: Counter[ThunkId] = Counter()  # attempts without an answer
        self._sent: list[Start] = []  # and not announced yet
        self._closed = False

    # The outside

    def expect(self, thunks: Sequence[Thunk]) -> None:
        unlike = {(t.groups, t.program): t for t in thunks if t.groups}  # as `Plugins` tells them apart
        if unlike:
            self._hand_over(list(unlike.values()))

    def submit(self, start: Start, post: Post) -> None:
        self._hand_over(_Handed(start, post))

    def cancel(self, attempt: int) -> None:
        self._loop.loop().call_soon_threadsafe(self._cancel, attempt)

    def close(self) -> None:
        """Connections are dropped; what runs in functions ends there by itself, and nobody hears of it."""
        self._closed = True
        self._loop.run(self._end())
        self._inputs.close()
        self._loop.close()

    def _hand_over(self, item: _Handed | Sequence[Thunk]) -> None:
        self._new.append(item)
        if not self._woken:  # one wake-up for all that comes until the loop looks
            self._woken = True
            self._loop.loop().call_soon_threadsafe(self._take_new)

    @property
    def under_way(self) -> int:
        """Attempts that were begun and not answered."""
        return len(self._tasks)

    # In the loop

    def _take_new(self) -> None:
        """Begin some of what is new; the rest in the loop's next turn, so that the first are on their way by then."""
        self._woken = False
        some: list[_Handed] = []
        while self._new and len(some) < _SOME:
            item = self._new.popleft()
            if isinstance(item, _Handed):
                some.append(item)
            else:
                self._inputs.expect([t._replace(groups=self._plugins.without(t).groups) for t in item])
        loop = asyncio.get_running_loop()
        ahead = self._inputs.read_ahead([handed.start.thunk for handed in some])
        self._asked_for.update([handed.start.id for handed in some])
        for handed in some:
            self._tasks[handed.start.attempt] = loop.create_task(self._attempt(handed, ahead))
        if self._new and not self._woken:
            self._woken = True
            loop.call_soon(self._take_new)

    def _cancel(self, attempt: int) -> None:
        while attempt not in self._tasks and self._new:
            self._take_new()  # it may be among those that nobody has looked at
        task = self._tasks.get(attempt)
        if task is not None:  # a task that is cancelled before it has begun would never answer
            asyncio.get_running_loop().call_soon(task.cancel)

    async def _end(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def _attempt(self, handed: _Handed, ahead: Mapping[Key, bytes]) -> None:
        """Up to its reply, which is dealt with together with others, or up to its failure."""
        try:
            result = await self._run(handed, ahead)
        except asyncio.CancelledError:
            result = Failure(Fault.CANCELLED, "cancelled")
        except MissingObject as error:
            result = Failure(Fault.MISSING_INPUT, str(error))
        except GGError as error:
            result = Failure(Fault.INFRA, str(error), setup=error if isinstance(error, SetupError) else None)
        except Exception as error:  # an attempt that is never answered would make the force wait for ever
            result = Failure(Fault.INFRA, f"internal error: {type(error).__name__}: {error}")
        if isinstance(result, Failure):
            self._answer(handed, result)
            return
        if not self._came:
            asyncio.get_running_loop().call_soon(self._settle)
        self._came.append(result)

    def _answer(self, handed: _Handed, result: _Made | Failure) -> None:
        attempt = handed.start.attempt
        del self._tasks[attempt]
        self._asked_for[handed.start.id] -= 1
        if not self._closed:
            if isinstance(result, Failure):
                handed.post(Answer(attempt, result))
            else:
                handed.post(Answer(attempt, result.reduction, result.encoded))

    async def _run(self, handed: _Handed, ahead: Mapping[Key, bytes]) -> _Came | Failure:
        refused = _not_here(handed.start)
        if refused:
            return refused
        taken = await self._room.take(_size(handed.start))
        try:
            return await self._ask(handed, ahead)
        finally:
            self._room.give(taken)

    async def _ask(self, handed: _Handed, ahead: Mapping[Key, bytes]) -> _Came | Failure:
        start = handed.start
        if start.hedge and await self._is_late(start):
            return Failure(Fault.CANCELLED, "another attempt of it has been answered")
        start, empty = self._slim(start)
        thunk = start.thunk
        if start.id in self._waiting:  # as a straggler's duplicate, and it only waits for what this would wait for too
            return Failure(Fault.CANCELLED, "another attempt of it has not been sent yet")
        self._waiting.add(start.id)
        try:
            packs = await asyncio.shield(self._inputs.bundle(thunk.groups)) if thunk.groups else frozenset()
            own = await self._inputs.own(thunk, start.extra, ahead)
        finally:
            self._waiting.discard(start.id)
        if self._remote is not None and (packs or own.packs) and not self._place.bucket:
            self._place = self._remote.place
        function = choose(self._functions, start.memory)
        told = (*self._home.directories, *empty)
        codec, objects = _packed(own.objects)
        request = Request(
            tasks=(Task(start.encoded or encode_thunk(thunk), start.extra),),
            packs=(*packs, *(own.packs - packs)),
            place=self._place,
            limits=Limits(milliseconds=_milliseconds(start, function)),
            directories=told,
            codec=codec,
            objects=objects,
        )
        encoded = encode_request(request)
        body = b'"' + base64.b64encode(encoded) + b'"'
        if len(body) > _MOST_REQUEST:
            return Failure(Fault.TOO_BIG, f"its request of {len(body)} bytes is too big")
        reply = await self._invoke(function, body, start, asked(encoded))
        return reply if isinstance(reply, Failure) else _Came(handed, start, reply, set(told))

    async def _is_late(self, start: Start) -> bool:
        """Whether a duplicate is not needed, as an answer had come and was not read yet: it waits a moment to see."""
        await asyncio.sleep(_HEDGE_WAIT_S)
        return self._asked_for[start.id] < 2

    def _slim(self, start: Start) -> tuple[Start, tuple[SandboxPath, ...]]:
        """Without plugins that do nothing for it; their directories, which are empty then."""
        groups, empty = self._plugins.without(start.thunk)
        if not empty or self._plugins.needed(start.thunk):
            return start, ()
        return replace(start, thunk=start.thunk._replace(groups=groups), encoded=b""), empty

    async def _invoke(self, function: Function, body: bytes, start: Start, request: bytes) -> Reply | Failure:
        if self._client is None:
            self._client = self._open_client()
        patience = (start.deadline or function.seconds) + _MARGIN_S
        begun = time.monotonic()
        try:
            answer = await self._client.request(
                "POST",
                invocation_path(function.name),
                headers=_TAIL,
                body=body,
                idle_s=patience,
                repeat=True,
                sent=lambda: self._was_sent(start),
            )
        except NoAnswer as error:
            if maybe_ran(error):
                self._meter.invoked(function.memory_mb, function.disk_mb, time.monotonic() - begun, None)
            return self._of_region(from_silence(error))
        except asyncio.CancelledError:  # it runs to its end there
            self._meter.invoked(function.memory_mb, function.disk_mb, time.monotonic() - begun, None)
            raise
        if answer.status == 200:
            report = billed(answer.headers.get("x-amz-log-result", ""))
            took = time.monotonic() - begun
            self._meter.invoked(function.memory_mb, function.disk_mb, took, report, len(answer.body))
        found = from_answer(answer, self._asked, function.name, request)
        return self._of_region(found) if isinstance(found, Failure) else found

    def _of_region(self, failure: Failure) -> Failure:
        """What is wrong with the set-up of one region of several is no reason to end: others can do its work. Credentials
        are the same everywhere.
        """
        if failure.setup is None:
            return failure
        self._forget()
        if self._alone or failure.setup.exit_code != SetupError.exit_code:
            return failure
        return replace(failure, message=f"{self.name}: {failure.message}", setup=None)

    def _was_sent(self, start: Start) -> None:
        if not self._sent:
            asyncio.get_running_loop().call_later(_ANNOUNCE_S, self._announce)
        self._sent.append(start)

    def _announce(self) -> None:
        """Say what was sent and has no answer yet, many at once: the clocks of stragglers start here."""
        sent, self._sent = self._sent, []
        waiting = [start for start in sent if start.attempt in self._tasks]
        if waiting and waiting[0].sent is not None and not self._closed:
            waiting[0].sent([start.attempt for start in waiting])

    # Replies

    def _settle(self) -> None:
        """Judge the replies that have come, store what they brought, and answer."""
        came, self._came = self._came, []
        judged = [(each.handed, self._judged(each)) for each in came]
        items = {key: data for _, made in judged if isinstance(made, _Made) for key, data in made.outputs.items()}
        trouble: Failure | None = None
        try:
            if items:
                self._store.put(items)
        except GGError as error:
            trouble = Failure(Fault.INFRA, str(error))
        for handed, made in judged:
            if isinstance(made, Failure):
                self._answer(handed, made)
            elif trouble is not None:
                self._answer(handed, trouble)
            elif made.elsewhere:
                task = asyncio.get_running_loop().create_task(self._complete(handed, made))
                self._tasks[handed.start.attempt] = task
            else:
                self._answer(handed, made)

    def _judged(self, came: _Came) -> _Made | Failure:
        try:
            made = self._judge(came.reply, came.start, came.told)
        except Exception as error:  # as in `_attempt`
            return Failure(Fault.INFRA, f"internal error: {type(error).__name__}: {error}")
        if isinstance(made, _Made) and came.start is not came.handed.start:
            return made._replace(encoded=b"")  # its reads are counted over fewer inputs than the thunk declares
        return made

    async def _complete(self, handed: _Handed, made: _Made) -> None:
        """Fetch the outputs that the worker has put into the store; others run meanwhile."""
        result: _Made | Failure
        same = {e.blob for e in handed.start.thunk.entries if isinstance(e, File)}
        try:
            absent = await self._bring(made.elsewhere, same)
            result = Failure(Fault.INFRA, f"{len(absent)} of its outputs have not arrived") if absent else made
        except asyncio.CancelledError:
            result = Failure(Fault.CANCELLED, "cancelled")
        except Exception as error:
            result = Failure(Fault.INFRA, str(error) if isinstance(error, GGError) else f"internal error: {error!r}")
        self._answer(handed, result)

    def _judge(self, reply: Reply, start: Start, told: set[bytes]) -> _Made | Failure:
        if reply.cache.requests:
            puts = reply.cache.puts
            self._meter.stored(put=puts, get=reply.cache.requests - puts)
        if len(reply.results) != 1:
            return Failure(Fault.INFRA, "a reply with a wrong number of results")
        result = reply.results[0]
        if result.missing:
            more = self._more(result.missing, start, told)
            if more is not None:
                return more
        match result:
            case Succeeded():
                return self._made(result, reply, start)
            case ToolFailed():
                return Failure(Fault.TOOL, "failed", result.status, result.stdout, result.stderr)
            case Refused():
                return self._refused(result)

    def _more(self, missing: Sequence[bytes], start: Start, told: set[bytes]) -> Failure | None:
        """It looked for what is here and was not declared: it is to run again, with that."""
        from gg.core.ids import SandboxPath

        known: set[bytes] = {f.path for f in start.extra} | {o.path for o in start.thunk.outputs}
        found = self._home.look([SandboxPath(p) for p in missing], known, told)
        if not any(found):
            return None
        if self._renaming:  # by the path that the thunk knows nobody would find them
            self._store.put_files({f.blob: self._renaming.outside_path(f.path) for f in found.files})
        extra = (*start.extra, *found.files)
        return Failure(Fault.UNDECLARED, "reads what was not declared", needs=found.needs, extra=extra)

    def _refused(self, result: Refused) -> Failure:
        if result.lacking and self._remote is not None:
            self._remote.gone([Key(Kind(kind), digest) for kind, digest in result.lacking])
            self._inputs.forget()
            return Failure(Fault.INFRA, f"worker: {result.message}: sent again")
        return Failure(result.fault, result.message)

    def _made(self, result: Succeeded, reply: Reply, start: Start) -> _Made | Failure:
        try:
            reduction = decode_reduction(result.reduction, self._groups.universe(start.thunk))
            raw = reply.objects if reply.codec == RAW else decompress(reply.objects, _MOST_OUTPUTS)
            outputs = {BlobId.of(data): data for data in decode_outputs(raw)}
        except FormatError as error:
            return Failure(Fault.INFRA, f"a damaged reply: {error}")
        made = {m.blob for m in reduction.outputs if m} | {m.blob for _, m in reduction.extra_outputs}
        if outputs.keys() - made:
            return Failure(Fault.INFRA, "a damaged reply: outputs that nothing names")
        if len(reduction.outputs) != len(start.thunk.outputs):
            return Failure(Fault.INFRA, "a damaged reply: of another thunk")
        found = {blob_key(blob): data for blob, data in outputs.items()}
        named = ran_on(result.reduction, self.name)
        return _Made(reduction._replace(engine=self.name), named, found, made - outputs.keys())

    async def _bring(self, blobs: set[BlobId], same: set[BlobId]) -> set[BlobId]:
        """Have outputs here that the worker has put into the store; the answer is those that are nowhere."""
        here = self._store.has([blob_key(blob) for blob in blobs & same])
        left = {blob for blob in blobs if blob_key(blob) not in here}
        if left and self._remote is not None:
            remote = self._remote
            found = await asyncio.get_running_loop().run_in_executor(None, remote.bring, left)
            left -= found
        return left


def _not_here(start: Start) -> Failure | None:
    """What cannot run on another machine at all."""
    if start.thunk.dynamic:
        return Failure(Fault.TOO_BIG, "makes thunks, which needs this workspace")
    if needs_home(start.thunk):
        return Failure(Fault.TOO_BIG, "is compiled for this machine's processor (-march=native)")
    return None


def _size(start: Start) -> int:
    """How much of its own a request holds, at most: large files go by the store."""
    files = (e.blob.size for e in (*start.thunk.entries, *start.extra) if isinstance(e, File))
    return min(sum([size for size in files if size <= SMALL]), MOST)


def _milliseconds(start: Start, function: Function) -> int:
    return int(1000 * min(start.deadline or function.seconds, function.seconds))


def _packed(objects: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    data = encode_objects(objects)
    if len(data) < _COMPRESS_FROM:
        return RAW, data
    import zstandard

    return ZSTD, zstandard.compress(data, 3)
