"""A sample of `benchmarks.fleet.chaos`, a kind of trouble each: workers behind a queue, here moto's. As root."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.fleet.chaos import BETWEEN, befall
from tests.servers.functions_for_tests import until

_TOP = Path(__file__).resolve().parents[2]
_MOTO = "python -m moto.server -H 127.0.0.1 -p {port}"


class Idle:
    """A member that anything may befall."""

    killed = 0

    def kill(self, chance: random.Random) -> None:
        self.killed += 1


def test_a_build_that_gets_no_further_meets_nothing_more(tmp_path: Path) -> None:
    """However long it takes. So the machine's speed does not count for how many events a build meets."""
    told, over, idle = tmp_path / "told", threading.Event(), Idle()
    told.write_text("")
    with ThreadPoolExecutor() as pool, told.open("a") as more:
        events = pool.submit(befall, [idle], 1, ["kill"], (0.0, 0.0), told, over)
        for done in range(2 * BETWEEN):
            until(lambda: idle.killed == 1 + done // BETWEEN)  # noqa: B023
            time.sleep(0.1)
            assert idle.killed == 1 + done // BETWEEN
            more.write('{"event":"thunk-done"}\n')
            more.flush()
        over.set()
    assert events.result()["kill"] == idle.killed


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
