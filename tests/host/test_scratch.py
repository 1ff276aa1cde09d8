"""A process's own directory for files that are being written."""

from __future__ import annotations

import os
from pathlib import Path

from gg.core.ids import BlobId
from gg.host.scratch import Scratch
from gg.store.base import Key, Kind
from gg.store.directory import DirectoryStore


def test_it_is_made_when_asked_for_and_removed(tmp_path: Path) -> None:
    scratch = Scratch(os.fsencode(tmp_path))
    assert list(tmp_path.iterdir()) == []
    path = scratch.path()
    assert scratch.path() == path
    assert [entry.name for entry in tmp_path.iterdir()] == [os.fsdecode(os.path.basename(path))]
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_two_of_one_process_are_two_directories(tmp_path: Path) -> None:
    first, second = Scratch(os.fsencode(tmp_path)), Scratch(os.fsencode(tmp_path))
    assert first.path() != second.path()


def test_where_none_can_be_made_the_directory_itself_serves(tmp_path: Path) -> None:
    scratch = Scratch(os.fsencode(tmp_path / "missing"))
    assert scratch.path() == os.fsencode(tmp_path / "missing")
    scratch.close()


def test_what_is_left_in_it_stays(tmp_path: Path) -> None:
    scratch = Scratch(os.fsencode(tmp_path))
    left = Path(os.fsdecode(scratch.path())) / "half"
    left.write_bytes(b"x")
    scratch.close()
    assert left.exists()


def test_the_name_begins_with_letters_and_the_processs_number(tmp_path: Path) -> None:
    """So that `Workspace.remove_scratch` knows whether its owner is alive."""
    name = os.path.basename(Scratch(os.fsencode(tmp_path)).path())
    assert name.startswith(b"n%d-" % os.getpid())


def test_a_store_leaves_none_and_tidies_what_others_left_in_theirs(tmp_path: Path) -> None:
    with DirectoryStore(tmp_path) as store:
        store.put({Key(Kind.BLOB, BlobId.of(b"abc").digest): b"abc"})
    assert list((tmp_path / "tmp").iterdir()) == []
    left = tmp_path / "tmp" / "n999999999-0"
    left.mkdir()
    (left / "half").write_bytes(b"12345")
    with DirectoryStore(tmp_path, exclusive=True) as alone:
        assert alone.tidy() == 5
    assert list((tmp_path / "tmp").iterdir()) == []
