"""What the coordinator asks of a worker, as bytes: versioned msgpack. Version 3.

  request   "gg-request", 3, store, packs, limits, directories, tasks, codec, objects, engine, coordinator
  store     where objects are: [endpoint, bucket, prefix, region], all empty when everything is in the request
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

from msgpack import packb, unpackb

from gg.core.ids import DIGEST_SIZE, BlobId, SandboxPath
from gg.core.thunk import File
from gg.errors import FormatError
from gg.light.named import NamedTuple

VERSION = 3
TAG = "gg-request"
RAW, ZSTD = 0, 1


class Place(NamedTuple):
    """Where objects are. `endpoint` is a URL without a path, or empty for AWS's own of that region."""

    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""


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


class Pack(NamedTuple):
    """A pack by its digest; its size, and how many bytes at its end hold its index."""

    digest: bytes
    size: int
    tail: int


class Request(NamedTuple):
    """See the head of this module. `objects` is encoded by `encode_objects`, and compressed if `codec` says so."""

    tasks: tuple[Task, ...]
    packs: tuple[Pack, ...] = ()
    place: Place = Place()
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
    parts = _unpacked(data, "list of objects")
    kinds = [kind for kind in parts[::2] if type(kind) is int]
    objects = [data for data in parts[1::2] if isinstance(data, bytes)]
    if 2 * len(kinds) != len(parts) or len(kinds) != len(objects):
        raise _damaged("list of objects")
    return list(zip(kinds, objects, strict=True))


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
    match _unpacked(data, "request"):
        case [str(tag), int(version), *_] if tag == TAG and version != VERSION:
            raise WrongVersion("request", version)
        case [
            str(tag),
            int(),
            [str(endpoint), str(bucket), str(prefix), str(region)],
            [bytes(digests), list(sizes), list(tails)],
            [int(memory), int(inline), int(reply)],
            bytes(directories),
            list(tasks),
            int(codec),
            bytes(objects),
            str(engine),
            bytes(coordinator),
        ] if tag == TAG and codec in (RAW, ZSTD):
            return Request(
                tasks=tuple([_task(task) for task in tasks]),
                packs=_packs(digests, sizes, tails),
                place=Place(endpoint, bucket, prefix, region),
                limits=Limits(memory, inline, reply),
                directories=tuple([SandboxPath(path) for path in directories.split(b"\0") if path]),
                codec=codec,
                objects=objects,
                engine=engine,
                coordinator=coordinator,
            )
    raise _damaged("request")


def _packs(digests: bytes, sizes: list[object], tails: list[object]) -> tuple[Pack, ...]:
    numbers = [n for n in (*sizes, *tails) if type(n) is int and n >= 0]
    n = len(sizes)
    if len(tails) != n or len(numbers) != 2 * n or len(digests) != n * DIGEST_SIZE:
        raise _damaged("request")
    return tuple([Pack(digests[i * DIGEST_SIZE :][:DIGEST_SIZE], numbers[i], numbers[n + i]) for i in range(n)])


def _task(raw: object) -> Task:
    match raw:
        case [bytes(thunk), [bytes(paths), bytes(marks), bytes(digests), list(sizes)], int(milliseconds)]:
            names = paths.split(b"\0")[:-1]
            numbers = [n for n in sizes if type(n) is int and n >= 0]
            n = len(numbers)
            if len(names) == len(marks) == len(sizes) == n and len(digests) == n * DIGEST_SIZE:
                blobs = [BlobId(digests[i * DIGEST_SIZE :][:DIGEST_SIZE], size) for i, size in enumerate(numbers)]
                triples = zip(names, blobs, marks, strict=True)
                extra = tuple([File(SandboxPath(p), blob, mark == 120) for p, blob, mark in triples])
                return Task(thunk, extra, milliseconds)
    raise _damaged("request")


def _extra_columns(extra: Sequence[File]) -> list[object]:
    return [
        b"".join([f.path + b"\0" for f in extra]),
        bytes([120 if f.executable else 102 for f in extra]),  # x, f
        b"".join([f.blob.digest for f in extra]),
        [f.blob.size for f in extra],
    ]


def _unpacked(data: bytes, what: str) -> list[object]:
    try:
        raw: object = unpackb(data)
    except Exception as error:  # the unpacker's own classes share no base but this
        raise _damaged(what) from error
    if not isinstance(raw, list):
        raise _damaged(what)
    return raw


def _damaged(what: str) -> FormatError:
    return FormatError(f"a {what} is damaged", hint="it was cut short or changed, or something else wrote it")
