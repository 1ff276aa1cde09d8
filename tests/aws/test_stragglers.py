"""Functions that hang, and duplicates of them that hang too, keep nobody until the functions' own timeout."""

from __future__ import annotations

import time
from pathlib import Path

from tests.servers.pretended import environment, made, pretended, recorded
from tests.servers.seaweed import Seaweed

UNITS, TIMEOUT_S = 150, 120


def test_hangs_and_hangs_of_their_duplicates(seaweed_server: Seaweed, tmp_path: Path) -> None:
    project = recorded(tmp_path, UNITS, 0.0)
    with pretended(seaweed_server, tmp_path, timeout_s=TIMEOUT_S) as service:
        project.env |= environment(seaweed_server, service)
        service.faults(hang=0.08, seed=3)
        begun = time.monotonic()
        project.force("--engine", "lambda", "--fallback", "never", "--jobs", "300")
        took = time.monotonic() - begun
        state = service.state()
    assert made(project) == UNITS
    assert state["fault hang"] >= 5
    assert state["invocations"] < 1.5 * UNITS
    assert took < 0.8 * TIMEOUT_S
