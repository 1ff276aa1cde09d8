"""What coordinators and workers write to each other through queues: JSON texts. Version 1.

  call     {"v": 1, "build": HEX, "call": NUMBER, "weight": NUMBER}
  job      {"v": 1, "id": TEXT, "reply": URL of a queue, "request": base64 of a request (`gg.wire.request`),
            "held": [[ADDRESS, TOKEN, base64 of digests], ...]}
  answer   {"v": 1, "id": TEXT, "worker": TEXT, "what": "reply", "data": base64 of a reply (`gg.wire.reply`),
            "held": [[ADDRESS, TOKEN, base64 of digests]]}
           {"v": 1, "id": TEXT, "worker": TEXT, "what": "started" | "back"}

A call lies in the queue that all workers of a fleet read, and none of them takes it away: it says that a build has work, in a
queue of its own (`build_queue`), and goes on to have some, for calls come again and again, with rising numbers. Jobs are in
the builds' queues, which workers take from in turn.

"held" may be missing. In an answer it names what the worker keeps of what it has made, for other workers to ask for
(`gg.wire.peers`); in a job, who has which of the blobs that it reads.

"started" says that a job has been running for a while, again and again; "back" that it was given back unfinished.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from gg.core.columns import split_digests
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.wire.peers import MOST_HELD, MOST_PEERS, Holding, parse_peer

MOST = 256 << 10  # bytes of a letter
MOST_REQUEST = 180 << 10  # bytes of a request that fits into one
MOST_REPLY = 180 << 10
_MOST_ID = 200
CALL_S = 15.0  # between two calls of a build
_MOST_WEIGHT = 8.0
_BUILD = re.compile(r"[0-9a-f]{8,32}")
_WHAT = frozenset({"reply", "started", "back"})


class CallLetter(NamedTuple):
    """`weight`: what the build gets of workers, compared with other builds."""

    build: str
    number: int
    weight: float = 1.0


class JobLetter(NamedTuple):
    """`reply`: the queue where the answer is waited for. `held`: who has what it reads."""

    id: str
    reply: str
    request: bytes
    held: tuple[Holding, ...] = ()


class AnswerLetter(NamedTuple):
    """`what`: reply, started or back. `held`: what the worker keeps for others."""

    id: str
    worker: str
    what: str
    data: bytes = b""
    held: tuple[Holding, ...] = ()


def build_queue(jobs: str, build: str) -> str:
    """The name of a build's own queue. `jobs`: that of the queue for all."""
    return f"{jobs[:40]}-build-{build}"


def encode_call(call: CallLetter) -> str:
    return json.dumps({"v": 1, "build": call.build, "call": call.number, "weight": call.weight})


def decode_call(text: str) -> CallLetter:
    """FormatError. No weight is more than eight times that of another build, or less than an eighth."""
    found = _decoded(text)
    build, number, weight = _text(found, "build"), found.get("call"), found.get("weight")
    if not _BUILD.fullmatch(build) or type(number) is not int or not 0 <= number < 1 << 53:
        raise _damaged()
    if not isinstance(weight, int | float) or weight != weight:
        raise _damaged()
    return CallLetter(build, number, min(max(float(weight), 1 / _MOST_WEIGHT), _MOST_WEIGHT))


def encode_job(job: JobLetter) -> str:
    letter = {"v": 1, "id": job.id, "reply": job.reply, "request": base64.b64encode(job.request).decode()}
    return json.dumps(letter | _held_columns(job.held))


def decode_job(text: str) -> JobLetter:
    """FormatError."""
    found = _decoded(text)
    return JobLetter(_text(found, "id"), _text(found, "reply", 2048), _octets(found, "request"), _held(found))


def encode_answer(answer: AnswerLetter) -> str:
    letter = {"v": 1, "id": answer.id, "worker": answer.worker, "what": answer.what}
    if answer.what == "reply":
        letter["data"] = base64.b64encode(answer.data).decode()
    return json.dumps(letter | _held_columns(answer.held))


def decode_answer(text: str) -> AnswerLetter:
    """FormatError."""
    found = _decoded(text)
    what = _text(found, "what")
    if what not in _WHAT:
        raise _damaged()
    data = _octets(found, "data") if what == "reply" else b""
    return AnswerLetter(_text(found, "id"), _text(found, "worker"), what, data, _held(found))


def _held_columns(held: Sequence[Holding]) -> dict[str, list[list[str]]]:
    columns = [[*each.peer, base64.b64encode(b"".join(each.digests)).decode()] for each in held]
    return {"held": columns} if columns else {}


def _held(found: dict[str, object]) -> tuple[Holding, ...]:
    columns = found.get("held", [])
    if not isinstance(columns, list) or len(columns) > MOST_PEERS:
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


def _decoded(text: str) -> dict[str, object]:
    try:
        found = json.loads(text) if len(text) <= MOST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.get("v") != 1:
        raise _damaged()
    return found


def _text(found: dict[str, object], name: str, most: int = _MOST_ID) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise _damaged()
    return value


def _octets(found: dict[str, object], name: str) -> bytes:
    value = found.get(name)
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else _none()
    except (ValueError, binascii.Error) as error:
        raise _damaged() from error


def _none() -> bytes:
    raise _damaged()


def _damaged() -> FormatError:
    return FormatError("a message of a queue is damaged", hint="something else writes there, or another version of gg")
