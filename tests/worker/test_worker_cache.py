"""The cache of a worker: verified, complete files, the least recently used removed first."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File
from gg.errors import FormatError
from gg.store.base import Key, Kind, blob_key
from gg.worker import disk_cache
from gg.worker.disk_cache import Cache


def key(data: bytes) -> Key:
    return blob_key(BlobId.of(data))


def file(data: bytes, executable: bool = False) -> File:
    return File(SandboxPath(b"/x"), BlobId.of(data), executable)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(str(tmp_path / "objects"), 100)


def test_what_was_put_is_there(cache: Cache) -> None:
    cache.put(key(b"data"), b"data")
    cache.put(key(b"data"), b"data")
    assert cache.get(key(b"data")) == b"data"
    assert cache.get(key(b"other")) is None
    assert cache.size == 4
    place = cache.place(file(b"data"))
    assert Path(place).read_bytes() == b"data"
    assert os.stat(place).st_mode & 0o777 == 0o444


def test_what_is_changed_while_a_command_reads_it_is_noticed(cache: Cache) -> None:
    for data in (b"one", b"two"):
        cache.put(key(data), data)
    keys = [key(b"one"), key(b"two"), key(b"none")]
    assert not cache.altered(keys)
    place = Path(cache.place(file(b"two")))
    time.sleep(0.02)  # a tick of the file system's clock
    place.chmod(0o644)
    place.write_bytes(b"2wo")
    assert cache.altered(keys)
    assert not cache.altered(keys[:1])
    place.unlink()
    assert cache.altered(keys)


def test_wrong_bytes_are_refused(cache: Cache) -> None:
    with pytest.raises(FormatError):
        cache.put(key(b"data"), b"date")
    assert cache.get(key(b"data")) is None


def test_kinds_do_not_meet(cache: Cache) -> None:
    group = Key(Kind.GROUP, key(b"data").digest)
    cache.put(group, b"data")
    assert not cache.have(key(b"data"))
    assert cache.have(group)


def test_a_program_is_a_file_of_its_own(cache: Cache) -> None:
    cache.put(key(b"prog"), b"prog")
    assert cache.ready(key(b"prog"), executable=True, both=True)
    for executable, mode in ((True, 0o555), (False, 0o444)):
        assert os.stat(cache.place(file(b"prog", executable))).st_mode & 0o777 == mode
    assert cache.size == 8


def test_one_form_becomes_the_other(cache: Cache) -> None:
    cache.put(key(b"prog"), b"prog")
    assert cache.ready(key(b"prog"), executable=True)
    assert not os.path.exists(cache.place(file(b"prog")))
    assert cache.size == 4
    assert cache.ready(key(b"prog"), executable=False)
    assert os.stat(cache.place(file(b"prog"))).st_mode & 0o777 == 0o444
    assert not cache.ready(key(b"none"), executable=True)


def test_the_least_recently_used_goes_first(cache: Cache) -> None:
    objects = [bytes([n]) * 30 for n in range(5)]
    for data in objects:
        cache.put(key(data), data)
    assert cache.have(key(objects[0]))  # used again
    cache.trim([key(objects[1])])
    assert [cache.have(key(data)) for data in objects] == [True, True, False, False, True]
    assert (cache.size, cache.evicted) == (90, 2)
    assert len(os.listdir(os.path.dirname(cache.place(file(b""))))) == 3


def test_room_is_made_for_what_comes(cache: Cache) -> None:
    objects = [bytes([n]) * 30 for n in range(3)]
    for data in objects:
        cache.put(key(data), data)
    assert cache.room == 10
    cache.trim([key(objects[0])], 30)
    assert [cache.have(key(data)) for data in objects] == [True, False, True]
    assert cache.room == 40


def test_what_comes_in_parts(cache: Cache, tmp_path: Path) -> None:
    cache.put_parts(key(b"in parts"), iter([b"in ", b"", b"parts"]))
    assert cache.get(key(b"in parts")) == b"in parts"
    with pytest.raises(FormatError):
        cache.put_parts(key(b"other"), iter([b"oth", b"eR"]))
    assert len(os.listdir(tmp_path / "objects")) == 1


def test_what_is_needed_stays_whatever_the_limit(cache: Cache) -> None:
    data = b"x" * 200
    cache.put(key(data), data)
    cache.trim([key(data)])
    assert cache.have(key(data))


def test_nothing_is_believed_of_an_earlier_process(cache: Cache, tmp_path: Path) -> None:
    cache.put(key(b"data"), b"data")
    again = Cache(str(tmp_path / "objects"))
    assert not again.have(key(b"data"))
    assert again.limit > 1 << 20
    assert os.listdir(tmp_path / "objects") == []


def settled() -> None:
    """Until a change now gives another time than those before."""
    time.sleep(0.06)


def test_what_a_command_changed_is_not_used(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "objects"), 1000)
    cache.put(key(b"data"), b"data")
    place = Path(cache.place(file(b"data")))
    settled()
    assert cache.have(key(b"data"))
    before = place.stat()
    place.chmod(0o600)
    place.write_bytes(b"evil")
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    place.chmod(0o444)
    cache.doubt()
    assert not cache.have(key(b"data"))
    assert not place.exists()
    cache.put(key(b"data"), b"data")
    assert cache.get(key(b"data")) == b"data"


@pytest.mark.parametrize("what", ["directory", "link", "fifo", "longer", "gone", "closed", "dated", "linked"])
def test_whatever_stands_in_its_place(tmp_path: Path, what: str) -> None:
    cache = Cache(str(tmp_path / "objects"), 1000)
    cache.put(key(b"data"), b"data")
    place = Path(cache.place(file(b"data")))
    settled()
    if what == "closed":
        place.chmod(0)
    elif what == "dated":
        os.utime(place, (1, 1))
    elif what == "linked":
        os.link(place, tmp_path / "other")
    elif what == "longer":
        place.chmod(0o600)
        os.truncate(place, 1 << 40)
    else:
        place.unlink()
        if what == "directory":
            place.mkdir()
        elif what == "link":
            place.symlink_to("/proc/self/environ")
        elif what == "fifo":
            os.mkfifo(place)
    cache.doubt()
    assert (os.fsencode(place.name) in cache.names()) == (what in ("longer", "closed", "dated", "linked"))
    assert not cache.have(key(b"data"))
    assert what == "directory" or not os.path.lexists(place)


def test_what_was_not_touched_is_hashed_once_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that the next change might share says nothing; one that is settled saves the hash."""
    hashed: list[str] = []
    real = disk_cache._has_its_bytes

    def counted(path: str, name: str) -> bool:
        hashed.append(name)
        return real(path, name)

    monkeypatch.setattr(disk_cache, "_has_its_bytes", counted)
    cache = Cache(str(tmp_path / "objects"), 1000)
    cache.put(key(b"data"), b"data")
    assert cache.have(key(b"data"))
    cache.doubt()
    settled()
    assert cache.have(key(b"data"))
    for _ in range(3):
        cache.doubt()
        assert cache.have(key(b"data"))
    assert len(hashed) == 1


def test_another_coordinator_sees_what_it_names_itself(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "objects"), 1000)
    for data in (b"mine", b"both", b"sent"):
        cache.put(key(data), data)
    cache.disown()
    cache.put(key(b"sent"), b"sent")
    cache.remove_foreign([key(b"both")])
    assert set(os.listdir(tmp_path / "objects")) == {key(d).digest.hex() for d in (b"both", b"sent")}
    assert cache.size == 8
