"""What a worker answers, as bytes: versioned msgpack. Version 4.

  reply      "gg-reply", 4, worker, spans, cache, results, codec, objects
  worker     [version of gg, name of this environment, first request of it, bytes of memory it has]
  spans      [name, begun, took] each, in nanoseconds from when the request came: cold, fetch, exec, upload
  cache      [objects that were here, objects fetched, bytes fetched, requests made, objects evicted, and of the
             requests those that put]
  results    one for each task, in order:
               [0, reduction, missing]        it succeeded: a reduction as `gg.core.codec` has it, reads included
               [1, status, stdout, stderr, [wall, cpu, memory], missing]    the command failed
               [2, fault, message, lacking]   it did not run: one of `_REFUSALS`; objects that no place had,
                                              a byte of kind and 32 of digest each
             missing: paths that were asked for and that are not declared, each ended by NUL: the first of them, if they are
             very many
  codec      0 the objects as they are, 1 as one zstd frame
  objects    one msgpack array of the outputs that travel in the reply, as bytes; others have been put into the store

After that come 16 bytes, with which the BLAKE3 digest begins of all before and of the request's own digest. What a command
printed, a status or a path has no digest of its own, and must not be believed when it was damaged on its way; nor must the
answer to another request, which might come late on the same connection.

A worker that was asked in another version answers "gg-reply", its version, and a text, with nothing after it.
"""

from __future__ import annotations

from typing import Any, cast

from msgpack import packb

from gg.core.bounded import BoundedReader, damaged, is_whole, unpacked
from gg.core.columns import check_numbers, typed
from gg.core.ids import DIGEST_SIZE, BlobId, SandboxPath
from gg.core.thunk import Usage
from gg.light.named import NamedTuple
from gg.schedule.events import Fault
from gg.wire.compressed import decompress
from gg.wire.request import (
    LAST_KIND,
    MOST_CARRIED,
    MOST_VALUES,
    RAW,
    VERSION,
    ZSTD,
    WrongVersion,
    paths_of,
    refuse_other_version,
)

TAG = "gg-reply"
_SEAL = 16
_MOST_STATUS = 255
MOST_MISSING = 100_000  # paths of one task: each is looked up
_MOST_PATH = 4096  # bytes: as Linux has it
_FIELDS_OF_REFUSAL = 3  # of the answer to a request of another version
_TYPES: list[type] = [str, int, list, list, list, list, int, bytes]
_WORKER_TYPES: list[type] = [str, str, bool, int]
_CACHE_TYPES: list[type] = [int] * 6
_SUCCEEDED_TYPES: list[type] = [int, bytes, bytes]
_FAILED_TYPES: list[type] = [int, int, bytes, bytes, list, bytes]
_REFUSED_TYPES: list[type] = [int, str, str, bytes, bytes]
_SPAN_TYPES: list[type] = [str, int, int]
_REFUSALS = (
    Fault.INFRA,
    Fault.LOST,
    Fault.DIED,
    Fault.TIMEOUT,
    Fault.MEMORY,
    Fault.TOO_BIG,
    Fault.MISSING_INPUT,
    Fault.CANCELLED,
)
_FAULTS = {fault.value: fault for fault in _REFUSALS}  # others are found out here: no worker may say them


class WorkerInfo(NamedTuple):
    """Who answers. `name` tells one environment from another; `cold`: this was its first request. Memory in bytes."""

    version: str
    name: str = ""
    cold: bool = False
    memory: int = 0


class Span(NamedTuple):
    """A part of the work, in nanoseconds from when the request came."""

    name: str
    begun: int
    took: int


class CacheUse(NamedTuple):
    """What the worker's cache did for a request."""

    here: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    requests: int = 0
    evicted: int = 0
    puts: int = 0


class Succeeded(NamedTuple):
    """`reduction` is encoded, over the universe of all that the thunk declares."""

    reduction: bytes
    missing: tuple[SandboxPath, ...] = ()


class ToolFailed(NamedTuple):
    """The command's own failure, exactly."""

    status: int
    stdout: bytes
    stderr: bytes
    usage: Usage
    missing: tuple[SandboxPath, ...] = ()


class Refused(NamedTuple):
    """The task gave no result, and that is not the command's fault. `lacking`: (kind, digest) of objects not found."""

    fault: Fault
    message: str
    lacking: tuple[tuple[int, bytes], ...] = ()
    missing: tuple[SandboxPath, ...] = ()


TaskResult = Succeeded | ToolFailed | Refused


class Reply(NamedTuple):
    """See the head of this module. `objects` is encoded by `encode_outputs`, and compressed if `codec` says so."""

    worker: WorkerInfo
    results: tuple[TaskResult, ...]
    spans: tuple[Span, ...] = ()
    cache: CacheUse = CacheUse()
    codec: int = RAW
    objects: bytes = b"\x90"


def encode_outputs(outputs: list[bytes]) -> bytes:
    data: bytes = packb(outputs)
    return data


def decode_outputs(data: bytes) -> list[bytes]:
    """What `encode_outputs` made `data` of; FormatError for anything else."""
    reader = BoundedReader(data, "list of outputs")
    outputs = [reader.octets() for _ in range(reader.array(0, MOST_VALUES))]
    reader.end()
    return outputs


def outputs_of(reply: Reply) -> dict[BlobId, bytes]:
    """The outputs that travel in a reply; FormatError."""
    raw = reply.objects if reply.codec == RAW else decompress(reply.objects, MOST_CARRIED)
    return {BlobId.of(data): data for data in decode_outputs(raw)}


def encode_reply(reply: Reply, request: bytes) -> bytes:
    """The bytes of the reply to `request`."""
    data: bytes = packb(
        [
            TAG,
            VERSION,
            list(reply.worker),
            [list(span) for span in reply.spans],
            list(reply.cache),
            [_columns(result) for result in reply.results],
            reply.codec,
            reply.objects,
        ]
    )
    return data + _seal(data, asked(request))


def asked(request: bytes) -> bytes:
    """What is kept of a request, to know its reply."""
    return BlobId.of(request).digest


def _seal(data: bytes, request: bytes) -> bytes:
    return BlobId.of(data + request).digest[:_SEAL]


def encode_wrong_version(text: str) -> bytes:
    data: bytes = packb([TAG, VERSION, text])
    return data


def decode_reply(data: bytes, request: bytes) -> Reply:
    """The reply to the request that `asked` gave `request` for; WrongVersion when the worker is of another version,
    FormatError for what is none, or the answer to another request.
    """
    sealed = data[:-_SEAL]
    if data[-_SEAL:] != _seal(sealed, request):
        if is_whole(data) and refuse_other_version(data, TAG, "reply") == _FIELDS_OF_REFUSAL:
            raise WrongVersion("reply", VERSION)
        raise damaged("reply")  # of our version a reply does not end where msgpack says
    refuse_other_version(sealed, TAG, "reply")
    fields = unpacked(sealed, "reply", MOST_VALUES)
    if typed(fields, _TYPES):  # a match statement would take three times as long
        _, _, worker, spans, cache, results, codec, objects = cast("list[Any]", fields)
        if typed(worker, _WORKER_TYPES) and typed(cache, _CACHE_TYPES) and codec in (RAW, ZSTD):
            return Reply(
                worker=WorkerInfo(*worker[:3], *check_numbers(worker[3:])),
                results=tuple([_result(result) for result in results]),
                spans=tuple([_span(span) for span in spans]),
                cache=CacheUse(*check_numbers(cache)),
                codec=codec,
                objects=objects,
            )
    raise damaged("reply")


def _columns(result: TaskResult) -> list[object]:
    missing = b"".join([path + b"\0" for path in result.missing[:MOST_MISSING] if len(path) <= _MOST_PATH])
    if isinstance(result, Succeeded):
        return [0, result.reduction, missing]
    if isinstance(result, ToolFailed):
        return [1, result.status, result.stdout, result.stderr, list(result.usage), missing]
    lacking = b"".join([bytes([kind]) + digest for kind, digest in result.lacking])
    message = result.message.encode("utf-8", "backslashreplace").decode()  # a name in it may be no UTF-8
    return [2, result.fault.value, message, lacking, missing]


def _result(raw: object) -> TaskResult:
    kind = raw[0] if type(raw) is list and raw else None
    if kind == 0 and typed(raw, _SUCCEEDED_TYPES):
        _, reduction, missing = cast("list[Any]", raw)
        return Succeeded(reduction, _missing(missing))
    if kind == 1 and typed(raw, _FAILED_TYPES):
        _, status, out, err, usage, missing = cast("list[Any]", raw)
        if 0 < status <= _MOST_STATUS and len(usage) == 3:
            return ToolFailed(status, out, err, Usage._make(check_numbers(usage)), _missing(missing))
    if kind == 2 and typed(raw, _REFUSED_TYPES):
        _, fault, message, lacking, missing = cast("list[Any]", raw)
        if fault in _FAULTS:
            return Refused(_FAULTS[fault], message, _keys(lacking), _missing(missing))
    raise damaged("reply")


def _missing(joined: bytes) -> tuple[SandboxPath, ...]:
    if joined.count(b"\0") > MOST_MISSING:
        raise damaged("reply")
    paths = paths_of(joined)
    if any(len(path) > _MOST_PATH for path in paths):
        raise damaged("reply")
    return paths


def _span(raw: object) -> Span:
    if typed(raw, _SPAN_TYPES):
        name, begun, took = cast("list[Any]", raw)
        return Span(name, *check_numbers([begun, took]))
    raise damaged("reply")


def _keys(joined: bytes) -> tuple[tuple[int, bytes], ...]:
    step = 1 + DIGEST_SIZE
    if len(joined) % step or max(joined[::step], default=0) > LAST_KIND:
        raise damaged("reply")
    return tuple([(joined[i], joined[i + 1 : i + step]) for i in range(0, len(joined), step)])
