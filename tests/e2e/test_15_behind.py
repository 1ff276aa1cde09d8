"""What a recipe does behind a deferred call that fails: plain make would not have come so far, so it is undone."""

from __future__ import annotations

import os

import pytest

from tests.e2e.project import Project

BAD = "int x = nosuch;\n"
BEHIND = {
    "p: opt.o\n\tgcc -o p opt.o\n\techo built > log\nopt.o: m.c\n\tgcc -c m.c -Dmain=other -o opt.o\n": "a link",
    "opt.o: opt.c\n\tgcc -c opt.c\n\techo new > old\n": "a redirection into another file",
    "opt.o: opt.c\n\tgcc -c opt.c && echo new > old\n": "in one line",
    "opt.o: opt.c\n\tgcc -c opt.c\n\tnm opt.o > old\n": "a reader of what is not made",
    "p: m.c\n\tgcc -c opt.c\n\tgcc m.c -o p 2> old\n": "another tool",
    "p: m.c\n\tgcc -c opt.c\n\tgcc m.c -o p\n": "another tool that is deferred",
    "p: m.c\n\tgcc -c opt.c\n\t./opt > old\n": "a program that is not made",
    "list: m.c\n\tgcc -c opt.c\n\tcat m.c > old\n\tsed -i s/7/8/ m.c\n\trm -f other\n": "a source",
    "all: opt.c\n\tgcc -c opt.c\n\trm -f old\n\tmv other moved\n\tmkdir -p d/e\n\tln -sf m.c link\n": "names",
    "all: dist/p\ndist/p: p\n\tmkdir -p dist\n\tcp p dist/p\n\tcp m.c dist/m.c\n\tln -sf p dist/q\n"
    "p: m.c\n\tgcc -Dmain=f -o p m.c\n": "the recipe of what needs it",
    "all: install\n.PHONY: all install\ninstall: p\n\tinstall -d inst\n\tinstall m.c inst/\n\techo 1 >> old\n"
    "p: m.c\n\tgcc -Dmain=f -o p m.c\n": "an installation",
    "l.a: m.o\n\techo one > old\n\tar rc l.a m.o\n\tgcc -c opt.c\n\tar r l.a opt.o\n\techo two > old\n"
    "m.o: m.c\n\tgcc -c m.c\n": "what was changed before it stays",
    "all: opt.o\n\techo all is made > old\n%.o: %.c\n\tgcc -c $<\n": "the first target",
}


def sources(project: Project) -> None:
    project.write("opt.c", BAD)
    project.write("m.c", "int main(void) { return 7; }\n")
    for name in ("old", "other"):
        os.utime(project.write(name, "precious\n"), (10**9, 10**9))


@pytest.mark.parametrize("makefile", BEHIND, ids=BEHIND.values())
def test_what_a_recipe_changes_behind_a_failure(makefile: str, project: Project) -> None:
    sources(project)
    project.write("Makefile", makefile)
    expected, _ = project.plain("make", status=2)
    project.infer("make", status=None)
    project.force("--keep-going", status=1)
    project.assert_tree(expected)
    assert "one" in makefile or project.path("old").stat().st_mtime == 10**9
    if "one" in makefile:  # make finds the target made, as it does plainly
        return
    again = project.infer("make", status=None)  # the link has other inputs now, and is deferred again
    assert "nosuch" in again.text if "gcc -c opt.c" in makefile else again.status in (0, 2)
    project.force(status=None)
    project.assert_tree(expected)


def test_what_goes_well_is_as_plainly(project: Project) -> None:
    sources(project)
    project.write("opt.c", "int x;\n")
    project.write(
        "Makefile",
        "all: opt.o\n\tmkdir d\n\tcp opt.o d/\n\techo done > old\nopt.o: opt.c\n\tgcc -c opt.c\n\tmv other new\n\trm -f new~\n",
    )
    project.same_as_plain("make", make=False)


def test_what_somebody_has_changed_since_stays(project: Project) -> None:
    sources(project)
    project.write("Makefile", "opt.o: opt.c\n\tgcc -c opt.c\n\techo new > old\n\techo new > other\n\trm -f gone\n")
    project.write("gone", "")
    project.infer("make")
    project.write("old", "mine\n")
    project.path("other").unlink()
    project.force(status=1)
    assert project.path("old").read_text() == "mine\n"
    assert not project.path("other").exists()
    assert project.path("gone").exists()


def test_what_many_recipes_write_into_is_right(project: Project) -> None:
    """Nobody can undo one line in a file of all: the calls before it are told the truth at once."""
    sources(project)
    project.write("Makefile", "all: m.o opt.o\n%.o: %.c\n\tgcc -c $<\n\techo $@ >> old\n")
    expected, _ = project.plain("make", "-k", status=2)
    project.infer("make", "-k", status=2, deferred=0)
    project.force()
    project.assert_tree(expected)
