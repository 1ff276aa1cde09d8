"""A bug in the recorder costs one call its being deferred."""

from __future__ import annotations

import sys

import pytest

from gg.core import placeholder
from tests.e2e.project import Project, Result

BUG = """
import os, sys
import gg.record.%(module)s as place
real = place.%(where)s
def broken(self, *given):
    if b"bad.c" in given[0].argv or %(always)s:
        raise KeyError("a bug")
    return real(self, *given)
place.%(where)s = broken
import gg.cli.main
gg.cli.main.infer()
"""


def _recorded(project: Project, module: str, where: str, *command: str, always: bool = False) -> Result:
    """`gg-infer command` with a bug."""
    code = BUG % {"module": module, "where": where, "always": always}
    done = project.start(sys.executable, "-c", code, *command)
    out, err = done.communicate(timeout=project.seconds)
    return Result(done.returncode, out, err)


@pytest.fixture
def built(project: Project) -> Project:
    for name in ("one", "bad", "two"):
        project.write(f"{name}.c", f"int {name};\n")
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("Makefile", "prog: main.o one.o bad.o two.o\n\t$(CC) -o $@ $^\n")
    return project


@pytest.mark.parametrize(("module", "where"), [("deferral", "Deferral.defer"), ("recorder", "Recorder._called")])
def test_a_call_that_meets_a_bug_runs_for_real(built: Project, module: str, where: str) -> None:
    done = _recorded(built, module, where, "make")
    assert done.status == 0, done.text
    assert done.text.count("KeyError: 'a bug' (<string>:7). This is a bug in gg") == 1
    assert placeholder.parse(built.path("bad.o").read_bytes()) is None
    assert placeholder.parse(built.path("two.o").read_bytes()) is not None
    built.force()
    built.run("./prog")
    built.make("-q")


def test_calls_that_read_placeholders_have_them_forced(built: Project) -> None:
    done = _recorded(built, "deferral", "Deferral.defer", "make", always=True)
    assert done.status == 0, done.text
    assert done.text.count("This is a bug in gg") == 1, "it is told once"
    built.run("./prog")


def test_who_reads_is_served_all_the_same(built: Project) -> None:
    built.write("GNUmakefile", "all: one.o\n\twc -c <one.o >size\n")
    done = _recorded(built, "readers", "Readers.opened", "make", always=True)
    assert done.status == 0, done.text
    assert int(built.path("size").read_text()) == len(built.path("one.o").read_bytes()) > placeholder.SIZE
