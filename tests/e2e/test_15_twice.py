"""A build is recorded several times before anything is forced: each time plain make would have known how the last one had ended."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

MAKEFILE = """all: p lib.a stamp
p: m.o good.o
\tgcc -o p m.o good.o
lib.a: good.o
\tar rcs lib.a good.o
stamp: good.o
\techo ok > stamp
m.o: m.c
\tgcc -c m.c
good.o: good.c
\t$(COMPILER) -c good.c
"""
COMPILE = "echo 'int x = nosuch;' >> good.c"
LINK = "echo 'int lost(void); int more(void) { return lost(); }' >> good.c"
EDIT = "echo 'int y;' >> good.c"
MEND = "sed -i '/nosuch/d; /lost/d' good.c"


def each(project: Project, steps: list[str]) -> None:
    """`make`: recorded, or plain in a copy; `force`: only where it is recorded; all else is done to both. Both trees end alike."""
    project.env["CCACHE_DISABLE"] = "1"
    copy = Project(project.root.with_name("copy"), project.env)
    project.run("cp", "-a", project.root, copy.root)
    for step in steps:
        if step == "force":
            project.force("--keep-going", status=None)
        elif step.startswith(("make", "gcc", "ar")):
            project.infer("sh", "-c", step, status=None)
            copy.run("sh", "-c", step, status=None)
        else:
            for one in (project, copy):
                one.run("sh", "-c", f"sleep 0.02; {step}")
    assert not project.placeholders()
    project.assert_tree(copy.tree())
    assert project.run("make", "-n").text == copy.run("make", "-n").text


@pytest.mark.parametrize("compiler", ["gcc", "ccache gcc"])  # ccache leaves the older object
@pytest.mark.parametrize(
    "steps",
    [
        ["make", "force", COMPILE, "make", MEND, "make", "force"],
        ["make", "force", COMPILE, "make", "touch m.c", "make", "force"],
        ["make", "force", EDIT, "make", COMPILE, "make", "force"],
        ["make", COMPILE, "make", EDIT, "make", "force"],
        ["make", "force", LINK, "make", "touch m.c", "make", "force"],
        ["make", LINK, "make", "make", "force", MEND, "make", "force"],
        [COMPILE, "make", "make", "force", MEND, "make", "force"],
    ],
    ids=[str(n) for n in range(7)],
)
def test_recorded_again_and_again(steps: list[str], compiler: str, project: Project) -> None:
    project.write("good.c", "int good(void) { return 1; }\n")
    project.write("m.c", "int good(void);\nint main(void) { return good(); }\n")
    project.write("Makefile", MAKEFILE.replace("$(COMPILER)", compiler))
    each(project, [f"{step} -k" if step == "make" else step for step in steps])


@pytest.mark.parametrize(
    "steps",
    [
        ["gcc -c good.c && ar rc l.a good.o", "gcc -c bad.c && ar r l.a bad.o", "gcc m.c l.a -o p", "force"],
        ["gcc -c good.c && ar rc l.a good.o", "gcc -c bad.c && ar r l.a bad.o", "gcc -c m.c && ar r l.a m.o", "force"],
        ["make -f archive.mk", "force"],
        ["gcc -c good.c -o x.o; ccache gcc -c bad.c -o x.o; gcc -c m.c", "force"],
    ],
    ids=["link", "archive", "recipe", "object"],
)
def test_what_was_edited_is_as_before(steps: list[str], project: Project) -> None:
    project.write("good.c", "int good(void) { return 1; }\n")
    project.write("bad.c", "int bad(void) { return nosuch; }\n")
    project.write("m.c", "int good(void);\nint main(void) { return good(); }\n")
    recipe = "gcc -c good.c", "ar rc l.a good.o", "gcc -c bad.c", "ar r l.a bad.o", "ar r l.a good.o"
    project.write("archive.mk", "all:\n\t" + "\n\t".join(recipe) + "\n")
    project.write("Makefile", "all:\n")
    each(project, steps)
