"""Four workers on hosts of their own, with addresses, /tmp, processes and cgroups: the same bytes. As root, with iproute2."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project
from tests.e2e.test_22_workers import units
from tests.support.fleets import WORKERS, listening, queued

_SECONDS = 1500.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def homes() -> Iterator[Path]:
    """Outside of /tmp, which each host has of its own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as path:
        yield Path(path)


@pytest.mark.parametrize("count", [60, 300])
@pytest.mark.parametrize("fleet", [queued, listening])
def test_the_same_bytes_over_a_network(
    fleet: Callable[[Path], AbstractContextManager[dict[str, str]]], count: int, tmp_path: Path, homes: Path
) -> None:
    project = Project(tmp_path / "tree", {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"})
    project.root.mkdir()
    units(project, count)
    expected, _ = project.plain("make")
    project.infer("make")
    with fleet(homes) as told:
        done = subprocess.run(
            [SCRIPTS / "gg-force", "--json", "--fallback", "never"],
            cwd=project.root,
            env={**project.env, **told},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    project.assert_tree(expected)
    engines = {word for word in done.stdout.decode().split('"') if word.startswith(("remote/", "spot"))}
    assert len(engines) == (WORKERS if fleet is listening else 1), engines
