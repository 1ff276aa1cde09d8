"""The wrappers under trouble: what `MemoryStore` injects, they must catch, repeat, count or pass on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.errors import StoreError
from gg.store.base import Key, Kind, SourceChanged, TransientStoreError, blob_key, put_blobs
from gg.store.cache import Cache
from gg.store.memory import MemoryStore
from gg.store.metered import Meter, Metered
from gg.store.retry import Retry
from gg.store.verified import Verify
from tests.conformance.store_suite import objects, path_bytes, record


def flip(key: Key, data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def cut(key: Key, data: bytes) -> bytes:
    return data[:-1]


class Failing:
    """Raises `error` the first `times` times; None: always."""

    def __init__(self, error: Exception, times: int | None) -> None:
        self.error = error
        self.left = times
        self.calls: list[str] = []

    def __call__(self, method: str, keys: Sequence[Key]) -> None:
        self.calls.append(method)
        if self.left is None or self.left > 0:
            self.left = None if self.left is None else self.left - 1
            raise self.error


# Verify


@pytest.mark.parametrize("alter", [flip, cut])
def test_damaged_bytes_are_as_good_as_missing(alter: object, tmp_path: Path) -> None:
    memory = MemoryStore()
    damaged: list[Key] = []
    store = Verify(memory, damaged.append)
    items = objects(b"a blob", kind=Kind.BLOB) | objects(b"a thunk") | objects(b"a group", kind=Kind.GROUP)
    store.put({**items, record(1): b"a record"})
    memory.alter = flip if alter is flip else cut
    found = store.get([*items, record(1)])
    assert set(found) == {record(1)}
    assert set(damaged) == set(items)

    damaged.clear()
    target = tmp_path / "target"
    target.write_bytes(b"as it was")
    blob = BlobId.of(b"a blob")
    assert store.fetch_files({path_bytes(target): blob}) == set()
    assert damaged == [blob_key(blob)]
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]
    assert target.read_bytes() == b"as it was"

    memory.alter = None
    assert store.fetch_files({path_bytes(target): blob}) == {path_bytes(target)}
    assert target.read_bytes() == b"a blob"


def test_nothing_is_left_when_a_fetch_breaks_off(tmp_path: Path) -> None:
    memory = MemoryStore()
    (blob,) = put_blobs(memory, [b"x"])
    memory.before = Failing(StoreError("down"), None)
    with pytest.raises(StoreError, match="down"):
        Verify(memory).fetch_files({path_bytes(tmp_path / "x"): blob})
    assert list(tmp_path.iterdir()) == []


def test_wrong_files_never_reach_the_store(tmp_path: Path) -> None:
    memory = MemoryStore()
    (tmp_path / "x").write_bytes(b"other")
    failing = Failing(StoreError("must not be asked"), None)
    with pytest.raises(SourceChanged):
        Verify(memory).put_files({BlobId.of(b"what was announced"): path_bytes(tmp_path / "x")})
    memory.before = failing
    with pytest.raises(StoreError):
        memory.flush()
    assert failing.calls == ["flush"]


# Retry


def test_passing_trouble_is_waited_out() -> None:
    waits: list[float] = []
    memory = MemoryStore()
    store = Retry(memory, tries=6, first_s=0.1, most_s=0.5, sleep=waits.append, spread=lambda: 0.0)
    items = objects(b"x")
    memory.before = Failing(TransientStoreError("busy"), 5)
    store.put(items)
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])
    assert store.retried == 5
    assert store.get(list(items)) == items


def test_waits_are_stretched_at_random() -> None:
    waits: list[float] = []
    memory = MemoryStore(before=Failing(TransientStoreError("busy"), 2))
    Retry(memory, first_s=1.0, sleep=waits.append, spread=iter((0.0, 1.0)).__next__).has([record(1)])
    assert waits == pytest.approx([1.0, 3.0])


def test_retries_have_a_cap() -> None:
    failing = Failing(TransientStoreError("busy"), None)
    waits: list[float] = []
    store = Retry(MemoryStore(before=failing), tries=3, sleep=waits.append)
    for operation in (lambda: store.get([record(1)]), lambda: store.delete([record(1)]), store.flush):
        failing.calls.clear()
        with pytest.raises(TransientStoreError):
            operation()
        assert len(failing.calls) == 3
    assert len(waits) == 6


def test_other_trouble_is_not_retried() -> None:
    failing = Failing(StoreError("no such bucket: timed out, try again, 503"), None)
    store = Retry(MemoryStore(before=failing), sleep=lambda _: pytest.fail("slept"))
    with pytest.raises(StoreError):
        store.get([record(1)])
    assert failing.calls == ["get"]


def test_a_listing_goes_on_where_it_broke_off() -> None:
    memory = MemoryStore()
    items = objects(*(b"%d" % n for n in range(20)))
    memory.put(items)
    memory.before = Failing(TransientStoreError("busy"), 2)
    listed = [stored.key for stored in Retry(memory, sleep=lambda _: None).keys(Kind.THUNK)]
    assert sorted(listed) == sorted(items)


def test_consumed_files_are_not_asked_for_again(tmp_path: Path) -> None:
    """The first attempt takes the file and then fails: the second must not find it changed."""

    class TakesThenFails(MemoryStore):
        failed = False

        def put_files(self, files: object, *, consume: bool = False) -> None:
            assert isinstance(files, dict)
            super().put_files(files, consume=consume)
            if not self.failed:
                self.failed = True
                raise TransientStoreError("reply lost")

    (tmp_path / "x").write_bytes(b"x")
    store = Retry(TakesThenFails(), sleep=lambda _: None)
    store.put_files({BlobId.of(b"x"): path_bytes(tmp_path / "x")}, consume=True)
    assert store.has([blob_key(BlobId.of(b"x"))]) == {blob_key(BlobId.of(b"x"))}


# Cache


def test_what_is_fetched_from_afar_is_kept_near(tmp_path: Path) -> None:
    near, far = MemoryStore(), MemoryStore()
    store = Cache(near, far)
    items = objects(b"blob", kind=Kind.BLOB) | objects(b"thunk") | {record(1): b"record"}
    far.put(items)
    assert store.get(list(items)) == items
    far.before = Failing(StoreError("unplugged"), None)
    assert store.get(list(items)) == items
    assert store.has(list(items)) == set(items)
    target = path_bytes(tmp_path / "blob")
    assert store.fetch_files({target: BlobId.of(b"blob")}) == {target}
    with pytest.raises(StoreError, match="unplugged"):
        store.get([record(2)])


def test_fetched_files_are_kept_near_too(tmp_path: Path) -> None:
    near, far = MemoryStore(), MemoryStore()
    (blob,) = put_blobs(far, [b"blob"])
    target = path_bytes(tmp_path / "blob")
    assert Cache(near, far).fetch_files({target: blob}) == {target}
    assert near.has([blob_key(blob)]) == {blob_key(blob)}


def test_the_far_store_is_written_first() -> None:
    near, far = MemoryStore(), MemoryStore(before=Failing(StoreError("unplugged"), None))
    with pytest.raises(StoreError, match="unplugged"):
        Cache(near, far).put({record(1): b"x"})
    assert near.has([record(1)]) == set()


def test_too_big_for_the_near_store() -> None:
    store = Cache(MemoryStore(max_object=4), MemoryStore())
    items = objects(b"small"[:4], b"too big")
    store.put(items)
    assert store.get(list(items)) == items


def test_a_limit_is_told() -> None:
    with pytest.raises(StoreError, match="too big"):
        MemoryStore(max_object=4).put(objects(b"too big"))


# Metered


def test_all_is_counted(tmp_path: Path) -> None:
    ticks = iter(range(0, 10000, 10))
    memory = MemoryStore()
    store = Metered(memory, clock=ticks.__next__)
    items = objects(b"12345", b"123", kind=Kind.BLOB)
    store.put(items)
    store.get([*items, record(1)])
    store.get([record(1)])
    store.has([*items])
    target = path_bytes(tmp_path / "x")
    store.fetch_files({target: BlobId.of(b"12345")})
    store.put_files({BlobId.of(b"12345"): target})
    list(store.keys(Kind.BLOB))
    memory.before = Failing(StoreError("down"), None)
    with pytest.raises(StoreError):
        store.delete(list(items))
    assert store.meters == {
        "put": Meter(calls=1, asked=2, objects=2, bytes=8, wall_ns=10),
        "get": Meter(calls=2, asked=4, objects=2, bytes=8, wall_ns=20),
        "has": Meter(calls=1, asked=2, objects=2, wall_ns=10),
        "fetch_files": Meter(calls=1, asked=1, objects=1, bytes=5, wall_ns=10),
        "put_files": Meter(calls=1, asked=1, objects=1, bytes=5, wall_ns=10),
        "keys": Meter(calls=1, objects=2, bytes=8, wall_ns=10),
        "delete": Meter(calls=1, failures=1, asked=2, wall_ns=10),
    }
