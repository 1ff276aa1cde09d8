"""S3 stores of several machines: what one puts another finds, old objects live on, and only trusted records count."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.errors import MissingObject, StoreError
from gg.share.keys import SecretKey
from gg.share.s3 import journal, log
from gg.share.s3.pack import Writer, blob_name, pack_name
from gg.share.s3.packer import ObjectToPack, Packed, PackSource
from gg.share.s3.remote import Remote
from gg.share.s3.ship import Shipper
from gg.share.s3.store import S3Store
from gg.share.s3.uri import DAY_S
from gg.store.base import Key, Kind, SourceChanged, blob_key, get_one, put_blobs
from gg.store.memory import MemoryStore
from tests.conformance.store_suite import objects, record
from tests.servers.s3 import Place, place_on, secret_key
from tests.servers.seaweed import Seaweed

ANN, BOB = secret_key("ann"), secret_key("bob")


@pytest.fixture
def place(seaweed_server: Seaweed, tmp_path: Path) -> Iterator[Place]:
    with place_on(seaweed_server, seaweed_server.make_bucket(), tmp_path) as place:
        yield place


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def pack_of(remote: Remote, key: Key) -> bytes:
    return remote.catalog.places([key])[key].pack


def names(remote: Remote, prefix: str) -> list[str]:
    return [one.name for one in remote.run(lambda: remote.bucket.list(prefix))]


# Two machines


def test_one_puts_another_finds_by_few_requests(place: Place) -> None:
    items = objects(*[b"%d" % n * 50 for n in range(500)], kind=Kind.BLOB)
    records = {record(n): b"%d" % n for n in range(200)}
    first = place.store(ANN)
    first.put({**items, **records})
    assert first.remote.requests == 3  # what is there, the pack, the entry
    second = place.store(BOB, trusted=(ANN.public,))
    assert second.has([*items, *records]) == {*items, *records}
    assert second.get([*items, *records]) == {**items, **records}
    assert second.remote.requests == 3  # what is there, the entry, the pack
    second.put(items)
    assert second.remote.requests == 3


def test_a_machine_remembers(place: Place) -> None:
    items = objects(b"a", b"b")
    place.store(ANN, catalog="mine").put(items)
    again = place.remote(ANN, catalog="mine")
    assert again.catalog.has(items) == set(items)
    place.store(BOB).put(objects(b"new"))
    again.run(again.sync)  # as of a moment ago: the last process of this machine has asked
    assert again.requests == 0
    again.run(again.journal.sync)
    assert again.catalog.has(objects(b"new")) == set(objects(b"new"))
    assert again.requests == 2


def test_a_damaged_memory_is_made_anew(place: Place, tmp_path: Path) -> None:
    items = objects(b"a")
    place.store(ANN, catalog="mine").put(items)
    place.close()
    (tmp_path / "mine").write_bytes(b"this is no database" * 1000)
    assert place.store(catalog="mine").get(list(items)) == items


def test_writers_at_once(place: Place) -> None:
    """Everybody puts the same packs and records of their own at the same time: all of it is there."""
    items = objects(*[os.urandom(100) for _ in range(20)], kind=Kind.BLOB)
    stores = [place.store(ANN) for _ in range(8)]
    ready = threading.Barrier(len(stores))

    def work(number: int) -> None:
        ready.wait()
        stores[number].put({**items, record(number): b"%d" % number})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reader = place.store(None, trusted=(ANN.public,))
    wanted = {**items, **{record(n): b"%d" % n for n in range(len(stores))}}
    assert reader.get(list(wanted)) == wanted
    assert len(names(reader.remote, "packs/")) == 1


def test_entries_are_bundled_and_nothing_is_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MANY", 5)
    writer, watcher = place.store(ANN), place.store(None, trusted=(ANN.public,))
    wanted: dict[Key, bytes] = {}
    for n in range(23):
        new = {**objects(b"object %d" % n), record(n): b"record %d" % n}
        writer.put(new)
        wanted |= new
        if n % 4 == 0:
            watcher.remote.run(lambda: watcher.remote.journal.sync())
    assert len(names(writer.remote, log.PREFIX)) < 10
    watcher.remote.run(lambda: watcher.remote.journal.sync())
    assert watcher.get(list(wanted)) == wanted
    fresh = place.store(None, trusted=(ANN.public,))
    assert fresh.get(list(wanted)) == wanted


# Trust


def test_records_of_strangers_are_not_given_out(place: Place) -> None:
    told: list[str] = []
    place.store(ANN).put({record(1): b"true"})
    reader = place.store(BOB)
    reader._report = told.append
    assert reader.get([record(1)]) == {}
    assert reader.get([record(1)]) == {}
    assert len(told) == 1
    reader.put({record(1): b"my own"})
    assert get_one(reader, record(1)) == b"my own"
    assert get_one(place.store(None, trusted=(ANN.public,)), record(1)) == b"true"


def test_of_several_trusted_the_latest_counts(place: Place) -> None:
    place.store(ANN).put({record(1): b"first"})
    place.store(BOB).put({record(1): b"second"})
    both = place.store(None, trusted=(ANN.public, BOB.public))
    assert get_one(both, record(1)) == b"second"


def test_without_a_key_no_record_is_put(place: Place) -> None:
    store = place.store()
    with pytest.raises(StoreError) as caught:
        store.put({record(1): b"unsigned"})
    assert "gg key new" in caught.value.hint
    store.put(objects(b"content needs no signature"))
    assert place.store().has(list(objects(b"content needs no signature")))


@pytest.mark.parametrize("forgery", ["another's signature", "a changed record", "no signature", "nonsense", "renamed"])
def test_a_poisoned_log_is_refused(place: Place, forgery: str) -> None:
    """Whoever can write to the bucket writes what he likes; it is passed over, and what is good is still found."""
    good = place.store(ANN)
    good.put({record(1): b"good"})
    old = names(good.remote, log.PREFIX)[0]
    stamp = int(time.time() * 1e6) + 60_000_000
    entry = log.LogEntry(stamp, records=((record(1), b"poison"), (record(2), b"poison")))
    forged = log.encode(entry, lambda data: (ANN.public.raw, ANN.sign(data)))
    match forgery:
        case "another's signature":
            forged = log.encode(entry, lambda data: (ANN.public.raw, BOB.sign(data)))
        case "a changed record":
            forged = forged[:-9] + bytes([forged[-9] ^ 1]) + forged[-8:]
        case "no signature":
            forged = log.encode(entry, None)
        case "nonsense":
            forged = b"gg-log-1 and then nothing that can be read"
        case "renamed":  # an old one brought back under a later name
            good.put({record(1): b"good"})
            forged = good.remote.run(lambda: good.remote.bucket.get(old)) or b""
    name = log.entry_name(stamp, forged)
    good.remote.run(lambda: good.remote.bucket.put(name, forged))
    reader = place.store(None, trusted=(ANN.public,))
    assert reader.get([record(1), record(2)]) == {record(1): b"good"}
    assert reader.remote.journal.counts.wrong == (1 if forgery == "another's signature" else 0)


YEAR_2033 = 2_000_000_000_000_000


@pytest.mark.parametrize("bundled", [False, True])
def test_a_name_from_the_future_hides_nothing(place: Place, bundled: bool) -> None:
    """Taken in, it would be where readers go on from, and all that is written before that time would be passed over."""
    good = place.store(ANN)
    good.put({record(1): b"one"})
    entry = log.LogEntry(YEAR_2033, records=((record(1), b"poison"),))
    data = log.encode(entry, lambda text: (ANN.public.raw, ANN.sign(text)))
    name = log.entry_name(YEAR_2033, data)
    if bundled:
        data = log.encode_bundle([(name, data)])
        name = log.entry_name(int(time.time() * 1e6), data) + "-b"
    good.remote.run(lambda: good.remote.bucket.put(name, data))
    reader = place.store(None, trusted=(ANN.public,))
    assert reader.get([record(1)]) == {record(1): b"one"}
    good.put({record(2): b"two"})
    reader.remote.run(lambda: reader.remote.journal.sync())
    assert reader.get([record(1), record(2)]) == {record(1): b"one", record(2): b"two"}


@pytest.mark.parametrize("key", [None, BOB], ids=["unsigned", "not trusted"])
def test_only_a_trusted_key_says_that_something_is_gone(place: Place, key: SecretKey | None) -> None:
    items = objects(b"wanted")
    writer = place.store(ANN)
    writer.put(items)
    hostile = place.store(key)
    hostile.remote.run(lambda: hostile.remote.put({}, PackSource(), gone=list(items)))
    reader = place.store(None, trusted=(ANN.public,))
    assert reader.get(list(items)) == items
    writer.delete(list(items))
    reader.remote.run(lambda: reader.remote.journal.sync())
    assert reader.get(list(items)) == {}
    writer.put(items)
    reader.remote.run(lambda: reader.remote.journal.sync())
    assert reader.get(list(items)) == items


def test_a_large_entry_is_written_as_several(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST_RECORDS", 1000)
    writer = place.store(ANN)
    items = {**objects(b"object"), **{record(n): b"%d" % n * 100 for n in range(30)}}
    writer.put(items)
    assert len(names(writer.remote, log.PREFIX)) > 5
    assert place.store(None, trusted=(ANN.public,)).get(list(items)) == items


def test_a_pack_that_lies_is_not_believed(place: Place) -> None:
    """An index that says that bytes are what they are not."""
    items = objects(b"what it should be", kind=Kind.BLOB)
    (key,) = items
    liar = place.store(BOB)
    liar.remote.run(lambda: liar.remote.put({"": [ObjectToPack(key, 5)]}, _Lies({key: b"wrong"})))
    reader = place.store(ANN)
    assert reader.has([key]) == {key}
    assert reader.get([key]) == {}
    reader.put(items)
    assert reader.get([key]) == items


class _Lies(PackSource):
    """Packs what is given, whatever its key says."""

    def __init__(self, data: dict[Key, bytes]) -> None:
        super().__init__(data=data)
        self._lies = data

    def pack(self, items: Sequence[ObjectToPack]) -> Packed:
        file = io.BytesIO()
        writer = Writer(file)
        for key, data in self._lies.items():
            writer.add(key, data)
        return Packed(writer.seal(), file)


# Lives


def test_what_is_old_is_renewed_before_it_is_relied_on(place: Place) -> None:
    clock = Clock()
    items = objects(*[os.urandom(300) for _ in range(5)], kind=Kind.BLOB)
    groups = {"": [ObjectToPack(key, len(data)) for key, data in items.items()]}
    local = MemoryStore()
    local.put(items)
    remote = place.remote(ANN, clock=clock, catalog="mine", expire_s=30 * DAY_S)
    ship = Shipper(remote, local)
    ship.ensure(groups)
    before = remote.requests
    clock.now += 14 * DAY_S
    ship.ensure(groups)
    assert remote.requests == before
    clock.now += 2 * DAY_S  # past half
    ship.ensure(groups)
    assert remote.requests == before + 2  # a copy onto itself, and the entry that says so
    clock.now += 14 * DAY_S
    assert remote.catalog.has(items) == set(items)
    assert remote.catalog.stale(items) == set()
    clock.now += 14 * DAY_S  # nobody wanted it for 28 days: it does not count as there
    assert remote.catalog.has(items) == set()
    ship.ensure(groups)
    assert remote.catalog.has(items) == set(items)


def test_what_the_lifecycle_took_is_sent_again(place: Place) -> None:
    clock = Clock()
    items = objects(b"gone by tomorrow", kind=Kind.BLOB)
    (key,) = items
    local = MemoryStore()
    local.put(items)
    remote = place.remote(ANN, clock=clock)
    ship = Shipper(remote, local)
    ship.ensure({"": [ObjectToPack(key, 16)]})
    remote.run(lambda: remote.bucket.delete([pack_name(pack_of(remote, key))]))
    clock.now += 20 * DAY_S
    assert ship.ensure({"": [ObjectToPack(key, 16)]}).keys() == {key}
    assert place.store().get([key]) == items


# Shipping


def test_only_what_is_missing_is_sent_and_by_affinity(place: Place, tmp_path: Path) -> None:
    local = MemoryStore()
    tools = {f"tool{n}": os.urandom(6 << 20) for n in range(3)}
    headers = {f"header{n}": f"#define H{n}\n".encode() * 600_000 for n in range(2)}
    groups: dict[str, list[ObjectToPack]] = {"toolchain": [], "system": []}
    for name, data in (tools | headers).items():
        (tmp_path / name).write_bytes(data)
        group = "toolchain" if name in tools else "system"
        groups[group].append(ObjectToPack(blob_key(BlobId.of(data)), len(data), os.fsencode(tmp_path / name)))
    remote = place.remote(ANN)
    places = Shipper(remote, local).ensure(groups)
    by_group = {name: {places[item.key].pack for item in items} for name, items in groups.items()}
    assert len(by_group["toolchain"]) == len(by_group["system"]) == 1
    assert by_group["toolchain"] != by_group["system"]
    assert remote.requests == 4
    (extra,) = put_blobs(local, [b"one more"])
    groups["project"] = [ObjectToPack(blob_key(extra), extra.size)]
    assert len(Shipper(remote, local).ensure(groups)) == 6
    assert remote.requests == 6


def test_a_whole_build_goes_in_few_requests(place: Place) -> None:
    """3,400 inputs of FFmpeg's sizes, a compiler and its headers: at most 40, and 3 after an edit."""
    rng = random.Random(5)
    tools = [rng.randbytes(size << 20) for size in (33, 8, 4, 2, 2)]
    headers = [b"#define SYSTEM %d\n" % n * rng.randrange(1, 900) for n in range(1500)]
    sources = [b"int f%d(void) { return 1; }\n" % n * rng.randrange(1, 900) for n in range(3400)]
    local = MemoryStore()
    groups = {
        name: [ObjectToPack(blob_key(blob), blob.size) for blob in put_blobs(local, blobs)]
        for name, blobs in (("toolchain", tools), ("system", headers), ("project", sources))
    }
    remote = place.remote(ANN, catalog="mine")
    places = Shipper(remote, local).ensure(groups)
    assert len(places) == len({item.key for items in groups.values() for item in items})
    assert remote.requests <= 12
    (edited,) = put_blobs(local, [b"int f0(void) { return 2; }\n"])
    groups["project"][0] = ObjectToPack(blob_key(edited), edited.size)
    again = place.remote(ANN, catalog="mine")
    Shipper(again, local).ensure(groups)
    assert again.requests == 2  # the pack, the entry: what is there was asked a moment ago
    Shipper(again, local).ensure(groups)
    assert again.requests == 2


def test_two_who_ship_the_same_send_it_once(place: Place) -> None:
    local = MemoryStore()
    blobs = put_blobs(local, [os.urandom(5 << 20) for _ in range(4)])
    remote = place.remote(ANN)
    ship = Shipper(remote, local)
    groups = {"": [ObjectToPack(blob_key(blob), blob.size) for blob in blobs]}
    threads = [threading.Thread(target=ship.ensure, args=(groups,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert remote.requests == 3
    assert len(ship.places([blob_key(blob) for blob in blobs])) == 4


def test_what_cannot_be_shipped(place: Place, tmp_path: Path) -> None:
    ship = Shipper(place.remote(ANN), MemoryStore())
    absent = blob_key(BlobId.of(b"nowhere"))
    with pytest.raises(MissingObject):
        ship.ensure({"": [ObjectToPack(absent, 7)]})
    edited = tmp_path / "edited"
    for size, now in ((7, b"changed"), (9 << 20, b"x" * (9 << 20))):
        edited.write_bytes(now)
        key = blob_key(BlobId.of(b"nowhere" if size == 7 else b"y" * size))
        with pytest.raises(SourceChanged):
            ship.ensure({"": [ObjectToPack(key, size, os.fsencode(edited))]})
    assert ship.places([absent]) == {}


def test_blobs_that_workers_put_are_told_to_others(place: Place) -> None:
    remote = place.remote(ANN)
    data = b"an output"
    blob = BlobId.of(data)
    remote.run(lambda: remote.bucket.put(blob_name(blob.digest), data))
    Shipper(remote, None).learn([blob])
    assert remote.run(lambda: remote.get([blob_key(blob)])) == {blob_key(blob): data}
    S3Store(remote).flush()
    assert place.store().get([blob_key(blob)]) == {blob_key(blob): data}


@pytest.mark.parametrize("size", [-1, 3, 1 << 50])
def test_nobody_is_told_of_blobs_that_a_worker_has_not_put(place: Place, size: int) -> None:
    """Others would not send such a blob, and their workers would not find it. `size`: as it was said, of what is there."""
    remote = place.remote(ANN)
    data = b"an output"
    blob = BlobId.of(data)
    place.store(ANN).put(objects(b"x"))
    if size >= 0:
        remote.run(lambda: remote.bucket.put(blob_name(blob.digest), data))
    Shipper(remote, None).learn([BlobId(blob.digest, abs(size))])
    S3Store(remote).flush()
    other = place.remote(BOB)
    assert len(other.run(lambda: other.known(list(objects(b"x"))))) == 1
    assert other.catalog.has([blob_key(blob)]) == set()


def test_the_loop_is_gone_when_closed(place: Place) -> None:
    store = place.store(ANN)
    store.put(objects(b"x"))
    before = threading.active_count()
    store.close()
    assert threading.active_count() < before
    with pytest.raises(StoreError):
        store.get(list(objects(b"x")))
