"""Calls whose failure a shell drops: whoever goes on sees the names that a failed compiler leaves."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.project import Project

FILES = {
    "bad.c": "int bad(void) { return nosuch; }\n",
    "good.c": "int good(void) { return 1; }\n",
    "main.c": "int main(void) { return 0; }\n",
    "in.mk": "all: good.o bad.o\n",
    "sub.sh": "gcc -c bad.c\ntrue\n",
    "static.c": '#include <unistd.h>\nint main(int n, char **v) { (void)n; v[0] = "gcc"; execvp("gcc", v); return 127; }\n',
}
BOTH = "gcc -c good.c; gcc -c bad.c"
RECIPES = {
    "a pattern": [f"{BOTH}; echo *.o > list"],
    "a loop over a pattern": [f"{BOTH}; for f in *.o; do echo $$f; done > list"],
    "sizes of a pattern": [f"{BOTH}; wc -c *.o > list"],
    "ls": [f"{BOTH}; ls > list"],
    "find": [f"{BOTH}; find . -name '*.o' | sort > list"],
    "times": [f"{BOTH}; test bad.o -nt bad.c && echo newer > list; true"],
    "a tool of a pattern": [f"{BOTH}; ar rcs lib.a *.o; ar t lib.a > list"],
    "a link of a pattern": [f"{BOTH}; gcc -c main.c; gcc -o prog *.o"],
    "behind a make": ["$(MAKE) -k -f in.mk; echo *.o > list"],
    "behind a script": ["sh ./sub.sh; echo *.o > list"],
    "in the next line": ["gcc -c bad.c; true", "ls *.o > list || echo none > list"],
    "in a pipe": ["gcc -c bad.c 2>/dev/null | cat", "echo *.o > list"],
    "a make's own pattern": ["gcc -c bad.c; true", "$(MAKE) -f wild.mk"],
    "Python": ["gcc -c bad.c; true", "python3 -c 'import os; print(sorted(os.listdir()))' > list"],
    "bash": ["gcc -c bad.c; true", "bash -c 'echo *.o' > list"],
    "moved by a pattern": [f"mkdir d; {BOTH}; mv *.o d; true"],
    "copied": ["gcc -c bad.c; cp bad.o x.o || echo no > list"],
    "moved": ["gcc -c bad.c; mv -f bad.o x.o; true"],
    "moved if it goes well": ["gcc -c bad.c && mv bad.o x.o; ls > list"],
    "removed": ["gcc -c bad.c; rm bad.o || echo none > list"],
    "touched": ["gcc -c bad.c; touch bad.o", "wc -c bad.o > list"],
    "a static shell": ["busybox sh -c 'gcc -c bad.c; echo *.o' > list"],
    "a static program": ["gcc -c bad.c; busybox mv bad.o x.o; busybox ls > list"],
    "a static wrapper": ["./static -c bad.c || echo failed > list"],
    "a static wrapper's failure ignored": ["-./static -c bad.c", "ls > list"],
}


@pytest.mark.parametrize("how", RECIPES)
def test_who_goes_on_sees_the_truth(project: Project, how: str) -> None:
    if "static" in how:
        assert shutil.which("busybox"), "busybox is needed"
    project.acts = True
    for name, text in FILES.items():
        project.write(name, text)
    project.write("wild.mk", "all:\n\techo $(wildcard *.o) > list\n")
    project.run("gcc", "-static", "-O1", "-o", "static", "static.c")
    project.write("Makefile", "all:\n" + "".join(f"\t{line}\n" for line in RECIPES[how]))
    expected, plain = project.plain("make", status=None)
    done = project.infer("make", status=None)
    project.force()
    assert done.status == plain.status, done.text
    project.assert_tree(expected)


def test_where_nobody_looks_all_is_deferred(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.write(f"{name}.c", f"int {name};\n")
    project.write("main.c", FILES["main.c"])
    project.write("build.sh", "gcc -c a.c\ngcc -c b.c\ngcc -c c.c\ngcc -c main.c\ngcc -o prog main.o a.o b.o c.o\n")
    project.infer("sh", "build.sh", deferred=5)
    assert len(project.placeholders()) == 5


def test_a_pattern_has_them_made_together(project: Project) -> None:
    for name in ("a", "b", "c"):
        project.write(f"{name}.c", f"int {name};\n")
    project.write("main.c", FILES["main.c"])
    project.write("build.sh", "gcc -c a.c\ngcc -c b.c\ngcc -c c.c\ngcc -c main.c\ngcc -o prog *.o\n")
    project.same_as_plain("sh", "build.sh", make=False, deferred=5)
