"""Sends attempts to workers: sends the inputs they need ahead, encodes the request, waits for the reply.

`Asking` serves every way to workers (`gg.engines.way`); `Region` is the way to AWS Lambda.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.aws.failures import RequestContext
from gg.aws.http import Client
from gg.aws.trouble import NoAnswer
from gg.core.codec import encode_thunk
from gg.core.ids import SandboxPath
from gg.cost.meter import Meter, billed
from gg.engines.awslambda.claims import Possible
from gg.engines.awslambda.deployed_functions import DeployedFunction, choose, invocation_path
from gg.engines.awslambda.inputs import MOST, InputStager
from gg.engines.awslambda.lambda_outcome import from_answer, from_silence, maybe_ran
from gg.engines.awslambda.parts import InvocationReply, Part
from gg.engines.engine import Failure, Submission
from gg.engines.way import Question, TellChange, Way
from gg.errors import AccessError
from gg.light.slotted import replace
from gg.run.processor import needs_home
from gg.schedule.events import Fault
from gg.wire.reply import Reply, asked
from gg.wire.request import (
    MOST_CARRIED,
    RAW,
    ZSTD,
    BucketLocation,
    Limits,
    PackReference,
    Request,
    Task,
    encode_objects,
    encode_request,
)

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.engines.awslambda.habits import Habits
    from gg.engines.awslambda.home import Home
    from gg.engines.awslambda.plugins import Plugins
    from gg.store.base import Key

_MOST_REQUEST = 6 * 1000 * 1000  # Lambda's own limit is 6 MiB, and says so only after all of it was sent
_MOST_REPLY = 8 << 20  # Lambda's own limit is 6 MiB
_COMPRESS_FROM = 1024
_MARGIN_S = 20.0
_AHEAD = 16  # connections: those who send first need not wait for one
_TAIL = {"X-Amz-Log-Type": "Tail"}  # the end of the log tells what is billed


class Region:
    """The way to one region's functions. `alone`: no other region has any, so wrong set-up ends the run; otherwise the other
    regions go on. Calls `forget` if functions are not as they were found.
    """

    carries = MOST

    def __init__(
        self,
        name: str,
        functions: Sequence[DeployedFunction],
        open_client: Callable[[], Client],
        asked: RequestContext,
        meter: Meter,
        *,
        alone: bool = True,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.functions = tuple(functions)
        self.asked = asked
        self.meter = meter
        self._alone = alone
        self._forget = forget
        self._open_client = open_client
        self._client: Client | None = None

    def client(self) -> Client:
        """The client. Call it in the loop."""
        if self._client is None:
            self._client = self._open_client()
        return self._client

    async def warm(self) -> None:
        """Open connections to the region, if it is sure to be asked."""
        if self._alone:
            await self.client().warm(_AHEAD)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def limits(self, memory: int) -> Limits:
        return Limits(memory=memory)

    def follow(self, tell: TellChange) -> None:
        """Never call `tell`: functions do not come and go."""

    async def ask(self, question: Question) -> Reply | Failure:
        """Invoke a function once. The meter counts what that costs."""
        function = question.function
        body = b'"' + base64.b64encode(question.request) + b'"'
        if len(body) > _MOST_REQUEST:
            return Failure(Fault.TOO_BIG, f"its request of {len(body)} bytes is too big")
        begun = time.monotonic()
        try:
            answer = await self.client().request(
                "POST",
                invocation_path(function.name),
                headers=_TAIL,
                body=body,
                idle_s=question.patience,
                most=_MOST_REPLY,
                repeat=True,
                sent=question.sent,
            )
        except NoAnswer as error:
            if maybe_ran(error):
                self.meter.invoked(function.memory_mb, function.disk_mb, time.monotonic() - begun, None)
            return self.failed(from_silence(error))
        except asyncio.CancelledError:  # the function runs to its end
            self.meter.invoked(function.memory_mb, function.disk_mb, time.monotonic() - begun, None)
            raise
        if answer.status == 200:
            report = billed(answer.headers.get("x-amz-log-result", ""))
            took = time.monotonic() - begun
            self.meter.invoked(function.memory_mb, function.disk_mb, took, report, len(answer.body))
        found = from_answer(answer, self.asked, function.name, asked(question.request))
        return self.failed(found) if isinstance(found, Failure) else found

    def failed(self, failure: Failure) -> Failure:
        """Trouble with one region of several, or with the way to it, does not end the run: the others can do its work. Wrong
        credentials end it, for they are the same everywhere.
        """
        if failure.setup is None:
            return failure
        self._forget()
        if self._alone or isinstance(failure.setup, AccessError):
            return failure
        return replace(failure, message=f"{self.name}: {failure.message}", setup=None)


class Asking:
    """Asks the workers at the end of one way. For one event loop."""

    def __init__(
        self,
        way: Way,
        inputs: InputStager,
        plugins: Plugins,
        home: Home,
        habits: Habits,
        place: Callable[[], BucketLocation] | None,
        coordinator: bytes = b"",
    ) -> None:
        """`coordinator`: see `gg.engines.coordinator`."""
        self._way = way
        self._coordinator = coordinator
        self._inputs = inputs
        self._plugins = plugins
        self._home = home
        self._habits = habits
        self._find_place = place
        self._place = BucketLocation()
        self._waiting: set[ThunkId] = set()  # thunks whose inputs are on their way

    async def part(self, handed: Submission, ahead: Mapping[Key, bytes]) -> Part | Failure:
        """Send what an attempt needs to the store between, or take it along in `own`. MissingObject; trouble of the store."""
        refused = _not_here(handed)
        if refused:
            return refused
        submission, empty = self._slim(handed)
        submission = self._habits.shown(submission)
        # A straggler's duplicate: it would wait for the same inputs as the other attempt.
        if submission.id in self._waiting:
            return Failure(Fault.CANCELLED, "another attempt of it has not been sent yet")
        self._waiting.add(submission.id)
        try:
            groups = submission.thunk.groups
            packs = await asyncio.shield(self._inputs.bundle(groups)) if groups else frozenset[PackReference]()
            own = await self._inputs.own(submission.thunk, submission.extra, ahead)
        finally:
            self._waiting.discard(submission.id)
        return Part(handed, submission, packs, own, empty)

    async def ask(self, parts: Sequence[Part], sent: Callable[[], None]) -> InvocationReply | Failure:
        """Ask for all of these in one request. Calls `sent` when the request is on its way."""
        way = self._way
        function = choose(way.functions, parts[0].submission.memory)
        told = dict.fromkeys(self._home.directories)
        packs: dict[PackReference, None] = {}
        objects: dict[tuple[int, bytes], None] = {}
        for part in parts:
            told.update(dict.fromkeys(part.empty))
            packs.update(dict.fromkeys(part.packs))
            packs.update(dict.fromkeys(part.own.packs))
            objects.update(dict.fromkeys(part.own.objects))
        if packs and self._find_place is not None and not self._place.bucket:
            self._place = self._find_place()
        carried = sum([len(data) for _, data in objects])
        if carried > MOST_CARRIED // 2:
            return Failure(Fault.TOO_BIG, f"its inputs of {carried} bytes are too big for a request")
        codec, data = _packed(list(objects))
        request = encode_request(
            Request(
                tasks=tuple([_task(part.submission, function) for part in parts]),
                packs=tuple(packs),
                place=self._place,
                limits=way.limits(parts[0].submission.memory),
                directories=tuple(told),
                codec=codec,
                objects=data,
                engine=way.name,
                coordinator=self._coordinator,
            )
        )
        limits = [part.submission.deadline or function.seconds for part in parts]
        patience = min(sum(limits), max(function.seconds, limits[0])) + _MARGIN_S
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)  # a worker goes on while this machine sleeps
        reply = await way.ask(Question(function, request, parts, patience, sent))
        if isinstance(reply, Failure):
            return reply
        possible = Possible.at(function, time.clock_gettime(time.CLOCK_BOOTTIME) - begun)
        return InvocationReply(parts, reply, set(told), possible)

    def _slim(self, submission: Submission) -> tuple[Submission, tuple[SandboxPath, ...]]:
        """The thunk without plugins that have nothing to do for it, and the directories that are empty without them."""
        groups, empty = self._plugins.without(submission.thunk)
        if not empty or self._plugins.needed(submission.thunk):
            return submission, ()
        return submission._replace(thunk=submission.thunk._replace(groups=groups), encoded=b""), empty


def _not_here(submission: Submission) -> Failure | None:
    """The failure of an attempt that cannot, or must not, run on another machine; None if it may."""
    if submission.stays:
        name = os.fsdecode(submission.stays)
        return Failure(
            Fault.TOO_BIG,
            f"reads {name}, which is not the build's own and so stays here (the setting `readable` grants it)",
        )
    if submission.thunk.dynamic:
        return Failure(Fault.TOO_BIG, "makes thunks, which needs this workspace")
    if needs_home(submission.thunk):
        return Failure(Fault.TOO_BIG, "is compiled for this machine's processor (-march=native)")
    return None


def _task(submission: Submission, function: DeployedFunction) -> Task:
    seconds = min(submission.deadline or function.seconds, function.seconds)
    return Task(submission.encoded or encode_thunk(submission.thunk), submission.extra, int(1000 * seconds))


def _packed(objects: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    data = encode_objects(objects)
    if len(data) < _COMPRESS_FROM:
        return RAW, data
    import zstandard

    return ZSTD, zstandard.compress(data, 3)
