"""Requests and replies: golden bytes, round trips, and refusal of everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import packb, unpackb

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File, Usage
from gg.errors import FormatError
from gg.schedule.events import Fault
from gg.wire import reply as replies
from gg.wire import request as requests
from gg.wire.reply import CacheUse, Refused, Reply, Span, Succeeded, ToolFailed, WorkerInfo
from gg.wire.request import ZSTD, BucketLocation, Limits, PackReference, Request, Task, WrongVersion

GOLDEN = Path(__file__).parents[1] / "golden"
A, B = BlobId(b"a" * 32, 5), BlobId(b"b" * 32, 70_000)

REQUEST = Request(
    tasks=(
        Task(b"a thunk", (File(SandboxPath(b"/bin/sh"), A, True), File(SandboxPath(b"/etc/x"), B))),
        Task(b"another", (), 870_000),
    ),
    packs=(PackReference(b"p" * 32, 9_000_000, 4_000), PackReference(b"q" * 32, 0, 16)),
    place=BucketLocation("http://127.0.0.1:8333", "bucket", "some/prefix", "eu-north-1", "123456789012"),
    limits=Limits(1_769 << 20, 1000, 2000),
    directories=(SandboxPath(b"/opt"), SandboxPath(b"/usr/local/include")),
    codec=ZSTD,
    objects=b"\x28\xb5",
    engine="lambda/eu-north-1",
    coordinator=b"c" * 32,
)
REPLY = Reply(
    worker=WorkerInfo("0.1", "f00", True, 3 << 30),
    results=(
        Succeeded(b"a reduction", (SandboxPath(b"/usr/include/x.h"),)),
        ToolFailed(1, b"out", b"x.c:1: error\n", Usage(1, 2, 3)),
        Refused(Fault.MISSING_INPUT, "gone", ((0, b"k" * 32), (2, b"l" * 32)), (SandboxPath(b"/bin/sh"),)),
    ),
    spans=(Span("fetch", 0, 12), Span("exec", 12, 1 << 40)),
    cache=CacheUse(1, 2, 3, 4, 5, 6),
)


def reply_of(data: bytes) -> Reply:
    return replies.decode_reply(data, replies.asked(b"request"))


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("request-4.msgpack", requests.encode_request(REQUEST)),
        ("reply-4.msgpack", replies.encode_reply(REPLY, b"request")),
    ],
)
def test_golden_bytes(name: str, encoded: bytes) -> None:
    """What is in the field: a function that was deployed with an earlier gg reads and writes these."""
    assert encoded == (GOLDEN / name).read_bytes()


def test_round_trips() -> None:
    assert requests.decode_request(requests.encode_request(REQUEST)) == REQUEST
    assert requests.decode_request(requests.encode_request(Request(()))) == Request(())
    assert reply_of(replies.encode_reply(REPLY, b"request")) == REPLY


@given(st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=40))))
def test_objects(objects: list[tuple[int, bytes]]) -> None:
    assert requests.decode_objects(requests.encode_objects(objects)) == objects
    outputs = [data for _, data in objects]
    assert replies.decode_outputs(replies.encode_outputs(outputs)) == outputs


def test_why_it_did_not_run_may_name_what_is_no_text() -> None:
    """Else the worker could not answer, and its command would count as what has killed it."""
    refused = Refused(Fault.MISSING_INPUT, os.fsdecode(b"/lib/\xff.so is not declared"))
    data = replies.encode_reply(Reply(WorkerInfo("1"), (refused,)), b"asked")
    (found,) = replies.decode_reply(data, replies.asked(b"asked")).results
    assert found == refused._replace(message=r"/lib/\udcff.so is not declared")


def test_another_version_is_told_from_damage() -> None:
    newer = unpackb(requests.encode_request(REQUEST))
    newer[1] = 5
    with pytest.raises(WrongVersion, match="version 5"):
        requests.decode_request(packb([*newer, "more"]))
    with pytest.raises(WrongVersion):
        reply_of(packb(["gg-reply", 7, {"anything": "else"}]))
    with pytest.raises(WrongVersion):
        reply_of(replies.encode_wrong_version("this worker is of gg 0.0"))


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damage_is_refused_or_harmless(where: int, byte: int) -> None:
    """Never an exception of another kind, whatever byte is changed."""
    for data, decode in (
        (requests.encode_request(REQUEST), requests.decode_request),
        (replies.encode_reply(REPLY, b"request"), reply_of),
    ):
        damaged = bytearray(data)
        damaged[where % len(damaged)] = byte
        for text in (bytes(damaged), data[: where % len(data)]):
            try:
                decode(text)
            except FormatError:
                pass


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_reply_is_never_believed(where: int, change: int) -> None:
    """Nor taken for one of another version, which would be the user's to mend."""
    data = bytearray(replies.encode_reply(REPLY, b"request"))
    data[where % len(data)] ^= change
    for text in (bytes(data), bytes(data[: where % len(data)])):
        with pytest.raises(FormatError) as caught:
            reply_of(text)
        assert not isinstance(caught.value, WrongVersion)


@pytest.mark.parametrize("decode", [requests.decode_request, reply_of, requests.decode_objects])
@pytest.mark.parametrize("data", [b"", b"\xc1", packb(1), packb(["gg-thunk", 1]), packb([1, 2, 3])])
def test_what_is_no_message_is_refused(decode: object, data: bytes) -> None:
    assert callable(decode)
    with pytest.raises(FormatError):
        decode(data)
