"""The name by which a worker knows who asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from gg.engines.coordinator import coordinator


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GG_KEY", raising=False)


def test_it_is_kept_for_the_next_run_and_from_others(tmp_path: Path) -> None:
    home = str(tmp_path / "config" / "gg")
    name = coordinator(home)
    assert len(name) == 32
    assert coordinator(home) == name
    assert (tmp_path / "config" / "gg" / "coordinator").stat().st_mode & 0o777 == 0o600
    assert coordinator(str(tmp_path / "another")) != name
    assert [each.name for each in (tmp_path / "config" / "gg").iterdir()] == ["coordinator"]


@pytest.mark.parametrize("what", ["readable", "short", "link"])
def test_what_others_may_know_is_made_anew(tmp_path: Path, what: str) -> None:
    path = tmp_path / "coordinator"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 32)
    elsewhere.chmod(0o600)
    if what == "link":
        path.symlink_to(elsewhere)
    else:
        path.write_bytes(b"x" * (32 if what == "readable" else 31))
        path.chmod(0o644 if what == "readable" else 0o600)
    name = coordinator(str(tmp_path))
    assert name != b"x" * 32
    assert coordinator(str(tmp_path)) == name
    assert elsewhere.read_bytes() == b"x" * 32


def test_a_key_gives_it_where_there_is_no_home() -> None:
    assert (
        coordinator("/dev/null/x", "ann:AAAA") == coordinator("/dev/null/y", "ann:AAAA") != coordinator("", "ann:BBBB")
    )
    assert coordinator("/dev/null/x") != coordinator("/dev/null/x"), "of one run alone"
