"""Who goes another way when a call fails is told the truth at once; all other calls wait."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

SOURCES = {
    "m.c": "int main(void) { int u; return 7; }\n",
    "opt.c": "int x = nosuch;\n",
    "good.c": "int good(void) { return 1; }\n",
}


def sources(project: Project) -> None:
    for name, text in SOURCES.items():
        project.write(name, text)


@pytest.mark.parametrize(
    "script",
    [
        "gcc -Wall -Werror m.c -o p || gcc m.c -o p",
        "gcc m.c -lnosuch -o p || gcc m.c -o p",
        "if gcc -c opt.c; then gcc -DOPT m.c opt.o -o p; else gcc m.c -o p; fi",
        "gcc -c opt.c && echo yes > has || echo no > has; gcc m.c -o p",
        "if ! gcc -Wall -Werror -c m.c; then gcc -c m.c; fi; gcc m.o -o p",
        "CC=gcc; $CC -Wall -Werror m.c -o p || $CC m.c -o p",
        "try() { gcc -c $1.c; }; try opt || try m; gcc m.o -o p",
        "echo 'int f(void); int main(void) { return f(); }' > t.c; gcc t.c -o t || gcc m.c -o p",
        'python3 -c \'import subprocess as s; s.call(["gcc", "-c", "opt.c"]) and s.call(["gcc", "m.c", "-o", "p"])\'',
        'python3 -c \'import os; os.system("gcc -c opt.c") and os.system("gcc m.c -o p")\'',
        "make -f odd.mk",
        "make -i -f even.mk",
        "make -f deep.mk",
        "sh ./script",
    ],
)
def test_a_build_that_can_do_without(script: str, project: Project) -> None:
    sources(project)
    project.write("odd.mk", "p: m.c\n\t-gcc -c opt.c\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("even.mk", "p: m.c\n\tgcc -c opt.c\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("deep.mk", "p: m.c\n\t-$(MAKE) -f inner.mk\n\tgcc m.c $$(ls opt.o 2>/dev/null) -o p\n")
    project.write("inner.mk", "opt.o: opt.c\n\tgcc -c opt.c\n")
    project.write(
        "script",
        "#!/bin/sh\nfor f in opt m; do\n  gcc -Wall -Werror -c $f.c || gcc -c $f.c || echo no $f\ndone\ngcc m.o -o p\n",
    )
    expected, _ = project.plain("sh", "-c", script)
    project.infer("sh", "-c", script)
    project.force()
    project.assert_tree(expected)
    project.run("./p", status=7)


@pytest.mark.parametrize(
    "script",
    [
        "gcc -c good.c || exit 1",
        "set -e; for f in good m; do gcc -c $f.c; done",
        "gcc -c good.c || { echo failed; exit 1; }",
        "if gcc -c good.c; then mv good.o g.o; else rm -f good.o; exit 1; fi",
        "make -f plain.mk",
        "if test -f good.c; then gcc -c good.c; fi",
    ],
)
def test_what_only_ends_a_build_waits(script: str, project: Project) -> None:
    sources(project)
    project.write(
        "plain.mk", "CFLAGS = -O1\nall: good.o\n\t-rm -f nothing\n\t-$(RM) nothing\n%.o: %.c\n\t$(CC) $(CFLAGS) -c $<\n"
    )
    project.infer("sh", "-c", script)
    assert project.placeholders()
    project.force()
