"""Less ordinary calls, links, environments and files, each compared with what plain make does."""

from __future__ import annotations

import os

import pytest

from tests.e2e.project import SCRIPTS, Project, by_make


def test_bytes_taken_in_by_the_assembler(project: Project) -> None:
    """.incbin is read by as, long after any include was."""
    project.write("data.bin", "first bytes")
    project.write("main.c", '__asm__(".globl d\\nd: .incbin \\"data.bin\\"\\n.byte 0");\n#include <stdio.h>\n'
                  "extern char d[]; int main(void) { puts(d); return 0; }\n")  # fmt: skip
    project.write("start.S", '#include "start.h"\n.globl s\ns: .incbin "data.bin", SKIP\n')
    project.write("start.h", "#define SKIP 2\n")
    project.write("Makefile", "prog: main.c start.S FORCE\n\tgcc -no-pie -o prog main.c start.S\nFORCE:\n")
    project.same_as_plain(make=False)
    assert project.run("./prog").stdout == b"first bytes\n"
    project.write("data.bin", "other bytes")
    project.build()
    assert project.run("./prog").stdout == b"other bytes\n"
    project.write("start.h", "#define SKIP 3\n")
    assert project.build().ran == ["prog"]


def test_precompiled_header(project: Project) -> None:
    project.write("all.h", "#include <stdio.h>\n#define V 1\n")
    project.write("main.c", '#include "all.h"\nint main(void) { return V; }\n')
    project.write(
        "Makefile",
        "prog: main.c all.h.gch\n\tgcc -O1 -Winvalid-pch -o prog main.c\nall.h.gch: all.h\n\tgcc -O1 -o $@ all.h\n",
    )
    project.infer()
    project.forced()
    project.run("./prog", status=1)
    project.write("all.h", "#include <stdio.h>\n#define V 2\n")
    project.build()
    project.run("./prog", status=2)
    project.make("-q")


def test_outputs_beside_the_first(project: Project) -> None:
    """Coverage notes, split debug information, temporary files that are kept, a linker map, an assembly listing."""
    project.write("main.c", "int f(int x) { return x + 1; }\nint main(void) { return f(2); }\n")
    project.write(
        "Makefile",
        """\
all: cov split temps listing.o
cov: main.c
\tgcc --coverage -frandom-seed=1 -c -o cov.o main.c
\tgcc --coverage -o cov cov.o -Wl,-Map=cov.map
split: main.c
\tgcc -g -gsplit-dwarf -c -o split.o main.c
\tgcc -o split split.o
temps: main.c
\tgcc -save-temps -o temps main.c
listing.o: main.c
\tgcc -pipe -c -Wa,-a=listing.txt -fstack-usage -o listing.o main.c
.PHONY: all
""",
    )
    project.same_as_plain()


def test_link_time_optimisation(project: Project) -> None:
    project.write("a.c", "int b(void); int main(void) { return b(); }\n")
    project.write("b.c", "int b(void) { return 12; }\n")
    project.write(
        "Makefile",
        "prog: a.o lib.a\n\tgcc -O2 -flto -o $@ a.o lib.a\nlib.a: b.o\n\tgcc-ar rcs $@ $^\n"
        "%.o: %.c\n\tgcc -O2 -flto -frandom-seed=$< -c $<\n",
    )
    project.same_as_plain()
    project.run("./prog", status=12)


def test_streams(project: Project) -> None:
    """Sources from standard input, results to standard output and /dev/null."""
    project.write("main.c", "int main(void) { return SEVEN; }\n")
    project.write("seven.h", "#define SEVEN 7\n")
    lines = (
        "cat main.c | gcc -include seven.h -x c - -o from-stdin",
        "gcc -include seven.h -S -o - main.c > main.s",
        "gcc -include seven.h -E main.c | grep -c 'return 7' > count",
        "gcc -include seven.h -c main.c -o /dev/null",
        "gcc -include seven.h -M main.c > main.d",
        "gcc -c main.s -o main.o",
        "gcc -x assembler main.s -o from-assembly",
        "objdump -d main.o | grep -c ret > rets",
        "tar -cf all.tar --mtime=@0 --owner=0 --group=0 from-assembly from-stdin main.o",
        "cat main.o from-assembly > joined",
        "gcc main.o -o - 2>/dev/null | cat > printed || true",
    )
    project.same_as_plain(*by_make(project, *lines), make=False, deferred=2)
    project.run("./from-stdin", status=7)


def test_links_as_outputs_and_directories(project: Project) -> None:
    """A compiler writes through a symbolic link at its output's place; sources and objects are reached through links."""
    project.write("real/src/main.c", '#include "../inc/v.h"\nint main(void) { return V; }\n')
    project.write("real/inc/v.h", "#define V 9\n")
    project.path("src").symlink_to("real/src")
    project.path("out").mkdir()
    project.path("prog").symlink_to("out/prog")
    project.write(
        "Makefile",
        "prog: src/main.o\n\tgcc -o prog src/main.o\nsrc/main.o: src/main.c\n\tgcc -g -MMD -c -o $@ $<\n",
    )
    project.same_as_plain()
    assert project.path("prog").is_symlink()
    project.run("out/prog", status=9)


def test_tree_reached_through_a_link(project: Project) -> None:
    """gcc takes PWD's word for the directory that debug information names."""
    project.write("main.c", "#include <assert.h>\nint main(int c, char **v) { assert(c); return v == 0; }\n")
    project.write("Makefile", "main.o: main.c\n\tgcc -g -c main.c\n\tgcc -g -c $(CURDIR)/main.c -o whole.o\n")
    link = project.root.with_name("link")
    link.symlink_to(project.root)
    through = Project(link, {**project.env, "PWD": str(link)})
    through.make()
    expected = project.tree()
    assert os.fsencode(link) in expected["main.o"].data
    through.make("-B", "clean", status=None)
    for name in ("main.o", "whole.o"):
        project.path(name).unlink()
    through.infer()
    through.forced()
    project.assert_tree(expected)


@pytest.mark.parametrize("umask", [0o077, 0o002])
def test_permissions(project: Project, umask: int) -> None:
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("old", "an old program", 0o700)
    project.write("build.sh", f"umask {umask:03o}\ngcc -MMD -c main.c\ngcc -o prog main.o\ncp prog copy\ngcc -o old main.o\n"
                  "install -m 750 prog installed\nchmod 640 main.o\n")  # fmt: skip
    project.same_as_plain("sh", "build.sh", make=False)


def test_environment_that_compilers_read(project: Project) -> None:
    project.write("a/v.h", "#define V 1\n")
    project.write("b/v.h", "#define V 2\n")
    project.write("main.c", "#include <v.h>\nint main(void) { return V; }\n")
    for directory, value in (("a", 1), ("b", 2)):
        project.infer("gcc", "-o", "prog", "main.c", env={"CPATH": directory})
        project.forced()
        project.run("./prog", status=value)
    project.infer("sh", "-c", "C_INCLUDE_PATH=a gcc -DX -c main.c && LIBRARY_PATH=b gcc -o prog main.o")
    project.forced()
    project.run("./prog", status=1)


def test_thunk_reached_from_another_directory(project: Project) -> None:
    """Forcing by a path from elsewhere finds the workspace that the file belongs to."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    elsewhere = project.root.with_name("elsewhere")
    elsewhere.mkdir()
    project.run(SCRIPTS / "gg-force", "../tree/main.o", cwd=elsewhere)
    assert project.placeholders() == []


def test_include_that_only_the_compiler_can_follow(project: Project) -> None:
    project.write(
        "main.c", "#define NAME(x) <x.h>\n#define HEADER NAME(v)\n#include HEADER\nint main(void) { return V; }\n"
    )
    project.write("v.h", "#define V 1\n")
    project.write("Makefile", "prog: main.c FORCE\n\tgcc -I. -o prog main.c\nFORCE:\n")
    project.same_as_plain(make=False)
    project.run("./prog", status=1)
    project.write("v.h", "#define V 2\n")
    project.build()
    project.run("./prog", status=2)


def test_object_replaced_by_a_failing_compile(project: Project) -> None:
    """A real run that fails removes its output, as the compiler does, though a placeholder was there."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.infer("gcc", "-c", "main.c")
    project.infer("gcc", "-c", "main.c", "--no-such-option", status=1)
    project.force(status=None)


def test_same_output_made_twice(project: Project) -> None:
    """The last writer wins, and what read the first one read the first one."""
    project.write("v.c", "int v(void) { return V; }\n")
    project.write("main.c", "int v(void); int main(void) { return v(); }\n")
    project.write(
        "build.sh",
        "set -e\nfor i in 1 2; do gcc -DV=$i -c v.c; gcc -o prog$i main.c v.o; done\nrm v.o\n",
    )
    project.same_as_plain("sh", "build.sh", make=False)
    project.run("./prog1", status=1)
    project.run("./prog2", status=2)


def test_placeholders_removed_and_renamed_before_force(project: Project) -> None:
    """A thunk's output that is gone stays gone; one that was renamed is forced where it is."""
    project.write("v.c", "int v(void) { return 3; }\n")
    project.write("main.c", "int v(void); int main(void) { return v(); }\n")
    project.write(
        "build.sh", "set -e\ngcc -c v.c main.c\ngcc -o prog v.o main.o\nrm v.o\nmv main.o kept.o\nmkdir d\nmv prog d\n"
    )
    project.same_as_plain("sh", "build.sh", make=False)
    project.run("d/prog", status=3)


def test_object_stripped_in_place(project: Project) -> None:
    """strip's placeholder has taken the compile's place; its dependency file, coverage notes and warning come all the same."""
    project.write("a.h", "#if 0\n#include <never.h>\n#include <signal.h>\n#endif\n")
    project.write("main.c", '#include "a.h"\nint main(void) { int unused; return 0; }\n')
    project.write(
        "Makefile",
        "prog: main.o\n\tgcc --coverage -o $@ main.o\n"
        "main.o: main.c\n\tgcc -Wall -g -MD --coverage -frandom-seed=1 -c -o $@ main.c\n\tstrip -g $@\n",
    )
    expected, plainly = project.plain()
    project.infer()
    result = project.force()
    project.assert_tree(expected)
    assert result.stderr.count(b"unused variable") == plainly.stderr.count(b"unused variable") == 1
    assert b"signal.h" not in project.path("main.d").read_bytes()
    for name in ("main.o", "main.d", "main.gcno"):
        project.path(name).unlink()
    project.infer()
    result = project.force()
    project.assert_tree(expected)
    assert result.stderr.count(b"unused variable") == 1
