"""Packs: what goes in comes out, by ranges, and nothing damaged ever does."""

from __future__ import annotations

import io
import os
import random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from gg.errors import FormatError
from gg.share.s3 import pack
from gg.store.base import Key, Kind
from gg.wire import compressed


def keyed(contents: list[bytes], kind: Kind = Kind.BLOB) -> dict[Key, bytes]:
    return {Key(kind, blake3(data).digest()): data for data in contents}


def packed(items: dict[Key, bytes]) -> tuple[bytes, pack.Sealed]:
    out = io.BytesIO()
    writer = pack.Writer(out)
    for key, data in items.items():
        writer.add(key, data)
    sealed = writer.seal()
    return out.getvalue(), sealed


def fetch(data: bytes, spans: list[tuple[int, int]]) -> dict[int, bytes]:
    return {start: data[start:end] for start, end in spans}


def mixed() -> dict[Key, bytes]:
    rng = random.Random(7)
    small = [f"int f{n}(void);\n".encode() * rng.randrange(0, 900) for n in range(400)]
    large = [rng.randbytes(5 << 20), b"x" * (9 << 20), rng.randbytes(300 << 10)]
    return keyed([b"", *small[:200], *large, *small[200:]]) | keyed([b"group", b"other"], Kind.GROUP)


def test_whole_and_sealed() -> None:
    items = mixed()
    data, sealed = packed(items)
    assert sealed.digest == blake3(data).digest()
    assert sealed.contents.size == len(data)
    assert pack.extract(sealed.contents, items, {0: data}) == items


def test_the_tail_says_it_all() -> None:
    items = mixed()
    data, sealed = packed(items)
    assert pack.read_tail(data[-200:], len(data)) == sealed.contents.tail
    index = pack.read_tail(data[-sealed.contents.tail :], len(data))
    assert index == sealed.contents
    assert pack.decode_index(sealed.contents.encoded, len(data)) == sealed.contents


def test_ranges_hold_what_is_wanted_and_little_else() -> None:
    items = mixed()
    data, sealed = packed(items)
    few = random.Random(1).sample(list(items), 5)
    spans = sealed.contents.spans(few)
    assert pack.extract(sealed.contents, few, fetch(data, spans)) == {key: items[key] for key in few}
    one = next(key for key, content in items.items() if 0 < len(content) < 1000)
    ((start, end),) = sealed.contents.spans([one])
    assert end - start < pack.SMALL_BLOCK
    large = next(key for key, content in items.items() if len(content) == 5 << 20)
    assert len(sealed.contents.spans([large], most=4 << 20)) == 2
    assert sealed.contents.spans([]) == []
    assert pack.extract(sealed.contents, [*few, Key(Kind.BLOB, b"\7" * 32)], {}) == {
        key: b"" for key in few if not items[key]
    }


def test_many_small_members_compress_as_one() -> None:
    data, sealed = packed(keyed([b"#include <stdio.h>\nint unit%d;\n" % n * 20 for n in range(2000)]))
    assert len(sealed.contents.blocks) < 10
    assert len(data) < 2000 * 60
    assert sealed.contents.tail < 2000 * 40


@pytest.mark.parametrize("where", ["block", "index", "footer", "magic"])
def test_damage_is_found(where: str) -> None:
    items = keyed([os.urandom(1000) for _ in range(10)])
    data, sealed = packed(items)
    at = {"block": 500, "index": len(data) - 40, "footer": len(data) - 3, "magic": 2}[where]
    bad = data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]
    if where in ("index", "footer"):
        with pytest.raises(FormatError):
            pack.read_tail(bad, len(bad))
    got = pack.extract(sealed.contents, items, {0: bad})
    assert got == {key: content for key, content in items.items() if key in got}
    assert len(got) == (9 if where == "block" else 10)


@given(st.lists(st.binary(max_size=200), max_size=12, unique=True), st.data())
def test_any_truncation_and_any_flip(contents: list[bytes], draw: st.DataObject) -> None:
    items = keyed(contents)
    data, sealed = packed(items)
    cut = data[: draw.draw(st.integers(0, len(data)))]
    at = draw.draw(st.integers(0, len(data) - 1))
    flipped = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    for bad in (cut, flipped):
        for key, content in pack.extract(sealed.contents, items, {0: bad}).items():
            assert items[key] == content
        try:
            index = pack.read_tail(bad, len(bad))
        except FormatError:
            continue
        assert index == sealed.contents


def test_an_index_that_lies_is_refused() -> None:
    items = keyed([b"a", b"bb"])
    data, sealed = packed(items)
    with pytest.raises(FormatError):
        pack.decode_index(sealed.contents.encoded, len(data) + 1)
    with pytest.raises(FormatError):
        pack.decode_index(b"nonsense", len(data))
    with pytest.raises(FormatError):
        compressed.decompress(sealed.contents.encoded, 3)


def test_a_member_of_another_size_is_told() -> None:
    with pytest.raises(FormatError):
        pack.Writer(io.BytesIO()).add_stream(Key(Kind.BLOB, b"\1" * 32), 10, [b"12345"])
