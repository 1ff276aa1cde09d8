"""Afterwards: edits, equal results, warnings, and a tree that make takes for its own."""

from __future__ import annotations

import os
import shutil

from tests.e2e.project import Project

COUNT = 3


def several(project: Project, flags: str = "-g") -> None:
    """COUNT units that include one header, linked to one program."""
    project.write("all.h", '/* shared */\n#define BASE 1\n#ifdef NEVER\n#include "never.h"\n#endif\n')
    project.write("never.h", "#error never\n")
    for i in range(COUNT):
        project.write(f"f{i}.c", f'#include "all.h"\nint f{i}(void) {{ return BASE + {i}; }}\n')
    project.write("main.c", "int f0(void); int main(void) { return f0(); }\n")
    objects = " ".join(f"f{i}.o" for i in range(COUNT))
    project.write(
        "Makefile",
        f"prog: main.o {objects}\n\tgcc -o $@ $^\n{objects}: all.h never.h\n%.o: %.c\n\tgcc {flags} -c -o $@ $<\n",
    )


def test_second_build_has_nothing_to_do(project: Project) -> None:
    several(project)
    project.build()
    recorded = project.infer()
    assert b"recorded 0 thunks" in recorded.stderr
    assert project.forced().ran == []


def test_rebuild_from_nothing_is_all_known(project: Project) -> None:
    several(project)
    built = project.build()
    assert len(built.ran) == COUNT + 2
    before = project.tree()
    for name in ("prog", "main.o", "f0.o", "f1.o", "f2.o"):
        project.path(name).unlink()
    again = project.build()
    assert (again.ran, len(again.cached)) == ([], COUNT + 2)
    assert project.tree() == before


def test_edit_of_one_source(project: Project) -> None:
    several(project)
    project.build()
    project.write("f1.c", '#include "all.h"\nint f1(void) { return BASE + 100; }\n')
    assert project.build().ran == ["f1.o", "prog"]
    expected, _ = project.plain("make", "-B")
    project.assert_tree(expected)


def test_comment_in_a_header_stops_at_the_objects(project: Project) -> None:
    """Without debug information the objects come out equal, and the link is not run again (cutoff)."""
    several(project, "-O1")
    project.build()
    project.write("all.h", project.path("all.h").read_text().replace("shared", "shared by all"))
    forced = project.build()
    assert forced.ran == [] or forced.ran == ["f0.o", "f1.o", "f2.o"]
    assert "prog" not in forced.ran
    expected, _ = project.plain("make", "-B")
    project.assert_tree(expected)
    project.make("-q")


def test_header_that_no_compile_reads(project: Project) -> None:
    """The scan takes in both branches of an #if; what was really read decides (narrowing)."""
    several(project)
    project.build()
    project.write("never.h", "#error never, never\n")
    forced = project.build()
    assert forced.ran == []
    project.make("-q")


def test_header_that_comes_to_be_read(project: Project) -> None:
    several(project)
    project.build()
    project.write("never.h", "#define BASE 50\n")
    project.write("all.h", '#ifndef NEVER\n#include "never.h"\n#endif\n')
    assert set(project.build().ran) >= {"f0.o", "f1.o", "f2.o", "prog"}
    assert project.run("./prog", status=50)


def test_warnings_come_out_when_forced(project: Project) -> None:
    """As the compiler printed them, once; and again, once, from what is known after a clean."""
    project.write("Makefile", "w.o: w.c\n\tgcc -Wall -c -o $@ $<\nclean:\n\trm -f w.o\n")
    project.write("w.c", "int f(void) { int unused; return 1; }\n")
    _, plain = project.plain()
    assert b"-Wunused-variable" in plain.stderr
    recorded = project.infer()
    assert b"unused" not in recorded.stderr
    assert project.force().stderr == plain.stderr
    assert project.force().stderr == b""
    project.make("clean")
    project.infer()
    assert project.force().stderr == plain.stderr
    assert project.force().stderr == b""


def test_touched_source_is_known(project: Project) -> None:
    several(project)
    project.build()
    os.utime(project.path("f0.c"))
    assert project.build().ran == []
    project.make("-q")


def test_reverted_edit_is_known(project: Project) -> None:
    several(project)
    project.build()
    before, source = project.tree(), project.path("f2.c").read_bytes()
    project.write("f2.c", "int f2(void) { return 9; }\n")
    project.build()
    project.write("f2.c", source)
    assert project.build().ran == []
    assert project.tree() == before


def test_make_after_force_rebuilds_what_an_edit_needs(project: Project) -> None:
    several(project)
    project.build()
    project.write("f1.c", "int f1(void) { return 5; }\n")
    rebuilt = project.make()
    assert rebuilt.stdout.count(b" -c ") == 1
    assert b"-o prog" in rebuilt.stdout


def test_moved_workspace_is_recorded_anew(project: Project) -> None:
    """Debug information holds the directory: a tree that moved gives what plain make gives there."""
    several(project)
    project.build()
    moved = Project(project.root.with_name("elsewhere"), project.env)
    shutil.copytree(project.root, moved.root, symlinks=True)
    for name in ("prog", "main.o", "f0.o", "f1.o", "f2.o"):
        moved.path(name).unlink()
    moved.same_as_plain()
    assert str(moved.root).encode() in moved.path("f0.o").read_bytes()
    assert str(project.root).encode() not in moved.path("f0.o").read_bytes()


# Dependency files


def test_depfile_is_there_in_the_same_run(project: Project) -> None:
    """make includes it and starts over; gg-force leaves the compiler's own text."""
    project.write("a.h", "#define A 3\n")
    project.write("main.c", '#include <stdlib.h>\n#include "a.h"\nint main(void) { return A; }\n')
    project.write(
        "Makefile",
        "prog: main.o\n\tgcc -o $@ main.o\nmain.o: main.c\n\tgcc -MMD -MP -c -o $@ main.c\n"
        "\tsed -e 's/main.o/seen/' main.d > main.seen\n\tgrep -q a.h main.seen\n\trm main.seen\n-include main.d\n",
    )
    project.same_as_plain()
    project.write("a.h", "#define A 4\n")
    assert project.build().ran == ["main.o", "prog"]
    assert project.run("./prog", status=4)


def test_automakes_renamed_depfile(project: Project) -> None:
    project.write("a.h", "#define A 3\n")
    project.write("sub/main.c", '#include <stddef.h>\n#include "a.h"\nint main(void) { return A; }\n')
    project.write(
        "Makefile",
        "prog: sub/main.o\n\tgcc -o $@ sub/main.o\nsub/main.o: sub/main.c sub/.deps/main.Po\n"
        "\tgcc -I. -MT $@ -MD -MP -MF sub/.deps/main.Tpo -c -o $@ sub/main.c\n\tmv -f sub/.deps/main.Tpo sub/.deps/main.Po\n"
        "sub/.deps/main.Po:\n\t@mkdir -p sub/.deps\n\t@echo '# dummy' > $@\n-include sub/.deps/main.Po\n",
    )
    project.infer()
    project.forced()
    after = project.tree()
    assert b"a.h" in after["sub/.deps/main.Po"].data
    shutil.rmtree(project.path("sub/.deps"))
    project.path("sub/main.o").unlink()
    project.path("prog").unlink()
    expected, _ = project.plain()
    assert after == expected
