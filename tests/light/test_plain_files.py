"""Files that a stranger has put into a tree are read only if that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from gg.light.plain_files import read_beginning, read_plain
from tests.support.traps import trap


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert read_plain(path.as_posix(), 5) == read_plain(bytes(tmp_path / "link"), 9) == b"12345"
    assert read_beginning(bytes(path), 2) == b"12"
    with pytest.raises(OSError, match="too large"):
        read_plain(bytes(path), 4)
    with pytest.raises(OSError, match="symbolic links"):
        read_plain(bytes(tmp_path / "link"), 9, follow=False)


@pytest.mark.parametrize("kind", ["pipe", "device", "holes", "directory"])
def test_a_trap(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "directory":
        path.mkdir()
    else:
        trap(path, kind)
    with pytest.raises(OSError, match=r"regular|large|directory"):
        read_plain(bytes(path), 1 << 20)
