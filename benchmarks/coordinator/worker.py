"""The worker that the coordinator is measured against: it answers as gg's own does, and runs nothing.

Every output gets 64 bytes that follow from the thunk, so no two are equal, and the reads are those of the whole universe.
It runs in the Lambda service's own process (fast mode), which `GG_BENCH` tells the group's paths and the seconds to sleep.

It stands for functions that cost this machine nothing, so it does as little as it can: of a thunk only the outline is decoded,
its source is known by the workload's rule of names, and a reduction is put together from parts that are the same for all. That
it is one is checked by the coordinator, which decodes it in full.
"""

from __future__ import annotations

import base64
import json
import os
from bisect import bisect
from functools import cache
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3
from msgpack import packb

from gg.core.codec import outline_thunk
from gg.wire.reply import Reply, Succeeded, TaskResult, WorkerInfo, encode_outputs, encode_reply
from gg.wire.request import decode_request
from tests.servers.lambda_service.fast import Sleep

_WORKER = WorkerInfo("benchmark", "fast", False, 1 << 30)
_NOTHING: list[object] = [[b"", b"", b"", []], [b"", b"", []]]  # extra outputs, extra inputs
_CHECK_SIZE = 8


class Told(NamedTuple):
    """What the benchmark says to the service. `paths`: the group's, sorted."""

    paths: tuple[bytes, ...] | None
    seconds: float
    usage: list[int]


@cache
def _told(path: Path) -> Told:
    raw = json.loads(path.read_text())
    paths, seconds = raw["paths"], raw["seconds"]
    usage = [int(seconds * 1e9) + 1_000_000, 1_000_000, 8 << 20]
    return Told(None if paths is None else tuple(sorted(map(os.fsencode, paths))), seconds, usage)


@cache
def _around(path: Path, at: int) -> tuple[bytes, bytes]:
    """The universe's paths as one text: what stands before the one that comes in at this place, and what after."""
    paths = _told(path).paths or ()
    return b"".join([path + b"\0" for path in paths[:at]]), b"".join([b"\0" + path for path in paths[at:]])


def _reads(path: Path, output: bytes) -> list[object] | None:
    """All of the universe: the group and the thunk's own source (`workload`)."""
    paths = _told(path).paths
    if paths is None:
        return None
    directory, _, name = output.rpartition(b"/out/")
    own = b"%s/src/%s.txt" % (directory, name)
    before, after = _around(path, bisect(paths, own))
    count = len(paths) + 1
    check = blake3(before + own + after).digest(length=_CHECK_SIZE)
    return [count, check, ((1 << count) - 1).to_bytes((count + 7) // 8, "little")]


def reply_to(encoded: bytes, told: Path) -> bytes:
    """The reply to a request. `told`: the file that `workload.tell` has written."""
    request = decode_request(encoded)
    outputs: list[bytes] = []
    results: list[TaskResult] = []
    for task in request.tasks:
        paths = [output.path for output in outline_thunk(task.thunk).outputs]
        made = [blake3(task.thunk + bytes([index])).digest(length=64) for index in range(len(paths))]
        outputs += made
        digests = b"".join([blake3(data).digest() for data in made])
        columns = [b"f" * len(made), digests, [64] * len(made)]
        usage, reads = _told(told).usage, _reads(told, paths[0])
        results.append(
            Succeeded(packb(["gg-reduction", 1, columns, b"", b"", usage, request.engine, *_NOTHING, reads]))
        )
    return encode_reply(Reply(_WORKER, tuple(results), objects=encode_outputs(outputs)), encoded)


def answer(payload: bytes) -> bytes | Sleep:
    """A callable for fast mode."""
    told = Path(os.environ["GG_BENCH"])
    encoded = base64.b64decode(payload[1:-1])
    text = b'"' + base64.b64encode(reply_to(encoded, told)) + b'"'
    seconds = _told(told).seconds
    return Sleep(seconds * len(decode_request(encoded).tasks), text) if seconds else text
