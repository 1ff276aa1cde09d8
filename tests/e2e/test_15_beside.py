"""Permissions of files that no placeholder stood for: those of the tool's own open, whatever became of the outputs' since."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.project import Project, by_make

GENERATE = """use Fcntl;
for my $name ("out.run", $ARGV[1], "out.more", $ARGV[0]) {
    sysopen(my $file, $name, O_CREAT | O_WRONLY | O_TRUNC, $name eq "out.run" ? 0777 : 0666) or die;
    print {$file} "made\\n";
}
"""
SETTINGS = '[tool.generate]\nnames = ["perl"]\nscript = "generate.pl"\noperands = ["output", "optional_output"]\n'

# What each leaves besides: of no declaration; optional; both, and one that may be executed.
CALLS = {
    "response files": "gcc -save-temps @args -o out",
    "errors of nasm": "nasm -Z out.err -f elf64 main.asm -o out",
    "declared": "perl generate.pl out out.opt",
}
LIST = "setfacl -d -m u:1:rwx,g::rwx,o::- ."


@pytest.fixture
def sources(project: Project) -> Project:
    project.settings(SETTINGS)
    project.write("s/main.asm", "mov eax, 1\n")
    project.write("s/args", "main.o\n")
    project.write("s/generate.pl", GENERATE)
    project.write("main.c", "int main(void) { return 7; }\n")
    project.run("gcc", "-c", "main.c", "-o", "s/main.o")
    return project


def turn(name: str, umask: str, call: str, mode: str, before: str = ":") -> str:
    """A call in a directory of its own, after which the output's mode is changed."""
    return f"(mkdir {name}; cd {name}; {before}; cp ../s/* .; umask {umask}; {call}; chmod {mode} out)"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_beside_what_was_changed(sources: Project, call: str) -> None:
    """Also where an access list takes the umask's place, over files of another mode, and again with another umask."""
    there = "umask 0; for i in args.0 ld1_args err opt more; do echo before >out.$i; chmod 604 out.$i; done"
    turns = (
        turn("a", "022", call, "640"),
        turn("b", "077", call, "755"),
        turn("c", "002", call, "600"),
        turn("list", "077", call, "640", LIST),
        turn("there", "022", call, "640", there),
        turn("again", "022", f"{call}; rm -f out out.*; umask 026; {call}", "600"),
    )
    forced = sources.same_as_plain(*by_make(sources, *turns), make=False, deferred=len(turns) + 1)
    assert len(forced.ran) == len(turns)


def test_of_what_was_told_of(sources: Project) -> None:
    """The umask is known as long as anything of its recording is owed, and what is known already is placed as it is."""
    build = by_make(sources, *(turn(name, "077", CALLS["response files"], "755") for name in ("a", "b")))
    expected, _ = sources.plain(*build)
    for _ in range(2):
        for name in ("a", "b"):
            shutil.rmtree(sources.path(name), ignore_errors=True)
        sources.infer(*build, deferred=2)
        sources.force("a/out")
        sources.force("b/out")
        sources.assert_tree(expected)
