"""The digest memory: what it may believe, what it must not, and that trouble with it is never an error."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.core.ticks import time_settled
from gg.errors import StoreError
from gg.host import files
from gg.host.filedb import Common, FileDB, FileInfo
from gg.host.files import Signature, hash_at_rest, settled

SECOND = 1_000_000_000


def age(path: Path, seconds: float = 100.0) -> bytes:
    """Wait until the file's times are settled, its modification time in the past; its name as bytes."""
    os.utime(path, ns=(1, time.time_ns() - int(seconds * SECOND) | 1))
    deadline = time.monotonic() + 60
    while not settled(Signature.of(path.stat()), time.time_ns()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return os.fsencode(path)


def written(path: Path, data: bytes) -> bytes:
    path.write_bytes(data)
    return age(path)


@pytest.fixture
def place(tmp_path: Path) -> bytes:
    (tmp_path / ".gg").mkdir()
    return os.fsencode(tmp_path / ".gg")


def test_a_settled_file_is_hashed_once(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    path = written(tmp_path / "a", b"content")
    first = db.digest(path)
    assert first.blob == BlobId.of(b"content")
    assert db.digest(path) is first
    assert db.read(path) == (b"content", first)
    assert (db.hashed, db.hits) == (1, 2)


@pytest.mark.parametrize("change", ["edit", "edit and put the time back", "rename over", "mode", "shorten"])
def test_any_change_is_seen(tmp_path: Path, place: bytes, change: str) -> None:
    db = FileDB(place)
    file = tmp_path / "a"
    path = written(file, b"before")
    before = db.digest(path)
    match change:
        case "edit":
            file.write_bytes(b"after!")
        case "edit and put the time back":
            file.write_bytes(b"after!")
            os.utime(file, ns=(1, before.signature.mtime_ns))
        case "rename over":
            (tmp_path / "b").write_bytes(b"after!")
            os.utime(tmp_path / "b", ns=(1, before.signature.mtime_ns))
            (tmp_path / "b").rename(file)
        case "mode":
            file.chmod(0o755)
        case "shorten":
            os.truncate(file, 3)
    after = db.digest(path)
    assert after.blob == BlobId.of(file.read_bytes())
    assert after.executable is (change == "mode")
    assert after != before


def test_a_file_just_written_is_good_for_once(tmp_path: Path, place: bytes) -> None:
    """Edits within one tick of the clock leave the same times: here on purpose, by hashing right after each write."""
    db = FileDB(place)
    file = tmp_path / "racy"
    path = os.fsencode(file)
    fd = os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        for n in range(300):
            data = b"%04d" % n
            os.pwrite(fd, data, 0)
            assert db.digest(path).blob == BlobId.of(data)
    finally:
        os.close(fd)
    assert db.hits == 0


def test_what_was_found_in_a_racy_file_is_not_carried_over(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    (tmp_path / "a").write_bytes(b"just now")
    later = time.time_ns() + 3600 * SECOND  # as new as a file can be, on a machine however slow
    os.utime(tmp_path / "a", ns=(later, later))
    db.digest(os.fsencode(tmp_path / "a"))
    db.close()
    with closing(sqlite3.connect(place + b"/files.db")) as connection, connection:
        assert connection.execute("SELECT count(*) FROM file").fetchone() == (0,)
    connection.close()


def test_when_a_time_is_settled() -> None:
    now = 1_700_000_000 * SECOND + 123_456_789
    assert time_settled(now - 51_000_000, now)
    assert not time_settled(now - 49_000_000, now)
    assert not time_settled(now, now)
    assert not time_settled(now + 10 * SECOND, now)
    whole = 1_700_000_000 * SECOND
    assert not time_settled(whole, whole + SECOND)
    assert time_settled(whole, whole + 3 * SECOND)


def test_memory_outlives_the_process(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    paths = [written(tmp_path / name, os.fsencode(name)) for name in ("a", "b\udcff")]
    found = [db.digest(path) for path in paths]
    db.read(paths[0])
    db.set_lexed(paths[0], "c/1", b"includes")
    db.close()
    again = FileDB(place)
    assert [again.digest(path) for path in paths] == found
    assert (again.hashed, again.hits) == (0, 2)
    assert again.get_lexed(paths[0], "c/1") == b"includes"
    assert again.get_lexed(paths[0], "c/2") is None
    assert again.get_lexed(paths[1], "c/1") is None
    again.close()


def test_two_at_once(tmp_path: Path, place: bytes) -> None:
    one, two = FileDB(place), FileDB(place)
    a, b = written(tmp_path / "a", b"a"), written(tmp_path / "b", b"b")
    one.digest(a)
    two.digest(a)
    two.digest(b)
    one.close()
    two.close()
    third = FileDB(place)
    third.digest(a)
    third.digest(b)
    assert third.hashed == 0
    third.close()


def test_note_believes_only_what_an_edit_would_show_on(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    old, new = tmp_path / "old", tmp_path / "new"
    for file in (old, new):
        file.write_bytes(b"forced")
    os.utime(old, ns=(1, time.time_ns() - SECOND | 1))
    for file in (old, new):
        db.note(os.fsencode(file), FileInfo.of(BlobId.of(b"forced"), Signature.of(file.stat())))
    hashed = db.hashed
    assert db.digest(os.fsencode(old)).blob == BlobId.of(b"forced")
    assert db.hashed == hashed
    new.write_bytes(b"edited")
    assert db.digest(os.fsencode(new)).blob == BlobId.of(b"edited")
    old.write_bytes(b"edited")
    assert db.digest(os.fsencode(old)).blob == BlobId.of(b"edited")


def test_a_file_edited_while_it_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is that of one state of the file; an edit in the middle makes it read again."""
    file = tmp_path / "a"
    path = written(file, b"before")
    real, edits = files.hash_fd, [b"middle"]

    def edited_once(fd: int) -> BlobId:
        blob = real(fd)
        if edits:
            file.write_bytes(edits.pop())
        return blob

    monkeypatch.setattr(files, "hash_fd", edited_once)
    blob, signature, safe = hash_at_rest(path)
    assert blob == BlobId.of(b"middle")
    assert signature == Signature.of(file.stat())
    assert not safe


def test_a_file_that_never_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log"
    path = written(file, b"x")
    real = files.hash_fd

    def growing(fd: int) -> BlobId:
        blob = real(fd)
        with file.open("ab") as log:
            log.write(b"x")
        return blob

    monkeypatch.setattr(files, "hash_fd", growing)
    with pytest.raises(StoreError, match="keeps changing"):
        FileDB(None).digest(path)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_hashing_all_sizes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = written(tmp_path / "a", data)
    assert hash_at_rest(path)[0] == BlobId.of(data)
    assert FileDB(None).read(path)[0] == data


def test_what_is_no_file(tmp_path: Path) -> None:
    db = FileDB(None)
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "holes", "wb") as file:
        file.truncate(1 << 40)
    for name, error in (("absent", FileNotFoundError), ("", IsADirectoryError), ("pipe", OSError), ("holes", OSError)):
        for ask in (db.digest, db.read):
            with pytest.raises(error):
                ask(os.fsencode(tmp_path / name))
    assert db.digest(b"/dev/null").blob == BlobId.of(b"")
    (tmp_path / "gone").write_bytes(b"x")
    path = age(tmp_path / "gone")
    db.digest(path)
    os.unlink(path)
    with pytest.raises(FileNotFoundError):
        db.digest(path)


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    db = FileDB(None)
    written(tmp_path / "one", b"1")
    written(tmp_path / "two", b"2")
    link = tmp_path / "link"
    link.symlink_to("one")
    assert db.digest(os.fsencode(link)).blob == BlobId.of(b"1")
    link.unlink()
    link.symlink_to("two")
    assert db.digest(os.fsencode(link)).blob == BlobId.of(b"2")


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to look" * 40, b"flip"])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, place: bytes, damage: bytes) -> None:
    path = written(tmp_path / "a", b"content")
    first = FileDB(place)
    first.read(path)
    for n in range(200):
        first.set_lexed(path, f"c/{n}", os.urandom(200))
    first.close()
    if damage == b"flip":
        with open(place + b"/files.db", "r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 8192)
    else:
        Path(os.fsdecode(place + b"/files.db")).write_bytes(damage)
    again = FileDB(place)
    assert again.digest(path).blob == BlobId.of(b"content")
    again.read(path)
    again.set_lexed(path, "c", b"new")
    again.close()
    third = FileDB(place)
    assert third.get_lexed(path, "c") == b"new"
    third.close()


def test_another_version_is_made_anew(tmp_path: Path, place: bytes) -> None:
    with closing(sqlite3.connect(place + b"/files.db")) as connection, connection:
        connection.executescript("CREATE TABLE other (x); PRAGMA user_version=99;")
    connection.close()
    path = written(tmp_path / "a", b"content")
    db = FileDB(place)
    db.digest(path)
    db.close()
    again = FileDB(place)
    again.digest(path)
    assert again.hashed == 0
    again.close()


def test_a_memory_that_cannot_be_written(tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"content")
    db = FileDB(os.fsencode(tmp_path / "no such directory"))
    assert db.digest(path).blob == BlobId.of(b"content")
    db.close()


def test_prune(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    kept, gone = written(tmp_path / "kept", b"kept"), written(tmp_path / "gone", b"gone")
    for path in (kept, gone):
        db.read(path)
        db.set_lexed(path, "c", path)
    os.unlink(gone)
    assert db.prune() == 2
    db.close()
    again = FileDB(place)
    assert again.get_lexed(kept, "c") == kept
    assert again.get_lexed(gone, "c") is None
    again.digest(kept)
    assert again.hashed == 0
    assert again.get_lexed(written(tmp_path / "gone", b"gone"), "c") is None
    again.close()


def test_what_was_lexed_goes_with_the_bytes(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    path = written(tmp_path / "a.h", b"one")
    assert db.get_lexed(path, "c") is None
    db.set_lexed(path, "c", b"of bytes that nobody read")
    db.digest(path)
    assert db.get_lexed(path, "c") is None
    data, _ = db.read(path)
    # Edited between reading and lexing: what was lexed is still that of the bytes that were read.
    written(tmp_path / "a.h", b"two")
    db.set_lexed(path, "c", b"lexed " + data)
    assert db.get_lexed(path, "c") is None
    db.digest(path)
    assert db.get_lexed(path, "c") is None
    written(tmp_path / "a.h", b"one")
    db.digest(path)
    assert db.get_lexed(path, "c") == b"lexed one"
    copy = written(tmp_path / "copy.h", b"one")
    db.digest(copy)
    assert db.get_lexed(copy, "c") == b"lexed one"
    assert db.get_lexed(b"/absent", "c") is None


def test_several_threads(tmp_path: Path, place: bytes) -> None:
    db = FileDB(place)
    paths = [written(tmp_path / f"{n}", b"%d" % n) for n in range(20)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for n, path in enumerate(paths):
                assert db.digest(path).blob == BlobId.of(b"%d" % n)
                db.flush()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    db.close()


# A memory that workspaces have in common


def test_a_second_workspace_hashes_nothing_that_the_first_has(tmp_path: Path) -> None:
    system, own = tmp_path / "usr" / "x.h", tmp_path / "own.h"
    system.parent.mkdir()
    for path in (system, own):
        path.write_bytes(b"int x;")
    time.sleep(0.06)
    common = Common(os.fsencode(tmp_path / "cache" / "gg"), (os.fsencode(tmp_path / "usr") + b"/",))
    for turn, name in enumerate(("one", "two")):
        place = tmp_path / name
        place.mkdir()
        db = FileDB(os.fsencode(place), common)
        for path in (system, own):
            db.digest(os.fsencode(path))
        assert db.get_lexed(os.fsencode(system), "c") == (b"lexed" if turn else None)
        if not turn:
            db.read(os.fsencode(system))
            db.set_lexed(os.fsencode(system), "c", b"lexed")
        assert db.hashed == (1 if turn else 2), "what is not of the system is each workspace's own"
        db.close()
        alone = FileDB(os.fsencode(place))  # as gg-force opens it
        alone.digest(os.fsencode(system))
        assert alone.hashed == 0, "what was taken over is kept"
        assert alone.get_lexed(os.fsencode(system), "c") == b"lexed"
        alone.close()


def test_what_the_common_memory_says_holds_for_the_same_file_only(tmp_path: Path) -> None:
    path = tmp_path / "usr" / "x.h"
    path.parent.mkdir()
    path.write_bytes(b"int x;")
    time.sleep(0.06)
    common = Common(os.fsencode(tmp_path / "cache"), (os.fsencode(tmp_path / "usr") + b"/",))
    first = FileDB(None, common)
    first.digest(os.fsencode(path))
    first.close()
    path.write_bytes(b"int y;")
    time.sleep(0.06)
    for _ in range(2):
        second = FileDB(None, common)
        assert second.digest(os.fsencode(path)).blob == BlobId.of(b"int y;")
        second.close()
    assert second.hashed == 0, "the later one is remembered"


def test_a_common_memory_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "x.h"
    path.write_bytes(b"int x;")
    (tmp_path / "cache").write_bytes(b"no directory")
    db = FileDB(None, Common(os.fsencode(tmp_path / "cache"), (os.fsencode(tmp_path),)))
    assert db.digest(os.fsencode(path)).blob == BlobId.of(b"int x;")
    db.close()
