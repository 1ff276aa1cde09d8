"""The way to a cluster: makes an action of a request, and a reply of the action's result.

`LambdaEngine` does the rest, as for all engines whose attempts run elsewhere. A thread an attempt waits for gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import gg
from gg.core.ids import GroupId, SandboxPath
from gg.core.thunk import File
from gg.cost.meter import Meter
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.awslambda.parts import Part
from gg.engines.engine import Failure
from gg.engines.nothing_between import NothingBetween
from gg.engines.reapi import cluster_errors as errors
from gg.engines.reapi.action import ActionMaker, MadeAction
from gg.engines.reapi.action_result import ActionOutcome, outcome_of, reply_of
from gg.engines.reapi.cas import Cas, ReadBlobs
from gg.engines.reapi.execution import ActionCancelled, BlobsLacking, Execution
from gg.engines.reapi.grpc_channel import Channel, Handle
from gg.engines.reapi.hashed_blobs import HashedBlobs
from gg.engines.reapi.messages import ActionResult
from gg.engines.way import Question, TellChange
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.run.elsewhere import Lacking
from gg.run.expand import Groups
from gg.schedule.events import Fault
from gg.store.base import Key, Store, blob_key
from gg.wire.reply import Refused, Reply, TaskResult, WorkerInfo
from gg.wire.request import Limits, PackReference, decode_request

NAME = "reapi"
_DAY_S = 86400.0
_TURNS = 40  # of one attempt: each turn finds one more directory at least, or that a program must run plainly
_MEMORY = 4 << 30  # bytes that an attempt may be expected to need
_ENDING_S = 10.0


class Uploads(NothingBetween):
    """Inputs go into the cluster's own store."""

    def __init__(self, cas: Cas, blobs: HashedBlobs, store: Store) -> None:
        super().__init__(store)
        self._cas = cas
        self._blobs = blobs

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        self._cas.ensure(self._blobs.sources(files))
        return set()

    def gone(self, keys: Sequence[Key]) -> None:
        self._cas.forget()


class _ClusterAttempt(NamedTuple):
    """One attempt. `told`: directories that exist here."""

    part: Part
    told: frozenset[SandboxPath]
    handle: Handle
    started: Callable[[], None]


class ClusterWay:
    """The way to one instance of one cluster."""

    name = NAME
    carries = 0

    def __init__(
        self,
        channel: Channel,
        cas: Cas,
        maker: ActionMaker,
        groups: Groups,
        store: Store,
        meter: Meter,
        slots: int,
    ) -> None:
        self.meter = meter
        self.functions = (DeployedFunction(str(channel.cluster), _MEMORY, _DAY_S),)
        self._channel = channel
        self._cas = cas
        self._maker = maker
        self._groups = groups
        self._store = store
        self._execution = Execution(channel)
        self._pool = ThreadPoolExecutor(slots + 4, "reapi")
        self._running: set[Handle] = set()
        self._plain: set[SandboxPath] = set()  # programs that start what no preloaded library can see into

    async def warm(self) -> None:
        """Do nothing: the channel is open, for gg has asked for the capabilities."""

    def limits(self, memory: int) -> Limits:
        return Limits(memory=memory)

    def follow(self, tell: TellChange) -> None:
        """Never call `tell`: a cluster does not say how many workers it has."""

    async def ask(self, question: Question) -> Reply | Failure:
        (part,) = question.parts
        loop = asyncio.get_running_loop()
        handle = Handle()
        asked = decode_request(question.request)
        seconds = asked.tasks[0].milliseconds / 1000

        def started() -> None:
            if handle.cancelled:  # the attempt is over, and so is `limit`
                return
            question.sent()
            if limit.when() is None:
                limit.reschedule(loop.time() + seconds)

        attempt = _ClusterAttempt(part, frozenset(asked.directories), handle, lambda: _later(loop, started))
        self._running.add(handle)
        future = loop.run_in_executor(self._pool, self._attempt, attempt)
        try:
            async with asyncio.timeout(None) as limit:
                return await asyncio.shield(future)
        except TimeoutError:
            return Failure(Fault.TIMEOUT, f"took longer than {seconds:.0f} s")
        finally:
            handle.cancel()
            self._running.discard(handle)
            future.add_done_callback(_seen)

    async def close(self) -> None:
        for handle in list(self._running):
            handle.cancel()
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            await asyncio.wait_for(loop.run_in_executor(None, self._pool.shutdown), _ENDING_S)
        self._channel.close()

    # In a thread

    def _attempt(self, asked: _ClusterAttempt) -> Reply | Failure:
        try:
            result = self._result(asked)
        except Lacking as error:
            result = Refused(Fault.MISSING_INPUT, f"{error} is not declared", missing=error.paths)
        except BlobsLacking as error:
            self._cas.forget()
            return Failure(Fault.INFRA, f"the cluster has lost files: {error}: sent again")
        except ActionCancelled:
            return Failure(Fault.CANCELLED, "cancelled")
        except errors.ClusterFault as error:
            return Failure(error.fault, error.what)
        except FormatError as error:
            return Failure(Fault.TOO_BIG, str(error))
        return Reply(WorkerInfo(gg.__version__, self.functions[0].name), (result,))

    def _result(self, asked: _ClusterAttempt) -> TaskResult:
        submission = asked.part.submission
        thunk, directories = submission.thunk, dict.fromkeys(asked.part.empty)
        if thunk.closed:
            return Refused(Fault.TOO_BIG, "is a whole build in a sandbox")
        for _ in range(_TURNS):
            plain = thunk.program in self._plain
            action = self._maker.make(thunk, submission.extra, tuple(directories), plain=plain)
            with self._cas.holding() as read:
                outcome = self._outcome(action, asked, read)
                if outcome.ran.static and not action.plain:
                    self._plain.add(thunk.program)
                    continue
                missed = [path for path in outcome.ran.missing if path in asked.told and path not in directories]
                if missed:  # other actions are not told: an action is the same in every checkout
                    directories.update(dict.fromkeys(missed))
                    continue
                answer, blobs = reply_of(outcome, thunk, submission.extra, self._groups.universe(thunk), self.name)
                if blobs:
                    self._store.put({blob_key(blob): data for blob, data in blobs.items()})
                return answer
        return Refused(Fault.INFRA, "looks for ever more directories")

    def _outcome(self, action: MadeAction, asked: _ClusterAttempt, read: ReadBlobs) -> ActionOutcome:
        thunk = asked.part.submission.thunk
        result, cached = self._run(action, asked)
        try:
            return outcome_of(result, action, thunk, read)
        except errors.ClusterFault as error:
            if not cached or error.code != errors.NOT_FOUND:
                raise
        result, _ = self._run(action, asked, afresh=True)  # the cluster has lost the outputs
        return outcome_of(result, action, thunk, read)

    def _run(self, action: MadeAction, asked: _ClusterAttempt, *, afresh: bool = False) -> tuple[ActionResult, bool]:
        """The action's result, and whether the cluster knew it already."""
        known = None if afresh else self._execution.known(action.digest)
        if known is not None and known.exit_code == 0:
            return known, True
        self._cas.ensure(action.blobs)
        if asked.handle.cancelled:
            raise ActionCancelled
        response = self._execution.run(action.digest, asked.handle, asked.started, afresh=afresh)
        assert response.result is not None
        return response.result, response.cached_result


def _later(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(call)


def _seen(future: asyncio.Future[Reply | Failure]) -> None:
    """Look at the exception: asyncio complains if nobody does."""
    if not future.cancelled():
        future.exception()
