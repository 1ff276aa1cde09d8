"""Whoever reads a placeholder waits while it is forced and reads the real file. Those that move files see it as is."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import PlaceholderWriter
from gg.record import protocol
from gg.record.protocol import Op, RecorderRequest

from .compiled import Native, cc
from .conftest import FakeRecorder
from .test_exec_redirect import PROGRAMS, environment, executable, shims

__all__ = ["environment", "shims"]

REAL = b"what the thunk makes\n"


@pytest.fixture(scope="session")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("readers") / "readers"
    cc("-o", program, PROGRAMS / "readers.c")
    return program


@pytest.fixture
def placeholder(native: Native, tmp_path: Path) -> Path:
    return make_placeholder(native, tmp_path / "dir name" / "out.o")


def make_placeholder(native: Native, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(PlaceholderWriter(bytes(native.shim)).encode(ThunkId(b"\x01" * 32), 0))
    return path


def put(path: Path, data: bytes) -> None:
    """As the recorder does: a new file in the old one's place."""
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(data)
    aside.chmod(0o755)
    aside.rename(path)


def forces(recorder: FakeRecorder, data: bytes = REAL) -> None:
    def answer(request: RecorderRequest) -> bytes:
        assert request.op is Op.FORCE
        put(Path(os.fsdecode(request.path)), data)
        return protocol.reply_ready()

    recorder.answer = answer


@pytest.mark.parametrize(
    "how",
    [
        "open",
        "open64",
        "openat",
        "openat64",
        "__open_2",
        "__open64_2",
        "__openat_2",
        "rdwr",
        "fopen",
        "fopen64",
        "freopen",
        "mmap",
    ],
)
def test_every_way_to_open(
    how: str, readers: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    forces(recorder)
    done = subprocess.run(
        [readers, how, placeholder.name], env=environment, cwd=placeholder.parent, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, REAL, b"")
    (request,) = recorder.requests
    assert request.path == bytes(placeholder)


@pytest.mark.parametrize(
    "command",
    [
        'cat "$1"',
        'read -r line < "$1"; echo "$line"',
        f'{sys.executable} -c "import sys; sys.stdout.write(open(sys.argv[1]).read())" "$1"',
        'ln -s "$1" link; cat link',
        'ln "$1" hard; cat hard',
        'cp "$1" copy; cat copy',
        'mv "$1" moved; cat moved',
        'cd "${1%/*}"; exec cat "${1##*/}"',
        'env -i cat "$1"',
        'sed -n p "$1"',
        'perl -pe 1 "$1"',
    ],
)
def test_real_programs(
    command: str, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    forces(recorder)
    done = subprocess.run(["sh", "-c", command, "sh", placeholder], env=environment, cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stdout) == (0, REAL)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    "command",
    [
        *('cp "$1" copy', 'mv "$1" moved', 'install -m 755 "$1" there', 'ln "$1" hard'),
        *('touch "$1"', 'rm "$1"', 'chmod 700 "$1"', 'test -s "$1"', ': > "$1"', 'echo x > "$1"'),
    ],
)
def test_movers_and_writers_do_not_force(
    command: str, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(["sh", "-c", command, "sh", placeholder], env=environment, cwd=tmp_path, capture_output=True)
    assert done.returncode == 0
    assert recorder.requests == []


def test_an_append_forces_first(placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]) -> None:
    forces(recorder)
    subprocess.run(["sh", "-c", 'echo more >> "$1"', "sh", placeholder], env=environment, check=True)
    assert placeholder.read_bytes() == REAL + b"more\n"


def test_other_files_of_that_size_are_let_be(
    readers: Path, native: Native, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    almost = PlaceholderWriter(bytes(native.shim)).encode(ThunkId(b"\x01" * 32), 0)
    for i, data in enumerate((b"x" * 256, almost[:160] + b"X" + almost[161:], almost[:200] + b"G" + almost[201:])):
        file = tmp_path / str(i)
        file.write_bytes(data)
        assert subprocess.run([readers, "open", file], env=environment, capture_output=True).stdout == data
    assert recorder.requests == []


@pytest.mark.parametrize("how", ["open", "fopen"])
def test_a_failure_is_told_and_is_an_error(
    how: str, readers: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    recorder.answer = lambda request: protocol.reply_failed(1, b"a.c:1:2: error: expected ';'\n")
    done = subprocess.run([readers, how, placeholder], env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (errno.EIO, b"")
    assert done.stderr == b"a.c:1:2: error: expected ';'\n"


def test_a_placeholder_that_stays_one_is_an_error(
    readers: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    recorder.answer = lambda request: protocol.reply_ready()
    assert subprocess.run([readers, "open", placeholder], env=environment).returncode == errno.EIO
    assert len(recorder.requests) == 1


def test_a_recorder_that_is_gone(readers: Path, placeholder: Path, environment: dict[str, str]) -> None:
    env = {**environment, "GG_SOCKET": "/does/not/exist"}
    done = subprocess.run([readers, "open", placeholder], env=env, capture_output=True)
    assert done.returncode == errno.EIO
    assert done.stderr.startswith(b"gg: ")


def test_a_bypassed_tool_forces_what_it_reads(
    readers: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    forces(recorder)
    done = subprocess.run([readers, "open", placeholder], env={**environment, "GG_BYPASS": "1"}, capture_output=True)
    assert done.stdout == REAL


def test_an_executable_placeholder_is_forced_before_it_starts(
    native: Native, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    program = make_placeholder(native, tmp_path / "generator")
    program.chmod(0o755)
    forces(recorder, b'#!/bin/sh\necho "$0 $1"\n')
    done = subprocess.run(["sh", "-c", "./generator x"], env=environment, cwd=tmp_path, capture_output=True)
    assert done.stdout == b"./generator x\n"
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("found_by", ["rpath", "origin", "environment"])
def test_libraries_of_the_build_are_forced_before_a_program_starts(
    found_by: str, native: Native, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    """The dynamic loader opens them past the interposer. One needs the other."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "a.c").write_text("int b(void); int a(void) { return b() + 1; }\n")
    (tmp_path / "b.c").write_text("int b(void) { return 41; }\n")
    (tmp_path / "m.c").write_text("int a(void); int main(void) { return a(); }\n")
    lib = tmp_path / "lib"
    cc("-shared", "-fPIC", "-o", lib / "libb.so", tmp_path / "b.c")
    option = {"rpath": [f"-Wl,-rpath,{lib}"], "origin": ["-Wl,-rpath,$ORIGIN/lib"], "environment": []}[found_by]
    own = [] if found_by == "environment" else ["-Wl,-rpath,$ORIGIN"]
    cc("-shared", "-fPIC", "-o", lib / "liba.so", tmp_path / "a.c", f"-L{lib}", "-lb", *own)
    cc("-o", tmp_path / "prog", tmp_path / "m.c", f"-L{lib}", "-la", f"-Wl,-rpath-link,{lib}", *option)
    real = {name: (lib / name).read_bytes() for name in ("liba.so", "libb.so")}

    def answer(request: RecorderRequest) -> bytes:
        path = Path(os.fsdecode(request.path))
        put(path, real[path.name])
        return protocol.reply_ready()

    recorder.answer = answer
    for name in real:
        make_placeholder(native, lib / name)
    env = {**environment, "LD_LIBRARY_PATH": str(lib)} if found_by == "environment" else environment
    assert subprocess.run(["sh", "-c", "./prog"], env=env, cwd=tmp_path).returncode == 42
    assert [os.path.basename(r.path) for r in recorder.requests] == [b"liba.so", b"libb.so"]


def test_dlopen(native: Native, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path) -> None:
    """A plugin by its path is forced; a bare name is still looked for in the caller's RUNPATH."""
    (tmp_path / "p.c").write_text("int f(void) { return 42; }\n")
    (tmp_path / "m.c").write_text(
        "#include <dlfcn.h>\n#include <stdio.h>\n"
        "int main(int n, char **v) { void *h = dlopen(v[n - 1], RTLD_NOW); if (!h) return puts(dlerror()), 1;"
        ' return ((int (*)(void))dlsym(h, "f"))(); }\n'
    )
    plugin = tmp_path / "plugin.so"
    cc("-shared", "-fPIC", "-o", plugin, tmp_path / "p.c")
    cc("-o", tmp_path / "prog", tmp_path / "m.c", f"-Wl,-rpath,{tmp_path}", "-Wl,--enable-new-dtags")
    assert subprocess.run([tmp_path / "prog", "plugin.so"], env=environment).returncode == 42
    forces(recorder, plugin.read_bytes())
    make_placeholder(native, plugin)
    assert subprocess.run([tmp_path / "prog", "./plugin.so"], env=environment, cwd=tmp_path).returncode == 42
    assert len(recorder.requests) == 1


def test_a_tool_executed_by_path_while_it_is_a_placeholder(
    native: Native, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    """Building binutils: the archiver that was just built is forced, and then is a call of a tool like any other."""
    tool = make_placeholder(native, tmp_path / "ar")
    tool.chmod(0o755)

    def answer(request: RecorderRequest) -> bytes:
        if request.op is Op.CALL:
            return protocol.reply_exit(0, b"called\n")
        executable(Path(os.fsdecode(request.path)))
        return protocol.reply_ready()

    recorder.answer = answer
    done = subprocess.run(["sh", "-c", f"{tool} t lib.a"], env=environment, capture_output=True)
    assert done.stdout == b"called\n"
    assert [r.op for r in recorder.requests] == [Op.FORCE, Op.CALL]
