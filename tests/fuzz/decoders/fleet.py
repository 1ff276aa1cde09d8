"""The decoders of what workers of one fleet and the builds that use them write to each other through queues, and beside them, and
of what clusters answer.
"""

from __future__ import annotations

from contextlib import suppress

from gg.engines.reapi import messages
from gg.engines.spot.heard_workers import HeardWorkers
from gg.errors import FormatError
from gg.wire import letters
from gg.wire.letters import AnswerLetter, CallLetter, JobLetter, OfferLetter, StoredBody
from gg.wire.peers import Holding, Peer
from gg.wire.request import BucketLocation
from gg.worker import exchange_server
from tests.fuzz.decoders.target import Target, as_file, scratch

HELD = (Holding(Peer("10.0.0.5:7178", "t" * 32), (b"\1" * 32,)), Holding(Peer("[fd00::5]:1", "u" * 16), ()))
STORED = StoredBody(b"\1" * 32, 1 << 20, BucketLocation("http://here", "bucket", "p/", "eu-west-1", "123"))
JOB = letters.encode_job(JobLetter("1-0123456789abcdef", b"\0request", HELD))
LETTERS = (
    letters.encode_call(CallLetter(bytes(range(32)), 7, 2.0, ((1, 3), (7, 7)))),
    JOB,
    letters.encode_job(JobLetter("1-0123456789abcdef", b"ab" * 10_000)),
    letters.encode_answer(AnswerLetter("1-0123456789abcdef", "w", "reply", b"\xff", HELD[:1])),
    letters.encode_answer(AnswerLetter("1-0123456789abcdef", "w", "reply", STORED)),
    letters.encode_answer(AnswerLetter("1-0123456789abcdef", "w", "started")),
    letters.encode_answer(AnswerLetter("0123456789abcdef", "w", "here", slots=8)),
    letters.encode_offer(OfferLetter("0123456789abcdef", "handle", 1, JOB)),
)


def _letters(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for decode in (letters.decode_call, letters.decode_job, letters.decode_answer, letters.decode_offer):
        with suppress(FormatError):
            decode(text)


def _workers(data: bytes) -> None:
    as_file(data, "spot-workers.json")
    HeardWorkers(scratch(), "q", lambda: 1001.0).last(5)


FILE = messages.OutputFile("gg-out/told", messages.Digest("ab" * 32, 7), True)
RESULT = messages.ActionResult((FILE,), (messages.OutputDirectory("w", messages.Digest("cd" * 32, 9)),), 1, b"said")
ANSWERS = (
    RESULT,
    messages.ExecuteResponse(
        RESULT, True, messages.Status(9, "why", (messages.Anything("x/PreconditionFailure", b"y"),))
    ),
    messages.Operation("operations/1", messages.Anything("t", b"v"), True),
    messages.Tree(b"root", (b"child",)),
    messages.DirectoryMessage(
        (messages.FileNode("a"),), (messages.DirectoryNode("b"),), (messages.SymlinkNode("c", "d"),)
    ),
    messages.FindMissingBlobsResponse((messages.Digest("ab" * 32, 7),)),
    messages.BatchReadBlobsResponse((messages.BlobRead(messages.Digest("ab" * 32, 7), b"data", None, messages.ZSTD),)),
    messages.ServerCapabilities(messages.CacheCapabilities((1,), 1 << 20, (1,)), None, messages.SemVer(2)),
)


def _cluster(data: bytes) -> None:
    for answer in ANSWERS:
        with suppress(FormatError):
            messages.decode(type(answer), data)


FLEET = (
    Target(
        "cluster-answers", _cluster, tuple(map(messages.encode, ANSWERS)), (), (b"\x12\0", b"\x0a\x02\x12\0", b"\x1a\0")
    ),
    Target("letters", _letters, tuple(map(str.encode, LETTERS)), (), (b"[", b'{"a":')),
    Target("workers-heard", _workers, (b'{"q": [["10.0.0.5:1", "tttttttttttttttt", 1000.5]]}',), (), (b"[", b'{"a":')),
    Target("worker-path", lambda data: exchange_server._key_of(data.decode("latin-1")), (b"/1/" + b"ab" * 32,), ()),
)
