"""A disk that is full ends a force at once with its own status, wherever it is full, and never a recording."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project

MAKEFILE = "all: 1.o 2.o 3.o 4.o\n%.o: %.c ; gcc -c $< -o $@\n"
FULL = 'mount -t tmpfs -o size=20m none "$1" && shift && exec "$@"'
INFER, FILL = "gg-infer make -s || exit 1", 'head -c 100000000 /dev/zero > "$FULL/ballast" 2>/dev/null'


@pytest.fixture
def units(project: Project) -> Project:
    for number in range(1, 5):
        project.write(f"{number}.c", f"int f{number}(void) {{ return {number}; }}\n")
    project.write("Makefile", MAKEFILE)
    return project


def on_a_small_disk(project: Project, place: Path, script: str, status: int) -> str:
    """Run a script in a mount namespace in which `place`, FULL, is a disk of 20 MB; what it says."""
    if os.geteuid() != 0:
        pytest.skip("mounts")
    place.mkdir(exist_ok=True)
    command = ["unshare", "-m", "sh", "-c", FULL, "sh", str(place), "sh", "-c", script]
    path = f"{SCRIPTS}:{project.env['PATH']}"
    env = {"FULL": str(place), "XDG_CACHE_HOME": str(place), "PATH": path}
    said = project.run(*command, status=status, env=env).text
    assert "this is a bug" not in said
    return said


def test_full_where_state_is(units: Project, tmp_path: Path) -> None:
    said = on_a_small_disk(units, tmp_path / "state", f"{INFER}; {FILL}; gg-force --json", 74)
    assert said.count('"event":"thunk-started"') <= 4, "no thunk is tried again"
    assert "No space left on device" in said
    assert "gg gc" in said


def test_a_reader_of_a_recording_on_a_full_disk(units: Project, tmp_path: Path) -> None:
    """It is told, and gg-infer ends as its command does."""
    script = f"{INFER}; {FILL}; gg-infer sh -c 'nm 1.o > out; echo $?'"
    said = on_a_small_disk(units, tmp_path / "state", script, 0)
    assert "No space left on device" in said


def test_recording_on_a_full_disk_runs_for_real(units: Project, tmp_path: Path) -> None:
    on_a_small_disk(units, tmp_path / "state", f"gg-infer true; {FILL}; gg-infer make -s", 0)
    assert units.path("1.o").stat().st_size > 256
