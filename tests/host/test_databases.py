"""Connections to SQLite databases are closed by whoever opened them, or when nobody has them any more."""

from __future__ import annotations

import gc
import os
import sqlite3
import warnings
from pathlib import Path

import pytest

from gg.host.databases import opened


def _open_files(place: Path) -> list[str]:
    """What this process has open below `place`."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # that of the listing itself
    return [path for path in found if path.startswith(str(place))]


def test_one_that_nobody_has_any_more(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # with Python 3.13 a plain one would warn
        db = opened(str(tmp_path / "db"), lambda db: db.execute("CREATE TABLE t (n)"), 1.0)
        assert _open_files(tmp_path)
        del db
        gc.collect()
    assert not _open_files(tmp_path)


def test_one_that_cannot_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 100)
    kept: list[sqlite3.Connection] = []

    def prepare(db: sqlite3.Connection) -> None:
        kept.append(db)
        db.execute("CREATE TABLE t (n)")

    with pytest.raises(sqlite3.DatabaseError):
        opened(str(tmp_path / "db"), prepare, 1.0)
    assert kept
    assert not _open_files(tmp_path)
