"""A sample of `benchmarks.fleet.chaos`, a kind of trouble each: workers behind a queue, here moto's. As root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_TOP = Path(__file__).resolve().parents[2]
_MOTO = "python -m moto.server -H 127.0.0.1 -p {port}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kinds", ["kill,never", "full,spoil"])
def test_workers_in_trouble(kinds: str, tmp_path: Path) -> None:
    """The same bytes, and no thunk is lost or blamed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    words = ["unshare", "-m", "--propagation", "private", sys.executable, "-m", "benchmarks.fleet.chaos"]
    words += ["--sqs", _MOTO, "--rounds", "1", "--kinds", kinds, "--thunks", "18", "--json", str(tmp_path / "found")]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(words, cwd=_TOP, env={**os.environ, "PATH": path}, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "found").read_text())["rows"]
    assert row["events"]
    assert row["most_attempts"] <= 4
