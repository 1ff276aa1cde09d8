"""Dependency files that something else than make reads, under whatever name: the compiler's own text."""

from __future__ import annotations

import re

import pytest

from tests.e2e.project import Project, by_make

READERS = {
    "touched": "gcc -MMD -MF a.d.raw -c a.c; touch a.d.raw; sed s/a/b/ a.d.raw >b.d; rm a.d.raw",
    "another name": "gcc -MMD -MF deps -c a.c; cat deps >b; cp deps c; wc -c <deps >size; stat -c %s deps >>size",
    "renamed": "gcc -MMD -MF deps -c a.c; mv deps d/other; touch d/other; cat d/other >b; awk 1 d/other >c",
    "links": "gcc -MMD -c a.c; ln a.d b.d; ln -s b.d c.d; cat c.d >e; gcc -MMD -c a.c -o f.o; ln -s f.d g; cp -L g h",
    "added to": "gcc -MMD -c a.c; echo '# more' >>a.d; gcc -MD -c a.c -o b.o; sed -i s/b.o/c.o/ b.d",
    "merged": "for n in 1 2 3; do gcc -MMD -MP -MF .$n.P -c a.c -o $n.o; done; cat .1.P .2.P .3.P >all; rm .1.P .2.P .3.P",
    "Python": 'gcc -MMD -MF deps -c a.c; python3 -c \'print(open("deps").read(), file=open("b", "w"))\'',
    "dd": "gcc -MMD -MF deps -c a.c; dd if=deps of=b 2>/dev/null; install -m 600 deps c; cmp deps c",
    "assemblers": "as --MD s.dep s.s -o s.o; cat s.dep >b; nasm -felf64 -MD n.dep n.asm -o n.o; cp n.dep c",
    "of several sources": "gcc -MMD m.c m2.c -o m; cat m.d >b; gcc -MD -MF n.d m2.c m.c -o n; cp n.d c",
    "the linker's": "gcc -c m.c; gcc m.o -o m -Wl,--dependency-file=m.d; wc -l m.d >b; cp m.d c; "
    "gcc -o n m.c -Wl,--dependency-file=n.d; grep -c : n.d >e; rm n.d",
    "removed, its inode taken": "gcc -MMD -MF deps -c a.c; rm deps; gcc -c m.c; gcc m.o -o m; ./m; cat m.o >b",
}
CALLS = {"merged": 3, "assemblers": 2}  # of all others: as many as there are words `gcc`
PLACES = {
    "moved": "gcc -MMD -c a.c; mv a.d d/",
    "moved and touched": "gcc -MMD -MF deps -c a.c; touch deps; mv deps d/other; touch -d @0 d/other",
    "its directory moved": "gcc -MMD -c a.c -o d/a.o; mv d e",
    "renamed and touched": "gcc -MMD -MF a.Tpo -c a.c; touch a.Tpo; mv a.Tpo a.Po",
    "hard links": "gcc -MMD -c a.c; ln a.d d/a.d; ln a.d b.d; ln -s a.d c.d",
}


def write(project: Project) -> None:
    project.write("a.c", '#ifdef NEVER\n#include "x.h"\n#endif\n#include <stdio.h>\n#include "y.h"\nint y;\n')
    project.write("m.c", "int main(void) { return 0; }\n")
    project.write("m2.c", "int m2;\n")
    project.write("x.h", "")
    project.write("y.h", "")
    project.write("s.s", "f:\n nop\n")
    project.write("n.asm", "section .text\n")
    project.write("d/.keep", "")


@pytest.mark.parametrize("name", READERS)
def test_read_in_mid_build(project: Project, name: str) -> None:
    script = READERS[name]
    write(project)
    project.same_as_plain(*by_make(project, script), make=False, deferred=CALLS.get(name, script.count("gcc ")))


@pytest.mark.parametrize("script", PLACES.values(), ids=PLACES)
def test_the_compilers_own_takes_its_place(project: Project, script: str) -> None:
    write(project)
    project.same_as_plain(*by_make(project, script), make=False, deferred=1)


def test_a_header_that_was_never_included_goes_away(project: Project) -> None:
    write(project)
    project.write("Makefile", "a.o: a.c\n\tgcc -MMD -c a.c\n-include a.d\n")
    project.same_as_plain("sh", "-ec", "make; rm x.h; make; make", make=False, deferred=1)


def test_a_generated_header(project: Project) -> None:
    """It is not made yet when somebody reads what includes it."""
    write(project)
    project.write("gen.c", '#include <stdio.h>\nint main(void) { puts("int generated;"); return 0; }\n')
    project.write("b.c", '#include "gen.h"\n')
    script = "gcc gen.c -o gen; ./gen >gen.h; gcc -MMD -MF b.dep -c b.c; sed s/b/c/ b.dep >c.dep"
    project.same_as_plain(*by_make(project, script), make=False, deferred=2)


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_what_a_link_lists_has_the_compilers_names(project: Project, isolation: str) -> None:
    """What it compiled in a temporary file is called so as the compiler calls it, which is another name each time."""
    write(project)
    link = "gcc m.c m2.c -o m -Wl,-Map=m.map,--dependency-file=m.d"
    expected, _ = project.plain("sh", "-ec", link)
    project.infer("sh", "-ec", link, deferred=1)
    project.force("--isolation", isolation)
    temporary = re.compile(rb"/tmp/cc[A-Za-z0-9]{6}\.o")
    for name in ("m.map", "m.d"):
        plain, got = expected[name].data, project.path(name).read_bytes()
        assert temporary.search(plain)
        assert temporary.sub(b"TEMPORARY", got) == temporary.sub(b"TEMPORARY", plain)


@pytest.mark.parametrize("reads", ["sed -i s/d.o/x.o/ dep", "cp dep g.d", "cat dep > all"])
def test_one_that_an_earlier_recording_left(reads: str, project: Project) -> None:
    """Nothing was forced between: its reader is given what the compiler lists, all the same."""
    project.write("h.h", "int h;\n")
    project.write("d.c", '#ifdef NEVER\n#include "n.h"\n#endif\n#include "h.h"\n')
    project.write("n.h", "")
    commands = ("gcc -MMD -c d.c", "mv d.d dep", reads)
    expected, _ = project.plain("sh", "-c", "; ".join(commands))
    for command in commands:
        project.infer("sh", "-c", command, deferred=int("gcc" in command))
    project.force()
    project.assert_tree(expected)
