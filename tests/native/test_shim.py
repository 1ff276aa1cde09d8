"""The shim: it says all it knows to the recorder, and does as it is told."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import PlaceholderWriter
from gg.record import protocol
from gg.record.protocol import Op, RecorderRequest

from .compiled import Native
from .conftest import FakeRecorder


def call(
    native: Native,
    recorder: FakeRecorder,
    *argv: bytes | str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    environment = {"GG_SOCKET": str(recorder.path), "PATH": "/usr/bin:/bin", **(env or {})}
    return subprocess.run(
        list(argv), executable=native.shim, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True
    )


def test_it_tells_what_was_called(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    where = tmp_path / os.fsdecode(b"caf\xe9 \n dir")
    where.mkdir()
    argv = [b"x86_64-linux-gnu-gcc", b'-DX="a b"', b"", b"\xff\xfe.c", b"new\nline.c"]
    call(native, recorder, *argv, env={"ODD": os.fsdecode(b"\x80"), "GG_EXEC_PATH": "/usr/bin/cc"}, cwd=where)
    (request,) = recorder.requests
    assert request.op is Op.CALL
    assert request.argv == tuple(argv)
    assert request.cwd == bytes(where)
    assert request.path == b"/usr/bin/cc"
    assert request.env[b"ODD"] == b"\x80"
    assert b"GG_EXEC_PATH" not in request.env
    mask = os.umask(0)
    os.umask(mask)
    assert request.umask == mask


def test_it_tells_where_it_prints(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    read, write = os.pipe()
    with open(tmp_path / "log", "wb") as log:
        subprocess.run(["gcc"], executable=native.shim, env={"GG_SOCKET": str(recorder.path)}, stdout=log, stderr=write)
        (request,) = recorder.requests
        assert protocol.streams(request.streams) == tuple(
            protocol.stream_of(os.fstat(fd)) for fd in (log.fileno(), write)
        )
    os.close(read)
    os.close(write)


def test_it_tells_what_is_closed(native: Native, recorder: FakeRecorder) -> None:
    env = {"GG_SOCKET": str(recorder.path)}
    subprocess.run(["/bin/sh", "-c", f"exec {native.shim} 2>&-"], env=env, stdout=subprocess.DEVNULL)
    (request,) = recorder.requests
    out, errors = protocol.streams(request.streams)
    assert (out.special, errors) == (protocol.NULL, protocol.CallerStream(0, 0, 0, 0, 0))


@pytest.mark.parametrize("status", [0, 1, 77, 255])
def test_exit(native: Native, recorder: FakeRecorder, status: int) -> None:
    recorder.answer = lambda request: protocol.reply_exit(status, b"out\xff\n", b"a.c:1: warning\n")
    done = call(native, recorder, "gcc")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"out\xff\n", b"a.c:1: warning\n")


def test_a_tool_that_was_killed(native: Native, recorder: FakeRecorder) -> None:
    recorder.answer = lambda request: protocol.reply_exit(-signal.SIGABRT)
    assert call(native, recorder, "gcc").returncode == -signal.SIGABRT


def test_much_output_through_a_pipe_that_does_not_block(native: Native, recorder: FakeRecorder) -> None:
    text = b"x" * 1_000_000
    recorder.answer = lambda request: protocol.reply_exit(0, text)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
    child = subprocess.Popen(["gcc"], executable=native.shim, env={"GG_SOCKET": str(recorder.path)}, stdout=write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        time.sleep(0.05)
        assert stream.read() == text
    assert child.wait() == 0


def test_exec_with_edits_of_the_environment(native: Native, recorder: FakeRecorder) -> None:
    script = 'echo "$0|$1|${KEPT-none}|${GONE-none}|${CHANGED-none}|${NEW-none}"; exit 7'
    recorder.answer = lambda request: protocol.reply_exec(
        b"/bin/sh",
        [b"name", b"-c", script.encode(), b"zero", b"one"],
        [b"GONE", b"CHANGED=after", b"NEW=a=b", b"ABSENT"],
    )
    done = call(native, recorder, "gcc", env={"KEPT": "1", "GONE": "2", "CHANGED": "before"})
    assert done.stdout == b"zero|one|1|none|after|a=b\n"
    assert done.returncode == 7


def test_exec_of_nothing(native: Native, recorder: FakeRecorder) -> None:
    recorder.answer = lambda request: protocol.reply_exec(b"/does/not/exist", [b"x"], [])
    done = call(native, recorder, "gcc")
    assert done.returncode == 127
    assert done.stderr == b"gg: cannot run /does/not/exist: no such file\n"


def test_two_megabytes_of_arguments(native: Native, recorder: FakeRecorder) -> None:
    arguments = [b"%06d" % i + b"y" * 100 for i in range(15_000)]
    recorder.answer = lambda request: protocol.reply_exit(len(request.argv) & 127)
    done = call(native, recorder, b"ar", *arguments)
    assert done.returncode == (len(arguments) + 1) & 127
    assert recorder.requests[0].argv[1:] == tuple(arguments)


def test_a_socket_path_longer_than_an_address_holds(native: Native, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    recorder = FakeRecorder(deep / "socket")
    try:
        assert call(native, recorder, "gcc").returncode == 0
        assert len(recorder.requests) == 1
    finally:
        recorder.close()


def test_no_recorder(native: Native, tmp_path: Path) -> None:
    """The real tool runs; a name that only the shim has is not found."""
    for env in ({}, {"GG_SOCKET": str(tmp_path / "no")}):
        done = subprocess.run(["echo", "a b"], executable=native.shim, env=env, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"a b\n", b"")
        done = subprocess.run(["gg-none"], executable=native.shim, env=env, capture_output=True)
        assert (done.returncode, done.stderr) == (127, b"gg: gg-none: command not found\n")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x04\0\0\0",
        b"\xff\xff\xff\x7f",
        b"\x04\0\0\0\x09\0\0\0",
        b"\x04\0\0\0\x02\0\0\0",
        b"\x05\0\0\0\0\0\0\0\0",
    ],
)
def test_nonsense_from_the_recorder(native: Native, recorder: FakeRecorder, reply: bytes) -> None:
    recorder.answer = lambda request: reply
    done = call(native, recorder, "echo", "x")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")


def test_a_full_queue_of_connections_is_waited_for(native: Native, tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen(1)
    env = {"GG_SOCKET": str(tmp_path / "s")}
    children = [subprocess.Popen(["gcc"], executable=native.shim, env=env) for _ in range(12)]

    def serve() -> None:
        time.sleep(0.05)
        for _ in children:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                length = int.from_bytes(stream.read(4), "little")
                stream.read(length)
                connection.sendall(protocol.reply_exit(3))

    thread = threading.Thread(target=serve)
    thread.start()
    assert [child.wait() for child in children] == [3] * len(children)
    thread.join()
    listener.close()


def test_inherited_descriptors_reach_the_program(native: Native, recorder: FakeRecorder) -> None:
    """The jobserver's descriptors, and no socket of ours beside them."""
    read, write = os.pipe()
    os.write(write, b"token\n")
    script = f"ls /proc/self/fd | tr '\\n' ' '; read line </proc/self/fd/{read}; echo $line"
    recorder.answer = lambda request: protocol.reply_exec(b"/bin/sh", [b"sh", b"-c", script.encode()], [])
    done = subprocess.run(
        ["gcc"],
        executable=native.shim,
        env={"GG_SOCKET": str(recorder.path), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=[read],
    )
    os.close(read)
    os.close(write)
    descriptors = done.stdout.split()
    assert descriptors[-1] == b"token"
    assert set(descriptors[:-1]) == {b"0", b"1", b"2", b"3", b"%d" % read}  # 3 is ls reading the directory


# Placeholders that are executed


def placeholder(native: Native, path: Path) -> Path:
    path.write_bytes(PlaceholderWriter(bytes(native.shim)).encode(ThunkId(b"\xab" * 32), 3))
    path.chmod(0o755)
    return path


def becomes_script(path: Path) -> None:
    path.write_text('#!/bin/sh\necho "real $*"; echo "${GG_PLACEHOLDER_TRIED-clean}"\n')
    path.chmod(0o755)


def test_an_executable_placeholder_is_forced_and_run(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    program = placeholder(native, tmp_path / "generator")

    def force(request: RecorderRequest) -> bytes:
        becomes_script(Path(os.fsdecode(request.path)))
        return protocol.reply_ready()

    recorder.answer = force
    done = subprocess.run(
        ["./generator", "a", "b c"],
        env={"GG_SOCKET": str(recorder.path)},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"real a b c\nclean\n"
    assert [(r.op, os.path.normpath(r.path)) for r in recorder.requests] == [(Op.FORCE, bytes(program))]


def test_a_placeholder_that_cannot_be_forced(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    program = placeholder(native, tmp_path / "generator")
    recorder.answer = lambda request: protocol.reply_failed(1, b"a.c:1: error: no\n")
    done = subprocess.run([program], env={"GG_SOCKET": str(recorder.path)}, capture_output=True)
    assert (done.returncode, done.stderr) == (126, b"a.c:1: error: no\n")


def test_a_placeholder_that_stays_one_does_not_loop(native: Native, recorder: FakeRecorder, tmp_path: Path) -> None:
    program = placeholder(native, tmp_path / "generator")
    recorder.answer = lambda request: protocol.reply_ready()
    done = subprocess.run([program], env={"GG_SOCKET": str(recorder.path)}, capture_output=True)
    assert done.returncode == 126
    assert b"still a placeholder" in done.stderr
    assert len(recorder.requests) == 1


def test_outside_a_recording_gg_force_makes_it(native: Native, tmp_path: Path) -> None:
    program = placeholder(native, tmp_path / "generator")
    tools = tmp_path / "bin"
    tools.mkdir()
    real = tmp_path / "real"
    becomes_script(real)
    (tools / "gg-force").write_text(f'#!/bin/sh\n[ "$1" = -- ] || exit 9\necho forcing\ncp -p "{real}" "$2"\n')
    (tools / "gg-force").chmod(0o755)
    env = {"PATH": f"{tools}:/usr/bin:/bin"}
    done = subprocess.run([program, "x"], env=env, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"real x\nclean\n", b"forcing\n")
    placeholder(native, program)
    missing = subprocess.run([program], env={"PATH": "/nowhere"}, capture_output=True)
    assert missing.returncode == 126
    assert b"gg-force is not on PATH" in missing.stderr
