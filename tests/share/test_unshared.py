"""Notes of what is still to be shared: kept when their process is gone, gone when all is shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gg.share.tiered import Tiered
from gg.share.unshared import PREFIX, Unshared, is_owed
from gg.store.base import Key, Kind, put_blobs
from gg.store.memory import MemoryStore

ONE, TWO = Key(Kind.REDUCTION, b"1" * 32), Key(Kind.THUNK, b"2" * 32)
NOTES = """
import os, sys
from gg.share.unshared import Unshared
from gg.store.base import Key, Kind
notes = Unshared(os.fsencode(sys.argv[1]))
notes.note([Key(Kind.REDUCTION, b"1" * 32), Key(Kind.THUNK, b"2" * 32)])
notes.note([Key(Kind.REDUCTION, b"1" * 32)])
print("noted", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_what_a_process_has_left_is_found_when_it_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / f"{PREFIX}x"
    process = subprocess.Popen(
        [sys.executable, "-c", NOTES, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdout.readline() == b"noted\n"
    notes = Unshared(os.fsencode(directory))
    assert list(notes.left()) == []
    process.communicate()
    assert is_owed(str(tmp_path))
    for keys in notes.left():
        assert keys == [ONE, TWO]
        break  # it could not be shared
    assert list(notes.left()) == [[ONE, TWO]]
    assert list(notes.left()) == []
    assert not is_owed(str(tmp_path))


def test_damaged_notes_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    (tmp_path / "1-a").write_bytes(bytes([Kind.REDUCTION]) + b"1" * 32 + b"\xff" + b"3" * 32 + b"cut")
    (tmp_path / "2-b").write_bytes(b"")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "directory").mkdir()
    assert [keys for keys in Unshared(os.fsencode(tmp_path)).left() if keys] == [[ONE]]


class Down(MemoryStore):
    """A team's store that is not there as long as `down`."""

    down = True

    def put(self, items: object) -> None:
        from gg.errors import StoreError

        if self.down:
            raise StoreError("no answer")
        super().put(items)  # type: ignore[arg-type]


def test_what_could_not_be_sent_is_sent_by_the_next(tmp_path: Path) -> None:
    near, far = MemoryStore(), Down()
    put_blobs(near, [b"output"])
    first = Tiered(near, far, borrowed=True, unshared=Unshared(os.fsencode(tmp_path)))
    first.put({ALIAS: b"2" * 32})
    first.flush()
    first.close()
    far.down = False
    second = Tiered(near, far, borrowed=True, unshared=Unshared(os.fsencode(tmp_path)))
    second.flush()
    assert far.get([ALIAS]) == {ALIAS: b"2" * 32}
    second.put({ALIAS: b"3" * 32})
    second.flush()
    assert os.listdir(tmp_path) == []


ALIAS = Key(Kind.ALIAS, b"a" * 32)
