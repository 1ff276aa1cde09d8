"""Directories that are links, and links that come to lead elsewhere while a build is recorded."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

TWICE = {
    "source": "gcc -g -c cur/x.c -o a.o; ln -sfn b cur; gcc -g -c cur/x.c -o b.o",
    "made anew": "gcc -g -c cur/x.c -o a.o; rm cur; ln -s b cur; gcc -g -c cur/x.c -o b.o",
    "directory": "cd cur; gcc -g -c x.c -o ../a.o; cd ..; rm cur; ln -s b cur; cd cur; gcc -g -c x.c -o ../b.o",
    "search path": "gcc -Icur -MD -c m.c -o a.o; ln -sfn b cur; gcc -Icur -MD -c m.c -o b.o",
    "name in a source": "gcc -MD -c n.c -o a.o; ln -sfn b cur; gcc -MD -c n.c -o b.o",
    "output": "gcc -c a/x.c -o cur/o.o; ln -sfn b cur; gcc -c b/x.c -o cur/o.o; gcc a/o.o n.o -o p 2>/dev/null || true",
    "a directory in its place": "gcc -g -c cur/x.c -o a.o; rm cur; cp -r b cur; gcc -g -c cur/x.c -o b.o",
    "a link in a directory's place": "gcc -g -c a/x.c -o 1.o; mv a c; ln -s b a; gcc -g -c a/x.c -o 2.o",
    "renamed": "gcc -c a/x.c -o cur/o.o; mv a c; ln -s c a; gcc -g -c a/x.c -o a/p.o; ar rc l.a a/o.o a/p.o",
    "assembler": "gcc -S cur/x.c -o a.s; as cur/y.s -o a.o; ln -sfn b cur; as cur/y.s -o b.o",
    "the same directory twice": "gcc -Icur -Ia -c m.c -o a.o; ln -sfn b cur; gcc -Icur -Ia -MMD -c m.c -o b.o",
}


def write(project: Project) -> None:
    for name, value in (("a", 1), ("b", 2)):
        project.write(f"{name}/x.c", f"int f(void) {{ return {value}; }}\n")
        project.write(f"{name}/x.h", f"int f(void) {{ return {value}; }}\n")
        project.write(f"{name}/y.s", f".globl f{value}\nf{value}:\n nop\n")
    project.write("m.c", '#include "x.h"\n')
    project.write("n.c", '#include "cur/x.h"\n')
    project.path("cur").symlink_to("a")


@pytest.mark.parametrize("script", TWICE.values(), ids=TWICE)
def test_a_link_comes_to_lead_elsewhere(project: Project, script: str) -> None:
    write(project)
    project.same_as_plain("sh", "-c", script, make=False)


def test_libraries_by_a_link_that_comes_to_lead_elsewhere(project: Project) -> None:
    write(project)
    project.write("main.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write(
        "build",
        "for d in a b; do gcc -c $d/x.c -o $d/x.o; ar rcs $d/libx.a $d/x.o; done\n"
        "gcc main.c -Lcur -lx -o pa; ln -sfn b cur; gcc main.c -Lcur -lx -o pb\n",
    )
    project.same_as_plain("sh", "build", make=False)
    assert [project.run("./pa", status=None).status, project.run("./pb", status=None).status] == [1, 2]


def test_outputs_in_a_directory_that_is_a_link(project: Project) -> None:
    project.write("main.c", "int main(void) { return 7; }\n")
    project.write("real/.keep", "")
    project.path("build").symlink_to("real")
    project.path("real/deeper").symlink_to("..")
    project.write(
        "Makefile",
        "build/p: build/m.o build/deeper/n.o\n\tgcc -o $@ $^\nbuild/m.o: main.c\n\tgcc -MMD -c $< -o $@\n"
        "build/deeper/n.o:\n\techo 'int n;' | sed w\\n.c >/dev/null; gcc -c n.c -o $@\n",
    )
    project.same_as_plain()


def test_what_is_read_in_a_directory_that_is_a_link(project: Project) -> None:
    """Twice, while it is recorded."""
    project.write("f.c", "int f(void) { return 1; }\n")
    project.write("real/.keep", "")
    project.path("build").symlink_to("real")
    script = "gcc -c f.c -o build/f.o; for i in 1 2 3; do wc -c <build/f.o; done >sizes; nm build/f.o >names"
    project.same_as_plain("sh", "-c", script, make=False)


def test_parent_directories_of_links(project: Project) -> None:
    """`link/..` is the parent of what the link leads to."""
    project.write("sub/deep/.keep", "")
    project.path("cur").symlink_to("sub/deep")
    project.write("sub/x.c", "int in_sub;\n")
    project.write("x.c", "int in_top;\n")
    project.write("sub/h.h", "int header_in_sub;\n")
    project.write("h.h", "int header_in_top;\n")
    project.write("m.c", '#include "cur/../h.h"\n')
    script = (
        "gcc -g -c cur/../x.c -o x.o; gcc -MD -c cur/../x.c -o cur/../y.o; ar rc cur/../l.a cur/../y.o x.o;"
        "gcc -MD -c m.c; gcc -c -Icur/.. -include h.h m.c -o n.o; objcopy cur/../y.o cur/../z.o; nm cur/../y.o >names"
    )
    project.same_as_plain("sh", "-c", script, make=False)


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_a_search_directory_by_two_names(isolation: str, project: Project) -> None:
    """The compiler looks at both, though it searches one of them."""
    project.write("include/h.h", "#define X 1\n")
    project.write("a.c", '#include "h.h"\nint a = X;\n')
    project.path("lnk").symlink_to("include")
    call = ("gcc", "-Wmissing-include-dirs", "-Iinclude", "-Ilnk", "-isystem", "lnk", "-Inone", "-c", "a.c")
    expected, plain = project.plain(*call)
    project.infer(*call)
    assert project.force("--isolation", isolation).stderr == plain.stderr
    project.assert_tree(expected)


THROUGH = {  # directories of which nothing is read, and that `..` leaves again
    "source and output": "gcc -c through/../lib/a.c -o through/../out/a.o",
    "absolute": "gcc -g -c $PWD/through/../lib/a.c -o $PWD/through/../out/a.o",
    "from elsewhere": "cd out && gcc -c ../through/../lib/a.c -o ../through/deep/../../out/a.o",
    "a link on the way": "gcc -c lnk/../../lib/a.c -o lnk/../../out/a.o",
    "a link that leads through one": "gcc -c out/over.c -o out/a.o",
    "forced header": "gcc -include through/../lib/h.h -c lib/a.c -o out/a.o",
    "header": "echo '#include \"../through/deep/../../lib/h.h\"' > lib/b.c; gcc -c lib/b.c -o out/b.o",
    "included bytes": "echo '.incbin \"through/../lib/h.h\"' > out/b.s; as out/b.s -o out/b.o",
    "response file": "echo 'through/../lib/a.c -o out/a.o' > out/rsp; gcc -c @through/../out/rsp",
    "objects": "gcc -shared -o out/a.so through/../lib/o.o && ld -r -o through/../out/r.o through/../lib/o.o",
    "archive": "ar rc through/../out/l.a through/../lib/o.o; ar rcT out/t.a through/../lib/o.o; ld -r -o out/r.o out/t.a -uf",
    "linker scripts": "echo 'INPUT(through/../lib/o.o)' > out/s; gcc -shared -o out/a.so out/s "
    "-Wl,--version-script=through/../lib/v",
    "binutils": "strip -g -o through/../out/s.o through/../lib/o.o; objcopy through/../lib/o.o out/c.o",
    "clang": "clang -c through/../lib/a.c -o through/../out/a.o",
    "through a file": "gcc -c lib/h.h/../a.c -o out/a.o; gcc -c gone/../lib/a.c -o out/b.o; true",
}


@pytest.mark.parametrize("script", THROUGH.values(), ids=THROUGH)
def test_through_a_directory_and_out_again(script: str, project: Project) -> None:
    """In a namespace nothing is there that was not declared."""
    project.write("lib/a.c", "int f(void) { return 1; }\n")
    project.write("lib/h.h", "/* h */\n")
    project.write("lib/v", "{ global: f; local: *; };\n")
    for name in ("through/deep", "out"):
        project.path(name).mkdir(parents=True)
    project.path("lnk").symlink_to("through/deep")
    project.path("out/over.c").symlink_to("../through/../lib/a.c")
    project.run("gcc", "-c", "lib/a.c", "-o", "lib/o.o")
    expected, plain = project.plain("sh", "-c", script)
    assert project.infer("sh", "-c", script).stderr.startswith(plain.stderr)
    assert project.force("--isolation", "namespace").stderr == b""
    project.assert_tree(expected)
