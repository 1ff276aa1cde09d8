"""Nothing lost: whatever is killed, no half file is ever at its place and the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from gg.core import placeholder
from tests.e2e.project import SCRIPTS, SECONDS, Project, Tree
from tests.fuzz.kills import write_units

UNITS = 6


def units(project: Project, work: int = 150) -> None:
    write_units(project, UNITS, work)


def assert_no_half_file(project: Project, expected: Tree) -> None:
    """Every output is whole, a placeholder, or not there."""
    for name, kept in project.tree().items():
        if name.endswith(".d"):
            continue
        assert name in expected, f"left behind: {name}"
        assert kept.data == expected[name].data or placeholder.parse(kept.data) is not None, f"half a file: {name}"


def processes_of(project: Project) -> list[str]:
    """Command lines of processes whose environment or directory is in the project."""
    mark = os.fsencode(str(project.root))
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                told = (entry / "cmdline").read_bytes(), os.fsencode(os.readlink(entry / "cwd"))
                state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
            except OSError:
                continue
            if state != b"Z" and any(mark in t for t in told):
                found.append(f"{entry.name} {told[0]!r}")
    return found


def wait_until_gone(project: Project, seconds: float = 5.0) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := processes_of(project)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments(project: Project, seed: int) -> None:
    """SIGKILL for the recorder, gg-force, or a compiler, again and again; then one run that ends well."""
    chance = random.Random(seed)
    units(project)
    expected, _ = project.plain()
    for turn in range(5):
        command = "gg-infer" if turn % 2 == 0 else "gg-force"
        arguments = ("make", "-j2") if command == "gg-infer" else ("--quiet", "--jobs", "2")
        child = project.start(SCRIPTS / command, *arguments)
        time.sleep(chance.uniform(0.1, 1.2))
        victims = [int(line.split()[0]) for line in processes_of(project) if "cc1" in line or "/as" in line]
        if turn % 3 == 2 and victims:
            kill(chance.choice(victims))
            child.communicate(timeout=SECONDS)
        else:
            kill(child.pid)
            child.communicate(timeout=SECONDS)
            signal_group(child.pid)
        assert wait_until_gone(project) == []
        assert_no_half_file(project, expected)
    project.infer("make", "-j2")
    project.forced()
    project.assert_tree(expected)
    project.make("-q")
    assert [p.name for p in (project.records / "tmp").iterdir()] == []


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def signal_group(group: int, number: int = signal.SIGKILL) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def test_killed_compiler_is_tried_again(project: Project) -> None:
    """A compiler that the system killed is no error of the source."""
    units(project, work=250)
    expected, _ = project.plain()
    project.infer()
    child = project.start(SCRIPTS / "gg-force", "--quiet", "--jobs", "1")
    killed: set[str] = set()
    deadline = time.monotonic() + SECONDS
    while child.poll() is None and len(killed) < 2:
        assert time.monotonic() < deadline
        for line in processes_of(project):
            if "cc1" in line and line not in killed:
                kill(int(line.split()[0]))
                killed.add(line)
                break
        time.sleep(0.005)
    out, err = child.communicate(timeout=SECONDS)
    assert len(killed) == 2, (out, err)
    assert child.returncode == 0, (out, err)
    project.assert_tree(expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_force(project: Project, number: signal.Signals) -> None:
    """Leaves no process and no half file; what was forced stays."""
    units(project, work=250)
    expected, _ = project.plain()
    project.infer()
    child = project.start(SCRIPTS / "gg-force", "--quiet", "--jobs", "2")
    deadline = time.monotonic() + SECONDS
    while not any("cc1" in line for line in processes_of(project)):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.01)
    signal_group(child.pid, number)
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 130, (out, err)
    assert b"Traceback" not in err
    assert wait_until_gone(project, 2.0) == []
    assert_no_half_file(project, expected)
    assert project.placeholders()
    assert [p.name for p in (project.records / "tmp").iterdir()] == []
    project.forced()
    project.assert_tree(expected)


def test_interrupted_infer(project: Project) -> None:
    """Ctrl-C reaches the whole group: make ends, the recorder ends after it, and placeholders are whole."""
    units(project)
    expected, _ = project.plain()
    child = project.start(SCRIPTS / "gg-infer", "sh", "-c", "make -j2; touch started; exec sleep 60")
    deadline = time.monotonic() + SECONDS
    while not project.path("started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    signal_group(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == -signal.SIGINT, (out, err)  # as its command has ended; a shell calls that 130
    assert b"Traceback" not in err
    assert wait_until_gone(project, 2.0) == []
    project.path("started").unlink()
    assert_no_half_file(project, expected)
    project.infer()
    project.forced()
    project.assert_tree(expected)


def test_shim_when_the_recorder_dies(project: Project) -> None:
    """The build goes on without gg: the real tool runs, and reads no placeholder, for gg-force makes it first."""
    project.write("main.c", "int first(void); int main(void) { return first(); }\n")
    project.write("first.c", "int first(void) { return 7; }\n")
    script = "gcc -c first.c\nkill -KILL $PPID\nsleep 0.2\ngcc main.c first.o -o prog 2> message\necho $? > status\n"
    project.write("go.sh", script)
    child = project.start(SCRIPTS / "gg-infer", "sh", "go.sh")
    child.communicate(timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while not (project.path("status").exists() and project.path("status").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert project.path("status").read_text() == "0\n"
    project.run("./prog", status=7)


def test_two_recordings_at_once(project: Project) -> None:
    units(project)
    expected, _ = project.plain()
    children = [project.start(SCRIPTS / "gg-infer", "make") for _ in range(2)]
    for child in children:
        out, err = child.communicate(timeout=SECONDS)
        assert child.returncode == 0, (out, err)
    project.infer()
    project.forced()
    project.assert_tree(expected)


def test_two_forces_at_once(project: Project) -> None:
    units(project)
    expected, _ = project.plain()
    project.infer()
    children = [project.start(SCRIPTS / "gg-force", "--quiet") for _ in range(2)]
    for child in children:
        out, err = child.communicate(timeout=SECONDS)
        assert child.returncode == 0, (out, err)
    project.assert_tree(expected)


def test_recording_while_forcing(project: Project) -> None:
    """An edit is recorded while an earlier state is being forced; forcing again ends with the new state."""
    units(project)
    project.infer()
    child = project.start(SCRIPTS / "gg-force", "--quiet", "--jobs", "1")
    time.sleep(0.4)
    project.write("main.c", "int f0_0(int); int main(void) { return f0_0(1) + 40; }\n")
    project.infer()
    out, err = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, (out, err)
    project.infer()
    project.forced()
    project.run("./prog", status=40)
