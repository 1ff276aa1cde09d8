"""What comes from elsewhere is bounded before anything is made of it: one clear error, soon, in little memory."""

from __future__ import annotations

import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import zstandard
from msgpack import packb

from gg.core.bounded import BoundedReader
from gg.errors import FormatError
from gg.share.s3 import bucket, log, pack
from gg.share.s3.log import LogEntry
from gg.store.base import Key, Kind
from gg.wire import compressed

MOST_MEMORY = 50 << 20
MOST_SECONDS = 5.0  # of processor time, which other processes do not count for; it takes 1


@contextmanager
def within_bounds() -> Iterator[None]:
    """FormatError, within the limits of time and memory."""
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(FormatError):
            yield
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
        assert time.process_time() - start < MOST_SECONDS
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "ask"),
    [
        (packb(5), lambda reader: reader.octets()),
        (packb(b"x"), lambda reader: reader.number()),
        (packb(True), lambda reader: reader.number()),
        (packb(-1), lambda reader: reader.number()),
        (packb(1 << 62), lambda reader: reader.number()),
        (packb(b"short"), lambda reader: reader.digest()),
        (packb("x" * 65), lambda reader: reader.text(64)),
        (packb([1, 2]), lambda reader: reader.number()),
        (packb([[[[]]]] * 3), lambda reader: reader.array(0, 2)),
        (packb({1: 2}), lambda reader: reader.array(0, 5)),
        (packb([1]), lambda reader: reader.array(2, 2)),
        (b"\xdd\xff\xff\xff\xff", lambda reader: reader.array(0, 100)),
        (b"\xc6\xff\xff\xff\xff", lambda reader: reader.octets()),
        (b"\xa1\xff", lambda reader: reader.text(9)),
        (b"\xc1", lambda reader: reader.number()),
        (b"", lambda reader: reader.number()),
        (b"\xc7\x01\x05x", lambda reader: reader.octets()),
        (packb(1) + b"more", lambda reader: (reader.number(), reader.end())),
    ],
)
def test_a_reader_makes_nothing_that_was_not_asked_for(data: bytes, ask: Callable[[BoundedReader], object]) -> None:
    with pytest.raises(FormatError, match="a thing is damaged"):
        ask(BoundedReader(data, "a thing"))


def _entry(body: bytes) -> bytes:
    return log._ENTRY + bytes(packb([b"", b"", body]))


def _zeros(size: int) -> bytes:
    """A small frame that holds so many zeros, in an array of bytes."""
    return zstandard.compress(b"\xc6" + size.to_bytes(4, "big") + bytes(size))


@pytest.mark.parametrize(
    "body",
    [
        _zeros(1 << 28),
        zstandard.compress(b"\x95\x00" + b"\xdc\xff\xff" + b"\x90" * 65535 + b"\x90\x90\x90"),
        zstandard.compress(b"\x95" + b"\x90" * (15 << 20)),
        zstandard.compress(packb([0, [], [], [], [[b"k" * 33, [[]] * 10000]]])),
        zstandard.compress(packb([1 << 62, [], [], [], []])),
        zstandard.compress(packb([0, [[b"d" * 32, 1 << 60, 0, b""]], [], [], []])),
        zstandard.compress(packb([0, [], [], [b"\xff" + b"d" * 32], []])),
        b"\x28\xb5\x2f\xfd\xe0" + (1 << 62).to_bytes(8, "little") + b"\x01\x00\x00",  # a frame that says 2^62 bytes
        b"nonsense",
    ],
    ids=["bomb", "lists", "many lists", "nested", "stamp", "size", "kind", "declared", "nonsense"],
)
def test_hostile_entries_of_the_log(body: bytes) -> None:
    data = _entry(body)
    assert len(data) < 1 << 20
    with within_bounds():
        log.decode(data, lambda *_: True)


def test_a_hostile_bundle() -> None:
    with within_bounds():
        log.decode_bundle(log._BUNDLE + b"\xdd\x00\xff\xff\xff" + b"\x90" * (8 << 20))


@pytest.mark.parametrize(
    "columns",
    [
        [b"", b"", [], b"", [], [], []],
        [bytes([1]) * 70000, b"d" * 32 * 70000, [0] * 70000, b"", [], []],
        [bytes([1]), b"d" * 32, [1 << 40], b"\0", [10], [1 << 40]],
        [bytes([1]), b"d" * 32, [1 << 40], b"\1" * 3, [10], [1 << 40]],
        [bytes([1]), b"d" * 31, [1], b"\0", [1], [1]],
        [bytes([250]), b"d" * 32, [1], b"\0", [1], [1]],
        [bytes([1]), b"d" * 32, [-1], b"\0", [1], [-1]],
        [bytes([1]), b"d" * 32, [[[]]], b"\0", [1], [1]],
        [b"\1" * 60000, b"", [], b"", [], []],
    ],
)
def test_hostile_indexes_of_packs(columns: list[object]) -> None:
    with within_bounds():
        pack.decode_index(zstandard.compress(packb(columns)), 1000)


def test_what_is_compressed_says_how_much_it_is() -> None:
    """A frame that was written as a stream, with no size in its head, could hold anything."""
    compressor = zstandard.ZstdCompressor().compressobj()
    unsized = compressor.compress(bytes(1 << 28)) + compressor.flush()
    with within_bounds():
        compressed.decompress(unsized, 1 << 30)


def test_nothing_unpacks_what_http_calls_compressed() -> None:
    """gg asks for no encoding. What comes in one all the same is what it is: no listing."""
    zeros = gzip.compress(b"<Contents><Key>a</Key><Size>1</Size></Contents>" + bytes(1 << 26))
    tracemalloc.start()
    try:
        assert bucket._contents(zeros) == []
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_entries_are_as_they_were() -> None:
    entry = LogEntry(
        5,
        packs=(log.PackNote(b"p" * 32, 10, 20, b"index"),),
        alone=(log.LooseObject(Key(Kind.BLOB, b"a" * 32), 1, 2),),
        gone=(Key(Kind.BLOB, b"g" * 32),),
        records=((Key(Kind.REDUCTION, b"r" * 32), b"data"), (Key(Kind.REDUCTION, b"s" * 32), None)),
    )
    signed = log.decode(log.encode(entry, lambda data: (b"k" * 32, b"s" * 64)), lambda *_: True)
    assert signed[:2] == (entry, b"k" * 32)
    assert log.split(entry) == [entry]
