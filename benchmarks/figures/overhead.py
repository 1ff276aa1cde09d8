"""What gg costs a call and a thunk, in CPU of all processes together, and the shim alone in time.

CPU is user and system time of a command and of everything it waited for. The cost of one call is the difference between
many calls and few, divided by the difference in number, so that starting and ending gg cancels out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures.setting import Figure, Setting
from benchmarks.timing import median

THUNKS = 200
FEW, MANY = 50, 250
SHIM_RUNS = 400
ASSEMBLY = ".globl f\nf: ret\n"
UNIT = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f{0}(void) {{ return {0}; }}\n"


def _calls(where: Path, count: int, *words: str) -> list[str]:
    """A make that calls a tool so many times, one after the other and without a shell; `{n}` in a word is the number.

    A program that nobody knows would not do: it may look how a call went, so its calls are not deferred.
    """
    recipe = [shlex.join(word.replace("{n}", str(number)) for word in words) for number in range(count)]
    (where / f"{count}.mk").write_text("all:\n" + "".join(f"\t{line}\n" for line in recipe))
    return ["make", "-s", "-f", f"{count}.mk"]


def _directory(setting: Setting, name: str) -> Path:
    where = setting.scratch / "work" / name
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    return where


def _assembler_calls(setting: Setting) -> tuple[Path, list[str]]:
    """What no turn before has assembled, in whatever directory."""
    where, turn = _directory(setting, "trivial"), time.time_ns()
    for number in range(THUNKS):
        (where / f"s{number}.s").write_text(ASSEMBLY + f"v{turn:x}_{number:x} = 0\n")
    return where, ["as", "s{n}.s", "-o", "s{n}.o"]


def per_thunk(setting: Setting) -> list[Figure]:
    """CPU of `gg-force` beyond the commands' own, over 200 calls of the assembler on three lines."""
    own: list[float] = []
    forced: list[float] = []
    for _ in range(setting.repeats):
        where, words = _assembler_calls(setting)
        idle = setting.run(_calls(where, 0, *words), where, "per-thunk").cpu
        own.append((setting.run(_calls(where, THUNKS, *words), where, "per-thunk").cpu - idle) / THUNKS * 1e3)
        if setting.gg is not None:
            for made in where.glob("*.o"):
                made.unlink()
            setting.run([setting.tool("gg-infer"), *_calls(where, THUNKS, *words)], where, "per-thunk")
            force = setting.run([setting.tool("gg-force"), "--quiet", "--jobs", str(setting.jobs)], where, "per-thunk")
            forced.append(force.cpu / THUNKS * 1e3)
    runs = {"own ms": [round(v, 3) for v in own], "forced ms": [round(v, 3) for v in forced]}
    if not forced:
        return [Figure("a trivial command's own CPU", round(median(own), 2), "ms", None, "as, three lines", runs)]
    over = median(forced) - median(own)
    return [
        Figure("CPU per thunk beyond the command's own", round(over, 2), "ms", 5.0, "200 calls of as, gg-force", runs)
    ]


def _slope(setting: Setting, where: Path, words: Sequence[str]) -> float:
    """Milliseconds of CPU that one more call costs under gg-infer, once all that it reads is known."""
    infer = setting.tool("gg-infer")
    setting.run([infer, *_calls(where, MANY, *words)], where, "per-call")
    few = setting.run([infer, *_calls(where, FEW, *words)], where, "per-call").cpu
    many = setting.run([infer, *_calls(where, MANY, *words)], where, "per-call").cpu
    return (many - few) / (MANY - FEW) * 1e3


def _call_figure(setting: Setting, kind: str, words: Sequence[str], limit: float) -> Figure:
    values: list[float] = []
    for _ in range(setting.repeats):
        where = _directory(setting, "calls")
        for number in range(MANY):
            (where / f"f{number}.c").write_text(UNIT.format(number))
        (where / "main.c").write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-c", "main.c"], cwd=where, check=True)
        values.append(_slope(setting, where, words))
    runs = {"ms": [round(v, 3) for v in values]}
    note = "all processes: caller's spawn, shim, recorder; warm"
    return Figure(f"CPU of a modelled {kind} call", round(median(values), 2), "ms", limit, note, runs)


def per_call(setting: Setting) -> list[Figure]:
    """CPU of one modelled compile and one modelled link, all processes counted, warm."""
    if setting.gg is None:
        return []
    return [
        _call_figure(setting, "compile", ["gcc", "-O2", "-c", "f{n}.c", "-o", "f{n}.o"], 5.0),
        _call_figure(setting, "link", ["gcc", "main.o", "-lm", "-o", "p{n}"], 10.0),
    ]


def _serve(listener: socket.socket, reply: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(1 << 20)
            connection.sendall(reply)


@contextmanager
def _answering(path: Path) -> Iterator[None]:
    """A recorder that answers every call at once with exit status 0."""
    from gg.record.protocol import reply_exit

    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(64)
    server = threading.Thread(target=_serve, args=(listener, reply_exit(0)), daemon=True)
    server.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join(5)


def _start_ms(program: str, argv: Sequence[str], env: dict[str, str]) -> float:
    """Median wall time of one start, in milliseconds."""
    times: list[float] = []
    for _ in range(SHIM_RUNS):
        start = time.perf_counter()
        child = os.posix_spawn(program, list(argv), env)
        status = os.waitpid(child, 0)[1]
        times.append((time.perf_counter() - start) * 1e3)
        if status:
            raise RuntimeError(f"{program} ended with wait status {status}")
    return median(times)


def shim(setting: Setting) -> list[Figure]:
    """The shim against an empty static program, with a recorder that answers at once."""
    if setting.gg is None:
        return []
    from gg.host import native_programs as native

    where = _directory(setting, "shim")
    (where / "empty.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-O2", "-static", "empty.c", "-o", "empty"], cwd=where, check=True)
    env = os.environ | {"GG_SOCKET": str(where / "socket")}
    program = native.shim()
    differences: list[float] = []
    with _answering(where / "socket"):
        for _ in range(max(setting.repeats, 3)):
            empty = _start_ms(str(where / "empty"), ["empty"], env)
            differences.append(_start_ms(program, ["gcc", "-c", "a.c", "-o", "a.o"], env) - empty)
    note = f"beyond an empty static program; median of {SHIM_RUNS} starts, the answering process's time included"
    runs = {"ms": [round(v, 3) for v in differences]}
    return [Figure("shim", round(median(differences), 3), "ms", 1.0, note, runs)]
