"""The protocol on the socket of a store (`gg.share.socket_store`): questions and answers, each some frames and END.

A frame is a head of 42 bytes (operation, kind of object, key, length) and as many bytes. A question is frames of one operation:

  GET, HAS, DELETE   a frame a key, without bytes      answered by OBJECT for each that is there, with its bytes for GET
  PUT                a frame an object, with its bytes
  KEYS               one frame, of the kind            answered by OBJECT for each, its bytes being size and last use

An answer may be ERROR with a text instead. A reader allocates nothing before it has checked the length.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import BinaryIO

from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.store.base import Key, Kind

MOST_FRAMES = 4096
MOST_BYTES = 1 << 30
USED = struct.Struct("!Qd")
_HEAD = struct.Struct(f"!BB{DIGEST_SIZE}sQ")
_NO_KEY = bytes(DIGEST_SIZE)


class StoreOp(IntEnum):
    """See the head of this module."""

    GET = 1
    HAS = 2
    PUT = 3
    DELETE = 4
    KEYS = 5
    OBJECT = 6
    ERROR = 7
    END = 8


class StoreFrame(NamedTuple):
    """One frame. In KEYS only the key's kind has a meaning; in ERROR and END the key has none."""

    op: StoreOp
    key: Key
    data: bytes = b""


def plain(op: StoreOp, data: bytes = b"", kind: Kind = Kind.BLOB) -> StoreFrame:
    """A frame that is about no object."""
    return StoreFrame(op, Key(kind, _NO_KEY), data)


def write(stream: BinaryIO, frame: StoreFrame) -> None:
    """Write one frame. OSError when nobody listens any more."""
    stream.write(_HEAD.pack(frame.op, frame.key.kind, frame.key.digest, len(frame.data)))
    stream.write(frame.data)


def read(stream: BinaryIO, room: int = MOST_BYTES) -> StoreFrame:
    """The next frame, with at most `room` bytes. EOFError at the end, FormatError for anything that is no frame."""
    op, kind, digest, size = _HEAD.unpack(_exactly(stream, _HEAD.size))
    if size > room:
        raise FormatError("a store's frame is larger than any")
    try:
        return StoreFrame(StoreOp(op), Key(Kind(kind), digest), _exactly(stream, size))
    except ValueError as error:
        raise FormatError(f"a store's frame is damaged: {error}") from error


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data
