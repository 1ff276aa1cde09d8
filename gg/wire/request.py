"""What the coordinator asks of a worker, as bytes: versioned msgpack. Version 4.

  request   "gg-request", 4, store, packs, limits, directories, tasks, codec, objects, engine, coordinator
  store     where objects are: [endpoint, bucket, prefix, region, owner], all empty when everything is in the request
  packs     [digests, sizes, tails] of the packs that hold what the tasks read: 32 bytes each, the size of the pack, and how
            many bytes at its end hold its index (`gg.share.s3.pack`); what is in none stands by itself
  limits    [bytes of memory, most bytes of an output in the reply, of all of them]; 0 for no limit
  directories   paths that are directories at home and are not declared, each ended by NUL
  tasks     [thunk, extra, milliseconds] each, to be run in this order: a resolved thunk as `gg.core.codec` has it, files that
            it turned out to read besides as [paths, marks, digests, sizes] (x executable, f not), how long it may take
  codec     0 the objects as they are, 1 as one zstd frame
  objects   [kind, bytes] pairs in one msgpack array: small inputs that are in no pack. Their digests are computed, not told
  engine    where reductions are to say that they were made
  coordinator   bytes that name who asks, and that nobody else knows: what a worker has of another one it does not show

A worker of another version says so in its reply and does nothing else, so the first two fields never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgpack import packb

from gg.core.bounded import BoundedReader, damaged, unpacked
from gg.core.columns import check_numbers, split, split_digests, typed
from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File
from gg.errors import FormatError
from gg.light.named import NamedTuple

VERSION = 4
TAG = "gg-request"
RAW, ZSTD = 0, 1
MOST_CARRIED = 16 << 20
"""bytes of the objects that travel in one request, or in one reply, when they are expanded."""
MOST_EXPANDED = 64
"""times the size of what has come: what a worker expands of a request in any case, for a coordinator may send more by a pipe."""
MOST_VALUES = 1 << 16
"""values of one request, or of one reply; and objects in it."""
LAST_KIND = 4
"""of `gg.store.base.Kind`."""

_PLAIN, _EXECUTABLE = b"fx"
_TYPES: list[type] = [str, int, list, list, list, bytes, list, int, bytes, str, bytes]
_PLACE_TYPES: list[type] = [str, str, str, str, str]
_PACKS_TYPES: list[type] = [bytes, list, list]
_LIMITS_TYPES: list[type] = [int, int, int]
_TASK_TYPES: list[type] = [bytes, list, int]
_EXTRA_TYPES: list[type] = [bytes, bytes, bytes, list]


class BucketLocation(NamedTuple):
    """Where objects are. `endpoint` is a URL without a path, or empty for AWS's own of that region. `owner`: the account that
    the bucket must belong to; empty where there are none.
    """

    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    owner: str = ""


class Limits(NamedTuple):
    """`inline`: outputs up to this size travel in the reply, as long as all of them, of all tasks, take no more than `reply`;
    others are put into the store.
    """

    memory: int = 0
    inline: int = 256 * 1024
    reply: int = 4 * 1024 * 1024


class Task(NamedTuple):
    """One resolved thunk, encoded, files that earlier attempts found it to need, and how long it may take; 0 for no limit."""

    thunk: bytes
    extra: tuple[File, ...] = ()
    milliseconds: int = 0


class PackReference(NamedTuple):
    """A pack by its digest; its size, and how many bytes at its end hold its index."""

    digest: bytes
    size: int
    tail: int


class Request(NamedTuple):
    """See the head of this module. `objects` is encoded by `encode_objects`, and compressed if `codec` says so."""

    tasks: tuple[Task, ...]
    packs: tuple[PackReference, ...] = ()
    place: BucketLocation = BucketLocation()
    limits: Limits = Limits()
    directories: tuple[SandboxPath, ...] = ()
    codec: int = RAW
    objects: bytes = b"\x90"
    engine: str = ""
    coordinator: bytes = b""


class WrongVersion(FormatError):
    """A request or reply of a version that is not ours."""

    def __init__(self, what: str, version: object) -> None:
        super().__init__(f"a {what} of version {version!r}, and this is version {VERSION}")


def encode_objects(objects: Sequence[tuple[int, bytes]]) -> bytes:
    """Kinds (as `gg.store.base.Kind` numbers them) and bytes of small objects."""
    data: bytes = packb([part for pair in objects for part in pair])
    return data


def decode_objects(data: bytes) -> list[tuple[int, bytes]]:
    """What `encode_objects` made `data` of; FormatError for anything else."""
    reader = BoundedReader(data, "list of objects")
    count = reader.array(0, 2 * MOST_VALUES)
    objects = [(reader.number(LAST_KIND), reader.octets()) for _ in range(count // 2)]
    reader.end()  # damaged where the count is odd, for then one is left
    return objects


def encode_request(request: Request) -> bytes:
    """The bytes of a request."""
    data: bytes = packb(
        [
            TAG,
            VERSION,
            list(request.place),
            [
                b"".join([p.digest for p in request.packs]),
                [p.size for p in request.packs],
                [p.tail for p in request.packs],
            ],
            list(request.limits),
            b"".join([path + b"\0" for path in request.directories]),
            [[task.thunk, _extra_columns(task.extra), task.milliseconds] for task in request.tasks],
            request.codec,
            request.objects,
            request.engine,
            request.coordinator,
        ]
    )
    return data


def decode_request(data: bytes) -> Request:
    """The request; WrongVersion, FormatError for what is none."""
    refuse_other_version(data, TAG, "request")
    fields = unpacked(data, "request", MOST_VALUES)
    if typed(fields, _TYPES):
        _, _, place, packs, limits, directories, tasks, codec, objects, engine, coordinator = cast("list[Any]", fields)
        if typed(place, _PLACE_TYPES) and typed(limits, _LIMITS_TYPES) and codec in (RAW, ZSTD):
            return Request(
                tasks=tuple(map(_task, tasks)),
                packs=_packs(packs),
                place=BucketLocation(*place),
                limits=Limits(*check_numbers(limits)),
                directories=paths_of(directories),
                codec=codec,
                objects=objects,
                engine=engine,
                coordinator=coordinator,
            )
    raise damaged("request")


def refuse_other_version(data: bytes, tag: str, what: str) -> int:
    """How many fields there are; WrongVersion for a `what` that is not of ours, FormatError for what has another tag."""
    reader = BoundedReader(data, what)
    count = reader.array(2, MOST_VALUES)
    if reader.text(len(tag)) != tag:
        raise damaged(what)
    version = reader.number()
    if version != VERSION:
        raise WrongVersion(what, version)
    return count


def paths_of(joined: bytes) -> tuple[SandboxPath, ...]:
    """Absolute paths, each ended by NUL; FormatError."""
    paths = split(joined)
    if not all(path.startswith(b"/") for path in paths):
        raise damaged("list of paths")
    return tuple(map(SandboxPath, paths))


def _packs(raw: object) -> tuple[PackReference, ...]:
    if typed(raw, _PACKS_TYPES):
        digests, sizes, tails = cast("list[Any]", raw)
        if len(sizes) == len(tails):
            return tuple(
                map(PackReference, split_digests(digests, len(sizes)), check_numbers(sizes), check_numbers(tails))
            )
    raise damaged("request")


def _task(raw: object) -> Task:
    if typed(raw, _TASK_TYPES):
        thunk, extra, milliseconds = cast("list[Any]", raw)
        check_numbers([milliseconds])
        return Task(thunk, _extra(extra), milliseconds)
    raise damaged("request")


def _extra(raw: object) -> tuple[File, ...]:
    if typed(raw, _EXTRA_TYPES):
        joined, marks, digests, sizes = cast("list[Any]", raw)
        paths = paths_of(joined)
        if len(paths) == len(marks) == len(sizes) and set(marks) <= {_PLAIN, _EXECUTABLE}:
            blobs = map(BlobId, split_digests(digests, len(sizes)), check_numbers(sizes))
            return tuple(map(File, paths, blobs, [mark == _EXECUTABLE for mark in marks]))
    raise damaged("request")


def _extra_columns(extra: Sequence[File]) -> list[object]:
    return [
        b"".join([f.path + b"\0" for f in extra]),
        bytes([_EXECUTABLE if f.executable else _PLAIN for f in extra]),
        b"".join([f.blob.digest for f in extra]),
        [f.blob.size for f in extra],
    ]
