"""Short thunks that share invocations, through the whole of gg-force: what is asked, what it costs, and all kinds of trouble.

The functions only pretend, so that every thunk takes a millisecond, as it says, however busy this machine is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Forced, Project
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService
from tests.servers.pretended import FUNCTION, environment, made, pretended, recorded
from tests.servers.seaweed import Seaweed

UNITS = 600
WIDE = 50


def forced(project: Project, *words: str) -> Forced:
    return project.forced("--engine", "lambda", "--jobs", str(WIDE), "--fallback", "never", *words)


def counted(done: Forced) -> dict[str, int]:
    retries = done.summary["retries"]
    assert isinstance(retries, dict)
    return retries


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return recorded(tmp_path, UNITS, 0.0)


def _with(project: Project, server: Seaweed, service: LambdaService) -> None:
    project.env |= environment(server, service)


def test_short_ones_share_invocations(seaweed_server: Seaweed, project: Project, tmp_path: Path) -> None:
    """Those of whose like none was seen go alone, at most as many as fit; later ones go together, and are paid once."""
    with pretended(seaweed_server, tmp_path) as service:
        _with(project, seaweed_server, service)
        done = forced(project)
        state = service.state()
    assert made(project) == UNITS
    assert len(done.ran) == UNITS
    assert state["invocations"] <= UNITS // 3
    assert state["most at once"] <= WIDE
    usage = done.summary["usage"]
    assert isinstance(usage, dict)
    assert usage["invocations"] == state["billed invocations"]


def test_long_ones_do_not(seaweed_server: Seaweed, tmp_path: Path) -> None:
    project = recorded(tmp_path, 60, 0.3)
    with pretended(seaweed_server, tmp_path) as service:
        _with(project, seaweed_server, service)
        forced(project)
        assert service.state()["invocations"] >= 60
    assert made(project) == 60


TROUBLE: dict[str, tuple[dict[str, Any], str]] = {
    "crash": ({"crash": 0.05, "crash_after_s": 0.01}, "lost"),
    "lost": ({"lost": 0.05}, "lost"),
    "cut": ({"cut": 0.05}, "lost"),
    "twice": ({"twice": 0.3}, ""),
    "stray": ({"stray": 0.3}, ""),
    "late": ({"late": 0.2, "late_s": 0.5}, ""),
    "corrupt": ({"corrupt": 0.05}, "infra"),
    "memory": ({"memory": 0.05, "crash_after_s": 0.01}, "memory"),
    "server": ({"server": 0.05}, "infra"),
    "throttle": ({"throttle": 0.2}, "throttled"),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_trouble(kind: str, seaweed_server: Seaweed, project: Project, tmp_path: Path) -> None:
    """What befalls an invocation is a fault of each that shares it; each is tried again by itself, and all are made."""
    shares, fault = TROUBLE[kind]
    with pretended(seaweed_server, tmp_path) as service:
        _with(project, seaweed_server, service)
        for size in (3008, 5120, 10240):
            create(service.client(), FUNCTION.replace("1769", str(size)), MemorySize=size, Timeout=900)
        service.faults(**shares, seed=3)
        done = forced(project)
        state = service.state()
    assert made(project) == UNITS
    assert len(done.ran) == UNITS
    assert state.get(f"fault {kind}", 0) >= 3, state
    assert not fault or counted(done).get(fault, 0) > 0, counted(done)
    assert state["invocations"] <= UNITS, "attempts are few"
