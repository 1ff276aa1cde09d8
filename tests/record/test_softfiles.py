"""A dependency file that was written before its thunk is forced is found again, and nothing else is taken for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.record.depfiles.softfiles import SoftFile, SoftFiles
from gg.store.memory import MemoryStore

THUNK = ThunkId(b"t" * 32)
TEXT = b"x.o: x.c x.h\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.Tpo"


@pytest.fixture
def soft(path: Path) -> SoftFile:
    path.write_bytes(TEXT)
    store = MemoryStore()
    files = SoftFiles(store)
    files.wrote(os.fsencode(path), TEXT, path.stat(), THUNK, 1)
    files.flush()
    return SoftFiles(store).of([THUNK])[THUNK]


def test_where_it_was(soft: SoftFile, path: Path) -> None:
    assert (soft.find(), soft.index) == (os.fsencode(path), 1)


def test_renamed_beside(soft: SoftFile, path: Path) -> None:
    path.rename(path.with_name("x.Po"))
    assert soft.find() == os.fsencode(path.with_name("x.Po"))


def test_written_again_by_another_recording(soft: SoftFile, path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(TEXT)
    other.replace(path)
    assert soft.find() == os.fsencode(path)


@pytest.mark.parametrize("text", [b"x.o: x.c\n", TEXT + b"x.h:\n", TEXT.replace(b"x.h", b"y.h")])
def test_somebody_elses(soft: SoftFile, path: Path, text: bytes) -> None:
    path.unlink()
    path.write_bytes(text)
    assert soft.find() is None


def test_gone(soft: SoftFile, path: Path) -> None:
    path.unlink()
    assert soft.find() is None
