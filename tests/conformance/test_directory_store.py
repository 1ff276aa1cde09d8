"""The directory store where a directory is treacherous: kills, damage, full disks, rights, other versions, company."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.errors import FormatError, StoreError
from gg.host.databases import SMALL
from gg.host.files import Signature
from gg.store import blobfiles, metadata
from gg.store.base import Key, Kind, Store, blob_key, put_blobs, read_blob
from gg.store.directory import DirectoryStore
from tests.conformance.store_suite import objects, path_bytes, record

ROOT = Path(__file__).parents[2]


def python(code: str, *args: str | Path) -> subprocess.Popen[bytes]:
    """Another process that uses the store; `argv[1:]` are `args`."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code.replace("        RIGHTS\n", _GIVE_UP_RIGHTS)), *map(str, args)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / ".gg"


@pytest.fixture
def store(place: Path) -> Iterator[DirectoryStore]:
    with DirectoryStore(place) as store:
        yield store


def blob_file(place: Path, blob: BlobId, suffix: str = "") -> Path:
    return place / "blobs" / blob.hex[:2] / (blob.hex + suffix)


def rewrite(file: Path, data: bytes) -> None:
    """Change the bytes in place, as a failing tool or a curious user would."""
    file.chmod(0o644)
    with file.open("r+b") as opened:
        opened.truncate(len(data))
        opened.write(data)
    file.chmod(0o444)


# Damage


@pytest.mark.parametrize("size", [5, 10_000, 3 << 20])
@pytest.mark.parametrize("damage", ["bit", "bit, the time put back", "truncated", "emptied", "longer", "zeros"])
@pytest.mark.parametrize("known", [True, False])
def test_a_damaged_blob_is_never_used(place: Path, tmp_path: Path, size: int, damage: str, known: bool) -> None:
    """Damaged right after it was written and looked at, in the same tick of the clock if need be."""
    data = os.urandom(size)
    blob = BlobId.of(data)
    with DirectoryStore(place) as store:
        put_blobs(store, [data])
        if known:
            assert store.path(blob) is not None
        else:
            store = DirectoryStore(place)
        file = blob_file(place, blob)
        before = file.stat()
        rewrite(
            file,
            {
                "bit": data[:-1] + bytes([data[-1] ^ 1]),
                "bit, the time put back": data[:-1] + bytes([data[-1] ^ 1]),
                "truncated": data[:-1],
                "emptied": b"",
                "longer": data + b"\0",
                "zeros": bytes(size),
            }[damage],
        )
        if damage == "bit, the time put back":
            # Only the change time tells now; it moves with the next tick of the clock, 10 ms at most.
            time.sleep(0.02)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        target = path_bytes(tmp_path / "target")
        assert store.get([blob_key(blob)]) == {}
        assert store.has([blob_key(blob)]) == set()
        assert store.path(blob) is None
        assert store.path(blob, executable=True) is None
        assert store.fetch_files({target: blob}) == set()
        assert not os.path.exists(target)

        put_blobs(store, [data])
        assert read_blob(store, blob) == data
        assert store.fetch_files({target: blob}) == {target}
        assert store.path(blob, executable=True) is not None
        store.close()


def test_a_damaged_executable_variant_is_made_again(place: Path, store: DirectoryStore) -> None:
    (blob,) = put_blobs(store, [b"#!/bin/sh\necho right\n"])
    path = store.path(blob, executable=True)
    assert path is not None
    rewrite(blob_file(place, blob, ".x"), b"#!/bin/sh\necho wrong\n")
    path = store.path(blob, executable=True)
    assert path is not None
    assert subprocess.run([path], stdout=subprocess.PIPE, check=True).stdout == b"right\n"


def test_a_blob_is_hashed_again_after_a_restart(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut may leave: the name and size and times that were written down, and other bytes."""
    data = b"x" * 5000
    (blob,) = put_blobs(store := DirectoryStore(place), [data])
    store.close()
    file = blob_file(place, blob)
    with closing(sqlite3.connect(place / "store.db")) as db, db:
        rewrite(file, bytes(5000))
        st = file.stat()
        fields = (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode)
        packed = Signature(*fields).pack()
        assert db.execute("UPDATE verified SET signature = ?", (packed,)).rowcount == 1
    db.close()
    # Within one start of the machine that record is believed: it says that these very bytes were hashed.
    with DirectoryStore(place) as store:
        assert store.path(blob) is not None
    monkeypatch.setattr(metadata, "boot_id", lambda: b"the next start")
    with DirectoryStore(place) as store:
        assert store.path(blob) is None


def test_what_was_verified_is_remembered(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = put_blobs(store := DirectoryStore(place), [b"one", b"two"])
    store.close()

    def must_not_hash(fd: int) -> BlobId:
        raise AssertionError

    monkeypatch.setattr("gg.store.blobfiles.hash_fd", must_not_hash)
    with DirectoryStore(place) as store:
        assert store.has([blob_key(blob) for blob in blobs]) == {blob_key(blob) for blob in blobs}
        assert store.path(blobs[0]) is not None


@pytest.mark.parametrize("kind", list(Kind)[1:])
def test_a_bit_in_the_database(place: Path, kind: Kind) -> None:
    data = b"some object's encoding" * 20
    key = record(1, kind) if kind in (Kind.REDUCTION, Kind.ALIAS) else next(iter(objects(data, kind=kind)))
    with DirectoryStore(place) as store:
        store.put({key: data, record(2): b"another"})
    raw = bytearray((place / "store.db").read_bytes())
    raw[raw.index(data) + 100] ^= 4
    (place / "store.db").write_bytes(raw)
    with DirectoryStore(place) as store:
        assert store.get([key, record(2)]) == {record(2): b"another"}
        store.put({key: data})
        assert store.get([key]) == {key: data}


@pytest.mark.parametrize("garbage", [b"this is no database, whatever its name" * 100, b"half"])
def test_a_damaged_database_says_what_to_do(place: Path, garbage: bytes) -> None:
    with DirectoryStore(place) as store:
        store.put(objects(*(os.urandom(300) for _ in range(200))))
        (blob,) = put_blobs(store, [b"kept"])
    file = place / "store.db"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2 // 8192 * 8192] if garbage == b"half" else garbage)
    store = DirectoryStore(place)
    with pytest.raises(FormatError, match="damaged") as caught:
        _use_all(store)
    assert str(file) in caught.value.hint
    store.close()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (place / name).unlink(missing_ok=True)
    with DirectoryStore(place) as store:
        assert read_blob(store, blob) == b"kept"
        _use_all(store)


def _use_all(store: Store) -> None:
    store.put(objects(*(b"%d" % n * 200 for n in range(200))))
    for kind in Kind:
        store.get([stored.key for stored in store.keys(kind)])


# Kills

_PUT_FOREVER = """
    import os, sys
    from gg.core.ids import BlobId
    from gg.store.base import Key, Kind, blob_key
    from gg.store.directory import DirectoryStore
    store = DirectoryStore(sys.argv[1])
    n = 0
    while True:
        blob = (b"%d " % n) * 3000
        store.put({blob_key(BlobId.of(blob)): blob})
        big = sys.argv[1] + "/../%d" % (n % 5)
        with open(big, "wb") as file:
            file.write(blob * 20)
        store.put_files({BlobId.of(blob * 20): os.fsencode(big)}, consume=True)
        store.put({Key(Kind.REDUCTION, b"%032d" % n): BlobId.of(blob).digest + BlobId.of(blob * 20).digest})
        n += 1
        print(n, flush=True)
"""


def test_killed_at_any_moment(place: Path) -> None:
    """What a put returned from is there afterwards, and whole; what it did not may be absent."""
    DirectoryStore(place).close()
    done = 0
    for attempt in range(8):
        process = python(_PUT_FOREVER, place)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        done = max([done, 1, *map(int, said[:-1])])
        with DirectoryStore(place) as store:
            for n in range(done):
                key = Key(Kind.REDUCTION, b"%032d" % n)
                both = store.get([key])[key]
                found = store.get([Key(Kind.BLOB, both[:32]), Key(Kind.BLOB, both[32:])])
                assert set(found.values()) == {b"%d " % n * 3000, b"%d " % n * 60000}
            for stored in store.keys(Kind.BLOB):
                assert stored.key in store.has([stored.key])
    with DirectoryStore(place, exclusive=True) as store:
        store.tidy()
        assert list((place / "tmp").iterdir()) == []


def test_leftovers_are_removed_when_nobody_can_be_writing(place: Path, store: DirectoryStore) -> None:
    (place / "tmp" / ".gg-1-1-abc").write_bytes(b"12345")
    assert store.tidy() == 0
    store.close()
    with DirectoryStore(place, exclusive=True) as alone:
        assert alone.tidy() == 5
        assert list((place / "tmp").iterdir()) == []


# Company


def test_two_processes_write_at_once(place: Path) -> None:
    code = """
        import sys
        from gg.core.ids import BlobId
        from gg.store.base import Key, Kind, blob_key
        from gg.store.directory import DirectoryStore
        store = DirectoryStore(sys.argv[1])
        for n in range(150):
            blob = b"%d" % n * 100
            own = Key(Kind.REDUCTION, (b"%s %d" % (sys.argv[2].encode(), n)).ljust(32))
            thunk = Key(Kind.THUNK, BlobId.of(blob).digest)
            items = {own: b"mine", thunk: blob, blob_key(BlobId.of(blob)): blob}
            store.put(items)
            assert store.get(list(items)) == items
        store.close()
    """
    # Neither finds a store: both make it.
    for process in [python(code, place, name) for name in ("one", "two")]:
        finish(process)
    with DirectoryStore(place) as store:
        counts = {kind: len(list(store.keys(kind))) for kind in Kind}
        assert counts == {Kind.BLOB: 150, Kind.THUNK: 150, Kind.GROUP: 0, Kind.REDUCTION: 300, Kind.ALIAS: 0}


def test_a_collection_wants_the_store_for_itself(place: Path, store: DirectoryStore) -> None:
    with pytest.raises(StoreError, match="in use"):
        DirectoryStore(place, exclusive=True)
    store.close()
    alone = DirectoryStore(place, exclusive=True)
    alone.close()
    DirectoryStore(place).close()


# Rights and space


_LEFT = """
        import os, sys
        from gg.store.base import Key, Kind, put_blobs
        from gg.host.databases import end_soon
        from gg.store.directory import DirectoryStore
        end_soon()
        for number in range(int(sys.argv[2])):
            store = DirectoryStore(sys.argv[1])
            put_blobs(store, [b"content"])
            store.put({Key(Kind.REDUCTION, bytes([1 + number]) * 32): b"a record" * (10000 if number else 1)})
            store.close()
        os._exit(0)
"""


def test_a_small_log_is_left_to_the_next_and_a_large_one_is_not(place: Path) -> None:
    """Who ends soon does not wait for the disk; whoever comes next finds all of it."""
    log = place / "store.db-wal"
    finish(python(_LEFT, place, "1"))
    assert 0 < log.stat().st_size < SMALL
    with DirectoryStore(place) as store:
        assert store.get([record(1)]) == {record(1): b"a record"}
    assert not log.exists()
    finish(python(_LEFT, place, "100"))
    assert log.stat().st_size <= SMALL < (place / "store.db").stat().st_size
    with DirectoryStore(place) as store:
        assert len(store.get([record(number) for number in range(1, 101)])) == 100


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A store's place that any user can reach, for tests that give up root's rights."""
    directory = Path(tempfile.mkdtemp(prefix="gg-store-"))
    directory.chmod(0o755)
    yield directory / ".gg"
    shutil.rmtree(directory)


# Run first: root may do anything. The modules must be loaded before, for they may lie where only root can read.
_GIVE_UP_RIGHTS = """
        import os, sqlite3, urllib.parse
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
"""


@pytest.mark.parametrize("log", ["none", "in use", "left"])
def test_a_directory_that_cannot_be_written_can_be_read(open_place: Path, log: str) -> None:
    if log == "left":
        finish(python(_LEFT, open_place, "1"))
    store = DirectoryStore(open_place)
    if log != "left":
        put_blobs(store, [b"content"])
        store.put({record(1): b"a record"})
    if log != "in use":
        (store.close if log == "none" else store._metadata.flush)()
    assert (open_place / "store.db-wal").exists() == (log != "none")
    for directory, _, names in os.walk(open_place):
        os.chmod(directory, 0o555)
        for name in names:
            os.chmod(os.path.join(directory, name), 0o444)
    code = """
        import os, sys
        from gg.core.ids import BlobId
        from gg.errors import StoreError
        from gg.store.base import Key, Kind, put_blobs, read_blob
        from gg.store.directory import DirectoryStore
        RIGHTS
        store = DirectoryStore(sys.argv[1])
        assert not store.caps.writable
        blob = BlobId.of(b"content")
        assert read_blob(store, blob) == b"content"
        assert open(store.path(blob), "rb").read() == b"content"
        key = Key(Kind.REDUCTION, bytes([1]) * 32)
        assert store.get([key]) == {key: b"a record"}
        assert [len(list(store.keys(kind))) for kind in Kind] == [1, 0, 0, 1, 0]
        for change in (lambda: put_blobs(store, [b"more"]), lambda: store.put({key: b"other"}),
                       lambda: store.delete([key]), lambda: store.put_files({blob: b"/x"}), store.tidy):
            try:
                change()
            except StoreError as error:
                assert error.hint
            else:
                sys.exit("it should not have worked")
        store.flush()
        store.close()
        print("read")
    """
    assert finish(python(code, open_place)) == "read\n"
    for directory, _, _ in os.walk(open_place):
        os.chmod(directory, 0o755)
    store.close()


def test_a_place_that_cannot_be_made(open_place: Path) -> None:
    open_place.parent.chmod(0o555)
    code = """
        import sys
        from gg.errors import StoreError
        from gg.store.directory import DirectoryStore
        RIGHTS
        try:
            DirectoryStore(sys.argv[1])
        except StoreError as error:
            print(error.hint)
    """
    assert "writable" in finish(python(code, open_place))
    open_place.parent.chmod(0o755)


def test_a_full_disk(place: Path, tmp_path: Path) -> None:
    """Writes beyond a size limit fail, as they do on a full disk, and all stays well."""
    with DirectoryStore(place) as store:
        put_blobs(store, [b"before"])
        store.put({record(1): b"before"})
    code = """
        import os, resource, sys
        from gg.core.ids import BlobId
        from gg.errors import StoreError
        from gg.store.base import Key, Kind, put_blobs, read_blob
        from gg.store.directory import DirectoryStore
        store = DirectoryStore(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        source = sys.argv[1] + "/../source"
        big = bytes(300_000)
        changes = [
            lambda: put_blobs(store, [big]),
            lambda: store.put_files({BlobId.of(big): os.fsencode(source)}),
            lambda: store.put({Key(Kind.REDUCTION, bytes([n]) * 32): bytes(100_000) for n in range(9)}),
        ]
        for change in changes:
            try:
                change()
            except StoreError as error:
                assert error.hint, error
                print("refused")
        blob, = put_blobs(store, [b"small"])
        assert read_blob(store, blob) == b"small"
        assert [name for _, _, names in os.walk(sys.argv[1] + "/tmp") for name in names] == []
        try:
            store.fetch_files({b"/dev/null/x": blob})
        except StoreError:
            print("refused")
        store.close()
    """
    (tmp_path / "source").write_bytes(bytes(300_000))
    assert finish(python(code, place)) == "refused\n" * 4
    with DirectoryStore(place) as store:
        assert read_blob(store, BlobId.of(b"before")) == b"before"
        assert store.get([record(1)]) in ({record(1): b"before"}, {record(1): bytes(100_000)})
        assert store.has([blob_key(BlobId.of(bytes(300_000)))]) == set()


# Versions


def test_a_newer_version_is_left_alone(place: Path) -> None:
    DirectoryStore(place).close()
    (place / "version").write_text("2\n")
    before = sorted(os.listdir(place))
    with pytest.raises(FormatError, match="version 2, made by a newer gg") as caught:
        DirectoryStore(place)
    assert "newer gg" in caught.value.hint
    assert sorted(os.listdir(place)) == before


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5"])
def test_a_damaged_version(place: Path, text: str) -> None:
    DirectoryStore(place).close()
    (place / "version").write_text(text)
    with pytest.raises(FormatError, match="damaged"):
        DirectoryStore(place)


def test_a_lost_version(place: Path) -> None:
    with DirectoryStore(place) as store:
        store.put(objects(b"x"))
    (place / "version").unlink()
    with pytest.raises(FormatError, match="lost its version"):
        DirectoryStore(place)
    assert (place / "store.db").exists()


def test_reading_what_is_no_store(place: Path) -> None:
    with pytest.raises(StoreError, match="not a store"):
        DirectoryStore(place, read_only=True)
    assert not place.exists()


def test_what_is_around_does_not_matter(place: Path) -> None:
    place.mkdir()
    (place / "socket-of-somebody").write_bytes(b"")
    with DirectoryStore(place) as store:
        put_blobs(store, [b"x"])
    shutil.rmtree(place / "tmp")
    shutil.rmtree(place / "blobs")
    with DirectoryStore(place) as store:
        assert store.has([blob_key(BlobId.of(b"x"))]) == set()
        assert list(store.keys(Kind.BLOB)) == []
        put_blobs(store, [b"x"])
        assert read_blob(store, BlobId.of(b"x")) == b"x"


def test_foreign_names_among_the_blobs_are_passed_over(place: Path) -> None:
    with DirectoryStore(place) as store:
        (blob,) = put_blobs(store, [b"ours"])
        fan = place / "blobs" / blob.hex[:2]
        (fan / ("z" * 64)).write_bytes(b"no digest")
        (fan / "0123").write_bytes(b"too short")
        (fan / (blob.hex[:2] + "0" * 62)).mkdir()
        (fan / (blob.hex[:2] + "1" * 62)).symlink_to("/nowhere")
        (fan / b"\xff".decode(errors="surrogateescape")).write_bytes(b"")
        (place / "blobs" / "README").write_text("no directory")
        (place / "blobs" / "loop").symlink_to(".")
        assert [one.key for one in store.keys(Kind.BLOB)] == [blob_key(blob)]


def test_sqlite_is_loaded_only_when_needed(place: Path) -> None:
    code = """
        import sys
        from gg.core.ids import BlobId
        from gg.store.base import put_blobs
        from gg.store.directory import DirectoryStore
        import gg.store.memory, gg.store.wrapper, gg.store.collection
        import gg.host.filedb
        DirectoryStore(sys.argv[1]).close()
        print("sqlite3" in sys.modules)
    """
    assert finish(python(code, place)) == "False\n"


def test_an_executable_is_not_given_out_while_it_is_busy(tmp_path: Path) -> None:
    """Another thread's child holds for a moment what is being written, and the kernel refuses to execute it till then."""
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    held = open(program, "r+b")  # noqa: SIM115 - closed by the timer
    with pytest.raises(OSError, match="busy"):
        subprocess.run([program], check=True)
    timer = threading.Timer(0.2, held.close)
    timer.start()
    blobfiles._wait_for_writers(bytes(program))
    subprocess.run([program], check=True)
    timer.join()
