"""Dependency files that something else than make reads, under whatever name: the compiler's own text."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

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
    "removed, its inode taken": "gcc -MMD -MF deps -c a.c; rm deps; gcc -c m.c; gcc m.o -o m; ./m; cat m.o >b",
}
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
    project.write("x.h", "")
    project.write("y.h", "")
    project.write("s.s", "f:\n nop\n")
    project.write("n.asm", "section .text\n")
    project.write("d/.keep", "")


@pytest.mark.parametrize("script", READERS.values(), ids=READERS)
def test_read_in_mid_build(project: Project, script: str) -> None:
    write(project)
    project.same_as_plain("sh", "-ec", script, make=False)


@pytest.mark.parametrize("script", PLACES.values(), ids=PLACES)
def test_the_compilers_own_takes_its_place(project: Project, script: str) -> None:
    write(project)
    project.same_as_plain("sh", "-ec", script, make=False)


def test_a_header_that_was_never_included_goes_away(project: Project) -> None:
    write(project)
    project.write("Makefile", "a.o: a.c\n\tgcc -MMD -c a.c\n-include a.d\n")
    project.same_as_plain("sh", "-ec", "make; rm x.h; make; make", make=False)


def test_a_generated_header(project: Project) -> None:
    """It is not made yet when somebody reads what includes it."""
    write(project)
    project.write("gen.c", '#include <stdio.h>\nint main(void) { puts("int generated;"); return 0; }\n')
    project.write("b.c", '#include "gen.h"\n')
    script = "gcc gen.c -o gen; ./gen >gen.h; gcc -MMD -MF b.dep -c b.c; sed s/b/c/ b.dep >c.dep"
    project.same_as_plain("sh", "-ec", script, make=False)
