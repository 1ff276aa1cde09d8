"""S3 stores when things go wrong: each fault alone, all together, and the damage that stays."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.share.s3 import bucket as bucket_module
from gg.share.s3.bucket import S3Bucket
from gg.share.s3.pack import blob_name, pack_name
from gg.share.s3.remote import Remote
from gg.store.base import Key, Kind, TransientStoreError, blob_key
from tests.conformance.store_suite import objects, path_bytes, record
from tests.servers.flaky import Flaky, flaky, sometimes
from tests.servers.s3 import Place, place_on, secret_key
from tests.servers.seaweed import Seaweed

KEY = secret_key()


@pytest.fixture
def place(seaweed_server: Seaweed, tmp_path: Path) -> Iterator[Place]:
    with place_on(seaweed_server, seaweed_server.make_bucket(), tmp_path) as place:
        yield place


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same number of tries, in less time."""
    monkeypatch.setattr(bucket_module, "pause", lambda failures: 0.01 * failures)


def contents(seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(rng.randrange(1, 30_000)) for _ in range(60)] + [rng.randbytes(9 << 20)]


@pytest.mark.parametrize("fault", Flaky.FAULTS)
def test_one_fault_in_three_requests(place: Place, fault: str) -> None:
    """Whatever happens to a third of all requests, what was put is there, and what is got is right or missing."""
    items = objects(*contents(), kind=Kind.BLOB)
    with flaky(place.port, sometimes(0.34, (fault,))) as (port, proxy):
        writer = place.store(KEY, port=port)
        for _ in range(3):
            writer.put({**items, record(1): b"a record"})
        reader = place.store(None, trusted=(KEY.public,), port=port)
        found: dict[Key, bytes] = {}
        for _ in range(20):  # what came garbled twice counts as missing; it is not lost
            found |= place.store(None, trusted=(KEY.public,), port=port).get([*items, record(1)])
            if len(found) == len(items) + 1:
                break
        assert found == {**items, record(1): b"a record"}
        assert all(items[key] == data for key, data in reader.get(list(items)).items())
        assert proxy.done[fault] > 3


def test_all_faults_mixed(place: Place) -> None:
    items = objects(*contents(2), kind=Kind.BLOB)
    with flaky(place.port, sometimes(0.4, Flaky.FAULTS)) as (port, proxy):
        store = place.store(KEY, port=port)
        for key, data in items.items():
            store.put({key: data})
        assert len(proxy.done) > len(Flaky.FAULTS) - 2
    assert place.store().get(list(items)) == items


def test_a_server_that_never_serves(place: Place) -> None:
    with flaky(place.port, lambda seen: "") as (port, proxy):
        store = place.store(KEY, port=port)
        store.put(objects(b"first"))
        proxy.choose = lambda seen: "503"
        with pytest.raises(TransientStoreError, match="fewer requests"):
            store.put(objects(b"second"))
        bucket = store.remote.bucket
        assert isinstance(bucket, S3Bucket)
        assert bucket.limit.slowed >= 8
        assert bucket.limit.width < 16
        proxy.choose = lambda seen: ""
        store.put(objects(b"second"))
        assert store.get(list(objects(b"second"))) == objects(b"second")


# Damage that stays


@pytest.mark.parametrize("damage", ["gone", "truncated", "flipped", "other"])
def test_a_damaged_pack_heals_when_put_again(place: Place, damage: str) -> None:
    items = objects(*[os.urandom(1000) for _ in range(20)], kind=Kind.BLOB)
    store, other = place.store(KEY), place.store(KEY)
    store.put(items)
    other.put(objects(b"elsewhere", kind=Kind.BLOB))
    digest = store.remote.catalog.places(items)[next(iter(items))].pack
    spoil(store.remote, pack_name(digest), damage)
    left = store.get(list(items))
    assert all(items[key] == data for key, data in left.items())
    missing = items.keys() - left.keys()
    assert missing
    assert store.has(list(items)) == left.keys()
    store.put(items)
    assert store.get(list(items)) == items
    assert place.store().get(list(items)) == items


@pytest.mark.parametrize("damage", ["gone", "truncated", "flipped", "other"])
def test_a_damaged_blob_of_a_worker_is_missing(place: Place, damage: str) -> None:
    remote = place.remote(KEY)
    data = os.urandom(1000)
    blob = BlobId.of(data)
    remote.run(lambda: remote.bucket.put(blob_name(blob.digest), data))
    place.store(KEY).put({})

    async def learn() -> None:
        remote.learn([blob])

    remote.run(learn)
    assert remote.run(lambda: remote.get([blob_key(blob)])) == {blob_key(blob): data}
    spoil(remote, blob_name(blob.digest), damage)
    assert remote.run(lambda: remote.get([blob_key(blob)])) == {}
    assert remote.run(lambda: remote.known([blob_key(blob)])) == set()


def spoil(remote: Remote, name: str, damage: str) -> None:
    async def work() -> None:
        data = await remote.bucket.get(name)
        assert data is not None
        middle = len(data) // 2
        bad = {
            "truncated": data[:middle],
            "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
            "other": os.urandom(len(data)),
        }
        if damage == "gone":
            await remote.bucket.delete([name])
        else:
            await remote.bucket.put(name, bad[damage], unique=False)

    remote.run(work)


def test_large_files_are_never_half_written(place: Place, tmp_path: Path) -> None:
    """By multipart up, by ranges down, through a network that cuts and flips."""
    data = random.Random(3).randbytes(70 << 20)
    blob = BlobId.of(data)
    (tmp_path / "in").write_bytes(data)
    with flaky(place.port, sometimes(0.2, ("reset", "cut", "503", "lost"))) as (port, _):
        place.store(KEY, port=port).put_files({blob: path_bytes(tmp_path / "in")})
        target = path_bytes(tmp_path / "out")
        assert place.store(port=port).fetch_files({target: blob}) == {target}
        assert (tmp_path / "out").read_bytes() == data
    with flaky(place.port, lambda seen: "flipped" if "packs/" in seen.target else "") as (port, _):
        assert place.store(port=port).fetch_files({path_bytes(tmp_path / "bad"): blob}) == set()
        assert not (tmp_path / "bad").exists()
