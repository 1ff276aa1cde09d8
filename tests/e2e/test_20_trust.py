"""Settings that came with a tree: told, asked for once, and until then the build goes on without them, with the same bytes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project, is_placeholder

TOOL = '[tool.gen]\nnames = ["*/gen"]\noperands = ["output"]\n'
THEIRS = 'store = "s3://theirs/x"\nengine = "lambda"\n' + TOOL
TOLD = "gg: gg.toml: not counted until allowed by gg trust: store, engine, [tool]\n"


@pytest.fixture
def small(project: Project) -> Project:
    project.write("m.c", "int main(void) { return 3; }\n")
    project.write("gen", "#!/bin/sh\necho made > $1\n", 0o755)
    project.write("Makefile", "all: m.o out\nm.o: m.c\n\tgcc -c m.c\nout:\n\t./gen out\n")
    return project


def test_they_are_told_in_one_line_and_the_build_goes_on(small: Project) -> None:
    small.write("gg.toml", THEIRS)
    expected, _ = small.plain()
    told = small.infer().stderr.decode()
    assert told == TOLD + "gg: recorded 1 thunks (1 new)\n"
    assert not is_placeholder(small.path("out"))
    assert small.force().stderr.decode() == TOLD
    small.assert_tree(expected)
    small.run("./gen", "x")


def test_allowed_once_they_count_until_they_change(small: Project) -> None:
    small.write("gg.toml", TOOL)
    shown = small.gg("trust", status=64).text
    digest = re.findall(r"\b[0-9a-f]{64}\b", shown)[0]
    assert "[tool.gen]\n" in shown
    assert "gg trust --yes" in shown
    assert f"allowed: {small.root}/gg.toml, {digest}\n" in small.gg("trust", "--yes").text
    assert b"not counted" not in small.infer().stderr
    assert is_placeholder(small.path("out"))
    small.force()
    assert small.path("out").read_text() == "made\n"
    assert "nothing here has to be allowed" in small.gg("trust").text
    small.write("gg.toml", TOOL + 'programs = ["sh"]\n')
    assert "not counted until allowed by gg trust: [tool]" in small.infer().text
    assert digest in small.gg("trust", "--list").text
    assert digest in small.gg("trust", "--remove", ".").text
    assert digest not in small.gg("trust", "--list").text
    assert "gg trust --list" in small.gg("trust", "--remove", digest, status=64).text


def on_a_terminal(project: Project, words: list[str | Path], typed: str) -> tuple[int, str]:
    """What a command prints that has a terminal, on which somebody types."""
    here, there = pty.openpty()
    child = subprocess.Popen(words, cwd=project.root, env=project.env, stdin=there, stdout=there, stderr=there)
    os.close(there)
    os.write(here, typed.encode())
    said = b""
    try:
        while piece := os.read(here, 4096):
            said += piece
    except OSError:
        pass
    status = child.wait(SECONDS)
    os.close(here)
    return status, said.decode()


def test_a_terminal_is_asked_at_once_and_only_once(small: Project) -> None:
    small.write("gg.toml", TOOL)
    status, said = on_a_terminal(small, [SCRIPTS / "gg-infer", "make"], "y\n")
    assert status == 0
    assert "[tool.gen]" in said
    assert "Is this to count? [y/N]" in said
    assert is_placeholder(small.path("out")), "it counts at once"
    assert "[y/N]" not in on_a_terminal(small, [SCRIPTS / "gg-force"], "")[1]
    small.write("gg.toml", "store_size = 0\n")
    status, said = on_a_terminal(small, [SCRIPTS / "gg-force"], "\n")
    assert status == 0
    assert "store_size = 0" in said
    said = on_a_terminal(small, [SCRIPTS / "gg-force"], "")[1]
    assert "[y/N]" not in said, "no is an answer too"
    assert "not counted until allowed by gg trust: store_size" in said
    assert on_a_terminal(small, [SCRIPTS / "gg", "trust"], "y\n")[0] == 0
    assert "not counted" not in small.force().text


def test_what_they_say_does_not_reach_the_terminal_raw(small: Project) -> None:
    small.write("gg.toml", 'store = "s3://x/\\u001b]0;hello\\u0007"\n["tool"."\\u001b[2J"]\noperands = ["input"]\n')
    for words in (["trust"], ["trust", "--yes"], ["trust", "--list"]):
        said = small.gg(*words, status=None).text
        assert "\x1b" not in said
        assert "\x07" not in said


def test_where_work_would_go_to_another_place_it_does_not_go(small: Project) -> None:
    small.write("gg.toml", 'functions = "theirs"\n')
    small.infer()
    said = small.force("--engine", "lambda", status=78).text
    assert "gg.toml says where this is to run (functions), and is not allowed to" in said
    assert "GG_TRUST=" in said
    assert small.force().text == "gg: gg.toml: not counted until allowed by gg trust: functions\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_another_user_above_is_told_and_can_be_allowed(small: Project) -> None:
    os.chown(small.write("gg.toml", 'real = ["gcc"]\n'), 1234, 1234)
    small.write("a/x.c", "int x;\n")
    inner = Project(small.path("a"), small.env)
    line = "gg: ../gg.toml of another user (1234): not counted until allowed by gg trust: real\n"
    assert inner.infer("gcc", "-c", "x.c").text.startswith(line)
    assert is_placeholder(inner.path("x.o"))
    inner.gg("trust", "--yes")
    assert "not counted" not in inner.infer("gcc", "-c", "x.c").text
    assert not is_placeholder(inner.path("x.o"))


def test_from_python_there_is_a_warning(small: Project) -> None:
    small.write("gg.toml", 'store = "s3://theirs/x"\n')
    program = "import gg\nwith gg.Session() as session: print(session._settings.store == '')"
    python = SCRIPTS / "python"
    said = small.run(python, "-c", program)
    assert said.stdout == b"True\n"
    assert b"not counted until allowed by gg trust: store" in said.stderr
