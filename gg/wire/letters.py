"""What coordinators and workers write to each other, through queues for the most part: JSON texts. Version 3.

  call     {"v": 3, "asks": VERSION of requests, "key": HEX, "call": NUMBER, "weight": NUMBER, "withdrawn": [[FIRST, LAST], ...]}
  job      {"v": 3, "id": TEXT, "request": BODY of a request (`gg.wire.request`),
            "held": [[ADDRESS, TOKEN, base64 of digests], ...]}
  answer   {"v": 3, "id": TEXT, "worker": TEXT, "what": "reply", "data": BODY of a reply (`gg.wire.reply`),
            "held": [[ADDRESS, TOKEN, base64 of digests]]}
           {"v": 3, "id": TEXT, "worker": TEXT, "what": "started" | "back"}
           {"v": 3, "id": TEXT, "worker": TEXT, "what": "here", "slots": NUMBER}
  offer    {"v": 3, "build": HEX, "handle": TEXT, "received": NUMBER, "job": TEXT of a job}

A BODY is base64 of the bytes, or ["zstd", base64 of one frame]; or, where the letter would be too big for a message, ["blob",
base64 of a digest, size, and five texts: where the store is that has the bytes as a blob (`gg.wire.request.BucketLocation`)].

A call lies in the queue that all workers of a fleet read, and none of them takes it away: it says that a build has work, in a
queue of its own (`build_queue`), and goes on to have some, for calls come again and again, with rising numbers. It tells the
build's key, from which the names of its queues and all ids follow (`gg.wire.build_key`): a letter with another id is nobody's.
Workers take jobs from the builds' queues in turn, and answer to another queue of each build (`replies_queue`). Nobody can take a
job out of its queue without receiving it. So a call also names the jobs that nobody waits for any more, by their numbers, in
rising order. "withdrawn" may be missing.

"held" may be missing. In an answer it names what the worker keeps of what it has made, for other workers to ask for
(`gg.wire.peers`): itself, and no other worker. In a job it says who has which of the blobs that the job reads.

An offer goes from worker to worker (`gg.wire.peers`): a job that one has received, and by which handle its message can be kept and
deleted, after how many receipts.

"started" says that a job has been running for a while, again and again; "back" that it was given back unfinished; "here" that a
worker has heard of the build, again with each call, and how many jobs the worker runs at once: 0 when it is about to leave.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gg.core.columns import split_digests
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.wire.build_key import KEY_SIZE, build_name
from gg.wire.compressed import decompress
from gg.wire.peers import MOST_HELD, MOST_PEERS, Holding, parse_peer
from gg.wire.request import MOST_CARRIED, VERSION, BucketLocation

MOST = 256 << 10  # bytes of a letter
MOST_OFFER = 2 * MOST
MOST_BODY = 64 << 20  # bytes of a request or a reply
_VERSION = 3
_WORTH_PACKING = 4 << 10  # bytes
_LEVEL = 3  # of zstd
_MOST_ID = 200
_MOST_HANDLE = 4096
CALL_S = 15.0  # between two calls of a build
_MOST_WEIGHT = 8.0
_BUILD = re.compile(r"[0-9a-f]{8,32}")
_KEY = re.compile(rf"[0-9a-f]{{{2 * KEY_SIZE}}}")
_WHAT = frozenset({"reply", "started", "back", "here"})
_MOST_SLOTS = 4096
_MOST_RANGES = 256
_MOST_NUMBER = 1 << 53


class OtherLetterVersion(FormatError):
    """A letter of another version of gg: it may be for others who read the same queue."""


class CallLetter(NamedTuple):
    """`key`: the build's. `weight`: what it gets of workers, compared with others. `withdrawn`: ranges of jobs that nobody waits
    for.
    """

    key: bytes
    number: int
    weight: float = 1.0
    withdrawn: tuple[tuple[int, int], ...] = ()

    @property
    def build(self) -> str:
        return build_name(self.key)


class StoredBody(NamedTuple):
    """Bytes that are too many for a message, and are a blob of a store instead."""

    digest: bytes
    size: int
    place: BucketLocation


class JobLetter(NamedTuple):
    """`held`: who has what it reads."""

    id: str
    request: bytes | StoredBody
    held: tuple[Holding, ...] = ()


class AnswerLetter(NamedTuple):
    """`what`: reply, started, back or here. `held`: what the worker keeps for others. `slots`: of a worker that is here."""

    id: str
    worker: str
    what: str
    data: bytes | StoredBody = b""
    held: tuple[Holding, ...] = ()
    slots: int = 0


class OfferLetter(NamedTuple):
    """A job of a build, as a message of its queue: see `gg.aws.sqs.Message`."""

    build: str
    handle: str
    received: int
    job: str


def fits(letter: str) -> bool:
    """Whether a message has room for an encoded letter."""
    return len(letter) <= MOST


def build_queue(jobs: str, build: str) -> str:
    """The name of a build's own queue. `jobs`: that of the queue for all."""
    return f"{jobs[:40]}-build-{build}"


def replies_queue(jobs: str, build: str) -> str:
    """The name of the queue in which a build waits for answers. `jobs`: that of the queue for all."""
    return f"{jobs[:40]}-replies-{build}"


def ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers as ranges, as many as a call has room for: the highest."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return tuple(found[-_MOST_RANGES:])


def encode_call(call: CallLetter) -> str:
    letter: dict[str, object] = {"v": _VERSION, "asks": VERSION, "key": call.key.hex(), "call": call.number}
    letter["weight"] = call.weight
    return json.dumps(letter | ({"withdrawn": call.withdrawn} if call.withdrawn else {}))


def decode_call(text: str) -> CallLetter:
    """FormatError; OtherLetterVersion also if the build's requests are of another version. No weight is more than eight times that
    of another build, or less than an eighth.
    """
    found = _decoded(text)
    if found.get("asks") != VERSION:
        raise _of_other_version()
    key, number, weight = _text(found, "key"), found.get("call"), found.get("weight")
    if not _KEY.fullmatch(key) or type(number) is not int or not 0 <= number < _MOST_NUMBER:
        raise _damaged()
    if not isinstance(weight, int | float) or weight != weight:
        raise _damaged()
    weight = float(min(max(weight, 1 / _MOST_WEIGHT), _MOST_WEIGHT))
    return CallLetter(bytes.fromhex(key), number, weight, _withdrawn(found))


def _withdrawn(found: dict[str, object]) -> tuple[tuple[int, int], ...]:
    columns, last, known = found.get("withdrawn", []), -1, []
    if not isinstance(columns, list) or len(columns) > _MOST_RANGES:
        raise _damaged()
    for each in columns:
        match each:
            case [int(a), int(b)] if last < a <= b < _MOST_NUMBER:
                known.append((int(a), int(b)))
                last = b
            case _:
                raise _damaged()
    return tuple(known)


def encode_job(job: JobLetter) -> str:
    letter = {"v": _VERSION, "id": job.id, "request": _body_columns(job.request)}
    return json.dumps(letter | _held_columns(job.held))


def decode_job(text: str) -> JobLetter:
    """FormatError."""
    found = _decoded(text)
    return JobLetter(_text(found, "id"), _body(found, "request"), _held(found, MOST_PEERS))


def encode_answer(answer: AnswerLetter) -> str:
    letter: dict[str, object] = {"v": _VERSION, "id": answer.id, "worker": answer.worker, "what": answer.what}
    if answer.what == "reply":
        letter["data"] = _body_columns(answer.data)
    if answer.what == "here":
        letter["slots"] = answer.slots
    return json.dumps(letter | _held_columns(answer.held))


def decode_answer(text: str) -> AnswerLetter:
    """FormatError."""
    found = _decoded(text)
    what = _text(found, "what")
    if what not in _WHAT:
        raise _damaged()
    data = _body(found, "data") if what == "reply" else b""
    slots = found.get("slots") if what == "here" else 0
    if type(slots) is not int or not 0 <= slots <= _MOST_SLOTS:
        raise _damaged()
    return AnswerLetter(_text(found, "id"), _text(found, "worker"), what, data, _held(found, 1), slots)


def encode_offer(offer: OfferLetter) -> str:
    build, handle, received, job = offer
    return json.dumps({"v": _VERSION, "build": build, "handle": handle, "received": received, "job": job})


def decode_offer(text: str) -> OfferLetter:
    """FormatError."""
    found = _decoded(text, MOST_OFFER)
    build, received = _text(found, "build"), found.get("received")
    if not _BUILD.fullmatch(build) or type(received) is not int or not 0 < received < 1 << 31:
        raise _damaged()
    return OfferLetter(build, _text(found, "handle", _MOST_HANDLE), received, _text(found, "job", MOST))


def _body_columns(body: bytes | StoredBody) -> object:
    if isinstance(body, StoredBody):
        return ["blob", base64.b64encode(body.digest).decode(), body.size, *body.place]
    if _WORTH_PACKING <= len(body) <= MOST_CARRIED:
        from zstandard import ZstdCompressor

        packed = ZstdCompressor(level=_LEVEL).compress(body)
        if len(packed) < len(body):
            return ["zstd", base64.b64encode(packed).decode()]
    return base64.b64encode(body).decode()


def _body(found: dict[str, object], name: str) -> bytes | StoredBody:
    match found.get(name):
        case ["zstd", text]:
            return decompress(_octets({name: text}, name), MOST_CARRIED)
        case ["blob", text, int(size), str(a), str(b), str(c), str(d), str(e)] if 0 <= size <= MOST_BODY:
            digest = _octets({name: text}, name)
            if len(digest) == DIGEST_SIZE and all(map(_is_unicode, (a, b, c, d, e))):
                return StoredBody(digest, int(size), BucketLocation(a, b, c, d, e))
            raise _damaged()
    return _octets(found, name)


def _held_columns(held: Sequence[Holding]) -> dict[str, list[list[str]]]:
    columns = [[*each.peer, base64.b64encode(b"".join(each.digests)).decode()] for each in held]
    return {"held": columns} if columns else {}


def _held(found: dict[str, object], most: int) -> tuple[Holding, ...]:
    """What `most` workers at most have."""
    columns = found.get("held", [])
    if not isinstance(columns, list) or len(columns) > most:
        raise _damaged()
    held = []
    for each in columns:
        if not isinstance(each, list) or len(each) != 3 or not all(isinstance(text, str) for text in each):
            raise _damaged()
        joined = _octets({"digests": each[2]}, "digests")
        held.append(Holding(parse_peer(each[0], each[1]), tuple(split_digests(joined, len(joined) // DIGEST_SIZE))))
    if sum(len(each.digests) for each in held) > MOST_HELD:
        raise _damaged()
    return tuple(held)


def _decoded(text: str, most: int = MOST) -> dict[str, object]:
    try:
        found = json.loads(text) if len(text) <= most else None
    except (ValueError, RecursionError):
        found = None
    version = found.get("v") if isinstance(found, dict) else None
    if not isinstance(found, dict) or type(version) is not int:
        raise _damaged()
    if version != _VERSION:
        raise _of_other_version()
    return found


def _text(found: dict[str, object], name: str, most: int = _MOST_ID) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most or not _is_unicode(value):
        raise _damaged()
    return value


def _is_unicode(text: str) -> bool:
    """Whether a text can be sent on: JSON can name halves of characters, which have no bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _octets(found: dict[str, object], name: str) -> bytes:
    value = found.get(name)
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else _none()
    except (ValueError, binascii.Error) as error:
        raise _damaged() from error


def _none() -> bytes:
    raise _damaged()


def _of_other_version() -> FormatError:
    return OtherLetterVersion(
        "a message of a queue is of another version of gg", hint="install the same one everywhere"
    )


def _damaged() -> FormatError:
    return FormatError("a message of a queue is damaged", hint="something else writes there")
