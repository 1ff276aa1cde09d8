"""Where the machine gives gg too few open files, that is what is told: by no word of a bug, and with no attempt after the other."""

from __future__ import annotations

import pytest

from gg.errors import ScarceError, StoreError
from tests.e2e.project import SCRIPTS, Project, Result

UNITS = 6


def limited(project: Project, files: int, command: str) -> Result:
    """Run a command that may have so many files open. `Project.run` refuses all that speaks of a bug."""
    return project.run("sh", "-c", f"ulimit -n {files}; exec {command}", status=None)


@pytest.fixture
def units(project: Project) -> Project:
    for number in range(UNITS):
        project.write(f"{number}.c", f"int f{number}(void) {{ return {number}; }}\n")
    objects = " ".join(f"{number}.o" for number in range(UNITS))
    project.write("Makefile", f"all: {objects}\n%.o: %.c ; gcc -c $< -o $@\n")
    project.env["PATH"] = f"{SCRIPTS}:{project.env['PATH']}"
    return project


@pytest.mark.parametrize("files", [5, 10, 16, 22])
def test_a_force_ends_at_once(units: Project, files: int) -> None:
    expected, _ = units.plain()
    units.infer()
    ended = limited(units, files, "gg-force --jobs 4")
    assert ended.status in (ScarceError.exit_code, StoreError.exit_code), ended.text
    assert "Too many open files" in ended.text or "ulimit -n" in ended.text
    assert "repeated" not in ended.text
    units.force()
    units.assert_tree(expected)


@pytest.mark.parametrize("files", [7, 12, 20])
def test_a_recording_speaks_of_no_bug(units: Project, files: int) -> None:
    limited(units, files, "gg-infer make")
    units.build()
    assert units.placeholders() == []


def test_a_store_that_may_not_grow_while_it_is_recorded(units: Project) -> None:
    """No call fails for it: one of which nothing can be written down runs for real. What is lost is told at the end."""
    said = units.run("sh", "-c", "ulimit -f 128; exec gg-infer make", status=None).text
    assert "*** [" not in said
    assert all(units.path(f"{number}.o").exists() for number in range(UNITS))
    units.build()
    units.make("-q")
    assert units.placeholders() == []
