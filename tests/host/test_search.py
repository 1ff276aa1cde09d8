"""Placeholders below a directory: all of them, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from blake3 import blake3

from gg.core.ids import ThunkId
from gg.core.placeholder import SIZE, Placeholder, PlaceholderWriter
from gg.errors import GGError
from gg.host import native_programs as native
from gg.host.placeholders import Search

WRITER = PlaceholderWriter(b"/bin/true")


def _put(path: bytes, index: int = 0) -> Placeholder:
    placeholder = Placeholder(ThunkId(blake3(path).digest()), index)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(WRITER.encode(*placeholder))
    return placeholder


def test_names_of_any_kind_at_any_depth(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path)
    names = [b"a", b"two words", b"new\nline", b"\xff\xfe", b".hidden", b"d/" * 40 + b"deep", b"x.gg/y"]
    wanted = {top + b"/" + name: _put(top + b"/" + name, index) for index, name in enumerate(names)}
    assert Search(str(tmp_path)).found() == wanted


def test_more_than_a_pipe_holds(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path)
    wanted = {path: _put(path, 99999) for path in (b"%s/d%d/f%d" % (top, n % 9, n) for n in range(3000))}
    search = Search(str(tmp_path))
    assert search.found() == wanted


def test_what_is_no_placeholder_or_not_to_be_entered(tmp_path: Path) -> None:
    real, top = WRITER.encode(b"\1" * 32, 0), os.fsencode(tmp_path)
    wanted = {top + b"/real": _put(top + b"/real")}
    for name, data in {
        "other": b"o" * SIZE,
        "longer": real + b"\n",
        "index": real.replace(b"00000", b"0000x"),
        "version": real.replace(b"gg-placeholder 1", b"gg-placeholder 2"),
    }.items():
        (tmp_path / name).write_bytes(data)
    for name in (".gg/blob", ".git/object", "sub/.gg/blob"):
        _put(os.fsencode(tmp_path / name))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "above").symlink_to("..")
    assert Search(str(tmp_path)).found() == wanted


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    assert Search(str(tmp_path / "none")).found() == {}


def test_a_program_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incomplete answer is none: what it leaves out would be dropped by gg gc."""
    monkeypatch.setattr(native, "finder", lambda: "/bin/false")
    with pytest.raises(GGError, match="gg-find ended with status 1"):
        Search(str(tmp_path)).found()
