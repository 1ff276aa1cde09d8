"""Judges a worker's reply, for each attempt in it: compares outputs with their digests, and looks here for the paths that the
worker missed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence, Set
from functools import cache, partial
from typing import TYPE_CHECKING, Protocol

from gg.core.ids import BlobId, SandboxPath
from gg.core.reduction import decode_reduction, ran_on
from gg.core.thunk import File
from gg.cost.meter import Meter
from gg.engines.awslambda.home import Home
from gg.engines.awslambda.parts import InvocationReply, Part, PartResult, WorkerResult
from gg.engines.engine import Failure, Submission
from gg.errors import (
    FormatError,
    GGError,
    InputChanged,
    MissingObject,
    NoRoom,
    ScarceError,
    SetupError,
    ends_run,
    machine_error,
)
from gg.run.expand import Groups, all_entries
from gg.schedule.events import Fault
from gg.store.base import Key, Kind, Store, blob_key
from gg.wire.reply import Refused, Succeeded, TaskResult, ToolFailed, outputs_of
from gg.workspace.granted import Granted

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.engines.awslambda.claims import Possible
    from gg.engines.awslambda.habits import Habits
    from gg.workspace.later import Later


_MOST_SAID = 1000  # characters of what a worker says why: it is one line


class LossListener(Protocol):
    """Told of losses of the store between."""

    def gone(self, keys: Sequence[Key]) -> None: ...


class Replies:
    """Judges replies. Calls `forget` if something that was sent is not there any more."""

    def __init__(
        self,
        name: str,
        *,
        store: Store,
        groups: Groups,
        home: Home,
        meter: Meter,
        remote: LossListener | None,
        renaming: Renaming | None,
        granted: Granted,
        later: Later | None = None,
        habits: Habits,
        forget: Callable[[], None],
    ) -> None:
        self._name = name
        self._store = store
        self._groups = groups
        self._home = home
        self._meter = meter
        self._remote = remote
        self._renaming = renaming
        self._real_path: Callable[[bytes], bytes] = renaming.real_path if renaming else bytes
        self._granted = granted
        self._later = later
        self._habits = habits
        self._forget = forget

    def judge(self, came: InvocationReply) -> list[PartResult]:
        """The result of each part, in order."""
        try:
            return self._all(came)
        except FormatError as error:
            return [Failure(Fault.INFRA, f"a damaged reply: {error}")] * len(came.parts)
        except Exception as error:  # an attempt that is never answered would make the force wait for ever
            return [failure_of(error)] * len(came.parts)

    def _all(self, came: InvocationReply) -> list[PartResult]:
        reply = came.reply
        if reply.cache.requests:
            put, get = came.possible.requests(reply.cache)
            self._meter.stored(put=put, get=get)
        if len(reply.results) != len(came.parts):
            return [Failure(Fault.INFRA, "a reply with a wrong number of results")] * len(came.parts)
        outputs = outputs_of(reply)
        judged = [
            self._judged(answer, part, came, outputs) for answer, part in zip(reply.results, came.parts, strict=True)
        ]
        named = {key for result in judged if isinstance(result, WorkerResult) for key in result.outputs}
        if len(named) != len(outputs) and all(isinstance(result, WorkerResult) for result in judged):
            return [Failure(Fault.INFRA, "a damaged reply: outputs that nothing names")] * len(came.parts)
        return judged

    def _judged(
        self, answer: TaskResult, part: Part, came: InvocationReply, outputs: dict[BlobId, bytes]
    ) -> PartResult:
        try:
            return self._judge(answer, part, came, outputs)
        except FormatError as error:
            return Failure(Fault.INFRA, f"a damaged reply: {error}")
        except InputChanged as error:
            return Failure(Fault.CHANGED, f"{error.what}: {error.hint}")

    def _judge(self, answer: TaskResult, part: Part, came: InvocationReply, outputs: dict[BlobId, bytes]) -> PartResult:
        if answer.missing:
            more = self._more(answer.missing, part.submission, came.told, works=isinstance(answer, Succeeded))
            if more is not None:
                return more
        match answer:
            case Succeeded():
                return self._made(answer, part, outputs, came.possible)
            case ToolFailed():
                return Failure(Fault.TOOL, "failed", answer.status, answer.stdout, answer.stderr)
            case Refused():
                return self._refused(answer, part.submission)

    def _more(
        self, missing: Sequence[bytes], submission: Submission, told: set[bytes], *, works: bool
    ) -> Failure | None:
        """The thunk looked for files that are here and undeclared: it runs again with them, without files that came later."""
        known: set[bytes] = {f.path for f in submission.extra} | {o.path for o in submission.thunk.outputs}
        tool = self._real_path(submission.thunk.program)
        there = self._home.there(map(SandboxPath, missing), known)
        declared = cache(partial(self._groups.directories, submission.thunk))  # thousands, for a compile of C++
        wanted = [path for path in there if not self._is_late(path, submission, declared, works=works)]
        found = self._home.look(wanted, known, told, tool)
        if found.kept:
            name = os.fsdecode(self._real_path(found.kept[0]))
            return Failure(
                Fault.TOO_BIG, f"reads {name}, which is neither the workspace's nor the system's to give away"
            )
        if not any(found):
            return None
        self._habits.learn(submission.thunk, [*(file.path for file in found.files), *found.directories])
        if self._renaming:  # a user would not find them by the path in the thunk
            self._store.put_files({f.blob: self._renaming.real_path(f.path) for f in found.files})
        extra = (*submission.extra, *found.files)
        return Failure(Fault.UNDECLARED, "reads what was not declared", needs=found.needs, extra=extra)

    def _is_late(
        self, path: SandboxPath, submission: Submission, declared: Callable[[], Set[bytes]], *, works: bool
    ) -> bool:
        """Whether a file is not shown to a thunk, which then works or fails without it. `declared`: the thunk's directories."""
        if self._later is None:
            return False
        late = self._later.late(submission.id, submission.thunk, path, declared)
        if late is not None and late.changed:
            name = os.fsdecode(self._real_path(path))
            raise InputChanged(name, hint="record again, or declare that the command reads it")
        return late is not None and (late.sure or works)

    def _refused(self, answer: Refused, submission: Submission) -> Failure:
        message = "".join([c if c.isprintable() else " " for c in answer.message[:_MOST_SAID]])
        lacking = self._lacking(answer, submission) if self._remote is not None else []
        if lacking and self._remote is not None:
            self._remote.gone(lacking)
            self._forget()
            return Failure(Fault.INFRA, f"worker: {message}: sent again")
        return Failure(answer.fault, message)

    def _lacking(self, answer: Refused, submission: Submission) -> list[Key]:
        """The objects that a worker has not found, of those that the attempt reads: of others it cannot know anything."""
        if not answer.lacking:
            return []
        groups = submission.thunk.groups
        entries = (*all_entries(submission.thunk, self._groups.below(groups)), *submission.extra)
        reads = {blob_key(entry.blob) for entry in entries if isinstance(entry, File)}
        reads.update([Key(Kind.GROUP, each) for each in self._groups.ids_below(groups)])
        return [key for key in [Key(Kind(kind), digest) for kind, digest in answer.lacking] if key in reads]

    def _made(self, answer: Succeeded, part: Part, outputs: dict[BlobId, bytes], possible: Possible) -> PartResult:
        thunk = part.submission.thunk
        reduction = decode_reduction(answer.reduction, self._groups.universe(thunk))
        if len(reduction.outputs) != len(thunk.outputs):
            return Failure(Fault.INFRA, "a damaged reply: of another thunk")
        for path, _ in reduction.extra_outputs:
            if not self._granted.may_write(self._real_path(path)):
                return Failure(Fault.INFRA, f"a reply that would write {os.fsdecode(path)}")
        made = {m.blob for m in reduction.outputs if m} | {m.blob for _, m in reduction.extra_outputs}
        here = {blob_key(blob): outputs[blob] for blob in made if blob in outputs}
        encoded, usage = answer.reduction, possible.usage(reduction.usage)
        if part.submission.thunk is not part.handed.thunk or usage != reduction.usage:
            encoded = b""  # its reads are counted over fewer inputs than the thunk declares, or its figures are others
        elif reduction.engine != self._name:
            encoded = ran_on(encoded, self._name)
        return WorkerResult(reduction._replace(engine=self._name, usage=usage), encoded, here, made - outputs.keys())


def failure_of(error: Exception) -> Failure:
    """The failure that an exception means for an attempt. A full disk here ends the run: no reply could be kept."""
    if isinstance(error, InputChanged):
        return Failure(Fault.CHANGED, f"{error.what}: {error.hint}")
    if isinstance(error, MissingObject):
        return Failure(Fault.MISSING_INPUT, str(error))
    if isinstance(error, GGError):
        ends = isinstance(error, (SetupError, NoRoom)) or (isinstance(error, ScarceError) and error.lasting)
        return Failure(Fault.INFRA, str(error), setup=error if ends else None)
    if known := machine_error(error):
        return Failure(Fault.INFRA, str(known), setup=ends_run(error))
    return Failure(Fault.INFRA, f"internal error: {type(error).__name__}: {error}")


def same_as_inputs(submission: Submission) -> set[BlobId]:
    """The blobs that an output may have although the command made nothing: of a file that it edits in place."""
    return {e.blob for e in submission.thunk.entries if isinstance(e, File)}
