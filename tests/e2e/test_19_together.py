"""Several that force at once: nothing is run twice, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project
from tests.e2e.test_17_readers_served import slow_tool


@pytest.fixture
def slow(project: Project) -> Project:
    """Six placeholders whose thunks take a moment each."""
    slow_tool(project, 0.7)
    project.write("text", "text\n")
    project.infer("sh", "-c", "for i in 1 2 3 4 5 6; do ./slowly text out$i; done")
    return project


def started(project: Project) -> subprocess.Popen[bytes]:
    return project.start(SCRIPTS / "gg-force", "--json", "--jobs", "2")


def ran(child: subprocess.Popen[bytes]) -> list[str]:
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    return [e["label"] for e in events if e["event"] == "thunk-done" and e["how"] == "ran"]


def test_two_at_once_run_nothing_twice(slow: Project) -> None:
    both = [started(slow), started(slow)]
    labels = [label for child in both for label in ran(child)]
    assert sorted(labels) == [f"out{number}" for number in range(1, 7)]
    assert not slow.placeholders()


def test_one_that_is_killed_leaves_its_work_to_the_other(slow: Project) -> None:
    first = started(slow)
    time.sleep(1.0)
    second = started(slow)
    time.sleep(0.5)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate(timeout=SECONDS)
    assert ran(second)
    assert not slow.placeholders()
    assert slow.path("out6").read_text() == "text\n"
