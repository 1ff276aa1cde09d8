"""The decoders of what workers of one fleet and the builds that use them write to each other through queues, and beside them."""

from __future__ import annotations

from contextlib import suppress

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
JOB = letters.encode_job(JobLetter("a-1", "http://queue", b"\0request", HELD))
LETTERS = (
    letters.encode_call(CallLetter("0123456789abcdef", 7, 2.0)),
    JOB,
    letters.encode_job(JobLetter("a-1", "http://queue", b"ab" * 10_000)),
    letters.encode_answer(AnswerLetter("a-1", "w", "reply", b"\xff", HELD[:1])),
    letters.encode_answer(AnswerLetter("a-1", "w", "reply", STORED)),
    letters.encode_answer(AnswerLetter("a-1", "w", "started")),
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


FLEET = (
    Target("letters", _letters, tuple(map(str.encode, LETTERS)), (), (b"[", b'{"a":')),
    Target("workers-heard", _workers, (b'{"q": [["10.0.0.5:1", "tttttttttttttttt", 1000.5]]}',), (), (b"[", b'{"a":')),
    Target("worker-path", lambda data: exchange_server._key_of(data.decode("latin-1")), (b"/1/" + b"ab" * 32,), ()),
)
