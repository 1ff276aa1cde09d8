"""The parts of one invocation: its attempts, as a worker is asked for them, and the result of each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File, Reduction
from gg.engines.awslambda.claims import Possible
from gg.engines.awslambda.inputs import MOST, SMALL, Own
from gg.engines.engine import Failure, Post, Submission
from gg.light.named import NamedTuple
from gg.store.base import Key
from gg.wire.reply import Reply
from gg.wire.request import PackReference


class Part(NamedTuple):
    """An attempt as a worker is asked for it. `handed`: as it was submitted; `submission` may lack plugins."""

    handed: Submission
    submission: Submission
    packs: frozenset[PackReference]
    own: Own
    empty: tuple[SandboxPath, ...] = ()


class InvocationReply(NamedTuple):
    """A reply, the parts that it answers, the directories that the worker was told of, and what its figures can be at most."""

    parts: Sequence[Part]
    reply: Reply
    told: set[bytes]
    possible: Possible


class WorkerResult(NamedTuple):
    """A reduction, the outputs that came with it, and the outputs that must be fetched."""

    reduction: Reduction
    encoded: bytes
    outputs: dict[Key, bytes]
    elsewhere: set[BlobId]


class Invocation:
    """Attempts that share an invocation. `waiting`: attempts without an answer, and where the answer goes."""

    __slots__ = ("submissions", "task", "waiting")

    def __init__(self, submissions: Sequence[Submission], post: Post) -> None:
        self.submissions = submissions
        self.waiting: dict[int, Post] = {submission.attempt: post for submission in submissions}
        self.task: asyncio.Task[None] | None = None


PartResult = WorkerResult | Failure


def own_size(submission: Submission) -> int:
    """How many bytes of an attempt's own files a request holds, at most: large files go by the store."""
    sizes = [e.blob.size for e in (*submission.thunk.entries, *submission.extra) if isinstance(e, File)]
    return min(sum([size for size in sizes if size <= SMALL]), MOST)


def portions(submission: Submission, most: int = MOST) -> Iterator[list[Submission]]:
    """An attempt and those that go with it, as many in each request as it has room for. `most`: bytes of inputs."""
    some: list[Submission] = []
    room = 0
    for each in (submission, *submission.more):
        size = own_size(each) + len(each.encoded)
        if some and size > room:
            yield some
            some = []
        room = (room if some else most) - size
        some.append(each)
    yield some
