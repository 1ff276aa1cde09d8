"""Whoever can write to the bucket, and has no trusted key: what he puts there costs nothing but itself, and heals."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgpack import packb
from zstandard import ZstdCompressor

from gg.core.ids import BlobId
from gg.share.s3 import log
from gg.share.s3.pack import FOOTER_SIZE, MAGIC, Writer, blob_name, decode_index, pack_name
from gg.share.s3.remote import Remote
from gg.share.s3.store import S3Store
from gg.store.base import Key, Kind, blob_key
from tests.conformance.store_suite import objects, record
from tests.servers.flaky import flaky
from tests.servers.s3 import Place, place_on, secret_key
from tests.servers.seaweed import Seaweed

ANN, EVE = secret_key("ann"), secret_key("eve")


@pytest.fixture
def place(seaweed_server: Seaweed, tmp_path: Path) -> Iterator[Place]:
    with place_on(seaweed_server, seaweed_server.make_bucket(), tmp_path) as place:
        yield place


@pytest.fixture
def good(place: Place) -> S3Store:
    """Ann's, in which there is something already."""
    store = place.store(ANN)
    store.put({**ITEMS, record(1): b"good"})
    return store


ITEMS = objects(*[b"wanted %d" % n * 100 for n in range(5)], kind=Kind.BLOB)


def reader(place: Place) -> S3Store:
    """Of a fresh checkout, without a key."""
    return place.store(None, trusted=(ANN.public,))


def write(remote: Remote, name: str, data: bytes) -> None:
    remote.run(lambda: remote.bucket.put(name, data, unique=False))


def entry(remote: Remote, signed: bool, after_s: float = 60.0, **says: Sequence[object]) -> None:
    """Put an entry of Eve's, of a time that is later than all others'."""
    stamp = int((time.time() + after_s) * 1e6)
    made = log.LogEntry(stamp, **{name: tuple(value) for name, value in says.items()})  # type: ignore[arg-type]
    data = log.encode(made, (lambda text: (EVE.public.raw, EVE.sign(text))) if signed else None)
    write(remote, log.entry_name(stamp, data), data)


def packed(*members: tuple[Key, bytes]) -> tuple[bytes, bytes, bytes]:
    """A pack's digest, its bytes, its index; what it says that it holds need not be true."""
    out = io.BytesIO()
    writer = Writer(out)
    for key, data in members:
        writer.add(key, data)
    sealed = writer.seal()
    return sealed.digest, out.getvalue(), sealed.contents.encoded


IN_A_YEAR = int(time.time()) + 365 * 86400


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "a stranger's"])
@pytest.mark.parametrize("where", ["nowhere", "a lie", "alone", "alone and huge"])
def test_a_later_place_hides_no_earlier_one(place: Place, good: S3Store, where: str, signed: bool) -> None:
    """He names other places for what is there: packs that are not there or hold something else, blobs that are not there."""
    for n in range(5):
        if where.startswith("alone"):
            size = 1 << 52 if "huge" in where else 5
            entry(good.remote, signed, 60.0 + n, alone=[log.LooseObject(key, size, IN_A_YEAR) for key in ITEMS])
            continue
        digest, data, index = packed(*[(key, b"something else %d" % n) for key in ITEMS])
        if where == "a lie":
            write(good.remote, pack_name(digest), data)
        entry(good.remote, signed, 60.0 + n, packs=[log.PackNote(digest, len(data), IN_A_YEAR, index)])
    fresh = reader(place)
    assert fresh.has(list(ITEMS)) == set(ITEMS)
    assert fresh.get(list(ITEMS)) == ITEMS
    assert fresh.get([record(1)]) == {record(1): b"good"}


def test_a_lie_about_a_pack_that_is_there_is_not_what_it_is_read_by(place: Place, good: S3Store) -> None:
    """He comes first, so that what he says of the pack's inside is known before what is true."""
    true = good.remote.catalog.places(ITEMS)[next(iter(ITEMS))]
    index = b""
    for _ in range(3):  # until its own length is what it says
        inside = true.size - len(MAGIC) - FOOTER_SIZE - len(index)
        names = b"".join(key.digest for key in ITEMS)
        sizes = [*[1] * (len(ITEMS) - 1), inside - len(ITEMS) + 1]
        columns = [bytes(len(ITEMS)), names, sizes, b"\0", [inside], [inside]]
        index = ZstdCompressor().compress(packb(columns))
    assert decode_index(index, true.size).members.keys() == ITEMS.keys()
    entry(good.remote, False, -3000.0, packs=[log.PackNote(true.pack, true.size, IN_A_YEAR, index)])
    fresh = reader(place)
    assert fresh.get(list(ITEMS)) == ITEMS


def test_what_only_a_stranger_names_is_read_if_it_is_true(place: Place) -> None:
    """Colleagues without a key share what they upload."""
    place.store(None).put(ITEMS)
    assert place.store(None).get(list(ITEMS)) == ITEMS


@pytest.mark.parametrize("real", [0, 5, 40 << 20], ids=["empty", "small", "large"])
def test_a_size_is_the_objects_own(place: Place, good: S3Store, real: int, tmp_path: Path) -> None:
    """He says how large an object is that a worker has put. Reading it takes what it has, and not what he says."""
    data = os.urandom(real)
    blob = BlobId.of(data)
    write(good.remote, blob_name(blob.digest), data)
    for size in (0, 1, 1 << 30, (1 << 53) - 1):
        entry(good.remote, False, 60.0, alone=[log.LooseObject(blob_key(blob), size, IN_A_YEAR)])
        fresh = reader(place)
        began = time.process_time()
        assert fresh.get([blob_key(blob)]) == {blob_key(blob): data}
        there = os.fsencode(tmp_path / "there")
        assert fresh.fetch_files({there: blob}) == {there}
        assert time.process_time() - began < 5


def test_an_object_that_is_much_larger_than_its_name(place: Place, good: S3Store) -> None:
    """Instead of a pack, and of a blob, there stands something that would fill the memory; the store goes on being used."""
    key = blob_key(BlobId.of(b"small"))
    digest, data, index = packed((key, b"small"))
    write(good.remote, pack_name(digest), os.urandom(70 << 20))
    write(good.remote, blob_name(key.digest), os.urandom(70 << 20))
    notes = [log.PackNote(digest, len(data), IN_A_YEAR, index)]
    entry(good.remote, False, packs=notes, alone=[log.LooseObject(key, 5, IN_A_YEAR)])
    fresh = reader(place)
    assert fresh.get([key, *ITEMS]) == ITEMS


@pytest.mark.parametrize("refusal", ["403 AccessDenied", "403 InvalidObjectState", "400 KMS.DisabledException"])
def test_an_object_that_is_closed_to_us(place: Place, good: S3Store, refusal: str) -> None:
    """Archived, or encrypted with somebody's key: S3 refuses that object alone, and nobody's run ends for it."""
    digest, data, index = packed((blob_key(BlobId.of(b"locked")), b"locked"))
    write(good.remote, pack_name(digest), data)
    entry(good.remote, False, packs=[log.PackNote(digest, len(data), IN_A_YEAR, index)])
    with flaky(place.port, lambda seen: refusal if digest.hex() in seen.target else "") as (port, _):
        fresh = place.store(None, trusted=(ANN.public,), port=port)
        assert fresh.get(list(ITEMS)) == ITEMS
        assert fresh.get([blob_key(BlobId.of(b"locked"))]) == {}
        assert fresh.get(list(ITEMS)) == ITEMS


NAMES = [
    "log/zzzzzzzzzzzzzzz-{digest}",
    "log/fffffffffffffff-{digest}",
    "log/000000000000000-{digest}",
    "log/{now:015x}-{digest}-b",
    "log/{now:015x}-{digest}",
    "log/{now:015x}-{digest}/and/more",
    "log/nothing",
    "log/%2e%2e/{digest}",
]


def test_names_that_are_none_of_the_logs(place: Place, good: S3Store) -> None:
    """They are passed over, and readers go on from where they were: a second look reads nothing again."""
    data = b"gg-log-1 and nothing of it"
    for name in NAMES:
        text = name.format(now=int(time.time() * 1e6), digest=log.entry_name(0, data)[-32:])
        write(good.remote, text, data)
    fresh = reader(place)
    assert fresh.get([record(1)]) == {record(1): b"good"}
    before = fresh.remote.traffic[0].get("GET", 0)
    fresh.remote.run(lambda: fresh.remote.journal.sync())
    assert fresh.remote.traffic[0].get("GET", 0) == before
    good.put({record(2): b"more"})
    fresh.remote.run(lambda: fresh.remote.journal.sync())
    assert fresh.get([record(2)]) == {record(2): b"more"}
    assert log.stamp_of(fresh.remote.catalog.last_seen()) > 0


def test_a_bundle_of_bombs_is_opened_as_far_as_it_may_grow(place: Place, good: S3Store) -> None:
    """A thousand entries of a few kilobytes that unpack to 15 MB each: of 15 GB some 20 MB are made."""
    zeros = log.LogEntry(0, records=tuple((record(n), bytes(3 << 20)) for n in range(5)))
    pairs: list[tuple[str, bytes]] = []
    for n in range(1000):
        stamp = int(time.time() * 1e6) + n
        data = log.encode(zeros._replace(stamp=stamp), None) if n < 2 else pairs[0][1]
        pairs.append((log.entry_name(stamp, data), data))
    bundle = log.encode_bundle(pairs)
    write(good.remote, log.entry_name(int(time.time() * 1e6), bundle) + "-b", bundle)
    fresh = reader(place)
    began = time.process_time()
    assert fresh.get([record(1)]) == {record(1): b"good"}
    assert time.process_time() - began < 10


def test_bundling_goes_on_beside_what_is_no_bundle(place: Place, good: S3Store) -> None:
    """He has put bundles that cannot be read, and entries that can be nothing; the log stays short all the same."""
    for n in range(60):
        data = b"gg-logs1" + bytes(packb(n))
        write(good.remote, log.entry_name(int(time.time() * 1e6), data) + "-b", data)
        data = b"gg-log-1" + os.urandom(50)
        write(good.remote, log.entry_name(int(time.time() * 1e6), data), data)
    writer = place.store(ANN)
    writer.remote.run(lambda: writer.remote.journal.sync())
    writer.put({record(2): b"two"})
    listed = writer.remote.run(lambda: writer.remote.bucket.list(log.PREFIX))
    assert len(listed) < 80, "entries were put into one object"
    assert reader(place).get([record(1), record(2)]) == {record(1): b"good", record(2): b"two"}


def test_wrong_bytes_under_a_name_are_replaced_by_who_writes_the_right_ones(place: Place) -> None:
    """He has put something else where a pack is going to be: before anybody has read that it is wrong."""
    digest, data, _ = packed(*ITEMS.items())
    for wrong in (b"short", os.urandom(len(data))):
        remote = place.remote(ANN)
        write(remote, pack_name(digest), wrong)
        remote.run(lambda remote=remote: remote.bucket.put(pack_name(digest), data))  # type: ignore[misc]
        assert remote.run(lambda remote=remote: remote.bucket.get(pack_name(digest))) == data  # type: ignore[misc]


def test_blobs_with_foreign_names(place: Place, good: S3Store) -> None:
    for name in ("blobs/x", "blobs/ab/" + "z" * 64, "blobs//", "packs/no", "packs/ab/%00"):
        write(good.remote, name, b"foreign")
    fresh = reader(place)
    assert fresh.get(list(ITEMS)) == ITEMS
    assert {one.key for one in fresh.keys(Kind.BLOB)} == set(ITEMS)
