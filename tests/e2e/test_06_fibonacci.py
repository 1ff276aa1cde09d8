"""Thunks whose output is again a thunk: Fibonacci, with `fib` and `add` as separate programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project

SOURCES = Path(__file__).parent / "fibonacci"


def gg(project: Project, name: str, *arguments: str, **more: str) -> str:
    """Run one of gg's commands and give what it said; a failure shows that too."""
    command = [str(SCRIPTS / name), *arguments]
    env = {**project.env, **more}
    done = subprocess.run(command, cwd=project.root, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).strip()


def programs(project: Project, kind: str) -> None:
    flags = ["-static"] if kind == "static" else []
    subprocess.run(["cc", "-O1", *flags, "-o", "add", SOURCES / "add.c"], cwd=project.root, check=True)
    if kind == "python":
        text = (SOURCES / "fib.py").read_text().partition("\n")[2]
        (project.root / "fib").write_text(f"#!{sys.executable}\n{text}")
        (project.root / "fib").chmod(0o755)
    else:
        subprocess.run(["cc", "-O1", *flags, "-o", "fib", SOURCES / "fib.c"], cwd=project.root, check=True)


def start(project: Project, number: int) -> Path:
    """Make the first thunk, as the original's fib_create.sh does."""
    gg(project, "gg-init")
    gg(project, "gg-collect", "fib", "add")
    fib, add = gg(project, "gg-hash", "fib"), gg(project, "gg-hash", "add")
    name = f"fib{number}_output"
    gg(
        project,
        "gg-create-thunk",
        *(f"--envar=FIB_FUNCTION_HASH={fib}", f"--envar=ADD_FUNCTION_HASH={add}"),
        *("--executable", fib, "--executable", add, "--output", "out", "--output", "left", "--output", "right"),
        *("--placeholder", name, fib, "fib", str(number)),
    )
    return project.root / name


def test_seventy(project: Project) -> None:
    """Each number is made once, though the plain recursion would make 300 billion calls."""
    programs(project, "python")
    target = start(project, 70)
    gg(project, "gg-force", target.name)
    assert target.read_text() == "190392490709135"
    assert sorted(os.listdir(project.root)) == ["add", "fib", target.name]


@pytest.mark.parametrize("kind", ["dynamic", "static"])
@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_programs_in_c(kind: str, isolation: str, project: Project) -> None:
    programs(project, kind)
    target = start(project, 7)
    gg(project, "gg-force", "--isolation", isolation, target.name)
    assert target.read_text() == "13"


def test_equal_thunks_have_one_name_in_every_workspace(project: Project, tmp_path: Path) -> None:
    programs(project, "dynamic")
    other = Project(tmp_path / "elsewhere", project.env)
    other.root.mkdir()
    for name in ("fib", "add"):
        (other.root / name).write_bytes((project.root / name).read_bytes())
    assert start(project, 4).read_bytes() == start(other, 4).read_bytes()


def test_a_thunk_that_fails_deep_inside_is_told_once(project: Project) -> None:
    programs(project, "dynamic")
    (project.root / "add").write_text("#!/bin/sh\necho cannot add >&2\nexit 9\n")
    (project.root / "add").chmod(0o755)
    target = start(project, 4)
    before = target.read_bytes()
    done = subprocess.run(
        [SCRIPTS / "gg-force", target.name], cwd=project.root, env=project.env, capture_output=True, timeout=SECONDS
    )
    assert done.returncode == 9
    assert done.stderr.count(b"cannot add") == 1
    assert target.read_bytes() == before  # nobody would record it again
    (project.root / "add").write_text('#!/bin/sh\ncat "$@" > out\n')
