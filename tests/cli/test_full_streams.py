"""Where nothing can be told any more, what is done is done all the same, and its status is what it would be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project

SOURCE = "static int unused;\nint f(void) { return 1; }\n"  # gcc -Wall has something to say of it


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "tree").mkdir()
    (tmp_path / "home").mkdir()
    path = f"{SCRIPTS}:{os.environ['PATH']}"
    project = Project(tmp_path / "tree", {"PATH": path, "HOME": str(tmp_path / "home"), "LC_ALL": "C"})
    for name in ("a", "b", "c"):
        project.write(f"{name}.c", SOURCE)
    project.write("Makefile", "all: a.o b.o c.o\n%.o: %.c ; gcc -Wall -c $< -o $@\n")
    yield project
    assert project.placeholders() == []


@pytest.mark.parametrize("streams", ["2>/dev/full", ">/dev/full 2>&1", "2>&1 | true"])
def test_a_build_ends_as_it_would(project: Project, streams: str) -> None:
    infer = "2>/dev/full" if streams.startswith(">") else streams  # else make itself fails
    project.run("bash", "-c", f"set -o pipefail; gg-infer make -s {infer}")
    project.run("bash", "-c", f"set -o pipefail; gg-force --jobs 1 {streams}")


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-"])
def test_an_error_has_its_status(project: Project, streams: str) -> None:
    project.run("bash", "-c", f"gg-force --no-such-option {streams}", status=64)
    project.build()
