"""Programs of a build that read what is not made yet are served one beside the other, and what that came to is told."""

from __future__ import annotations

import json

from tests.e2e.project import Project

SLOWLY = """[tool.slowly]
names = ["slowly"]
operands = ["input", "output"]
"""


def slow_tool(project: Project, seconds: float) -> None:
    """A tool of the build that takes its time."""
    project.write("slowly", f'#!/bin/sh\nsleep {seconds}\ncp "$1" "$2"\n', 0o755)
    project.settings(SLOWLY)


def test_a_quick_reader_does_not_wait_for_a_slow_one(project: Project) -> None:
    slow_tool(project, 4)
    project.write("x.c", "int x;\n")
    project.write("text", "text\n")
    project.write(
        "Makefile",
        "all: a b\na: text ; ./slowly text slow.out && cat slow.out > $@\n"
        "b: x.c ; sleep 1; gcc -c x.c && nm x.o > $@\n",
    )
    project.infer("make", "-j2")
    after = project.path("a").stat().st_mtime - project.path("b").stat().st_mtime
    assert after > 1.5, f"b was there {after} s before a"
    assert project.path("a").read_text() == "text\n"
    assert b"x" in project.path("b").read_bytes()


def test_what_two_readers_need_is_made_once(project: Project) -> None:
    slow_tool(project, 1)
    project.write("text", "text\n")
    body = "./slowly text common; " + " ".join(f"(cat common > {name}) &" for name in "abcd") + " wait\n"
    project.infer("sh", "-c", body)
    assert {project.path(name).read_text() for name in "abcd"} == {"text\n"}
    assert _last(project)["forced"]["thunks"] == 1


def test_one_that_fails_is_nobody_elses_failure(project: Project) -> None:
    project.write("good.c", "int good;\n")
    project.write("bad.c", "int bad\n")
    makefile = "all: a b\na: ; gcc -c good.c && nm good.o > $@\nb: ; gcc -c bad.c && nm bad.o > $@\n"
    project.write("Makefile", makefile)
    project.infer("make", "-k", "-j2", status=2)
    assert b"good" in project.path("a").read_bytes()


def test_what_was_forced_while_recording_is_told(project: Project) -> None:
    project.write("gen.c", '#include <stdio.h>\nint main(void) { puts("int made;"); return 0; }\n')
    project.write("Makefile", "all: made.o\nmade.o: made.c ; gcc -c made.c\nmade.c: gen ; ./gen > $@\n"
                  "gen: gen.o ; gcc -o $@ gen.o\ngen.o: gen.c ; gcc -c gen.c\n")  # fmt: skip
    told = project.infer().text
    assert "2 of 3 thunks were forced meanwhile, for 1 reader" in told
    assert "33 % are left" in told
    forced = _last(project)["forced"]
    assert (forced["readers"], forced["thunks"], forced["left"]) == (1, 2, 1)
    assert "2 of 3 thunks forced while recording" in project.gg("status").text
    calls = project.gg("explain", "--calls").text
    assert "read: " in calls
    assert "gen: 2 thunks in " in calls


def _last(project: Project) -> dict[str, dict[str, object]]:
    infer = json.loads(project.gg("status", "--json").stdout)["infer"]
    assert isinstance(infer, dict)
    return infer
