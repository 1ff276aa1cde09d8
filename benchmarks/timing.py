"""One command, run to its end, with what it and all its descendants took."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command took. Times in seconds; `cpu` is user and system time of it and of all that it waited for;
    `memory` is the peak resident set of the largest of those processes, in KiB."""

    status: int
    wall: float
    cpu: float
    memory: int

    def __add__(self, other: Ran) -> Ran:
        return Ran(
            self.status or other.status,
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.memory, other.memory),
        )


class CommandFailed(Exception):
    """A command of a measurement ended with a status that makes the measurement worthless."""


def clean_environment(extra: Mapping[str, str] | None = None, without: Sequence[str] = ()) -> dict[str, str]:
    """The caller's environment without what changes a build: make's own, ccache's, gg's, Python's and the language.

    PYTHONDONTWRITEBYTECODE among them: with it each start of gg compiles its modules anew, which no user pays.
    """
    build = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS", "SOURCE_DATE_EPOCH")
    dropped = (*build, "PYTHONDONTWRITEBYTECODE", *without)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("GG_", "CCACHE_"))
    }
    return kept | {"LC_ALL": "C.UTF-8", "CCACHE_DISABLE": "1"} | dict(extra or {})


def run(
    command: str | Sequence[str],
    cwd: Path,
    env: Mapping[str, str] | None = None,
    output: Path | None = None,
    *,
    check: bool = False,
) -> Ran:
    """Run `command` (a string goes to `sh -c`) in `cwd`, its output appended to `output`.

    With `check`, CommandFailed when it does not succeed.
    """
    argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    with open(output or os.devnull, "ab") as sink:
        sink.write(f"$ {command}\n".encode())
        sink.flush()
        start = time.perf_counter()
        process = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        _, wait_status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(wait_status)
    ran = Ran(process.returncode, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
    if check and ran.status:
        tail = output.read_bytes()[-3000:].decode(errors="replace") if output else ""
        raise CommandFailed(f"{command!r} in {cwd} ended with status {ran.status}\n{tail}")
    return ran


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def communicate(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bytes]:
    """What a process printed until its end. One that does not end within `seconds` is killed, and its errors end in HANGS."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return out, err + b"HANGS"
