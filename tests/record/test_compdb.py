"""The compilation database, and placeholders of the SDK, are put into trees that may be a stranger's."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.record.compdb import CompilationDatabase
from gg.sdk.custom import write_placeholder

KEPT = {"directory": "/", "file": "etc/passwd", "output": "x.o"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "compile_commands.json"
    path.write_text(json.dumps([KEPT, {"directory": "/", "file": "gone", "output": "y.o"}]))
    return path


def test_entries_of_sources_that_are_there_stay(database: Path) -> None:
    CompilationDatabase(str(database)).write()
    assert json.loads(database.read_text()) == [KEPT]


def test_no_link_that_is_planted_beside_is_written_through(database: Path) -> None:
    """A name with the process's number in it can be guessed: there may be a link under each."""
    victim = database.with_name("victim")
    victim.write_text("precious")
    for name in ("compile_commands.json", "x"):
        (database.parent / f"{name}.{os.getpid()}").symlink_to(victim)
    CompilationDatabase(str(database)).write()
    write_placeholder(str(database.with_name("x")), ThunkId(bytes(32)))
    assert victim.read_text() == "precious"
    assert json.loads(database.read_text()) == [KEPT]


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/full", "fifo", "."])
def test_what_is_no_file_has_no_entries(database: Path, target: str) -> None:
    if target == "fifo":
        os.mkfifo(database.with_name("fifo"))
    database.unlink()
    database.symlink_to(target)
    CompilationDatabase(str(database)).write()
    assert json.loads(database.read_text()) == []
    assert not database.is_symlink()
