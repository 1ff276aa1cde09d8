"""Compilations whose outcome is looked at there and then, by scripts that use no name which tells so."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.project import SCRIPTS, Project

FEATURES = """\
try() {
    printf '%s\\nint main(void) { %s }\\n' "$2" "$3" > try.c
    rm -f try
    eval "gcc -o try try.c $4 >> try.err 2>&1"
    if [ -x try ]; then echo "#define HAVE_$1 1"; else echo "/* no $1 */"; fi >> features.h
    rm -f try try.c
}
try STDIO '#include <stdio.h>' 'puts("x");'
try NOTHING '#include <nothing_there.h>' ''
try FUNCTION 'int nothing_there(void);' 'return nothing_there();'
try LIBRARY '' 'return 0;' -lnothing_there
if gcc -Werror -Wall -c warns.c -o warns.o 2> /dev/null; then echo clean; else echo warns; fi > said
rm try.err  # it has the names of temporary files
"""
SHELLS = ("dash", "bash", "busybox ash")
WARNS = "static int unused;\nint f(void) { int x; return 1; }\n"


def same(project: Project, shell: str, *lines: str) -> None:
    project.write("warns.c", WARNS)
    project.write("ok.c", "int ok(void) { return 1; }\n")
    project.write("build.sh", "\n".join(lines) + "\n")
    expected, _ = project.plain(*shell.split(), "build.sh")
    project.infer(*shell.split(), "build.sh")
    project.forced()
    project.assert_tree(expected)


@pytest.mark.parametrize("shell", SHELLS)
def test_features_by_whether_a_program_comes_out(project: Project, shell: str) -> None:
    same(project, shell, FEATURES)
    assert "HAVE_STDIO" in project.path("features.h").read_text()
    assert "no FUNCTION" in project.path("features.h").read_text()


@pytest.mark.parametrize("shell", SHELLS)
def test_warnings_in_a_file(project: Project, shell: str) -> None:
    same(
        project,
        shell,
        "gcc -Wall -c warns.c 2> log",
        "gcc -Wall -c warns.c -o two.o > log2 2>&1",
        "gcc -c bad.c 2> log3 || true",
    )
    assert "unused" in project.path("log").read_text()


@pytest.mark.parametrize(
    "whole",
    [
        "make 2> /dev/null",
        "make > /dev/null 2>&1",
        "make -O 2> /dev/null",
        "sh -c 'make -j2 > /dev/null 2>&1'",
        "(make; true) 2> /dev/null",
        "make 2>&1 | cat > /dev/null",
    ],
)
def test_a_build_whose_output_is_dropped_is_deferred(project: Project, whole: str) -> None:
    project.write("warns.c", WARNS)
    project.write("Makefile", "all: a.o b.o\na.o b.o: warns.c\n\tgcc -c warns.c -o $@\n")
    project.infer("sh", "-c", whole)
    assert project.placeholders() == ["a.o", "b.o"]


def test_errors_of_gg_infer_itself_go_to_a_file(project: Project) -> None:
    project.write("warns.c", WARNS)
    with open(project.root.parent / "log", "wb") as log:
        command = [str(SCRIPTS / "gg-infer"), "gcc", "-c", "warns.c"]
        subprocess.run(command, cwd=project.root, stderr=log, check=True, env=os.environ | project.env)
    assert project.placeholders() == ["warns.o"]


def test_what_libtool_compiles_once_more(project: Project) -> None:
    project.write("warns.c", WARNS)
    libtool = "libtool --silent --tag=CC --mode=compile gcc -c warns.c -o warns.lo"
    expected, _ = project.plain("sh", "-c", libtool)
    project.infer("sh", "-c", libtool)
    assert project.placeholders() == [".libs/warns.o", "warns.o"]
    project.forced()
    project.assert_tree(expected)
