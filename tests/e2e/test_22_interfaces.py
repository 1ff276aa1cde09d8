"""A changed body of a shared library links nothing; what a link takes of the library links all; both as after a full rebuild."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.e2e.project import Forced, Project

_MAKEFILE = """\
LINK = gcc -no-pie
PROGRAMS = $(shell seq -f p%.0f $(COUNT))
all: $(PROGRAMS)
libx.so: x.c x.h versions
\tgcc -shared -fPIC -O1 -o $@ x.c $(SONAME) -Wl,--version-script=versions $(MORE)
$(PROGRAMS:=.o): p%.o: main.c x.h
\tgcc -O1 -fno-pie -DNUMBER=$* -c -o $@ main.c
p%: p%.o libx.so
\t$(LINK) -o $@ $< -L. -lx -Wl,-rpath,. $(FLAGS)
"""
_LIBRARY = """\
#include "x.h"
int values[4] = {1, 2, 3, 4};
int f(int x) { return x + values[0]; }
"""
_HEADER = "extern int values[4];\nint f(int);\n"
_MAIN = '#include "x.h"\n#include <stdio.h>\nint main(void) { printf("%d\\n", f(NUMBER) + values[1]); return 0; }\n'


def _project(project: Project, count: int, **variables: str) -> Project:
    text = f"COUNT = {count}\nSONAME = -Wl,-soname,libx.so\n" + "".join(
        f"{name} = {value}\n" for name, value in variables.items()
    )
    project.write("Makefile", text + _MAKEFILE)
    project.write("x.c", _LIBRARY)
    project.write("x.h", _HEADER)
    project.write("main.c", _MAIN)
    project.write("versions", "V1 { global: *; };\n")
    return project


def _again(project: Project) -> list[str]:
    """What runs after an edit; all is then as plain make makes it of a clean tree."""
    forced: Forced = project.build()
    after = project.tree()
    for name in after:
        if name.endswith((".o", ".so")) or name in _programs(after):
            project.path(name).unlink()
    expected, _ = project.plain()
    for name, kept in after.items():
        project.write(name, kept.data)
        project.path(name).chmod(0o755 if "x" in kept.mode else 0o644)
    project.assert_tree(expected)
    return forced.ran


def _programs(names: Iterable[str]) -> list[str]:
    return [name for name in names if name[0] == "p" and name[1:].isdigit()]


def _edit(project: Project, name: str, old: str, new: str) -> None:
    text = project.path(name).read_text()
    assert old in text
    project.write(name, text.replace(old, new))


def test_a_changed_body_links_nothing(project: Project) -> None:
    built = _project(project, 20)
    built.build()
    assert built.run("./p3").stdout == b"6\n"
    _edit(built, "x.c", "return x + values[0];", "int s = 0; while (x-- > 0) s += x * values[0]; return s + 100;")
    assert _again(built) == ["libx.so"]
    assert built.run("./p3").stdout == b"105\n"
    _edit(built, "x.c", "{1, 2,", "{1, 20,")  # what is copied has its size alone in common
    assert _again(built) == ["libx.so"]
    assert built.run("./p3").stdout == b"123\n"


@pytest.mark.parametrize("count", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_what_a_link_takes_links_all(project: Project, count: int) -> None:
    built, all_of_them = _project(project, count), sorted(f"p{number}" for number in range(1, count + 1))
    built.build()
    _edit(built, "versions", "V1", "V2")
    assert _linked(built) == all_of_them
    for name in ("x.c", "x.h"):
        _edit(built, name, "values[4]", "values[8]")
    assert _linked(built) == all_of_them
    _edit(built, "Makefile", "-soname,libx.so", "-soname,./libx.so")
    built.path("libx.so").unlink()
    assert _linked(built) == all_of_them
    _edit(built, "Makefile", "SONAME =", "MORE = -Wl,--no-as-needed -lm\nSONAME =")
    built.path("libx.so").unlink()
    assert _linked(built) == all_of_them
    for name in ("x.c", "x.h"):
        _edit(built, name, "int f(int", "long f(long")
    assert _linked(built) == all_of_them


def _linked(project: Project) -> list[str]:
    """Programs that are linked after an edit; all of them then say what they did."""
    linked = _programs(_again(project))
    for name in _programs(project.tree()):
        assert project.run(f"./{name}").stdout == b"%d\n" % (int(name[1:]) + 3)
    return linked


@pytest.mark.parametrize(
    "variables",
    [
        {"FLAGS": "-Wl,-Map,p1.map"},
        {"FLAGS": "-Wl,--defsym=other=f"},
        {"LINK": "gcc -no-pie -flto"},
        {"LINK": "gcc -no-pie -fuse-ld=mold"},
    ],
    ids=["map", "value of a symbol", "lto", "mold"],
)
def test_links_in_doubt_run(project: Project, variables: dict[str, str]) -> None:
    command = ["make", *[f"{name}={value}" for name, value in variables.items()]]
    _project(project, 1).build(*command)
    _edit(project, "x.c", "return x + values[0];", "int s = 0; while (x-- > 0) s += x * values[0]; return s;")
    assert project.build(*command).ran == ["libx.so", "p1"]


def test_a_library_that_is_read_as_text(project: Project) -> None:
    """`libx.so` may be a script, and a program may hold a library's very bytes."""
    project.write(
        "Makefile",
        """\
all: prog
libreal.so: x.c
\tgcc -shared -fPIC -o $@ x.c -Wl,-soname,libreal.so
bytes.o: libreal.so
\tld -r -b binary -o $@ libreal.so
prog: main.c bytes.o libreal.so
\tgcc -o $@ main.c bytes.o -L. -lreal -Wl,-rpath,.
""",
    )
    project.write("x.c", "int f(void) { return 1; }\n")
    project.write("main.c", "int f(void); extern char _binary_libreal_so_start[]; int main(void) { return f(); }\n")
    project.build()
    project.write("x.c", "int f(void) { return 2; }\n")
    assert set(project.build().ran) == {"libreal.so", "bytes.o", "prog"}
