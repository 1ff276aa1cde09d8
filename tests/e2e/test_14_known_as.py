"""`known_as`: thunks call the workspace by a fixed path, so that checkouts in different directories share their results."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project

MAKEFILE = """\
TOP := $(CURDIR)
CFLAGS = -g -O2 -Wall -I$(TOP)/include -MD -MP
OBJECTS = main.o sub/util.o asm.o from_gen.o
all: prog where
prog: $(OBJECTS) libx.a libthin.a
\tgcc -g -o $(TOP)/$@ $^ -Wl,-Map=$(TOP)/prog.map
libx.a: x.o
\tar rcs $(TOP)/$@ $(TOP)/x.o
libthin.a: y.o
\tar rcsT $@ y.o
gen: gen.c
\tgcc -O1 -o $@ $<
generated.h: gen
\t./gen > $@
from_gen.o: generated.h
%.o: %.c
\tgcc $(CFLAGS) -c -o $@ $(TOP)/$<
y.o: y.c flags
\tgcc @$(TOP)/flags -c -o $@ y.c
where: where.c
\tgcc -O2 -DHERE=\\"$(TOP)\\" -o $@ where.c
flags:
\techo '-g -include $(TOP)/include/util.h "-I$(TOP)/sub"' > $@
asm.o: asm.S
\tgcc -g -I$(TOP)/include -c -o $@ $<
sub/util.o: sub/util.c
\tcd sub && gcc -g -O2 -Wall -I../include -MMD -c -o util.o util.c
-include $(OBJECTS:.o=.d) x.d
"""

SOURCES = {
    "Makefile": MAKEFILE,
    "include/util.h": "int util(void); int x(void); int y(void); int made(void); extern const char blob[];\n",
    "sub/util.c": '#include "util.h"\nint util(void) { int unused; return 40; }\n',
    "x.c": '#include "util.h"\nint x(void) { return 1; }\n',
    "y.c": '#include "private.h"\nint y(void) { return PRIVATE; }\n',
    "sub/private.h": "#define PRIVATE 1\n",
    "include/data.bin": "incbin",
    "asm.S": '#include "path.inc"\n\t.section .rodata\n\t.globl blob\nblob:\t.incbin "include/data.bin"\n\t.byte 0\n'
    '\t.section .note.GNU-stack,"",@progbits\n',
    "include/path.inc": "/* nothing */\n",
    "gen.c": '#include <stdio.h>\nint main(void) { puts("#define MADE 5"); return 0; }\n',
    "from_gen.c": '#include "util.h"\n#include "generated.h"\nint made(void) { return MADE; }\n',
    "where.c": "#include <stdio.h>\nint main(void) { puts(HERE); return 0; }\n",
    "main.c": '#include <stdio.h>\n#include "util.h"\nint main(void)\n{\n'
    '    printf("%d %s %s\\n", util() + x() + y() + made(), __FILE__, blob);\n    return 0;\n}\n',
}
MADE = ["prog", "main.o", "sub/util.o", "asm.o", "from_gen.o", "x.o", "y.o", "libx.a", "generated.h", "gen", "prog.map"]


@pytest.fixture
def fixed(tmp_path: Path, project: Project) -> Path:
    """A path where there is nothing, as which the workspace is known."""
    path = tmp_path.resolve() / "fixed" / "name"
    project.env["GG_KNOWN_AS"] = str(path)
    for name, text in SOURCES.items():
        project.write(name, text)
    return path


def made_at(place: Path, project: Project) -> dict[str, bytes]:
    """What plain make makes of the same sources at another place."""
    place.mkdir(parents=True)
    for name, text in SOURCES.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    plain = Project(place, project.env)
    plain.make()
    found = {name: (place / name).read_bytes() for name in MADE}
    shutil.rmtree(place.parent)
    return found


def checkout(project: Project, place: Path, name: str = "elsewhere") -> Project:
    """Another checkout of the sources, of the same user."""
    other = Project(place / name, project.env)
    for source, text in SOURCES.items():
        other.write(source, text)
    return other


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_what_is_made_is_as_made_at_that_path(project: Project, fixed: Path, isolation: str) -> None:
    project.infer()
    forced = project.forced("--isolation", isolation)
    assert "main.o" in forced.ran
    expected = made_at(fixed, project)
    different = [name for name, data in expected.items() if project.path(name).read_bytes() != data]
    assert not different
    assert project.run("./prog").stdout.decode().split() == ["47", f"{fixed}/main.c", "incbin"]
    assert project.run("./where").stdout.decode().strip() == str(project.root)
    project.make("-q")


def test_without_debug_information_it_is_as_made_here(project: Project, fixed: Path) -> None:
    expected, _ = project.plain()
    project.build()
    for name in ("sub/util.o", "x.o", "y.o", "asm.o", "from_gen.o", "gen", "where"):
        plain, ours = project.write("plain.tmp", expected[name].data), project.write("ours.tmp", b"")
        ours.write_bytes(project.path(name).read_bytes())
        for file in (plain, ours):
            project.run("objcopy", "--strip-debug", file)
        assert plain.read_bytes() == ours.read_bytes(), name


def test_checkouts_in_other_directories_share_all(project: Project, fixed: Path, tmp_path: Path) -> None:
    first = project.build()
    other = checkout(project, tmp_path / "a" / "deeper" / "place")
    again = other.build()
    assert again.ran == ["where"]  # it is told of its place
    assert set(first.ran) <= {*again.cached, *again.ran, "gen"}
    for name in MADE:
        assert other.path(name).read_bytes() == project.path(name).read_bytes(), name
    assert other.run("./where").stdout.decode().strip() == str(other.root)
    assert str(project.root).encode() not in other.path("main.d").read_bytes()
    other.make("-q")


def test_make_sees_real_names_in_dependency_files(project: Project, fixed: Path) -> None:
    project.build()
    text = project.path("main.d").read_text()
    assert f" {project.root}/include/util.h" in text
    assert str(fixed) not in text
    project.write("include/util.h", SOURCES["include/util.h"] + "#define NEW 1\n")
    made = project.make("-n", "main.o", "x.o", "asm.o").stdout.decode()
    assert "main.c" in made
    assert "x.c" in made
    assert "asm.S" not in made
    assert project.build().ran.count("main.o") == 1
    project.make("-q")


def test_what_tools_print_names_the_real_place(project: Project, fixed: Path) -> None:
    project.write("x.c", '#include "util.h"\nint x(void) { int unused; return 1; }\n')
    project.infer()
    said = project.force().text
    assert f"{project.root}/x.c:2:19: warning: unused variable" in said
    project.write("main.c", "int main(void) { return 1 }\n")
    project.infer()
    failed = project.force(status=1)
    assert f"{project.root}/main.c:1:26: error: expected" in failed.text
    assert str(fixed) not in said + failed.text


def test_a_debugger_is_told_where_the_sources_are(project: Project, fixed: Path) -> None:
    project.build()
    told = f"set substitute-path {fixed} {project.root}"
    said = project.run("gdb", "-q", "-nx", "-batch", "-ex", told, "-ex", "list main", "prog").text
    assert "printf(" in said


def test_what_is_reached_by_relative_names_outside(project: Project, fixed: Path) -> None:
    """It would lie elsewhere from the fixed path: such calls are as they would be without the setting."""
    project.write("../beside/out.h", "#define OUT 3\n")
    project.write("../beside/more.h", "#define MORE 4\n")
    project.write("x.c", '#include "../beside/more.h"\nint x(void) { return MORE; }\n')
    project.write("main.c", "#include <out.h>\nint main(void) { return OUT; }\n")
    project.write(
        "Makefile", "all: main.o x.o\nmain.o: main.c\n\tgcc -g -I../beside -c main.c\nx.o: x.c\n\tgcc -g -c x.c\n"
    )
    expected, _ = project.plain()
    project.build()
    project.assert_tree(expected)


def test_what_finds_things_by_its_own_path(project: Project, fixed: Path) -> None:
    """Run paths and names of shared libraries are used when the program runs: they are the real ones."""
    makefile = (
        "SHARED = gcc -shared -fPIC -o $(CURDIR)/$@ $<\n"
        "prog: prog.o libs.so plain.so libthin.a\n\tgcc -o $@ prog.o -L$(CURDIR) -ls $(CURDIR)/plain.so libthin.a "
        "-Wl,-rpath,$(CURDIR)\nlibs.so: s.c\n\t$(SHARED)\nplain.so: plain.c\n\t$(SHARED)\n"
        "libthin.a: thin.o\n\tar rcsT $@ $(CURDIR)/thin.o\n"
        "covered: covered.c\n\tgcc --coverage -o $@ $(CURDIR)/covered.c\n"
    )
    project.write("Makefile", makefile)
    project.write("s.c", "int s(void) { return 3; }\n")
    project.write("plain.c", "int p(void) { return 4; }\n")
    project.write("thin.c", "int thin(void) { return 5; }\n")
    project.write("prog.c", "int s(void); int p(void); int thin(void); int main(void) { return s() + p() + thin(); }\n")
    project.write("covered.c", "int main(void) { return 0; }\n")
    expected, _ = project.plain("make", "prog", "covered")
    project.build("make", "prog", "covered")
    project.assert_tree(expected, ignore=["covered", "covered.gcno"])  # no two compiles give the same stamp
    project.run("./prog", status=12)
    project.run("./covered")
    assert project.path("covered.gcda").exists()


def test_what_was_not_declared_is_found(project: Project, fixed: Path) -> None:
    """A tool that reads more than its table says: a file by its own name, one that is not made yet, a directory."""
    project.settings('[tool.join]\nnames = ["*/join.sh"]\noperands = ["output", "input"]\nprograms = ["cat", "ls"]\n')
    project.write("join.sh", '#!/bin/sh\ncat "$2" more/text made.o > "$1"; ls "$PWD/more" >> "$1"\n', 0o755)
    project.write("more/text", "more\n")
    project.write("input", "input\n")
    project.write("made.c", "int made = 1;\n")
    project.write("Makefile", "out: input made.o\n\t./join.sh $(CURDIR)/out input\nmade.o: made.c\n\tgcc -c made.c\n")
    expected, _ = project.plain()
    forced = project.build()
    assert "out" in forced.ran
    project.assert_tree(expected)
    project.make("-q")


def test_a_checkout_behind_a_link_is_known_as_the_same(project: Project, fixed: Path, tmp_path: Path) -> None:
    project.build()
    other = checkout(project, tmp_path / "a")
    link = tmp_path / "link"
    link.symlink_to(other.root)
    other.run("sh", "-c", 'cd "$0" && exec "$1" make', str(link), SCRIPTS / "gg-infer", cwd=tmp_path)
    assert other.forced().ran == ["where"]


def test_a_checkout_at_that_very_path_shares_too(project: Project, fixed: Path, tmp_path: Path) -> None:
    project.build()
    there = checkout(project, fixed.parent, fixed.name)
    assert there.build().ran == ["where"]


def test_whoever_forces_needs_no_setting(project: Project, fixed: Path) -> None:
    project.infer()
    del project.env["GG_KNOWN_AS"]
    project.force()
    project.run("./prog")
    project.make("-q")
    project.write("x.c", "int x(void) { return 2; }\n")
    project.build()  # from now on by its own path
    assert b"fixed/name" not in project.path("x.o").read_bytes()
    project.run("./prog")


def test_names_that_cannot_serve(project: Project, fixed: Path) -> None:
    for name, said in (
        ("relative/name", "an absolute path"),
        ("/with space", "an absolute path"),
        ("/a/../b", "an absolute path"),
        (str(project.root.parent), "neither may be inside of the other"),
        (f"{project.root}/sub", "neither may be inside of the other"),
        ("/usr/bin", "that is another thing on this machine"),
    ):
        for command in (("gg-infer", "make"), ("gg-force",)):
            result = project.run(SCRIPTS / command[0], *command[1:], env={"GG_KNOWN_AS": name}, status=64)
            assert said in result.text, (name, command)
    project.infer()  # which remembers none of them


def test_another_thing_at_that_path(project: Project, fixed: Path) -> None:
    project.infer()
    os.makedirs(fixed)
    assert "another thing on this machine" in project.force(status=64).text
    fixed.rmdir()
    project.force()
    assert subprocess.run([project.path("prog")], check=True, capture_output=True).stdout.startswith(b"47")
