"""A modelled tool that is executed by its path becomes the shim, whatever function was called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gg.models.tool_names import PLAIN
from gg.record import protocol

from .compiled import Native, cc
from .conftest import FakeRecorder

PROGRAMS = Path(__file__).parent / "programs"
BY_PATH = (
    *("execve", "execve-empty", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "execveat", "fexecve"),
    *("posix_spawn", "posix_spawnp", "pidfd_spawn", "pidfd_spawnp", "vfork", "system", "popen"),
)


@pytest.fixture(scope="session")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("callers") / "callers"
    cc("-o", program, PROGRAMS / "callers.c")
    return program


@pytest.fixture
def shims(native: Native, tmp_path: Path) -> Path:
    directory = tmp_path / "shims"
    directory.mkdir()
    for name in ("gcc", "ar"):
        (directory / name).symlink_to(native.shim)
    return directory


@pytest.fixture
def environment(native: Native, recorder: FakeRecorder, shims: Path) -> dict[str, str]:
    return {
        "PATH": f"{shims}:/usr/bin:/bin",
        "LD_PRELOAD": str(native.record),
        "GG_SOCKET": str(recorder.path),
        "GG_SHIM": str(native.shim),
        "GG_SHIMS": str(shims),
        "GG_TOOLS": ":".join(PLAIN),
    }


def executable(path: Path, text: str = '#!/bin/sh\necho "real $*"\n') -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def status(argv: list[str | Path], env: Mapping[str, str], cwd: Path | None = None) -> int:
    return subprocess.run(argv, env=env, cwd=cwd, stdout=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("how", BY_PATH)
def test_every_way_to_execute(
    how: str, callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    tool = executable(tmp_path / "x86_64-linux-gnu-gcc-12")
    recorder.answer = lambda request: protocol.reply_exit(33)
    assert status([callers, how, tool], environment) == 33
    (request,) = recorder.requests
    assert request.path == bytes(tool)
    assert request.argv[1:] == (b"one", b"two words")
    if how not in ("system", "popen"):
        assert request.argv[0] == b"tool"
    assert b"GG_EXEC_PATH" not in request.env
    assert request.env[b"LD_PRELOAD"] == environment["LD_PRELOAD"].encode()


@pytest.mark.parametrize("how", ["execvp", "execlp", "posix_spawnp", "pidfd_spawnp", "system"])
def test_found_along_a_path_without_shims(
    how: str, callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    executable(tmp_path / "gcc")
    recorder.answer = lambda request: protocol.reply_exit(33)
    env = {**environment, "PATH": f"/nowhere:{tmp_path}:/usr/bin:/bin"}
    assert status([callers, how, "gcc"], env) == 33
    assert recorder.requests[0].path == bytes(tmp_path / "gcc")


def test_the_path_of_the_build_holds_no_shims(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], shims: Path
) -> None:
    """A configure step writes down where along PATH it found its tools."""
    recorder.answer = lambda request: protocol.reply_exit(33)
    for how in ("execvp", "posix_spawnp"):
        assert status([callers, how, "gcc"], environment) == 33
    assert [request.path for request in recorder.requests] == [b"/usr/bin/gcc"] * 2
    for path in (f"{shims}:/usr/bin:/bin", f"/usr/bin:{shims}:/bin", f"/usr/bin:/bin:{shims}", f"/usr/bin:{shims}0"):
        done = subprocess.run(["sh", "-c", "echo $PATH"], env={**environment, "PATH": path}, capture_output=True)
        assert done.stdout.decode().strip() == ":".join(part for part in path.split(":") if part != str(shims))


def test_a_static_program_finds_the_shims(
    recorder: FakeRecorder, environment: dict[str, str], shims: Path, tmp_path: Path
) -> None:
    """It has no interposer, nor has a script that it interprets; what they start has one again."""
    (tmp_path / "calls.c").write_text(
        "#include <stdlib.h>\n#include <unistd.h>\n"
        'int main(int n, char **a) { if (n > 1 && access(a[1], R_OK) == 0) return system("echo $PATH; gcc x.c");\n'
        'return execlp("gcc", "gcc", "y.c", (char *)0); }\n'
    )
    cc("-static", "-o", tmp_path / "calls", tmp_path / "calls.c")
    executable(tmp_path / "script", f"#! {tmp_path}/calls\n")
    done = subprocess.run(["sh", "-c", "./script; ./calls"], cwd=tmp_path, env=environment, capture_output=True)
    assert done.stdout == b"/usr/bin:/bin\n"
    assert [request.path for request in recorder.requests] == [b"/usr/bin/gcc", b""]
    assert [request.argv[1] for request in recorder.requests] == [b"x.c", b"y.c"]


def test_a_relative_path_is_told_in_full(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin" / "clang++-14")
    status([callers, "execv", "bin/clang++-14"], environment, tmp_path)
    assert recorder.requests[0].path == bytes(tmp_path / "bin/clang++-14")


@pytest.mark.parametrize(
    "name",
    [
        *("gcc", "c++", "cc", "cpp", "gcc-12.2", "aarch64-linux-gnu-ld.bfd", "arm-none-eabi-gcc-ar-11", "llvm-ar-14"),
        *("c99-gcc", "i686-w64-mingw32-gcc-posix", "i686-w64-mingw32-g++-12-win32", "nasm", "ld.lld", "strip"),
        "avr-gcc",
    ],
)
def test_names_of_tools(
    name: str, callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    status([callers, "execv", executable(tmp_path / name)], environment)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    "name", ["cc1", "gccgo", "afl-gcc", "musl-gcc", "mygcc", "gcc-", "-gcc", "ld.so", "bar", "gcc.py"]
)
def test_names_of_other_programs(
    name: str, callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    assert status([callers, "execv", executable(tmp_path / name)], environment) == 0
    assert recorder.requests == []


def test_the_list_of_tools_can_be_given(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    env = {**environment, "GG_TOOLS": "protoc:moc"}
    for name in ("protoc", "x86_64-linux-gnu-moc-5", "gcc"):
        status([callers, "execv", executable(tmp_path / name)], env)
    assert [os.path.basename(request.path) for request in recorder.requests] == [b"protoc", b"x86_64-linux-gnu-moc-5"]


def test_declared_tools_are_added_to_the_list(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    """Patterns of base names, and of absolute paths if they hold a slash."""
    env = {**environment, "GG_DECLARED": f"proto?:*gen*x:{tmp_path}/d/*"}
    (tmp_path / "d").mkdir()
    names = ("protoc", "my-gen-1x", "d/any", "gcc", "proto", "gen", "other")
    for name in names:
        status([callers, "execv", executable(tmp_path / name)], env)
    assert [os.path.relpath(os.fsdecode(request.path), tmp_path) for request in recorder.requests] == list(names[:4])


def test_what_cannot_be_executed_fails_as_ever(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "gcc").write_text("not executable")
    (tmp_path / "ar").mkdir()
    for name in ("gcc", "ar", "ld"):
        done = subprocess.run([callers, "execv", tmp_path / name], env=environment, capture_output=True)
        assert done.returncode == 95
    assert recorder.requests == []


def test_a_bypassed_process_runs_the_real_tool(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    tool = executable(tmp_path / "gcc")
    done = subprocess.run([callers, "execv", tool], env={**environment, "GG_BYPASS": "1"}, capture_output=True)
    assert done.stdout == b"real one two words\n"
    assert recorder.requests == []


def test_a_tidy_environment_does_not_escape(
    recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    """env -i, a shell that unsets, and a library of the build's own that is preloaded."""
    tool = executable(tmp_path / "gcc")
    other = shutil.copy(environment["LD_PRELOAD"], tmp_path / "other.so")
    for prefix in (["env", "-i"], ["env", "-u", "LD_PRELOAD"], ["env", f"LD_PRELOAD={other}"]):
        status([*prefix, "sh", "-c", f"unset GG_SOCKET GG_SHIMS; {tool} x; :"], environment)
    assert [request.path for request in recorder.requests] == [bytes(tool)] * 3
    assert recorder.requests[2].env[b"LD_PRELOAD"] == f"{environment['LD_PRELOAD']}:{other}".encode()


def test_scripts_and_interpreters_are_preloaded(
    recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    tool = executable(tmp_path / "gcc")
    wrapper = executable(tmp_path / "wrapper", f'#!/bin/sh\nexec {tool} from-script "$@"\n')
    python = executable(
        tmp_path / "generate.py",
        f"#!/usr/bin/env python3\nimport subprocess\nsubprocess.run([{str(tool)!r}, 'from-python'])\n"
        f"subprocess.run([{str(tool)!r}, 'elsewhere'], cwd='/', env={{}}, start_new_session=True)\n",
    )
    status([wrapper, "a"], environment)
    status([python], environment)
    assert [r.argv[1] for r in recorder.requests] == [b"from-script", b"from-python", b"elsewhere"]
    assert recorder.requests[2].cwd == b"/"


def test_a_text_file_without_a_first_line_is_a_script(
    callers: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    script = executable(tmp_path / "plain", 'echo "script $*"\n')
    for how in ("execvp", "execlp"):
        done = subprocess.run([callers, how, script], env=environment, capture_output=True)
        assert done.stdout == b"script one two words\n"


def test_a_program_with_the_address_sanitizer_starts(environment: dict[str, str], tmp_path: Path) -> None:
    """It refuses to come second after a preloaded library, unless told not to mind."""
    (tmp_path / "m.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv("X")) < 0; }'
    )
    cc("-fsanitize=address", "-o", tmp_path / "prog", tmp_path / "m.c")
    env = {**environment, "X": "runs", "ASAN_OPTIONS": "exitcode=66"}
    done = subprocess.run(["sh", "-c", "./prog; exec ./prog"], cwd=tmp_path, env=env, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"runs\nruns\n", b"")


def test_without_a_recorder_it_does_nothing(native: Native, callers: Path, tmp_path: Path) -> None:
    tool = executable(tmp_path / "gcc")
    env = {"LD_PRELOAD": str(native.record), "PATH": "/usr/bin:/bin"}
    for how in BY_PATH:
        done = subprocess.run([callers, how, tool], env=env, capture_output=True)
        assert done.returncode == 0
        assert done.stdout == (b"" if how == "popen" else b"real one two words\n")
