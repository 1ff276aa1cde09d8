"""`make demo` where there is no network: a small program of gg's own takes the place of the real project."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.demo import __main__ as demo
from benchmarks.packages import sources
from tests.commands.batch import programs


def _nowhere(cache: Path, wanted: object) -> Path:
    raise sources.SourceError("no archive can be reached")


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sources, "fetch", _nowhere)
    demo.Demo(tmp_path / "demo", programs(), 2).run()
    said = capfd.readouterr()
    assert "no archive can be reached\nIt is not to be had here" in said.out
    assert "6 * (3 + 4) is 42\n" in said.out
    assert "Compared with the plain build: 6 files, all the same bytes" in said.out
    summaries = [
        line.partition(" in ")[0] for line in said.err.splitlines() if line.startswith("gg: ") and "ran" in line
    ]
    assert summaries == [
        "gg: 6 thunks: 6 ran, 0 cached, 0 failed",
        "gg: 0 thunks: 0 ran, 0 cached, 0 failed",
        "gg: 3 thunks: 2 ran, 1 cached, 0 failed",
    ]


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(demo.NotShown, match="false ended with status 1"):
        demo.Demo(tmp_path, programs(), 2)._do("false")
