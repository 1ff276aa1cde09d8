"""A failed command leaves its older output, or removes it, as the tool does; one that was not begun touches nothing."""

from __future__ import annotations

import os

import pytest

from tests.e2e.project import Project

COMMANDS = (
    "gcc -c bad.c -o {}",
    "gcc -pipe -c bad.c -o {}",
    "gcc -c asm.c -o {}",
    "gcc -c bad.S -o {}",
    "gcc -S bad.c -o {}",
    "gcc undefined.c -o {}",
    "gcc main.c bad.c -o {}",
    "gcc undefined.c -fuse-ld=lld -o {}",
    "gcc undefined.c -fuse-ld=gold -o {}",
    "clang -c bad.c -o {}",
    "nasm -felf64 bad.asm -o {}",
    "as bad.s -o {}",
    "ld undefined.o -e main -o {}",
    "gcc -c bad.c -o failed.o && gcc failed.o -o {}",
    "gcc -c bad.c -o f2.o && ar rcs l.a f2.o && gcc main.c l.a -o {}",
)
YEAR_2020 = 1577836800


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_older_outputs(project: Project, isolation: str) -> None:
    project.write("bad.c", "int x = ;\n")
    project.write("asm.c", 'asm(".bogus");\n')
    project.write("bad.S", "#error no\n")
    project.write("bad.s", ".bogus\n")
    project.write("bad.asm", "foo bar baz\n")
    project.write("main.c", "int main(void) { return 0; }\n")
    project.write("undefined.c", "int g(void);\nint main(void) { return g(); }\n")
    project.run("gcc", "-c", "undefined.c")
    rules = [f"r{n}: ; {command.format(f'out{n}')}\n" for n, command in enumerate(COMMANDS)]
    project.write("Makefile", f"all: {' '.join(f'r{n}' for n in range(len(COMMANDS)))}\n" + "".join(rules))
    outs = [project.write(f"out{n}", f"older {n}\n", 0o640) for n in range(len(COMMANDS))]

    def state() -> dict[str, tuple[bytes, int, int] | None]:
        return {
            out.name: (out.read_bytes(), out.stat().st_mode, int(out.stat().st_mtime)) if out.exists() else None
            for out in outs
        }

    def make_old() -> None:
        for number, out in enumerate(outs):
            out.write_text(f"older {number}\n")
            out.chmod(0o640)
            os.utime(out, (YEAR_2020, YEAR_2020))

    make_old()
    project.make("-k", status=2)
    plain = state()
    assert None in plain.values()
    make_old()
    project.infer("make", "-k", status=None)
    project.force("--keep-going", "--isolation", isolation, status=1)
    assert state() == plain
    assert not project.placeholders()
    assert not list((project.records / "older").iterdir())


def test_what_ends_well_leaves_nothing_older(project: Project) -> None:
    project.write("a.c", "int a;\n")
    project.write("b.o", "older\n")
    project.infer("gcc", "-c", "a.c", "-o", "b.o")
    assert list((project.records / "older").iterdir())
    project.force()
    assert not list((project.records / "older").iterdir())
    assert project.path("b.o").stat().st_nlink == 1


@pytest.mark.parametrize("with_gg_first", [False, True])
@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
def test_an_older_file_that_a_command_does_not_write_stays(
    project: Project, isolation: str, with_gg_first: bool
) -> None:
    """clang's .dwo without -g. Its time stays too."""
    project.write("x.c", "int f(int x) { return x; }\n")

    def build(flags: str, gg: bool) -> tuple[bytes, float] | None:
        project.write("Makefile", f"x.o: x.c Makefile\n\tclang {flags} -gsplit-dwarf -c x.c\n")
        if gg:
            project.infer()
            project.force("--isolation", isolation)
        else:
            project.make()
        dwo = project.path("x.dwo")
        return (dwo.read_bytes(), dwo.stat().st_mtime) if dwo.exists() else None

    older = build("-g", gg=with_gg_first)
    assert older
    assert build("-O1", gg=True) == older
    object_file = project.path("x.o").read_bytes()
    project.path("x.o").unlink()
    assert build("-O1", gg=False) == older
    assert project.path("x.o").read_bytes() == object_file
    project.path("x.o").unlink()
    project.path("x.dwo").unlink()
    assert build("-O1 -Wall", gg=True) is None
