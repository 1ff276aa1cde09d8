"""gg's commands within what gg-infer records: one recording, or two of different workspaces, and gg-force as anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project, by_make

INFER, FORCE = f"{SCRIPTS}/gg-infer --quiet", f"{SCRIPTS}/gg-force --quiet"


@pytest.fixture
def sources(project: Project) -> Project:
    project.write("main.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write("f.c", "int f(void) { return 7; }\n")
    project.write("Makefile", "prog: main.o f.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c $<\n")
    return project


@pytest.fixture
def neighbour(sources: Project, tmp_path: Path) -> Project:
    """Another workspace of the same user."""
    other = Project(tmp_path.resolve() / "other", sources.env)
    other.write("g.c", "int g(void) { return 3; }\n")
    other.infer("true")
    return other


def test_a_recording_in_a_recording(sources: Project) -> None:
    expected, _ = sources.plain()
    sources.infer("sh", "-c", f"{INFER} make -s; {INFER} true")
    assert sources.placeholders() == ["f.o", "main.o", "prog"]
    sources.force()
    sources.assert_tree(expected)


def test_statuses_and_signals_of_an_inner_command(sources: Project) -> None:
    sources.write("script", "exit 5\n", 0o755)
    for command, status in (("no-such", 127), ("./main.c", 126), ("./script", 5), ("sh -c 'kill -TERM $$'", 143)):
        sources.infer("sh", "-c", f"{INFER} {command}; exit $?", status=status)
    show = "grep -e SigIgn -e SigBlk /proc/self/status; env | grep LC_"
    plain = sources.run("env", "-i", "sh", "-c", show, status=None)
    inner = sources.run(
        "env", "-i", SCRIPTS / "gg-infer", "--quiet", "sh", "-c", f"{INFER} sh -c '{show}'", status=None
    )
    assert inner == plain


def test_force_in_a_recording(sources: Project) -> None:
    """Its own reads force nothing, and the compilers that it runs are not recorded."""
    result = sources.infer("sh", "-c", f"make -s && {FORCE} && ./prog", status=7)
    assert result.stderr.count(b"recorded 3 thunks") == 1
    assert sources.placeholders() == []


def test_part_of_it_is_forced_in_a_recording(sources: Project) -> None:
    told = f"{SCRIPTS}/gg describe main.o >told"
    sources.infer(*by_make(sources, "make -s -f Makefile", f"{FORCE} f.o", told, "cat told >/dev/null"))
    assert sources.placeholders() == ["main.o", "prog"]
    assert b"main.c" in sources.path("told").read_bytes()
    sources.force()
    sources.run("./prog", status=7)


def test_record_and_force_in_a_recording(sources: Project) -> None:
    sources.infer("sh", "-c", f"{INFER} --force make -s && ./prog", status=7)


@pytest.mark.parametrize("options", ["", "--no-interposer"])
def test_another_workspace_has_its_own_recording(sources: Project, neighbour: Project, options: str) -> None:
    inner = f"(cd {neighbour.root} && {INFER} gcc -c g.c && {FORCE} && [ -s g.o ] && {INFER} gcc -c g.c -o h.o)"
    result = sources.run(SCRIPTS / "gg-infer", *options.split(), "sh", "-c", f"{inner} && gcc -c f.c")
    assert b"recorded 1 thunks" in result.stderr
    assert sources.placeholders() == ["f.o"]
    assert neighbour.placeholders() == ["h.o"]
    neighbour.force()
    assert neighbour.path("h.o").read_bytes() == neighbour.path("g.o").read_bytes()


def test_a_neighbours_placeholder(sources: Project, neighbour: Project) -> None:
    """It is linked here, archived, read while recording, and forced from here."""
    neighbour.infer("gcc", "-c", "g.c")
    sources.write("main.c", "int g(void);\nint main(void) { return g(); }\n")
    object_file = neighbour.path("g.o")
    sources.infer("sh", "-c", f"gcc -c main.c; gcc -o prog main.o {object_file}; ar rcs libg.a {object_file}")
    sources.force()
    sources.run("./prog", status=3)
    sources.run("gcc", "-o", "again", "main.o", "libg.a")
    neighbour.infer("gcc", "-c", "g.c", "-o", "h.o")
    sources.infer("cat", os.fspath(neighbour.path("h.o")))
    assert "h.o" not in neighbour.placeholders()


def test_a_stale_socket_in_the_environment(sources: Project) -> None:
    """Copied from a recording that has ended (an editor's terminal, a saved environment): nobody minds."""
    sources.infer("sh", "-c", "cat /proc/self/environ | tr '\\0' '\\n' | grep -e ^GG_ -e ^LD_PRELOAD >saved")
    saved = dict(line.split("=", 1) for line in sources.path("saved").read_text().splitlines())
    assert "GG_SOCKET" in saved
    sources.run("make", "-s", "f.o", env=saved)
    assert sources.placeholders() == []
    sources.infer("make", "-s", env=saved)
    assert sources.placeholders() == ["main.o", "prog"]
    sources.run(SCRIPTS / "gg-force", "--quiet", env=saved)
    sources.run("./prog", status=7)


# What lists libraries

LISTS = [
    "ldd prog",
    "ldd -v ./prog | grep -c gg",
    "LD_TRACE_LOADED_OBJECTS=1 ./prog",
    "env LD_TRACE_LOADED_OBJECTS=1 ./prog",
    "/lib64/ld-linux-x86-64.so.2 --list ./prog",
    "LD_PRELOAD=libm.so.6 ldd ./prog",
]


@pytest.mark.parametrize("line", LISTS)
def test_lists_of_libraries(sources: Project, line: str) -> None:
    """Of a placeholder, and of the real file."""
    shown = f"({line}) 2>&1 | sed 's/ (0x.*//' | sort >shown"
    sources.plain("sh", "-c", "make -s")
    sources.run("sh", "-c", f"make -s; {shown}; rm prog *.o")
    plain = sources.path("shown").read_bytes()
    sources.infer("sh", "-c", f"make -s; {shown}")
    assert sources.path("shown").read_bytes() == plain
    sources.infer("sh", "-c", shown)
    assert sources.path("shown").read_bytes() == plain
