"""What comes to where a command looks after the command was called: it had not seen that, and does not when it is forced."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.e2e.project import Project, by_make

ARCHIVES = "gcc -c one.c two.c; mkdir x y; ar rc x/libf.a one.o; ar rc y/libf.a two.o; rm one.o two.o"
HEADERS = {
    "a link to a directory": "gcc -Inew -Ia -c m.c -o a.o; ln -s b new; gcc -Inew -Ia -c m.c -o b.o",
    "a directory that is moved there": "gcc -Inew -Ia -c m.c -o a.o; mv b new; gcc -Inew -Ia -c m.c -o b.o",
    "a directory that is copied there": "gcc -Inew -Ia -c m.c -o a.o; cp -rp b new; gcc -Inew -Ia -c m.c -o b.o",
    "a header in a directory that is there": "gcc -Ie -Ia -c m.c -o a.o; cp -p b/h.h e/h.h; gcc -Ie -Ia -c m.c -o b.o",
    "a header that is moved": "gcc -Ie -Ia -c m.c -o a.o; mv b/h.h e/; gcc -Ie -Ia -c m.c -o b.o",
    "another name of a header": "gcc -Ie -Ia -c m.c -o a.o; ln b/h.h e/h.h; gcc -Ie -Ia -c m.c -o b.o",
    "a link to a header": "gcc -Ie -Ia -c m.c -o a.o; ln -s ../b/h.h e/h.h; gcc -Ie -Ia -c m.c -o b.o",
    "beside the source": "gcc -Ia -c m.c -o a.o; cp b/h.h .; gcc -Ia -c m.c -o b.o",
    "a chain of headers": "gcc -Inew -Ichain -c chain.c -o a.o; cp -r chain2 new; gcc -Inew -Ichain -c chain.c -o b.o",
    "-include": "gcc -Ia -include h.h -c n.c -o a.o; cp b/h.h .; gcc -Ia -include h.h -c n.c -o b.o",
    "-imacros": "gcc -Ia -imacros d.h -c u.c -o a.o; cp b/d.h .; gcc -Ia -imacros d.h -c u.c -o b.o",
    "#include_next": "gcc -In1 -Ie -Ia -c m.c -o a.o; cp b/h.h e/; gcc -In1 -Ie -Ia -c m.c -o b.o",
    "__has_include": "gcc -Ie -c has.c -o a.o; touch e/opt.h; gcc -Ie -c has.c -o b.o",
    "a subdirectory": "gcc -Ie -Ia -c sub.c -o a.o; mkdir e/s; cp b/h.h e/s/; gcc -Ie -Ia -c sub.c -o b.o",
    "a precompiled header": "gcc -g -Ia -c m.c -o a.o; gcc -g a/h.h -o a/h.h.gch; gcc -g -Ia -c m.c -o b.o; rm a/h.h.gch",
    "a precompiled one, forced first": "gcc -g -Ia -c m.c -o a.o; gcc -g a/h.h; cmp a/h.h.gch a/h.h || :; rm a/h.h.gch",
    "-iquote": "gcc -iquote new -iquote a -c m.c -o a.o; mv b new; gcc -iquote new -iquote a -c m.c -o b.o",
    "CPATH": "CPATH=e:a; export CPATH; gcc -c m.c -o a.o; cp b/h.h e/; gcc -c m.c -o b.o",
    ".incbin": "gcc -Ie -Ia -c inc.S -o a.o; cp b/data e/; gcc -Ie -Ia -c inc.S -o b.o",
    ".incbin of a macro": "gcc -c macro.S -o a.o; cp b/data a/data; gcc -c macro.S -o b.o",
    ".incbin in joined literals": "gcc -c joined.c -o a.o; cp b/data a/data; gcc -DF='\"a/data\"' -g -c joined.c -o b.o",
    ".incbin of the assembler's macro": "gcc -c inner.S -o a.o; cp b/data a/data; gcc -c inner.S -o b.o",
    ".include": "as -Ie -Ia i.s -o a.o; cp b/i.inc e/; as -Ie -Ia i.s -o b.o",
    "-Wmissing-include-dirs": "gcc -Wmissing-include-dirs -Inew -Ia -c m.c -o a.o; mkdir new",
    "a header that is made of another": "gcc -Ie -Ia -c m.c -o a.o; gcc -E -P -Ib b/h.h -o e/h.h; gcc -Ie -Ia -c m.c -o b.o",
    "one that comes and goes": "for o in a b c; do gcc -Ie -Ia -c m.c -o $o.o; cp b/h.h e/; [ $o = a ] || rm e/h.h; done",
}  # fmt: skip
LIBRARIES = {
    "a directory": "gcc main.c -Lnew -Lx -lf -o p; mv y new; gcc main.c -Lnew -Lx -lf -o q",
    "a link": "gcc main.c -Lnew -Lx -lf -o p; ln -s y new; gcc main.c -Lnew -Lx -lf -o q",
    "an archive": "gcc main.c -Le -Lx -lf -o p; cp y/libf.a e/; gcc main.c -Le -Lx -lf -o q",
    "a shared library": "gcc main.c -Le -Lx -lf -o p; gcc -shared -fPIC two.c -o e/libf.so; gcc main.c -Le -Lx -lf -o q",
    "a script": "gcc main.c -Le -Lx -lf -o p; echo 'INPUT(y/libf.a)' > e/libf.so; gcc main.c -Le -Lx -lf -o q",
    "INPUT of a script": "echo 'INPUT(libf.a)' > s.ld; gcc main.c s.ld -Le -Lx -o p; cp y/libf.a e/; gcc main.c s.ld -Le -Lx -o q",
    "-T": "ld -r -Le -Lx -T t.ld x/libf.a -o p; cp b/t.ld e/; ld -r -Le -Lx -T t.ld x/libf.a -o q || :",
    "-B": "gcc -Bnew/ main.c -Lx -lf -o p; mkdir new; printf '#!/bin/sh\\nexit 3\\n' > new/ld; chmod +x new/ld new/ld; mv new new2",
    "LIBRARY_PATH": "LIBRARY_PATH=e:x; export LIBRARY_PATH; gcc main.c -lf -o p; cp y/libf.a e/; gcc main.c -lf -o q",
    "objects with the name": "ld -r -Le -Lx -lf -o p; cp y/libf.a e/; ld -r -Le -Lx -lf -o q",
}  # fmt: skip


@pytest.fixture
def tree(project: Project) -> Project:
    for number, directory in enumerate(("a", "b"), 1):
        project.write(f"{directory}/h.h", f"int v = {number};\n")
        project.write(f"{directory}/s/h.h", f"int v = {number};\n")
        project.write(f"{directory}/d.h", f"#define D {number}\n")
        project.write(f"{directory}/data", f"data {number}\n")
        project.write(f"{directory}/i.inc", f".data\n.long {number}\n")
    project.write("n1/h.h", "#include_next <h.h>\n")
    project.path("e").mkdir()
    project.write("m.c", '#include "h.h"\n')
    project.write("n.c", "int w;\n")
    project.write("u.c", "int u = D;\n")
    project.write("sub.c", '#include "s/h.h"\n')
    project.write("has.c", '#if __has_include("opt.h")\nint opt = 1;\n#else\nint none = 0;\n#endif\n')
    project.write("inc.S", '.data\n.incbin "data"\n')
    project.write("macro.S", '#define F "a/data"\n.data\n.incbin F, 1\n')
    project.write("inner.S", '.macro bytes f\n.incbin "\\f"\n.endm\n.data\nbytes a/data\n')
    project.write("joined.h", '#define WORD ".incbin"\n#define IN(f) __asm__(".data\\n" WORD " \\"" f "\\"\\n.text")\n')
    project.write("joined.c", '#include "joined.h"\n#ifndef F\n#define F "a/" "data"\n#endif\nIN(F);\n')
    project.write("i.s", '.include "i.inc"\n')
    for number in range(30):
        for name in ("chain", "chain2"):
            goes_on = f'#include "c{number + 1}.h"\n' if number < 29 else ""
            project.write(f"{name}/c{number}.h", f"{goes_on}int c{number} = {len(name)};\n")
    project.write("chain.c", "#include <c0.h>\n")
    project.write("main.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write("one.c", "int f(void) { return 1; }\n")
    project.write("two.c", "int f(void) { return 2; }\n")
    project.write("t.ld", "SECTIONS { .text : { *(.text) } }\n")
    project.write("b/t.ld", "SECTIONS { .other : { *(.text) } }\n")
    return project


def same(tree: Project, commands: Mapping[str, str], isolation: str = "pathmap") -> None:
    """Each in a copy of the tree of its own."""
    steps = [f"cp -a base {number}; cd {number}; {command}; cd .." for number, command in enumerate(commands.values())]
    build = by_make(tree, "mkdir base; mv [a-z]* base || :", *steps)
    expected, plain = tree.plain(*build)
    tree.infer(*build)
    forced = tree.force("--isolation", isolation)
    got = tree.tree()
    different = sorted(name for name in expected.keys() | got.keys() if got.get(name) != expected.get(name))
    wrong = {list(commands)[int(name.split("/")[0])] for name in different}
    assert not wrong, different
    said = [line for line in plain.text.splitlines() if "warning:" in line]
    assert [line for line in forced.text.splitlines() if "warning:" in line] == said


def test_headers(tree: Project) -> None:
    same(tree, HEADERS)


def test_libraries(tree: Project) -> None:
    tree.run("sh", "-ec", ARCHIVES)
    same(tree, LIBRARIES)


def test_in_a_jail(tree: Project) -> None:
    names = (
        "a link to a directory",
        "a header in a directory that is there",
        "a precompiled header",
        "a chain of headers",
    )
    same(tree, {name: HEADERS[name] for name in names}, "namespace")
