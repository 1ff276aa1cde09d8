"""gg-trace: what it writes down of a command and its children, and that the command is none the wiser."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.functions_for_tests import until

from .compiled import Native, cc
from .conftest import FakeRecorder


@dataclass(frozen=True, slots=True)
class Watched:
    status: int
    stdout: bytes
    stderr: bytes
    touched: tuple[bytes, ...]

    def has(self, kind: str, path: Path | str) -> bool:
        """Whether there is such a record: kind and state, "R-" for one that was read."""
        return kind.encode() + os.fsencode(path) in self.touched


def watch(native: Native, tmp_path: Path, *command: str, env: dict[str, str] | None = None) -> Watched:
    report = tmp_path / "report"
    where = tmp_path / "w"
    where.mkdir(exist_ok=True)
    argv: list[str | Path] = [native.trace, report, command[0], *command]
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", **(env or {})}
    done = subprocess.run(argv, cwd=where, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return Watched(done.returncode, done.stdout, done.stderr, tuple((report / "touched").read_bytes().split(b"\0")))


def shell(native: Native, tmp_path: Path, text: str) -> Watched:
    return watch(native, tmp_path, "/bin/sh", "-c", text)


def test_output_and_status_pass_through(native: Native, tmp_path: Path) -> None:
    seen = shell(native, tmp_path, "echo out; echo err >&2; exit 7")
    assert (seen.status, seen.stdout, seen.stderr) == (7, b"out\n", b"err\n")
    kept = (tmp_path / "report/output").read_bytes()
    assert kept == b"\x01\x04\0\0\0out\n\x02\x04\0\0\0err\n"


def test_reads_looks_and_what_is_not_there(native: Native, tmp_path: Path) -> None:
    w = tmp_path / "w"
    w.mkdir()
    (w / "read").write_text("x")
    (w / "link").symlink_to("read")
    (w / "d").mkdir()
    seen = shell(native, tmp_path, "cat read link > /dev/null; test -e absent; test -L link; ls d; (cd d; cat ../read)")
    assert seen.has("R-", w / "read")
    assert seen.has("R-", w / "link")
    assert seen.has("S-", w / "absent")
    assert seen.has("L-", w / "link")
    assert seen.has("D-", w / "d")
    assert seen.has("R-", w / "d/../read")
    assert not any(record.startswith(b"T") for record in seen.touched)


def test_what_the_kernel_opens_by_itself(native: Native, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh -e\ntrue\n")
    script.chmod(0o755)
    seen = watch(native, tmp_path, str(script))
    assert seen.has("R-", script)
    assert seen.has("R-", os.path.realpath("/bin/sh"))
    assert any(b"/ld-linux" in record for record in seen.touched)


def test_changes_and_the_state_before(native: Native, tmp_path: Path) -> None:
    w = tmp_path / "w"
    w.mkdir()
    for name in ("over", "gone", "grown", "moved", "mode"):
        (w / name).write_text(f"old {name}")
    (w / "dir").mkdir()
    (w / "via").symlink_to("target")
    text = "echo > over; rm gone; echo x >> grown; mv moved new; chmod 700 mode; mkdir made; rmdir dir; echo > via; mkdir made"
    seen = shell(native, tmp_path, text)
    files = [record[2:].decode() for record in seen.touched if record.startswith(b"Wf")]
    assert files == [str(w / name) for name in ("over", "gone", "grown", "moved", "mode")]
    for number, name in enumerate(files):
        assert (tmp_path / f"report/{number}").read_text() == f"old {Path(name).name}"
    for record in ("Wa", w / "new"), ("Wa", w / "made"), ("Wd", w / "dir"), ("Wl", w / "via"):
        assert seen.has(*record)


def test_a_static_program_and_its_threads_are_seen(native: Native, tmp_path: Path) -> None:
    source = tmp_path / "p.c"
    source.write_text(
        "#include <pthread.h>\n#include <stdio.h>\n"
        'static void *f(void *p) { fclose(fopen("by-thread", "w")); return p; }\n'
        "int main(void) { pthread_t t; pthread_create(&t, 0, f, 0); return pthread_join(t, 0); }\n"
    )
    cc("-static", "-pthread", "-o", tmp_path / "p", source)
    seen = watch(native, tmp_path, str(tmp_path / "p"))
    assert seen.status == 0
    assert seen.has("Wa", tmp_path / "w/by-thread")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mkdir a; mv a b", "moves a directory"),
        ("unshare -Ur true", "unshare, which is not followed"),
        ("perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(q(s)))'", "socket"),
        (
            "perl -e 'use Socket; socket(S, AF_INET, SOCK_STREAM, 0); connect(S, sockaddr_in(9, INADDR_LOOPBACK))'",
            "socket",
        ),
    ],
)
def test_what_cannot_be_observed_is_told(native: Native, tmp_path: Path, text: str, why: str) -> None:
    taints = [record[2:].decode() for record in shell(native, tmp_path, text).touched if record.startswith(b"T")]
    assert any(why in taint for taint in taints), taints


def test_asking_for_this_machine_s_addresses_is_an_input(native: Native, tmp_path: Path) -> None:
    """getaddrinfo does, in many configure scripts."""
    source = tmp_path / "p.c"
    source.write_text(
        "#include <stddef.h>\n#include <netdb.h>\n"
        'int main(void) { struct addrinfo *a; return getaddrinfo("127.0.0.1", "80", NULL, &a); }\n'
    )
    cc("-o", tmp_path / "p", source)
    seen = watch(native, tmp_path, str(tmp_path / "p"))
    assert seen.status == 0
    assert seen.has("R-", "/proc/net/fib_trie")
    assert not any(record.startswith(b"T") for record in seen.touched)


def test_the_recorder_is_told_at_the_end(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    watch(native, tmp_path, "/bin/sh", "-c", "exit 3", env={"GG_SOCKET": str(recorder.path)})
    (request,) = recorder.requests
    assert request.path == b"/gg-trace"
    assert request.argv == (b"gg-trace", os.fsencode(tmp_path / "report"), b"%d" % (3 << 8))


def test_signals_and_programs_that_are_not_there(native: Native, tmp_path: Path) -> None:
    assert shell(native, tmp_path, "kill -TERM $$").status == -15
    (tmp_path / "report").rename(tmp_path / "first")
    gone = watch(native, tmp_path, "/no/such/program")
    assert (gone.status, b"No such file" in gone.stderr) == (127, True)


def test_where_tracing_is_refused_the_command_runs_all_the_same(
    native: Native, recorder: FakeRecorder, tmp_path: Path
) -> None:
    """Under another tracer, which follows all children, no process can be seized."""
    argv: list[str | Path] = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        native.trace,
        tmp_path / "report",
        "/bin/sh",
        "sh",
        "-c",
        "echo out; exit 3",
    ]
    env = {"PATH": "/usr/bin:/bin", "GG_SOCKET": str(recorder.path)}
    done = subprocess.run(argv, env=env, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert recorder.requests == []


def test_what_goes_on_in_the_background_is_not_waited_for(native: Native, tmp_path: Path) -> None:
    """It lives on unharmed, and the report says that it is not the whole story."""
    program = "(while [ ! -e go ]; do sleep 0.1; done; ls / > listed; echo done > late) > /dev/null 2>&1 & echo begun"
    seen = shell(native, tmp_path, program)
    assert (seen.status, seen.stdout) == (0, b"begun\n")
    assert any(record.startswith(b"T-something that it has begun") for record in seen.touched)
    late = tmp_path / "w" / "late"
    assert not late.exists()
    (tmp_path / "w" / "go").touch()
    until(lambda: late.exists() and late.read_text())
    assert late.read_text() == "done\n"
    assert (tmp_path / "w" / "listed").read_bytes(), "its calls are answered as ever"


def test_what_ends_just_after_the_command_is_a_part_of_it(native: Native, tmp_path: Path) -> None:
    seen = shell(native, tmp_path, "(sleep 0.05; echo late > made) > /dev/null & echo out")
    assert (seen.status, seen.stdout) == (0, b"out\n")
    assert not any(record.startswith(b"T") for record in seen.touched)
    assert seen.has("Wa", tmp_path / "w" / "made")


def test_a_daemon_holds_nothing_of_the_callers(native: Native, tmp_path: Path) -> None:
    """Neither its output nor another descriptor: who reads those to their end is not kept waiting by the tracer."""
    read_end, write_end = os.pipe()
    go = tmp_path / "w" / "go"
    go.parent.mkdir()
    command = f"while [ ! -e go ]; do sleep 0.1; done > /dev/null 2>&1 {write_end}>&- & echo out"
    argv: list[str | Path] = [native.trace, tmp_path / "report", "/bin/bash", "bash", "-c", command]
    child = subprocess.Popen(argv, cwd=tmp_path / "w", stdout=subprocess.PIPE, pass_fds=(write_end,))
    os.close(write_end)
    try:
        assert child.communicate(timeout=60)[0] == b"out\n"
        assert select.select([read_end], [], [], 60)[0]
        assert os.read(read_end, 1) == b""
    finally:
        go.touch()
    os.close(read_end)


def test_no_further_process(native: Native, tmp_path: Path) -> None:
    """Where there can be none, the command runs all the same, and with its own status."""
    if os.geteuid() != 0:
        pytest.skip("runs as another user")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)

        def alone() -> None:
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
            os.setgid(61234)
            os.setuid(61234)

        trace = shutil.copy(native.trace, place)
        os.chmod(trace, 0o755)
        done = subprocess.run(
            [trace, f"{place}/report", "/bin/sh", "sh", "-c", "echo out; exit 3"],
            cwd=place, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, preexec_fn=alone,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (3, b"out\n")


def test_the_end_of_the_tracer_is_the_end_of_the_command(native: Native, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    argv: list[str | Path] = [native.trace, tmp_path / "report", "/bin/sh", "sh", "-c", "sleep 300; echo > late"]
    child = subprocess.Popen(argv, cwd=tmp_path / "w", process_group=0)
    until(lambda: any(command.startswith(b"sleep") for command in _commands(tmp_path / "w")))
    child.terminate()
    assert child.wait(timeout=60) == -signal.SIGTERM
    until(lambda: not _commands(tmp_path / "w"))


def _commands(directory: Path) -> list[bytes]:
    """The command lines of the processes that are in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(directory) and b"State:\tZ" not in (process / "status").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return found
