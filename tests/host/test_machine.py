"""The processors that a control group lets this process have."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gg.host.machine import processors

_ALL = len(os.sched_getaffinity(0))


def _group(tmp_path: Path, said: str, files: dict[str, str]) -> int:
    for name, text in files.items():
        (tmp_path / "top" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "top" / name).write_text(text)
    (tmp_path / "cgroup").write_text(said)
    return processors(str(tmp_path / "cgroup"), str(tmp_path / "top"))


@pytest.mark.parametrize(
    ("said", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "100000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "1 100000\n"}, 1),
        ("4:cpuacct,cpu:/d\n", {"cpu/d/cpu.cfs_quota_us": "90000\n", "cpu/d/cpu.cfs_period_us": "100000\n"}, 1),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, _ALL),
        ("4:cpuset:/\n0::/\n", {"cpu.max": "max 100000\n"}, _ALL),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, min(_ALL, 99)),
        ("0::/\n", {"cpu.max": "nonsense\n"}, _ALL),
        ("0::/\n", {"cpu.max": "1 0\n"}, _ALL),
        ("nonsense\n", {}, _ALL),
    ],
)
def test_quotas(said: str, files: dict[str, str], expected: int, tmp_path: Path) -> None:
    assert _group(tmp_path, said, files) == expected


def test_no_control_groups_at_all(tmp_path: Path) -> None:
    assert processors(str(tmp_path / "none"), str(tmp_path)) == _ALL
