"""What a coordinator and a worker say to each other on a connection: frames. Version 2; a greeting tells it, and that of requests.

A frame is a head of 14 bytes, kind, mark, number and length, and so many bytes. Numbers are the coordinator's for attempts and
the worker's for what it asks for. A message that is longer than a frame may be goes in several; the mark says which is its last.

    coordinator   HELLO    once, at first: what `encode_hello` makes
                  RUN      number of an attempt; a request (`gg.wire.request`)
                  CANCEL   number of an attempt
                  OBJECT   number of a question; `encode_object` of each object, or that it cannot be had
                  BYE      nothing more will come: end what runs, then close the connection
    worker        WELCOME  what `encode_welcome` makes; or REFUSED, a `RefusalReason` as its number, and a
                           text for people; then the connection is closed
                  STARTED  number of an attempt: it runs now
                  NEED     number of a question; objects that are not here: a byte of kind and 32 of digest each
                  OUTPUT   number of an attempt; `encode_output`: a part of a blob that is too big for the reply
                  REPLY    number of an attempt; a reply (`gg.wire.reply`), for each RUN one, unless it is given back
                  BACK     number of an attempt: it was given back, for the worker leaves
                  LEAVING  it takes nothing more
    both          BEAT     nothing else has been said for a while

Between machines the bodies of OBJECT and OUTPUT are compressed where that is shorter (`gg.wire.compressed.pack_part`); between a
worker and its slots they are not.

Who reads makes nothing before he knows its length, and takes no frame of a kind that is not his to take.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from msgpack import packb

from gg.core.bounded import BoundedReader
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.wire.request import LAST_KIND
from gg.wire.request import VERSION as REQUESTS

VERSION = 2 + 1000 * REQUESTS  # those who do not understand each other's requests do not let each other in
HEAD = struct.Struct("!BBQI")
PART = 256 << 10
MOST_FRAME = PART + 64
MOST_REQUEST = 16 << 20
MOST_REPLY = 64 << 20
MOST_NEED = 4096  # objects in one question
_MOST_BEGUN = 256 << 20  # bytes of all messages of one connection that are not whole yet
TOKEN_SIZE = 16
BEAT_S = 5.0
DEAD_S = 20.0  # after so long without a word the other side is gone
_TAG = "gg-worker"
_OBJECT = struct.Struct("!IB")
_LAST, _ABSENT = 1, 2


class RefusalReason(IntEnum):
    """Why a worker lets a coordinator not in. Other numbers mean another version of gg."""

    WRONG_KEY = 1
    LEAVING = 2
    OTHER_VERSION = 3


class FrameKind(IntEnum):
    """See the head of this module."""

    HELLO = 1
    WELCOME = 2
    REFUSED = 3
    RUN = 4
    STARTED = 5
    NEED = 6
    OBJECT = 7
    OUTPUT = 8
    REPLY = 9
    CANCEL = 10
    LEAVING = 11
    BEAT = 12
    BYE = 13
    BACK = 14


class Frame(NamedTuple):
    """`last`: the message ends with it."""

    kind: FrameKind
    number: int
    last: bool
    data: bytes


class Hello(NamedTuple):
    """`name`: who asks, for the worker's log."""

    token: bytes
    name: str = ""


class Welcome(NamedTuple):
    """A worker: its version of gg, a name that no other worker process has, what it can take at once, bytes of memory, and
    the processor's architecture as `uname` has it.
    """

    version: str
    instance: str
    slots: int
    memory: int
    machine: str


def encode_frames(kind: FrameKind, number: int, data: bytes = b"") -> list[bytes]:
    """The frames of a message, ready to be sent."""
    if len(data) <= PART:
        return [HEAD.pack(kind, 1, number, len(data)) + data]
    view = memoryview(data)
    parts = [view[at : at + PART] for at in range(0, len(data), PART)]
    last = len(parts) - 1
    return [HEAD.pack(kind, n == last, number, len(part)) + part for n, part in enumerate(parts)]


def one(kind: FrameKind, number: int, data: bytes, *, last: bool) -> bytes:
    """A single frame of a message."""
    return HEAD.pack(kind, last, number, len(data)) + data


def decode_head(data: bytes, taken: frozenset[FrameKind]) -> tuple[FrameKind, bool, int, int]:
    """Kind, whether it is the last of its message, number, and length of what follows. FormatError, also for a kind that is
    not among those `taken`.
    """
    kind, mark, number, length = HEAD.unpack(data)
    if kind not in taken or mark > 1 or length > MOST_FRAME:
        raise FormatError("a frame is damaged", hint="something else speaks there, or another version of gg")
    return FrameKind(kind), bool(mark), number, length


class Whole:
    """Puts the frames of messages together. `most`: how long a message of a kind may be."""

    def __init__(self, most: dict[FrameKind, int]) -> None:
        self._most = most
        self._begun: dict[tuple[FrameKind, int], bytearray] = {}
        self._size = 0  # of all that is begun

    def take(self, frame: Frame) -> bytes | None:
        """The message, if it is whole with this frame. FormatError when it is too long, or too many are begun."""
        key = (frame.kind, frame.number)
        begun = self._begun.pop(key, None)
        if begun is None and frame.last:
            return frame.data
        begun = begun if begun is not None else bytearray()
        begun += frame.data
        self._size += len(frame.data)
        if len(begun) > self._most.get(frame.kind, PART) or len(self._begun) >= 64 or self._size > _MOST_BEGUN:
            raise FormatError("a message is longer than any may be")
        if frame.last:
            self._size -= len(begun)
            return bytes(begun)
        self._begun[key] = begun
        return None

    def drop(self, frame: Frame) -> None:
        """Take neither this frame nor what has come of its message: nobody waits for it any more."""
        self._size -= len(self._begun.pop((frame.kind, frame.number), b""))


class OtherVersion(FormatError):
    """A greeting of a gg whose frames are of another version."""


def encode_hello(hello: Hello) -> bytes:
    data: bytes = packb([_TAG, VERSION, hello.token, hello.name])
    return data


def decode_hello(data: bytes) -> Hello:
    """FormatError; OtherVersion."""
    reader = _greeting(data, "a greeting", 4)
    hello = Hello(reader.octets(TOKEN_SIZE), reader.text(256))
    reader.end()
    return hello


def encode_welcome(welcome: Welcome) -> bytes:
    data: bytes = packb([_TAG, VERSION, *welcome])
    return data


def decode_welcome(data: bytes) -> Welcome:
    """FormatError; OtherVersion."""
    reader = _greeting(data, "a worker's greeting", 7)
    welcome = Welcome(reader.text(64), reader.text(64), reader.number(65536), reader.number(), reader.text(32))
    reader.end()
    if not welcome.slots or not welcome.memory:
        raise reader.damaged()  # nothing could run there, and would wait
    return welcome


def _greeting(data: bytes, what: str, size: int) -> BoundedReader:
    """At what stands behind the tag and the version."""
    reader = BoundedReader(data, what)
    reader.array(size, size)
    if reader.text(16) != _TAG:
        raise reader.damaged()
    if reader.number() != VERSION:
        raise OtherVersion(f"{what} of another version of gg")
    return reader


def encode_object(index: int, data: bytes | None, last: bool = True) -> bytes:
    """A part of the object that was asked for at this place of the question; None: it cannot be had."""
    return _OBJECT.pack(index, _ABSENT if data is None else _LAST * last) + (data or b"")


def decode_object(data: bytes) -> tuple[int, bytes | None, bool]:
    """What was given to `encode_object`. FormatError."""
    if len(data) < _OBJECT.size:
        raise FormatError("a part of an object is damaged")
    index, flags = _OBJECT.unpack_from(data)
    return index, None if flags & _ABSENT else data[_OBJECT.size :], bool(flags & (_LAST | _ABSENT))


def encode_output(digest: bytes, data: bytes) -> bytes:
    """A part of a blob."""
    return digest + data


def decode_output(data: bytes) -> tuple[bytes, bytes]:
    """The digest of a blob, and a part of its bytes. FormatError."""
    if len(data) < DIGEST_SIZE:
        raise FormatError("a part of an output is damaged")
    return data[:DIGEST_SIZE], data[DIGEST_SIZE:]


def encode_need(keys: list[tuple[int, bytes]]) -> bytes:
    """Kinds and digests of objects."""
    return b"".join([bytes([kind]) + digest for kind, digest in keys])


def decode_need(data: bytes) -> list[tuple[int, bytes]]:
    """What was given to `encode_need`. FormatError."""
    step = 1 + DIGEST_SIZE
    if len(data) % step or len(data) > MOST_NEED * step or max(data[::step], default=0) > LAST_KIND:
        raise FormatError("a question for objects is damaged")
    return [(data[at], data[at + 1 : at + step]) for at in range(0, len(data), step)]
