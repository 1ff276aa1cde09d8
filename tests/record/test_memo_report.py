"""Reports of gg-trace that were cut short, as by a full disk: nothing is remembered, and that is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.host.filedb import FileDB
from gg.record.memo.memo_state import read_report

TOUCHED = b"R-/etc/passwd\0S-/no/such\0"
OUTPUT = b"\x01\x04\0\0\0out\n\x02\x04\0\0\0err\n"


def read(directory: Path, touched: bytes, output: bytes) -> object:
    directory.mkdir()
    (directory / "touched").write_bytes(touched)
    (directory / "output").write_bytes(output)
    return read_report(os.fsencode(directory), 1 << 62, FileDB(None))


def test_a_whole_one(tmp_path: Path) -> None:
    found = read(tmp_path / "r", TOUCHED, OUTPUT)
    assert isinstance(found, tuple)
    assert (found[1].stdout, found[1].stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("size", range(1, len(OUTPUT)))
def test_output_cut_anywhere(tmp_path: Path, size: int) -> None:
    found = read(tmp_path / "r", TOUCHED, OUTPUT[:size])
    whole_records = size == 9
    assert isinstance(found, str) != whole_records, "where a record ends, gg-trace itself says that it is not whole"


@pytest.mark.parametrize("size", range(1, len(TOUCHED)))
def test_records_cut_anywhere(tmp_path: Path, size: int) -> None:
    found = read(tmp_path / "r", TOUCHED[:size], OUTPUT)
    assert isinstance(found, str) != (TOUCHED[size - 1 : size] == b"\0")
