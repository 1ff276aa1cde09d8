"""`gg verify` finds what is planted, names section and symbol, and blames nothing else."""

from __future__ import annotations

import json
import time

from tests.e2e.project import Project

_MAIN = """\
#include <memory>
#include <string>
namespace { struct Node { std::string text; std::unique_ptr<Node> next; }; }
template <class T> T twice(T value) { return value + value; }
int main() { Node node{"hello", nullptr}; auto size = [&] { return node.text.size(); }; return twice(size()) == 10 ? 0 : 1; }
"""
_ORDER = """\
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    FILE *out = fopen(argv[argc - 1], "w");
    uintptr_t place = (uintptr_t)mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fprintf(out, "const int ranks[] = {");
    for (int i = 0; i < 40; i++) fprintf(out, "%d,", (int)((place >> 12) * (2 * i + 1) % 41));
    fprintf(out, "};\\n");
    return fclose(out);
}
"""
_PLANTED = """\
all: prog
prog: main.o libmore.a
\tgcc -g -o $@ main.o -L. -lmore
libmore.a: date.o time.o order.o year.o seed.o table.o clean.o
\tar rcs $@ $^
%.o: %.c
\tgcc -g -c -o $@ $<
order.c: gen
\t./gen $@
gen: gen.source
\tgcc -x c -o $@ $<
year.c: year.sh
\tsh year.sh $@
seed.o: seed.sh
\tbash seed.sh $@
table.o: table
\t./table $@
table: table.source
\tgcc -x c -o $@ $<
"""
_TABLE = """\
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    char command[4096];
    unsigned long objects[16];
    snprintf(command, sizeof command, "gcc -x c -c -o %s -", argv[argc - 1]);
    for (int i = 0; i < 16; i++) objects[i] = (unsigned long)mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) >> 12;
    FILE *out = popen(command, "w");
    fprintf(out, "const int before[] = {1}, walked[] = {");
    for (unsigned long bucket = 0; bucket < 1009; bucket++)
        for (int i = 0; i < 16; i++)
            if (objects[i] % 1009 * objects[i] % 1009 == bucket) fprintf(out, "%d,", i);
    fprintf(out, "};\\n");
    return pclose(out);
}
"""
_DECLARED = """\
[tool.gen]
names = ["*/gen"]
operands = ["output"]
[tool.seed]
names = ["bash"]
script = "*seed.sh"
operands = ["output"]
programs = ["gcc"]
[tool.table]
names = ["*/table"]
operands = ["output"]
programs = ["gcc", "sh"]
[tool.year]
names = ["sh"]
script = "*year.sh"
operands = ["output"]
programs = ["date"]
"""


def test_nothing_is_found_where_nothing_is_planted(project: Project) -> None:
    """C++ with names that the compiler draws, a link, debug information; and a repetition leaves no trace."""
    project.write("Makefile", "prog: main.o\n\tg++ -g -o $@ $<\nmain.o: main.cc\n\tg++ -O2 -g -c -o $@ $<\n")
    project.write("main.cc", _MAIN)
    project.infer()
    assert "2 thunks, each run 2 more times: all gave the same bytes" in project.gg("verify", "prog").text
    assert project.placeholders() == ["main.o", "prog"]
    assert not project.forced().ran
    lines = project.gg("verify", "--json", "--repeat", "1", "prog").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"event": "finished", "thunks": 2, "runs": 1, "differ": 0}]
    project.make("-q")


def test_what_is_planted_is_found(project: Project) -> None:
    """The time of compiling, an order by address (in a text, in an object), a random number of the shell, a year: each with section
    and symbol, or line.
    """
    project.write("Makefile", _PLANTED)
    project.settings(_DECLARED)
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("clean.c", "int clean(int x) { return x + __LINE__; }\n")
    project.write("date.c", 'const char stamp[] = "built on " __DATE__;\n')
    project.write("time.c", 'const char *when(void) { return "built at " __TIME__; }\n')
    project.write("gen.source", _ORDER)
    project.write("table.source", _TABLE)
    project.write("year.sh", 'echo "int year = $(date +%Y);" > $1\n')
    project.write(
        "seed.sh",
        'echo "const char seed[] = \\"$RANDOM-$RANDOM-$RANDOM\\"; int other = 3;" | gcc -x c -c -o $1 -\n',
    )
    project.infer()
    project.force()
    time.sleep(1.1)  # the next second: what says when it was compiled says another time
    told = project.gg("verify", "libmore.a", status=1).text
    blocks = dict(block.split(":", 1) for block in ("\n" + told).split("\n") if " differs" in block)
    assert {name: text.strip() for name, text in blocks.items()} == {
        "date.o": "differs when the clock is moved",
        "time.o": "differs from run to run",
        "order.c": "differs from run to run",
        "year.c": "differs when the clock is moved",
        "seed.o": "differs from run to run",
        "table.o": "differs from run to run",
    }
    assert 'section .rodata, symbol stamp: string "built on ' in told
    assert 'section .rodata: string "built at ' in told
    assert "section .rodata, symbol seed: string" in told
    assert "section .rodata, symbol walked: from byte " in told
    assert 'line 1: "const int ranks[] = {' in told
    assert 'line 1: "int year = ' in told
    assert "6 gave other bytes" in told  # what reads those is given what it was given, and is not blamed
    assert "time.o: differs" in project.gg("verify", "time.o", status=1).text


def test_wrong_lines(project: Project) -> None:
    project.write("Makefile", "main.o: main.c\n\tgcc -c -o $@ $<\n")
    project.write("main.c", "wrong\n")
    project.infer()
    assert "no engine" in project.gg("verify", "--engines", "moon", "main.o", status=64).text
    assert "no such file" in project.gg("verify", "nothing", status=66).text
    assert "is a directory" in project.gg("verify", ".", status=64).text
    assert "no recorded thunk makes" in project.gg("verify", "main.c", status=66).text
    assert "main.o failed" in project.gg("verify", "main.o", status=1).text
