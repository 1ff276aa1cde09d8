"""What gg-force makes is what plain make makes: every file, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.project import Project, by_make, is_placeholder

GREETER = {
    "greet.h": '#define NAME "world"\nvoid greet(const char *name);\n',
    "greet.c": '#include <stdio.h>\n#include "greet.h"\nvoid greet(const char *name) { printf("hello %s\\n", name); }\n',
    "main.c": '#include "greet.h"\nint main(void) { greet(NAME); return 0; }\n',
}


def greeter(project: Project, makefile: str) -> None:
    for name, content in GREETER.items():
        project.write(name, content)
    project.write("Makefile", makefile)


LIBRARY = """\
CFLAGS = -O2 -g -Wall
all: hello
hello: main.o libgreet.a
\t$(CC) -o $@ main.o -L. -lgreet
libgreet.a: greet.o
\trm -f $@
\tar cru $@ greet.o
\tranlib $@
%.o: %.c greet.h
\t$(CC) $(CFLAGS) -c -o $@ $<
install: hello
\tinstall -D hello $(DESTDIR)/usr/bin/hello
\tinstall -D -m 600 libgreet.a $(DESTDIR)/usr/lib/libgreet.a
.PHONY: all install
"""


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_program_and_archive(project: Project, isolation: str) -> None:
    greeter(project, LIBRARY)
    project.same_as_plain("make", "-j2", isolation=isolation)
    assert project.run("./hello").stdout == b"hello world\n"
    assert project.placeholders() == []


def test_install_after_force(project: Project) -> None:
    greeter(project, LIBRARY)
    expected, _ = project.plain("make", "install", "DESTDIR=out")
    project.build()
    project.make("install", "DESTDIR=out")
    project.assert_tree(expected)


def test_install_of_placeholders(project: Project) -> None:
    """install copies placeholders; force then makes the copies real too, with the modes that install gave."""
    greeter(project, LIBRARY)
    project.same_as_plain("make", "install", "DESTDIR=out")
    assert project.run("out/usr/bin/hello").stdout == b"hello world\n"


def test_moved_copied_and_linked(project: Project) -> None:
    greeter(
        project,
        """\
all: final hard soft copy.a
final: hello
\tcp hello step && mv step final
hard: hello
\tln hello hard
soft: hello
\tln -s hello soft
copy.a: x.a
\tcp -p x.a copy.a
x.a: greet.o
\tar rc x.a greet.o
hello: main.o greet.o
\t$(CC) -o $@ main.o greet.o
.PHONY: all
""",
    )
    project.same_as_plain()
    assert project.run("./final").stdout == project.run("./soft").stdout == b"hello world\n"


def test_tools_that_edit_in_place(project: Project) -> None:
    greeter(
        project,
        """\
all: hello.debug lib.a
hello.debug: hello
\tobjcopy --only-keep-debug hello hello.debug
\tstrip -g hello
\tobjcopy --add-gnu-debuglink=hello.debug hello
\ttouch hello.debug
hello: main.o greet.o
\t$(CC) -g -o $@ main.o greet.o
lib.a: greet.o main.o
\tar rc $@ greet.o
\tar r $@ main.o
\tar d $@ main.o
\tranlib $@
\tstrip --strip-unneeded $@
%.o: %.c
\t$(CC) -g -c -o $@ $<
.PHONY: all
""",
    )
    project.same_as_plain()


def test_several_sources_in_one_command(project: Project) -> None:
    greeter(project, "hello: main.c greet.c greet.h\n\tgcc -g main.c greet.c -o hello\n")
    project.same_as_plain()
    assert project.run("./hello").stdout == b"hello world\n"


def test_shared_library_and_cxx(project: Project) -> None:
    project.write("lib.cc", '#include <string>\nstd::string name() { return "shared"; }\n')
    project.write(
        "main.cc",
        "#include <iostream>\n#include <string>\nstd::string name();\nint main() { std::cout << name() << std::endl; }\n",
    )
    project.write(
        "Makefile",
        "prog: main.o libn.so\n\tg++ -o $@ main.o -L. -ln -Wl,-rpath,'$$ORIGIN'\n"
        "libn.so: lib.o\n\tg++ -shared -Wl,-soname,libn.so -o $@ lib.o\n"
        "%.o: %.cc\n\tg++ -fPIC -g -c -o $@ $<\n",
    )
    project.same_as_plain("make", "-j2")
    assert project.run("./prog").stdout == b"shared\n"


def test_generator_built_and_run_in_the_middle(project: Project) -> None:
    """A program that was just linked runs when the build executes it, and what it writes is compiled."""
    project.write(
        "gen.c", '#include <stdio.h>\nint main(void) { puts("int answer(void) { return 42; }"); return 0; }\n'
    )
    project.write(
        "main.c", '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); return 0; }\n'
    )
    project.write(
        "Makefile",
        "prog: main.o answer.o\n\tgcc -o $@ $^\nanswer.c: gen\n\t./gen > $@\ngen: gen.o\n\tgcc -o $@ $<\n"
        "%.o: %.c\n\tgcc -g -c -o $@ $<\n",
    )
    project.same_as_plain()
    assert project.run("./prog").stdout == b"42\n"


def test_readers_of_fresh_objects(project: Project) -> None:
    """nm, objdump, size, cmp and a script that reads the bytes see the real file while the build goes on."""
    greeter(
        project,
        f"""\
all: symbols dump sizes found same
symbols: greet.o
\tnm greet.o > $@
dump: greet.o
\tobjdump -d greet.o > $@
sizes: greet.o
\tsize greet.o > $@
found: greet.o
\t{sys.executable} -c "print(open('greet.o','rb').read().count(b'hello'))" > $@
\tgrep -c hello greet.o >> $@
same: greet.o again.o
\tcmp greet.o again.o && echo yes > $@
greet.o again.o: greet.c
\tgcc -c -o $@ greet.c
.PHONY: all
""",
    )
    project.same_as_plain()
    assert project.path("found").read_text() == "1\n1\n"


def test_force_of_one_target_forces_its_cone(project: Project) -> None:
    greeter(
        project,
        "all: one two\none: main.o greet.o\n\tgcc -o $@ $^\ntwo: other.o\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -c -o $@ $<\n",
    )
    project.write("other.c", "int main(void) { return 0; }\n")
    project.infer()
    forced = project.forced("one")
    assert forced.ran == ["greet.o", "main.o", "one"]
    assert project.placeholders() == ["other.o", "two"]
    assert project.run("./one").stdout == b"hello world\n"
    again = project.forced("one")
    assert (again.ran, again.cached) == ([], [])
    assert project.forced().ran == ["other.o", "two"]


def test_recursive_parallel_make(project: Project) -> None:
    for part in ("a", "b", "c"):
        for i in range(3):
            project.write(f"{part}/f{i}.c", f"int {part}{i}(void) {{ return {i}; }}\n")
        project.write(
            f"{part}/Makefile", f"lib{part}.a: f0.o f1.o f2.o\n\tar rcs $@ $^\n%.o: %.c\n\tgcc -g -c -o $@ $<\n"
        )
    project.write("main.c", "int a0(void), b1(void), c2(void); int main(void) { return a0() + b1() + c2() - 3; }\n")
    project.write(
        "Makefile",
        "prog: main.o parts\n\tgcc -o $@ main.o a/liba.a b/libb.a c/libc.a\n"
        "parts:\n\t+$(MAKE) -C a\n\t+$(MAKE) -C b\n\t+$(MAKE) -C c\n"
        "main.o: main.c\n\tgcc -c -o $@ $<\n.PHONY: parts\n",
    )
    forced = project.same_as_plain("make", "-j4", make=False)
    assert len(forced.ran) == 14
    warned = project.run("make", "-j4")
    assert b"gcc -g" not in warned.stdout
    assert b"jobserver" not in warned.stderr


def test_parallel_make_does_not_complain_of_the_jobserver(project: Project) -> None:
    greeter(project, LIBRARY)
    recorded = project.infer("make", "-j3")
    assert b"jobserver" not in recorded.stderr
    assert b"warning" not in recorded.stderr


ODD = [
    "with space",
    "it's",
    'quo"te',
    "dollar$x",
    "new\nline",
    "semi;colon",
    "back\\slash",
    b"caf\xe9".decode("utf-8", "surrogateescape"),
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(project: Project, name: str) -> None:
    """A source, an object and a program in a directory, all with a name that needs care."""
    odd = Project(project.root / name, project.env)
    odd.root.mkdir()
    odd.write(f"{name}.h", "#define STATUS 7\n")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    include = (
        f'#include "{name}.h"\n' if "\n" not in name and '"' not in name else f"#define STATUS 7 /* {len(quoted)} */\n"
    )
    odd.write(f"{name}.c", include + "int main(void) { return STATUS; }\n")
    odd.write("build.sh", 'gcc -g -MD -c "./$1.c" -o "$1.o"\nar rcs "$1.a" "$1.o"\ngcc "$1.o" -o "$1"\n')
    odd.same_as_plain("sh", "build.sh", name, make=False, deferred=3)
    assert odd.run(b"./" + name.encode("utf-8", "surrogateescape"), status=7).status == 7


def test_response_files_and_long_command_lines(project: Project) -> None:
    """A 200 KB command line, and the same in a response file that is removed afterwards."""
    project.write("main.c", "int main(void) { return A0 + A999 - 999; }\n")
    project.write("part.c", "int part(void) { return 0; }\n")
    lines = (
        "defines=$(i=0; while [ $i -lt 1000 ]; do printf -- '-DA%d=%d -Wno-thing-%d ' $i $i $i; i=$((i+1)); done)",
        "gcc $defines -c main.c -o main.o",
        "printf '%s\\n' main.o '-o' '\"prog\"' > link.rsp",
        "gcc -c part.c",
        "echo part.o >> link.rsp",
        "gcc @link.rsp",
        "echo rcs lib.a part.o > ar.rsp",
        "ar @ar.rsp",
        "rm link.rsp ar.rsp",
        "searched=$(i=0; while [ $i -lt 4000 ]; do printf -- '-L/no/such/directory/at/all/of/number/%d ' $i; i=$((i+1)); done)",
        "ld $searched -r -o both.o main.o part.o",
    )
    project.same_as_plain(*by_make(project, "; ".join(lines)), make=False, deferred=5)


def test_configure_probes_are_answered(project: Project) -> None:
    """What configure asks is answered at once and rightly; nothing of it is left as a placeholder."""
    greeter(project, LIBRARY)
    project.write(
        "configure",
        """\
#!/bin/sh
set -e
echo 'int main(void) { return 0; }' > conftest.c
gcc -o conftest conftest.c && ./conftest
gcc -c conftest.c && test -s conftest.o
rm -f conftest conftest.*
if echo '#include <nothing-like-this.h>' | gcc -E - > /dev/null 2>&1; then exit 1; fi
echo 'int f(void) { return g(); }' > conftest.c
if gcc -Werror=implicit-function-declaration -c conftest.c 2> err; then exit 2; fi
grep -q implicit err
rm -f conftest.* err
gcc --version | head -1 > version
gcc -print-file-name=libc.so >> version
gcc -dumpmachine >> version
ld --version | head -1 >> version
""",
        0o755,
    )
    expected, _ = project.plain("sh", "-c", "./configure && make")
    project.infer("sh", "-c", "./configure && make")
    assert project.placeholders() == ["greet.o", "hello", "libgreet.a", "main.o"]
    project.forced()
    project.assert_tree(expected)


def test_absolute_and_prefixed_compilers(project: Project) -> None:
    """Called by absolute path and by target-prefixed and versioned names, calls are recorded all the same."""
    names = [
        p for p in sorted(Path("/usr/bin").glob("*-linux-gnu*-gcc*")) if p.name.rpartition("-")[2].startswith("gcc")
    ]
    greeter(
        project,
        "all: a.o b.o\na.o: greet.c\n\t/usr/bin/gcc -c -o $@ greet.c\nb.o: main.c\n\t"
        + (names[0].name if names else "cc")
        + " -c -o $@ main.c\n",
    )
    expected, _ = project.plain()
    project.infer()
    assert is_placeholder(project.path("a.o"))
    assert is_placeholder(project.path("b.o"))
    project.forced()
    project.assert_tree(expected)
