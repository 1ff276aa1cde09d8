"""What goes over a worker's connection: whatever it is, what is read has bounds, and what is damaged is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.errors import FormatError
from gg.wire import frames
from gg.wire.compressed import pack_part, unpack_part
from gg.wire.frames import Frame, FrameKind, Hello, Welcome, Whole

_ALL = frozenset(FrameKind)


def _decoded(encoded: list[bytes]) -> list[Frame]:
    found = []
    for each in encoded:
        kind, last, number, length = frames.decode_head(each[: frames.HEAD.size], _ALL)
        data = each[frames.HEAD.size :]
        assert len(data) == length <= frames.MOST_FRAME
        found.append(Frame(kind, number, last, data))
    return found


@pytest.mark.parametrize("size", [0, 1, frames.PART, frames.PART + 1, 3 * frames.PART + 7])
def test_a_message_comes_back_whole(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    whole = Whole({FrameKind.RUN: frames.MOST_REQUEST})
    parts = [whole.take(frame) for frame in _decoded(frames.encode_frames(FrameKind.RUN, 7, data))]
    assert parts[:-1] == [None] * (len(parts) - 1)
    assert parts[-1] == data


def test_messages_may_interleave() -> None:
    one, two = (_decoded(frames.encode_frames(FrameKind.RUN, n, bytes([n]) * (2 * frames.PART))) for n in (1, 2))
    whole = Whole({FrameKind.RUN: frames.MOST_REQUEST})
    found = [whole.take(frame) for pair in zip(one, two, strict=True) for frame in pair]
    assert [each[:1] for each in found if each is not None] == [b"\x01", b"\x02"]


def test_no_message_is_too_long() -> None:
    whole = Whole({FrameKind.RUN: frames.PART})
    first, second = _decoded(frames.encode_frames(FrameKind.RUN, 1, bytes(frames.PART + 1)))
    whole.take(first)
    with pytest.raises(FormatError):
        whole.take(second)


def test_not_too_many_are_begun() -> None:
    whole = Whole({FrameKind.RUN: frames.MOST_REQUEST})
    for number in range(64):
        whole.take(Frame(FrameKind.RUN, number, False, b"x"))
    with pytest.raises(FormatError):
        whole.take(Frame(FrameKind.RUN, 64, False, b"x"))


def test_a_frame_that_is_not_ones_to_take() -> None:
    head = frames.encode_frames(FrameKind.RUN, 1)[0][: frames.HEAD.size]
    with pytest.raises(FormatError):
        frames.decode_head(head, frozenset({FrameKind.REPLY}))
    with pytest.raises(FormatError):
        frames.decode_head(frames.HEAD.pack(FrameKind.RUN, 1, 1, frames.MOST_FRAME + 1), _ALL)
    with pytest.raises(FormatError):
        frames.decode_head(frames.HEAD.pack(99, 1, 1, 0), _ALL)


def test_greetings() -> None:
    hello = Hello(bytes(frames.TOKEN_SIZE), "ann@desk")
    assert frames.decode_hello(frames.encode_hello(hello)) == hello
    welcome = Welcome("1.2", "abc", 8, 1 << 40, "x86_64")
    assert frames.decode_welcome(frames.encode_welcome(welcome)) == welcome
    for nothing in (welcome._replace(slots=0), welcome._replace(memory=0), welcome._replace(slots=1 << 20)):
        with pytest.raises(FormatError):
            frames.decode_welcome(frames.encode_welcome(nothing))


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    for decode in (frames.decode_hello, frames.decode_welcome):
        with pytest.raises(FormatError):
            decode(data)
    for plain in (frames.decode_object, frames.decode_need, frames.decode_output):
        try:
            plain(data)
        except FormatError:
            pass


@given(st.integers(0, 4000), st.one_of(st.none(), st.binary(max_size=50)), st.booleans())
def test_objects(index: int, data: bytes | None, last: bool) -> None:
    found = frames.decode_object(frames.encode_object(index, data, last))
    assert found == (index, data, last or data is None)


def test_questions() -> None:
    keys = [(n % 3, bytes([n]) * 32) for n in range(5)]
    assert frames.decode_need(frames.encode_need(keys)) == keys
    with pytest.raises(FormatError):
        frames.decode_need(bytes(33 * (frames.MOST_NEED + 1)))


_PARTS = {"none": b"", "one": b"x", "some": b"ab" * 200, "zeros": bytes(frames.PART)}
_PARTS["random"] = random.Random(1).randbytes(frames.PART)


@pytest.mark.parametrize("data", _PARTS.values(), ids=_PARTS)
def test_parts_are_packed_where_that_is_shorter(data: bytes) -> None:
    packed = pack_part(data)
    assert unpack_part(packed, len(data)) == data
    assert len(packed) <= len(data) + 1
    if len(data) > 256 and len(set(data)) < 3:
        assert len(packed) < 100


@pytest.mark.parametrize(
    "packed", [b"", b"\2abc", b"\1", b"\1abc", b"\0" + b"x" * 11, pack_part(b"x" * 1000)], ids=range(6)
)
def test_what_is_no_packed_part(packed: bytes) -> None:
    with pytest.raises(FormatError):
        unpack_part(packed, 10)
