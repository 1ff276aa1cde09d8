"""What a worker answers, as bytes: versioned msgpack. Version 3.

  reply      "gg-reply", 3, worker, spans, cache, results, codec, objects
  worker     [version of gg, name of this environment, first request of it, bytes of memory it has]
  spans      [name, begun, took] each, in nanoseconds from when the request came: cold, fetch, exec, upload
  cache      [objects that were here, objects fetched, bytes fetched, requests made, objects evicted, and of the
             requests those that put]
  results    one for each task, in order:
               [0, reduction, missing]        it succeeded: a reduction as `gg.core.codec` has it, reads included
               [1, status, stdout, stderr, [wall, cpu, memory], missing]    the command failed
               [2, fault, message, lacking]   it did not run: a value of `gg.schedule.events.Fault`; objects that no place had,
                                              a byte of kind and 32 of digest each
             missing: paths that were asked for and that are not declared, each ended by NUL
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

from gg.core.ids import DIGEST_SIZE, BlobId, SandboxPath
from gg.core.thunk import Usage
from gg.light.named import NamedTuple
from gg.schedule.events import Fault
from gg.wire.request import RAW, VERSION, ZSTD, WrongVersion, _damaged, _unpacked

TAG = "gg-reply"
_SEAL = 16
_TYPES: list[type] = [str, int, list, list, list, list, int, bytes]
_WORKER_TYPES: list[type] = [str, str, bool, int]
_CACHE_TYPES: list[type] = [int] * 6
_SUCCEEDED_TYPES: list[type] = [int, bytes, bytes]
_SPAN_TYPES: list[type] = [str, int, int]
_FAULTS = {fault.value: fault for fault in Fault}


class Worker(NamedTuple):
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


Result = Succeeded | ToolFailed | Refused


class Reply(NamedTuple):
    """See the head of this module. `objects` is encoded by `encode_outputs`, and compressed if `codec` says so."""

    worker: Worker
    results: tuple[Result, ...]
    spans: tuple[Span, ...] = ()
    cache: CacheUse = CacheUse()
    codec: int = RAW
    objects: bytes = b"\x90"


def encode_outputs(outputs: list[bytes]) -> bytes:
    data: bytes = packb(outputs)
    return data


def decode_outputs(data: bytes) -> list[bytes]:
    """What `encode_outputs` made `data` of; FormatError for anything else."""
    found = _unpacked(data, "list of outputs")
    outputs = [each for each in found if isinstance(each, bytes)]
    if len(outputs) != len(found):
        raise _damaged("list of outputs")
    return outputs


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
    if data[-_SEAL:] != _seal(
        sealed, request
    ):  # of another version, or damaged: then it does not end where msgpack says
        match _unpacked(data, "reply"):
            case [str(tag), int(version), *rest] if tag == TAG and (version != VERSION or len(rest) == 1):
                raise WrongVersion("reply", version)
        raise _damaged("reply")
    fields = _unpacked(sealed, "reply")
    match fields[:2]:
        case [str(tag), int(version)] if tag == TAG and version != VERSION:
            raise WrongVersion("reply", version)
    if fields[:1] == [TAG] and _typed(fields, _TYPES):  # a match statement would take three times as long
        _, _, worker, spans, cache, results, codec, objects = cast("list[Any]", fields)
        if _typed(worker, _WORKER_TYPES) and _typed(cache, _CACHE_TYPES) and codec in (RAW, ZSTD):
            return Reply(
                worker=Worker(*worker),
                results=tuple([_result(result) for result in results]),
                spans=tuple([_span(span) for span in spans]),
                cache=CacheUse(*cache),
                codec=codec,
                objects=objects,
            )
    raise _damaged("reply")


def _columns(result: Result) -> list[object]:
    missing = b"".join([path + b"\0" for path in result.missing])
    if isinstance(result, Succeeded):
        return [0, result.reduction, missing]
    if isinstance(result, ToolFailed):
        return [1, result.status, result.stdout, result.stderr, list(result.usage), missing]
    lacking = b"".join([bytes([kind]) + digest for kind, digest in result.lacking])
    return [2, result.fault.value, result.message, lacking, missing]


def _result(raw: object) -> Result:
    if _typed(raw, _SUCCEEDED_TYPES):
        kind, reduction, missing = cast("list[Any]", raw)
        if kind == 0:
            return Succeeded(reduction, _paths(missing))
    match raw:
        case [1, int(status), bytes(out), bytes(err), [int(wall), int(cpu), int(memory)], bytes(missing)]:
            return ToolFailed(status, out, err, Usage(wall, cpu, memory), _paths(missing))
        case [2, str(fault), str(message), bytes(lacking), bytes(missing)] if fault in _FAULTS:
            return Refused(_FAULTS[fault], message, _keys(lacking), _paths(missing))
    raise _damaged("reply")


def _span(raw: object) -> Span:
    if _typed(raw, _SPAN_TYPES):
        return Span(*cast("list[Any]", raw))
    raise _damaged("reply")


def _typed(raw: object, types: list[type]) -> bool:
    """Whether `raw` is a list of values of just these types."""
    return type(raw) is list and list(map(type, raw)) == types


def _paths(joined: bytes) -> tuple[SandboxPath, ...]:
    if not joined:
        return ()
    paths = joined.split(b"\0")
    if paths.pop() or not all(path.startswith(b"/") for path in paths):
        raise _damaged("reply")
    return tuple([SandboxPath(path) for path in paths])


def _keys(joined: bytes) -> tuple[tuple[int, bytes], ...]:
    step = 1 + DIGEST_SIZE
    if len(joined) % step:
        raise _damaged("reply")
    return tuple([(joined[i], joined[i + 1 : i + step]) for i in range(0, len(joined), step)])
