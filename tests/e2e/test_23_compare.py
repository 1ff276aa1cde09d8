"""`gg compare --patch` says what a patch really changes: of a comment, a function's body, a header's constant."""

from __future__ import annotations

import difflib
import os

import pytest

from tests.e2e.project import Project, Result

_MAKEFILE = """\
prog: main.o one.o two.o
\tgcc -o $@ main.o one.o two.o
%.o: %.c all.h
\tgcc -O1 -c -o $@ $<
install: prog
\tmkdir -p out && cp prog out/prog
"""


@pytest.fixture
def built(project: Project) -> Project:
    project.write("Makefile", _MAKEFILE)
    project.write("all.h", "#define SIZE 3\nint one(void), two(int);\n")
    project.write("main.c", '#include "all.h"\nint main(void) { return one() + two(SIZE) - 16; }\n')
    project.write("one.c", '#include "all.h"\nint one(void) { return 1; }\n')
    body = "static int helper(int x) { return x * 5; }\nint two(int x) { return helper(x); }\n"
    project.write("two.c", '#include "all.h"\n' + body)
    project.infer()
    project.force()
    return project


def _patch(project: Project, name: str, old: str, new: str) -> None:
    before = project.path(name).read_text()
    assert old in before
    lines = difflib.unified_diff(
        before.splitlines(True), before.replace(old, new).splitlines(True), f"a/{name}", f"b/{name}"
    )
    project.write("../it.patch", "".join(lines))


def _compared(project: Project, *words: str, status: int) -> Result:
    tree = project.tree()
    result = project.gg("compare", "--patch", "../it.patch", *words, status=status)
    assert project.tree() == tree
    return result


def test_a_comment(built: Project) -> None:
    _patch(built, "two.c", "static int", "/* five times */ static int")
    told = _compared(built, status=1).stdout.decode().splitlines()
    assert told[0] == "make:"
    assert "  compile: 1 called again: 1 made again in vain" in told
    assert "  link: 1 called again: 1 known to come out the same, and not made" in told
    assert "  two.o: made again in vain, for two.c" in told
    assert told[-1].startswith("  the tree afterwards is another")  # the source is


def test_a_body_and_a_constant(built: Project) -> None:
    _patch(built, "two.c", "x * 5", "x * 6")
    told = _compared(built, "--phase", "make", "--phase", "make install", status=1).text
    assert "  two.o: changed, for two.c\n    section .text, symbol two: " in told
    assert "  prog: changed, for two.o\n    section .text, symbol two: " in told
    assert "one.o" not in told
    assert "make install:\n  calls no tool that gg records\n" in told
    _patch(built, "all.h", "SIZE 3", "SIZE 4")
    told = _compared(built, status=1).text
    assert "  compile: 3 called again: 1 changed, 2 made again in vain\n" in told
    assert "  main.o: changed, for all.h\n" in told
    assert "  one.o: made again in vain, for all.h\n" in told
    assert "section .text, symbol main" in told


def test_what_has_grown_is_named(built: Project) -> None:
    """Not main, which has other bytes because it calls what is further on now; nor is ranlib's call compared with ar's."""
    makefile = built.path("Makefile").read_text()
    makefile = makefile.replace("main.o one.o two.o", "main.o libx.a")
    built.write("Makefile", makefile + "libx.a: one.o two.o\n\trm -f $@\n\tar cru $@ one.o two.o\n\tranlib $@\n")
    built.infer()
    built.force()
    _patch(built, "one.c", "return 1;", "static volatile int i; while (i < 9) i += i + 1; return i - 14;")
    told = _compared(built, status=1).text
    assert "  prog: changed, for libx.a\n    section .text, symbol one: " in told
    assert told.count("  libx.a: changed, for ") == 2
    assert "  libx.a: changed, for one.o\n    member one.o, section .text, symbol one: " in told
    assert "its command line" not in told


def test_what_goes_wrong(built: Project) -> None:
    _patch(built, "two.c", "x * 5", "wrong")
    told = _compared(built, status=2).text
    assert "it fails with the patch" in told
    assert "wrong" in told
    built.write("../it.patch", "--- a/two.c\n+++ b/two.c\n@@ -1 +1 @@\n-not there\n+x\n")
    assert "does not apply" in _compared(built, status=65).text
    assert "fails before the patch" in _compared(built, "--phase", "false", status=65).text


def test_a_patch_that_names_files_elsewhere_touches_none(built: Project) -> None:
    elsewhere = built.write("../elsewhere", "x\n")
    os.utime(elsewhere, (10**9, 10**9))
    built.path("link").symlink_to("../elsewhere")
    names = "".join(f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-x\n+y\n" for name in (elsewhere, "../elsewhere", "a/link"))
    built.write("../it.patch", names)
    assert "does not apply" in _compared(built, status=65).text
    assert elsewhere.stat().st_mtime == 10**9


def test_a_tree_with_a_pipe_is_one_clear_error(built: Project) -> None:
    _patch(built, "two.c", "x * 5", "x * 6")
    os.mkfifo(built.path("pipe"))
    assert "the tree cannot be hashed" in built.gg("compare", "--patch", "../it.patch", status=64).text
    assert "pipe: not a regular file" in built.gg("compare", ".", ".", status=64).text


def test_two_files_and_two_directories(built: Project) -> None:
    built.write("../one", "a\nb\n")
    built.write("../other", "a\nc\n")
    assert built.gg("compare", "../one", "../other", status=1).stdout == b'line 2: "b", "c"\n'
    assert not built.gg("compare", "prog", "prog").stdout
    assert "section" in built.gg("compare", "one.o", "two.o", status=1).text
    built.write("../x/same", "1")
    built.write("../y/same", "1")
    built.write("../x/n", "1\n")
    built.write("../y/n", "2\n")
    built.write("../x/gone", "")
    told = built.gg("compare", "../x", "../y", status=1).stdout
    assert told == b'gone: only in the first\nn: line 1: "1", "2"\n'
    assert "no such file" in built.gg("compare", "prog", "nothing", status=64).text
    assert "two files" in built.gg("compare", "prog", status=64).text
