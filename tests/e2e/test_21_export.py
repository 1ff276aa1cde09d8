"""`gg export`: ninja makes the same bytes from it, dot draws it, a program reads it. What nix makes of it is in tests/nix."""

from __future__ import annotations

import json
import shutil

from tests.e2e.project import Project

_MAKEFILE = """\
all: prog tool
prog: main.o libmore.a
\tgcc -g -o $@ main.o -L. -lmore
tool: tool.o libmore.a
\tgcc -g -o $@ tool.o -L. -lmore
\tstrip $@
libmore.a: a.o b.o
\tar rcs $@ $^
%.o: %.c all.h
\tgcc -g -O2 -MMD -DQUOTED='"$$5 a b"' -c -o $@ $<
"""


def build(project: Project) -> None:
    """Two programs, one stripped in place, of a library, of sources with a common header."""
    project.write("Makefile", _MAKEFILE)
    project.write("all.h", "int a(void);\nint b(void);\n")
    main = '#include <stdio.h>\n#include "all.h"\nint main(void) { printf("%d %s\\n", a(), QUOTED); return 0; }\n'
    for name in ("main.c", "tool.c"):
        project.write(name, main)
    project.write("a.c", '#include "all.h"\nint a(void) { return 1; }\n')
    project.write("b.c", '#include "all.h"\nint b(void) { return 2; }\n')
    project.infer()


def test_ninja_makes_the_same_bytes(project: Project) -> None:
    build(project)
    project.gg("export", "ninja", "prog", "tool", "-o", "../build.ninja")
    project.force()
    built = project.tree()
    for name in ("prog", "tool", "main.o", "tool.o", "a.o", "b.o", "libmore.a"):
        project.path(name).unlink()
    assert project.run("ninja", "-f", "../build.ninja").status == 0
    project.assert_tree(built, ignore=(".ninja_log", ".ninja_deps"))
    assert "no work to do" in project.run("ninja", "-f", "../build.ninja").text
    project.write("b.c", '#include "all.h"\nint b(void) { return 3; }\n')
    told = project.run("ninja", "-f", "../build.ninja").text
    assert sorted(line.split("] ")[1] for line in told.splitlines()) == [
        "archive libmore.a", "compile b.o", "edit tool", "link prog",
    ]  # fmt: skip


def test_json_and_graphviz(project: Project) -> None:
    build(project)
    graph = json.loads(project.gg("export", "json", "tool").stdout)
    steps = graph["steps"]
    assert graph["version"] == 1
    assert graph["root"] == str(project.root)
    (target,) = graph["targets"]
    assert target["path"] == str(project.path("tool"))
    assert [step["work"] for step in steps.values()].count("compile") == 3
    assert list(steps)[-1] == target["step"]  # each step comes after those that it needs
    before: set[str] = set()
    for name, step in steps.items():
        assert before.issuperset(step["needs"])
        assert {entry["step"] for entry in step["inputs"] if "step" in entry} == set(step["needs"])
        assert before.isdisjoint({name})
        assert set(graph["groups"]).issuperset(step["groups"])
        before.add(name)
    edit = steps[target["step"]]
    assert edit["argv"] == ["strip", "tool"]
    assert edit["outputs"][0]["executable"]
    dot = project.gg("export", "graphviz", "tool").stdout.decode()
    assert dot.count('shape="box"') == len(steps)
    drawn = project.run("dot", "-Tsvg", project.write("../graph.dot", dot)).stdout
    assert b"main.c" not in drawn
    assert b"tool.c" in drawn
    assert b"link, " in drawn


def test_what_made_the_file_is_exported(project: Project) -> None:
    """Not what was to make it later, or before."""
    build(project)
    project.force()
    kept = project.path("prog").read_bytes()
    project.write("a.c", '#include "all.h"\nint a(void) { return 33; }\n')
    project.path("libmore.a").unlink()  # or ar would change the one that is there
    project.build()
    now = json.loads(project.gg("export", "json", "prog").stdout)
    project.path("prog").unlink()
    shutil.copyfile(project.write("../kept", kept), project.path("prog"))
    before = json.loads(project.gg("export", "json", "prog").stdout)
    assert before["targets"] != now["targets"]
    assert len(before["steps"]) == len(now["steps"]) == 5


def test_what_an_edit_left_as_it_was(project: Project) -> None:
    """ranlib, of an archive with an index: the file's maker is the one before it, also when it is real by now."""
    project.write("Makefile", "libmore.a: a.o\n\tar rc $@ $<\n\tranlib $@\na.o: a.c\n\tgcc -c -o $@ $<\n")
    project.write("a.c", "int a(void) { return 1; }\n")
    project.build()
    graph = json.loads(project.gg("export", "json", "libmore.a").stdout)
    (target,) = graph["targets"]
    assert "compile" in [step["work"] for step in graph["steps"].values()]
    made = graph["steps"][target["step"]]["outputs"][target["output"]]
    assert made["size"] == project.path("libmore.a").stat().st_size


def test_what_cannot_be_exported(project: Project) -> None:
    build(project)
    assert "no recorded thunk makes" in project.gg("export", "json", "a.c", status=66).text
    assert "is a directory" in project.gg("export", "nix", ".", status=64).text
    assert "for nix" in project.gg("export", "json", "--batch", "1", "prog", status=64).text
    project.write("full/of/things", "")
    assert "not of an export" in project.gg("export", "nix", "prog", "-o", "full", status=65).text
    project.write("a.c", "wrong\n")
    project.infer()
    assert "a.o failed" in project.gg("export", "json", "prog", status=1).text
