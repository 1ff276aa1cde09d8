"""What a call says is meant in its own process and directory, not in the recorder's."""

from __future__ import annotations

import pytest

from tests.e2e.project import SCRIPTS, Project, by_make

OWN = {
    "PWD": "cd sub; PWD=/proc/self/cwd gcc -g -c a.c -o a.o; PWD=/proc/thread-self/cwd as -g a.s -o b.o",
    "PWD of another": "cd sub; PWD=/tmp gcc -g -c a.c -o a.o; PWD=../sub gcc -g -c a.c -o b.o; PWD= gcc -g -c a.c -o c.o",
    "PWD by a link": "cd link; as -g a.s -o a.o; gcc -g -c a.s -o b.o; gcc -g -c a.c -o c.o; unset PWD; as -g a.s -o d.o",
    "source": "cd sub; gcc -c /proc/self/cwd/a.c -o a.o; gcc -c -x c /dev/stdin -o b.o <a.c; gcc -c -x c /dev/fd/3 -o c.o 3<a.c",
    "directories": "cd sub; gcc -c -I/proc/self/cwd/inc -c i.c -o a.o; gcc -isystem/proc/self/cwd/inc -MD -c i.c -o b.o",
    "include": "cd sub; echo '#include \"/proc/self/cwd/inc/h.h\"' >j.c; gcc -c j.c",
    "link to it": "cd sub; ln -s /proc/self/cwd here; gcc -c here/a.c -o a.o; gcc -Ihere/inc -c i.c -o here/b.o",
    "response file": "cd sub; echo '-c a.c -o a.o' >args; gcc @/proc/self/cwd/args; gcc @args; gcc @/dev/fd/4 4<args",
    "words of a response file": "cd sub; echo '-c /proc/self/cwd/a.c -o a.o' >args; gcc @args",
    "environment": "cd sub; CPATH=/proc/self/cwd/inc gcc -c i.c -o a.o; C_INCLUDE_PATH=inc gcc -c i.c -o b.o",
    "output": "cd sub; gcc -c a.c -o /proc/self/cwd/a.o; gcc -S a.c -o /dev/stdout >b.s; gcc -c a.c -o /dev/fd/5 5>c.o; "
    "test -s b.s",
    "dependency file": "cd sub; gcc -MMD -MF /proc/self/cwd/a.d -c a.c; gcc -MMD -MF /dev/fd/3 -c a.c -o b.o 3>b.d",
    "archive": "cd sub; gcc -c a.c; ar rc /proc/self/cwd/l.a a.o; ld -r /proc/self/cwd/a.o -o r.o; strip /proc/self/cwd/a.o",
    "names that look like it": "cd proc; gcc -DX='\"/proc/self/maps\"' -Iself -c self/a.c -o a.o; gcc -c ../dev/fd/a.c -o b.o",
}
PATHS = {
    "assembler": "PATH=tools:$PATH gcc -c a.c -o a.o",
    "assembler in .": "cd tools; PATH=.:$PATH gcc -c ../a.c -o a.o; PATH=:$PATH gcc -c ../a.c -o b.o; gcc -c ../a.c -o c.o",
    "compiler": "PATH=wrapped:$PATH gcc -c a.c -o a.o; cd wrapped; PATH=.:$PATH gcc -c ../a.c -o b.o; ./gcc -c ../a.c -o c.o",
    "assembler that comes": 'PATH="$PWD/new:$PATH"; gcc -c a.c -o a.o; cp tools/as new; gcc -c a.c -o b.o; rm new/as; '
    "gcc -c a.c -o c.o",
    "assembler of -B that goes": 'gcc -B"$PWD/new/" -c a.c -o a.o; cp tools/as new; gcc -B"$PWD/new/" -c a.c -o b.o; rm new/as',
    "assembler that changes": 'PATH="$PWD/tools:$PATH"; gcc -c a.c -o a.o; sed -i s/patched/again/ tools/as; gcc -c a.c -o b.o',
    "compiler that comes": 'PATH="$PWD/new:$PATH"; gcc -c a.c -o a.o; cp wrapped/gcc new; hash -r; gcc -c a.c -o b.o',
    "COMPILER_PATH": "COMPILER_PATH=tools gcc -c a.c -o a.o; COMPILER_PATH=$PWD/tools gcc -c a.c -o b.o",
    "-B": "gcc -Btools -c a.c -o a.o; gcc -Btools/ -c a.c -o b.o; gcc -B $PWD/tools -c a.c -o c.o; cd tools; gcc -B. -c ../a.c",
    "libraries": "LIBRARY_PATH=lib gcc m.c -lx -o p; LIBRARY_PATH=:/nowhere gcc m.c -L lib -lx -o q",
    "loader": "LD_LIBRARY_PATH=:/nowhere gcc -c a.c -o a.o; LD_LIBRARY_PATH=tools: gcc -c a.c -o b.o",
    "temporary files": "TMPDIR=tools gcc -c a.c -o a.o; TMPDIR=nowhere gcc -c a.c -o b.o; TMPDIR= gcc -c a.c -o c.o",
    "a tilde": "mkdir '~'; cp a.c '~'; gcc -c '~/a.c' -o '~/a.o'; HOME=/nowhere gcc -c '~/a.c' -o b.o",
}


def write(project: Project) -> None:
    for directory in ("sub", "proc/self", "dev/fd"):
        project.write(f"{directory}/a.c", "int f(void) { return 1; }\n")
        project.write(f"{directory}/a.s", "f:\n nop\n")
    project.write("sub/inc/h.h", "int header;\n")
    project.write("sub/i.c", "#include <h.h>\n")
    project.path("link").symlink_to("sub")


def write_tools(project: Project) -> None:
    project.write("a.c", "int f(void) { return 1; }\n")
    project.write("m.c", "int f(void);\nint main(void) { return f(); }\n")
    project.write("tools/as", '#!/bin/sh\nexec /usr/bin/as --defsym patched=1 "$@"\n', 0o755)
    project.write("wrapped/gcc", '#!/bin/sh\nexec /usr/bin/gcc -DWRAPPED -g "$@"\n', 0o755)
    project.write("new/.keep", "")
    project.write("lib/.keep", "")
    project.run("gcc", "-c", "a.c", "-o", "lib/x.o")
    project.run("ar", "rc", "lib/libx.a", "lib/x.o")


@pytest.mark.parametrize("script", OWN.values(), ids=OWN)
def test_names_that_each_process_has_for_itself(project: Project, script: str) -> None:
    write(project)
    project.same_as_plain(*by_make(project, script), make=False)


@pytest.mark.parametrize("script", PATHS.values(), ids=PATHS)
def test_relative_entries_of_search_paths(project: Project, script: str) -> None:
    write_tools(project)
    project.same_as_plain(*by_make(project, script), make=False)


def test_response_files_of_other_directories(project: Project) -> None:
    """One of this name is where the recorder is, too."""
    for directory, value in ((".", 1), ("sub", 2)):
        project.write(f"{directory}/a.c", f"int f(void) {{ return {value}; }}\n")
        project.write(f"{directory}/args", f"-c a.c -o a{value}.o -DX={value}")
        project.write(f"{directory}/ar.args", f"rc l{value}.a a{value}.o")
    script = "gcc @args; ar @ar.args; cd sub; gcc @args; ar @ar.args; gcc -v @args 2>/dev/null; objcopy @../cp.args"
    project.write("cp.args", "a2.o b.o")
    project.same_as_plain(*by_make(project, script), make=False)


def test_a_umask_that_hides_files_from_their_owner(project: Project) -> None:
    """It is that of gg-force, not of the build: a program is executable all the same, and its directory is made as usual."""
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("Makefile", "prog: main.o\n\tgcc -o $@ main.o\nmain.o: main.c\n\tgcc -c -o $@ main.c\n")
    expected, _ = project.plain()
    project.infer()
    project.run("sh", "-c", f"umask 0777; exec {SCRIPTS}/gg-force")
    project.assert_tree(expected)
