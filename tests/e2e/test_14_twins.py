"""A command whose result does not say where it ran is done once for all checkouts of a tree; all others are done in each."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.project import Project, by_make

SOURCES = {
    "sub/x.c": '#include "../include/i.h"\n#include <assert.h>\nint f(int a) { int unused; assert(a); return I; }\n',
    "include/i.h": "#define I 3\n",
    "main.c": 'const char *file = __FILE__ __BASE_FILE__;\n#include "i.h"\nint main(void) { return I; }\n',
    "q.s": '.globl q\nq: ret\n.section .note.GNU-stack,"",@progbits\n',
    "Makefile": """all: p part.o
p: main.o sub/x.o l.a
\tgcc -o p main.o sub/x.o l.a
l.a: q.o
\tar rc l.a q.o
\tranlib l.a
part.o: q.o main.o
\tld -r q.o main.o -o part.o
\tstrip part.o
%.o: %.c
\tgcc -Wall -O2 -Iinclude -MMD -c $< -o $@
q.o: q.s
\tas q.s -o q.o
-include main.d sub/x.d
""",
}


def clone(project: Project, path: Path) -> Project:
    """The same sources at another path, for the same user."""
    shutil.copytree(project.root, path)
    return Project(path, {**project.env, "PWD": str(path)})


def test_a_second_clone_runs_nothing(project: Project, tmp_path: Path) -> None:
    for name, text in SOURCES.items():
        project.write(name, text)
    other = clone(project, tmp_path / "another" / "much" / "longer" / "path")
    first = project.build("make")
    expected, _ = other.plain("make")
    second = other.build("make")
    assert (second.ran, len(second.cached)) == ([], len(first.ran))
    assert second.result.text.count("[-Wunused-variable]") == 1
    other.assert_tree(expected)
    other.write("include/i.h", "#define I 4\n")
    assert other.build("make").ran, "an edit is one of this clone"
    other.run("./p", status=4)
    project.write("include/i.h", "#define I 4\n")
    assert not project.build("make").ran, "and the first has it"
    project.run("./p", status=4)


SAYS_WHERE = {
    "debug information": "gcc -g -c a.c",
    "compressed debug information": "gcc -g -gz -c a.c",
    "assembled with debug information": "gcc -g -S a.c -o a.s; gcc -c a.s",
    "a compressed section of a source": "gcc -g -S a.c -o a.s; as --compress-debug-sections a.s -o a.o",
    "options for the assembler": "gcc -Wa,-g -c b.s -o b.o",
    "the assembler's own": "as --gdwarf-5 b.s -o b.o",
    "an absolute name": "gcc -c $PWD/a.c",
    "a name behind an option": "gcc -DHERE=\\\"$PWD\\\" -c a.c",
    "a response file": "echo -g > flags; gcc @flags -c a.c",
    "preprocessed": "gcc -g -E a.c -o a.i",
    "link time optimisation": "gcc -frandom-seed=1 -flto -c a.c",
    "coverage": "gcc -frandom-seed=1 --coverage -c a.c",
    "a header's macro": "echo \"#define HERE \\\"$PWD\\\"\" > here.h; gcc -include here.h -c a.c",
    "a run path": "gcc -shared -Wl,-rpath,$PWD -o liba.so a.c",
    "a wrapper": "PATH=$TOOLS:$PATH; our-gcc -c a.c",
    "clang": "clang -g -c a.c -o a.o",
}  # fmt: skip


def test_what_says_where_it_ran_is_made_there(project: Project, tmp_path: Path) -> None:
    project.write(
        "a.c", "#ifndef HERE\n#define HERE __FILE__\n#endif\nconst char *here = HERE; int main(void) { return 0; }\n"
    )
    project.write("b.s", '.globl q\nq: ret\n.section .note.GNU-stack,"",@progbits\n')
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "our-gcc").write_text('#!/bin/sh\nexec gcc -DHERE="\\"$(pwd | cksum)\\"" "$@"\n')
    (tools / "our-gcc").chmod(0o755)
    project.env["TOOLS"] = str(tools)
    names = {name.replace(" ", "-").replace("'", ""): text for name, text in SAYS_WHERE.items()}
    lines = [f"mkdir {name}; cp a.c b.s {name}; (cd {name}; {text})" for name, text in names.items()]
    other = clone(project, tmp_path / "other")
    for each in (project, other):
        build = by_make(each, *lines)
        expected, _ = each.plain(*build)
        each.infer(*build, deferred=len(lines) + 2)
        each.force()
        each.assert_tree(expected)
