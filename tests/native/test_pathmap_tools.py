"""Compilers, assemblers, linkers and archivers under the path map make the bytes they make without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .compiled import Native, cc
from .maps import OBSERVE, READ, Map, Record, declared, stored

SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include "../proj/sub/own.h"
int main(void) { printf("%s %d\\n", __FILE__, OWN); return 0; }
"""

Plain = Callable[..., None]


class Project:
    """A directory with sources, and what the plain commands make in it."""

    def __init__(self, where: Path) -> None:
        self.where = where
        (where / "sub").mkdir(parents=True)
        (where / "main.c").write_text(SOURCE)
        (where / "other.c").write_text('#include "sub/own.h"\nint other(int x) { return x * OWN; }\n')
        (where / "sub" / "own.h").write_text("#pragma once\n#define OWN 42\n")
        (where / "sub" / "unused.h").write_text("#error not read\n")
        (where / "a.cc").write_text(
            "#include <iostream>\n#include <map>\n#include <string>\n"
            'int f() { std::map<std::string, int> m; m["a"] = 1; std::cout << m.size(); return 0; }\n'
        )

    def plain(self, *argv: str, makes: str) -> bytes:
        """The bytes of what the command makes without us; removed again afterwards."""
        subprocess.run(argv, cwd=self.where, check=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
        data = (self.where / makes).read_bytes()
        (self.where / makes).unlink()
        return data


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "proj")


def learn(native: Native, tmp_path: Path, project: Project, *argv: str, program: str | None = None) -> list[Record]:
    """What the command reads: run as often as something undeclared is reported, as the driver does."""
    records: list[Record] = declared([f"/usr/bin/{argv[0]}"])
    for _ in range(4):
        run = Map(tmp_path / "learn", native.pathmap, records)
        done = run.run(*argv, cwd=project.where, program=program)
        assert done.returncode == 0, done.stderr
        undeclared = run.report("U")
        if not undeclared:
            return records
        known = [path for kind, path, _ in records if kind != "L"]
        records = declared([f"/usr/bin/{argv[0]}", *known, *undeclared])
    raise AssertionError(f"never complete: {undeclared}")


COMMANDS = [
    pytest.param(("gcc", "-g", "-O2", "-c", "main.c", "-o", "main.o"), "main.o", id="compile"),
    pytest.param(("gcc", "-g", "-c", "main.c", "-MD", "-MF", "d/../main.d", "-o", "main.o"), "main.d", id="depfile"),
    pytest.param(("g++", "-g", "-c", "a.cc", "-o", "a.o"), "a.o", id="compile-c++"),
    pytest.param(("gcc", "-save-temps", "-c", "other.c"), "other.o", id="save-temps"),
    pytest.param(("gcc", "main.c", "other.c", "-o", "prog"), "prog", id="compile-and-link"),
    pytest.param(("gcc", "-flto", "-O2", "main.c", "other.c", "-o", "prog"), "prog", id="lto"),
    pytest.param(("gcc", "-shared", "-fPIC", "other.c", "-Wl,-Map=map", "-o", "lib.so"), "lib.so", id="shared"),
    pytest.param(("gcc", "-fuse-ld=gold", "main.c", "-o", "prog"), "prog", id="gold"),
    pytest.param(("gcc", "-fuse-ld=lld", "main.c", "-o", "prog"), "prog", id="lld"),
    pytest.param(("clang", "-g", "-c", "main.c", "-o", "main.o"), "main.o", id="clang"),
    pytest.param(("sh", "-c", "cat sub/*.h > all; mkdir t; mv all t/x; cp t/x all"), "all", id="shell"),
]


def clean(project: Project) -> None:
    for path in project.where.iterdir():
        if path.is_dir() and path.name in ("t", "d"):
            shutil.rmtree(path)
        elif path.name not in ("main.c", "other.c", "a.cc", "sub"):
            path.unlink()


@pytest.mark.parametrize(("argv", "makes"), COMMANDS)
def test_the_same_bytes(argv: tuple[str, ...], makes: str, native: Native, project: Project, tmp_path: Path) -> None:
    """First with files where they are; then with nothing but blobs, and nothing undeclared to be seen."""
    if "d/../main.d" in argv:
        (project.where / "d").mkdir()
    plain = project.plain(*argv, makes=makes)
    clean(project)
    if "d/../main.d" in argv:
        (project.where / "d").mkdir()
    before = sorted(project.where.rglob("*"))
    records = learn(native, tmp_path, project, *argv)
    assert sorted(project.where.rglob("*")) == before, "something was written at its real path"

    kept = stored(records, tmp_path / "blobs")
    strict = Map(tmp_path / "strict", native.pathmap, kept, flags=0)
    program = next((os.fsdecode(t) for k, p, t in kept if p == os.fsencode(os.path.realpath(f"/usr/bin/{argv[0]}"))))
    done = strict.run(*argv, cwd=project.where, program=program)
    assert (done.returncode, done.stderr) == (0, b"")
    assert strict.report("U") == set()
    assert strict.made(project.where / makes).read_bytes() == plain
    assert strict.dirty
    assert sorted(project.where.rglob("*")) == before


def test_marks_tell_what_was_read(native: Native, project: Project, tmp_path: Path) -> None:
    argv = ("gcc", "-c", "main.c", "-o", "main.o")
    records = learn(native, tmp_path, project, *argv)
    unread = project.where / "sub" / "unused.h"
    run = Map(tmp_path / "m", native.pathmap, [*records, ("F", bytes(unread), b"")])
    assert run.run(*argv, cwd=project.where).returncode == 0
    read = run.marked(READ)
    assert {bytes(project.where / "main.c"), bytes(project.where / "sub/own.h"), b"/usr/include/stdio.h"} <= read
    assert bytes(unread) not in read
    # The dynamic loader's reads are marked too: libraries, and the loader itself.
    assert any(path.endswith(b"/libc.so.6") for path in read)
    assert any(b"ld-linux" in path for path in read)
    assert any(path.endswith(b"/cc1") for path in read)


def test_an_undeclared_header_is_reported(native: Native, project: Project, tmp_path: Path) -> None:
    argv = ("gcc", "-c", "other.c", "-o", "o.o")
    header = bytes(project.where / "sub/own.h")
    records = [r for r in learn(native, tmp_path, project, *argv) if r[1] != header]
    watching = Map(tmp_path / "m1", native.pathmap, records, flags=OBSERVE)
    assert watching.run(*argv, cwd=project.where).returncode == 0
    assert watching.report("U") == {header}
    strict = Map(tmp_path / "m2", native.pathmap, records, flags=0)
    done = strict.run(*argv, cwd=project.where)
    assert done.returncode == 1
    assert b"sub/own.h: No such file or directory" in done.stderr
    assert strict.report("U") == {header}


def test_an_old_output_or_its_placeholder_is_not_there(native: Native, project: Project, tmp_path: Path) -> None:
    plain = project.plain("gcc", "main.c", "-o", "prog", makes="prog")
    records = learn(native, tmp_path, project, "gcc", "main.c", "-o", "prog")
    output = project.where / "prog"
    output.write_bytes(b"a placeholder")
    output.chmod(0o400)
    run = Map(tmp_path / "m", native.pathmap, [*records, ("N", bytes(output), b"")])
    done = run.run("gcc", "main.c", "-o", "prog", cwd=project.where)
    assert (done.returncode, done.stderr) == (0, b"")
    assert run.report("U") == set()
    assert run.made(output).read_bytes() == plain
    assert output.read_bytes() == b"a placeholder"


def test_archives(native: Native, project: Project, tmp_path: Path) -> None:
    where = project.where
    subprocess.run(["gcc", "-c", "main.c", "other.c"], cwd=where, check=True)
    subprocess.run(["ar", "rcD", "lib.a", "main.o"], cwd=where, check=True)
    old = (where / "lib.a").read_bytes()
    subprocess.run(["ar", "rcsD", "lib.a", "other.o"], cwd=where, check=True)
    updated = (where / "lib.a").read_bytes()
    (where / "lib.a").write_bytes(old)
    inputs = declared([where / name for name in ("main.o", "other.o", "lib.a")])
    for kept in (inputs, stored(inputs, tmp_path / "blobs")):
        run = Map(tmp_path / "m", native.pathmap, kept)
        done = run.run("ar", "rcsD", "lib.a", "other.o", cwd=where)
        assert (done.returncode, done.stderr) == (0, b"")
        assert run.made(where / "lib.a").read_bytes() == updated
        assert (where / "lib.a").read_bytes() == old
        assert run.outputs() == {str(where / "lib.a")}
        assert not any(path.startswith(bytes(where)) for path in run.report("U"))


def test_tools_that_work_in_place(native: Native, project: Project, tmp_path: Path) -> None:
    where = project.where
    subprocess.run(["gcc", "-g", "main.c", "-o", "prog"], cwd=where, check=True)
    original = (where / "prog").read_bytes()
    (where / "prog").chmod(0o750)
    subprocess.run(["strip", "-o", "stripped", "prog"], cwd=where, check=True)
    expected = (where / "stripped").read_bytes()
    inputs = declared([where / "prog"])
    for kept in (inputs, stored(inputs, tmp_path / "blobs")):
        run = Map(tmp_path / "m", native.pathmap, kept)
        done = run.run("strip", "prog", cwd=where)
        assert (done.returncode, done.stderr) == (0, b"")
        made = run.made(where / "prog")
        assert made.read_bytes() == expected
        assert made.stat().st_mode & 0o100
        assert (where / "prog").read_bytes() == original
        assert run.outputs() == {str(where / "prog")}
        for path in (tmp_path / "blobs").glob("*"):
            assert path.read_bytes() == original
            assert not path.stat().st_mode & 0o222


def test_a_working_directory_that_is_not_there(native: Native, project: Project, tmp_path: Path) -> None:
    """On another host. Debug information and depfiles name the directory all the same."""
    argv = ("gcc", "-g", "-c", "main.c", "-o", "main.o")
    plain = project.plain(*argv, makes="main.o")
    records = stored(learn(native, tmp_path, project, *argv), tmp_path / "blobs")
    project.where.rename(tmp_path / "moved")
    run = Map(tmp_path / "m", native.pathmap, records, flags=0)
    start = run.made(project.where)
    start.mkdir(parents=True)
    done = run.run(*argv, cwd=start)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (start / "main.o").read_bytes() == plain
    assert run.report("U") == set()


def test_through_another_dynamic_loader(native: Native, project: Project, tmp_path: Path) -> None:
    """A toolchain that brings its own C library: programs start through the loader that was shipped with them."""
    argv = ("gcc", "-g", "-O2", "main.c", "-o", "prog")
    plain = project.plain(*argv, makes="prog")
    records = stored(learn(native, tmp_path, project, *argv), tmp_path / "blobs")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    sonames = {path: target for kind, path, target in records if kind == "F" and b".so" in os.path.basename(path)}
    for kind, path, target in records:
        if kind == "L" and b".so" in os.path.basename(path):
            sonames[path] = sonames.get(os.path.join(os.path.dirname(path), target), b"")
    for path, target in sonames.items():
        if target and Path(os.fsdecode(target)).read_bytes()[:4] == b"\x7fELF":
            (libraries / os.fsdecode(os.path.basename(path))).symlink_to(os.fsdecode(target))
    loader = os.path.realpath("/lib64/ld-linux-x86-64.so.2").encode()
    assert any(path == loader for _, path, _ in records)
    records.append(("I", b"/lib64/ld-linux-x86-64.so.2", bytes(libraries)))
    run = Map(tmp_path / "m", native.pathmap, records, flags=0)
    done = run.run("sh", "-c", "exec gcc -v -g -O2 main.c -o prog", cwd=project.where, program="/bin/sh")
    assert done.returncode == 0, done.stderr
    assert run.made(project.where / "prog").read_bytes() == plain
    read = run.marked(READ)
    assert any(path.endswith(b"/libc.so.6") for path in read)


def test_an_assembler_of_another_kind(native: Native, project: Project, tmp_path: Path) -> None:
    (project.where / "x.asm").write_text('%include "sub/y.inc"\nsection .text\nglobal f\nf: mov eax, Y\n ret\n')
    (project.where / "sub" / "y.inc").write_text("%define Y 7\n")
    argv = ("nasm", "-felf64", "-g", "x.asm", "-o", "x.o")
    plain = project.plain(*argv, makes="x.o")
    run = Map(tmp_path / "m", native.pathmap, learn(native, tmp_path, project, *argv))
    assert run.run(*argv, cwd=project.where).returncode == 0
    assert run.made(project.where / "x.o").read_bytes() == plain


def test_a_static_program_is_told_of(native: Native, project: Project, tmp_path: Path) -> None:
    (tmp_path / "nothing.c").write_text("int main(void) { return 0; }")
    program = tmp_path / "nothing"
    cc("-static", "-o", program, tmp_path / "nothing.c")
    run = Map(tmp_path / "m", native.pathmap, declared([program]))
    run.run("sh", "-c", f"{program} x", cwd=project.where)
    assert run.report("S") == {bytes(program)}
