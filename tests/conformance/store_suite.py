"""What every store must do, as one class of tests. A store's own test is a subclass with a `store` fixture."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from blake3 import blake3

from gg.core.ids import BlobId
from gg.errors import FormatError, MissingObject
from gg.store.base import (
    Key,
    Kind,
    SourceChanged,
    Store,
    blob_key,
    get_one,
    put_blobs,
    read_blob,
)


def objects(*contents: bytes, kind: Kind = Kind.THUNK) -> dict[Key, bytes]:
    """Content-addressed objects of one kind."""
    return {Key(kind, blake3(data).digest()): data for data in contents}


def record(number: int, kind: Kind = Kind.REDUCTION) -> Key:
    return Key(kind, bytes([number]) * 32)


def path_bytes(path: Path) -> bytes:
    return os.fsencode(path)


class StoreSuite:
    """Subclasses give a writable, empty store as the fixture `store`."""

    @pytest.mark.parametrize("kind", list(Kind))
    def test_what_was_put_comes_back(self, store: Store, kind: Kind) -> None:
        items = objects(b"one", b"two", b"", kind=kind)
        store.put(items)
        assert store.get(list(items)) == items
        assert store.has(list(items)) == set(items)

    def test_what_is_missing_is_left_out(self, store: Store) -> None:
        items = objects(b"here")
        store.put(items)
        absent = [Key(kind, b"\7" * 32) for kind in Kind]
        assert store.get([*absent, *items]) == items
        assert store.has([*absent, *items]) == set(items)
        assert store.path(BlobId(b"\7" * 32, 3)) is None
        with pytest.raises(MissingObject):
            read_blob(store, BlobId(b"\7" * 32, 3))

    def test_nothing_asked_nothing_done(self, store: Store) -> None:
        store.put({})
        store.put_files({})
        store.delete([])
        assert store.get([]) == {}
        assert store.has([]) == set()
        assert store.fetch_files({}) == set()
        assert [list(store.keys(kind)) for kind in Kind] == [[]] * len(Kind)

    def test_kinds_are_apart(self, store: Store) -> None:
        (blob,) = objects(b"same bytes", kind=Kind.BLOB)
        store.put({blob: b"same bytes"})
        assert store.has([Key(kind, blob.digest) for kind in Kind]) == {blob}

    def test_a_batch_of_all_kinds(self, store: Store) -> None:
        items = {key: data for kind in Kind for key, data in objects(*_many(300, kind.name), kind=kind).items()}
        store.put(items)
        assert store.get(list(items)) == items

    def test_a_key_asked_twice_is_answered_once(self, store: Store) -> None:
        items = objects(b"x", kind=Kind.BLOB) | objects(b"y")
        store.put(items)
        assert store.get(list(items) * 2) == items
        assert store.has(list(items) * 2) == set(items)

    @pytest.mark.parametrize("kind", [Kind.BLOB, Kind.THUNK, Kind.GROUP])
    def test_bytes_that_do_not_match_are_refused(self, store: Store, kind: Kind) -> None:
        key = Key(kind, b"\1" * 32)
        with pytest.raises(FormatError):
            store.put({key: b"something else"})
        assert store.get([key]) == {}

    def test_a_key_of_another_length_is_refused(self, store: Store) -> None:
        with pytest.raises(FormatError):
            store.put({Key(Kind.ALIAS, b"short"): b"x"})

    @pytest.mark.parametrize("kind", [Kind.REDUCTION, Kind.ALIAS])
    def test_a_record_is_replaced(self, store: Store, kind: Kind) -> None:
        key = record(1, kind)
        store.put({key: b"first"})
        store.put({key: b"the second"})
        assert get_one(store, key) == b"the second"
        assert [(stored.key, stored.size) for stored in store.keys(kind)] == [(key, 10)]

    def test_put_twice_is_put_once(self, store: Store) -> None:
        items = objects(b"x", kind=Kind.BLOB) | objects(b"x")
        store.put(items)
        store.put(items)
        assert len(list(store.keys(Kind.BLOB))) == len(list(store.keys(Kind.THUNK))) == 1

    def test_delete(self, store: Store) -> None:
        gone = objects(b"1", kind=Kind.BLOB) | objects(b"2") | {record(3): b"3"}
        kept = objects(b"4", kind=Kind.BLOB) | objects(b"5") | {record(6): b"6"}
        store.put(gone | kept)
        store.delete([*gone, record(99)])
        assert store.has([*gone, *kept]) == set(kept)
        assert store.get([*gone, *kept]) == kept
        store.put(gone)
        assert store.get([*gone, *kept]) == gone | kept

    def test_keys_lists_each_with_its_size(self, store: Store) -> None:
        for kind in Kind:
            items = objects(b"a", b"bb" * 5000, b"", kind=kind)
            store.put(items)
            listed = list(store.keys(kind))
            assert {stored.key: stored.size for stored in listed} == {key: len(data) for key, data in items.items()}
            assert len(listed) == 3
            assert all(type(stored.key) is Key and stored.used > 1_600_000_000 for stored in listed)

    def test_helpers(self, store: Store) -> None:
        ids = put_blobs(store, [b"one", b"two"])
        assert [read_blob(store, blob) for blob in ids] == [b"one", b"two"]
        with pytest.raises(MissingObject):
            read_blob(store, BlobId(ids[0].digest, 4))

    # Files

    def test_files_go_in_and_come_out(self, store: Store, tmp_path: Path) -> None:
        contents = [b"", b"small", os.urandom(3 << 20), os.urandom(1 << 20), os.urandom((1 << 20) + 1)]
        files = {}
        for n, data in enumerate(contents):
            (tmp_path / f"in{n}").write_bytes(data)
            files[BlobId.of(data)] = path_bytes(tmp_path / f"in{n}")
        store.put_files(files)
        assert store.get([blob_key(blob) for blob in files]) == {
            blob_key(blob): data for blob, data in zip(files, contents, strict=True)
        }
        wanted = {path_bytes(tmp_path / f"out{n}"): blob for n, blob in enumerate(files)}
        assert store.fetch_files(wanted) == set(wanted)
        assert [(tmp_path / f"out{n}").read_bytes() for n in range(len(contents))] == contents
        assert all(os.path.exists(path) for path in files.values())
        _nothing_else(tmp_path, [f"{way}{n}" for way in ("in", "out") for n in range(len(contents))])

    def test_consumed_files_may_be_taken(self, store: Store, tmp_path: Path) -> None:
        contents = [b"small", os.urandom(2 << 20)]
        for again in range(2):
            files = {}
            for n, data in enumerate(contents):
                (tmp_path / f"{again}-{n}").write_bytes(data)
                files[BlobId.of(data)] = path_bytes(tmp_path / f"{again}-{n}")
            store.put_files(files, consume=True)
            assert [read_blob(store, blob) for blob in files] == contents

    def test_a_consumed_file_is_not_shared_with_its_other_names(self, store: Store, tmp_path: Path) -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        one.write_bytes(b"shared")
        os.link(one, two)
        blob = BlobId.of(b"shared")
        store.put_files({blob: path_bytes(one)}, consume=True)
        two.write_bytes(b"changed")
        assert read_blob(store, blob) == b"shared"

    def test_a_consumed_link_leaves_its_target(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / "target").write_bytes(b"target")
        (tmp_path / "link").symlink_to("target")
        store.put_files({BlobId.of(b"target"): path_bytes(tmp_path / "link")}, consume=True)
        assert (tmp_path / "target").read_bytes() == b"target"
        assert read_blob(store, BlobId.of(b"target")) == b"target"

    @pytest.mark.parametrize("consume", [False, True])
    def test_changed_files_are_told_and_the_others_kept(self, store: Store, tmp_path: Path, consume: bool) -> None:
        (tmp_path / "good").write_bytes(b"good")
        (tmp_path / "edited").write_bytes(b"after")
        (tmp_path / "longer").write_bytes(b"as it was, and more")
        (tmp_path / "big").write_bytes(b"x" * (2 << 20))
        bad = {
            BlobId.of(b"befor"): path_bytes(tmp_path / "edited"),
            BlobId.of(b"as it was"): path_bytes(tmp_path / "longer"),
            BlobId.of(b"y" * (2 << 20)): path_bytes(tmp_path / "big"),
            BlobId.of(b"gone"): path_bytes(tmp_path / "gone"),
        }
        with pytest.raises(SourceChanged) as caught:
            store.put_files({**bad, BlobId.of(b"good"): path_bytes(tmp_path / "good")}, consume=consume)
        assert set(caught.value.paths) == set(bad.values())
        assert read_blob(store, BlobId.of(b"good")) == b"good"
        assert store.has([blob_key(blob) for blob in bad]) == set()
        assert (tmp_path / "edited").read_bytes() == b"after"

    def test_fetching_replaces_whole_files(self, store: Store, tmp_path: Path) -> None:
        (blob,) = put_blobs(store, [b"new"])
        target = tmp_path / "target"
        target.write_bytes(b"the old one")
        os.link(target, tmp_path / "other name")
        target.chmod(0o444)
        assert store.fetch_files({path_bytes(target): blob}) == {path_bytes(target)}
        assert target.read_bytes() == b"new"
        assert (tmp_path / "other name").read_bytes() == b"the old one"
        umask = os.umask(0)
        os.umask(umask)
        assert target.stat().st_mode & 0o777 == 0o666 & ~umask

    def test_what_is_missing_is_not_fetched(self, store: Store, tmp_path: Path) -> None:
        (blob,) = put_blobs(store, [b"here"])
        target, absent, other_size = (path_bytes(tmp_path / name) for name in ("a", "b", "c"))
        (tmp_path / "b").write_bytes(b"untouched")
        wanted = {target: blob, absent: BlobId(b"\7" * 32, 3), other_size: BlobId(blob.digest, 5)}
        assert store.fetch_files(wanted) == {target}
        assert (tmp_path / "b").read_bytes() == b"untouched"
        _nothing_else(tmp_path, ["a", "b"])

    def test_one_blob_goes_to_several_places(self, store: Store, tmp_path: Path) -> None:
        (blob,) = put_blobs(store, [b"same"])
        wanted = {path_bytes(tmp_path / name): blob for name in "ab"}
        assert store.fetch_files(wanted) == set(wanted)
        (tmp_path / "a").write_bytes(b"edit")
        assert (tmp_path / "b").read_bytes() == b"same"
        assert read_blob(store, blob) == b"same"

    def test_local_paths(self, store: Store) -> None:
        (blob,) = put_blobs(store, [b"#!/bin/sh\n"])
        if not store.caps.local_paths:
            assert store.path(blob) is None
            assert store.path(blob, executable=True) is None
            assert store.paths([blob]) == {}
            return
        for executable in (False, True, True):
            path = store.path(blob, executable=executable)
            assert path is not None
            assert Path(os.fsdecode(path)).read_bytes() == b"#!/bin/sh\n"
            mode = os.stat(path).st_mode
            assert mode & 0o222 == 0
            assert bool(mode & 0o100) is executable
        assert store.path(BlobId(blob.digest, 3)) is None
        assert store.path(BlobId(blob.digest, 3), executable=True) is None
        absent = [BlobId(blob.digest, 3), BlobId(b"\7" * 32, 3)]
        assert store.paths([blob, *absent, blob]) == {blob: store.path(blob)}
        store.delete([blob_key(blob)])
        assert store.path(blob) is None
        assert store.paths([blob]) == {}
        assert store.path(blob, executable=True) is None

    # Behaviour

    def test_several_threads(self, store: Store) -> None:
        failures: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for n in range(30):
                    items = objects(*_many(4, f"{number} {n}"), kind=Kind.BLOB) | objects(*_many(4, f"{n}"))
                    store.put(items | {record(n): b"%d" % n})
                    assert store.get(list(items)) == items
                    assert get_one(store, record(n)) == b"%d" % n
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_flush_tidy_and_close_again(self, store: Store) -> None:
        store.put(objects(b"x"))
        store.flush()
        assert store.tidy() >= 0
        store.close()
        store.close()


def _many(count: int, name: str) -> Iterable[bytes]:
    return [f"{name} {n}".encode() for n in range(count)]


def _nothing_else(directory: Path, names: Iterable[str]) -> None:
    """No temporary files are left, the store's own directory aside."""
    assert {entry.name for entry in directory.iterdir()} - {".gg", "near"} == set(names)
