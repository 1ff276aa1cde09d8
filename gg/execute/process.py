"""Starting one command and waiting for it, with its output kept and its use of the machine measured."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gg.core.thunk import Usage


@dataclass(frozen=True, slots=True)
class Exit:
    """`status` as a shell gives it. `started` is the wall clock when the command was started, in seconds."""

    status: int
    signal: int
    stdout: bytes
    stderr: bytes
    usage: Usage
    started: float


class Killed(Exception):
    """The command was cancelled before or while it ran."""


class Slot:
    """Runs one command at a time; its output goes to two anonymous files that are used again for the next."""

    def __init__(self) -> None:
        self._out = os.memfd_create("stdout", os.MFD_CLOEXEC)
        self._err = os.memfd_create("stderr", os.MFD_CLOEXEC)
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._pid = 0
        self._cancelled = False

    def run(self, program: bytes, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes | str) -> Exit:
        """Run to the end in a process group of its own. OSError when it cannot be started, Killed after `cancel`."""
        started, begun = time.time(), time.monotonic_ns()
        with self._lock:
            if self._cancelled:
                raise Killed
            child = subprocess.Popen(
                list(argv),
                executable=program,
                env=dict(env),
                cwd=cwd,
                stdin=self._null,
                stdout=self._out,
                stderr=self._err,
                close_fds=False,
                process_group=0,
            )
            self._pid = child.pid
        _, wait_status, used = os.wait4(child.pid, 0)
        with self._lock:
            self._pid = 0
            cancelled = self._cancelled
        code = os.waitstatus_to_exitcode(wait_status)
        child.returncode = code
        wall = time.monotonic_ns() - begun
        out, err = self._take(self._out), self._take(self._err)
        if cancelled:
            raise Killed
        cpu = int((used.ru_utime + used.ru_stime) * 1e9)
        usage = Usage(wall, cpu, used.ru_maxrss * 1024)
        return Exit(code if code >= 0 else 128 - code, max(0, -code), out, err, usage, started)

    def cancel(self) -> None:
        """Kill the command that runs and refuse later ones. From any thread."""
        with self._lock:
            self._cancelled = True
            if self._pid:
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the command that runs now, if any; later ones may still run."""
        with self._lock:
            if self._pid:
                with suppress(ProcessLookupError):
                    os.killpg(self._pid, signal.SIGKILL)

    def close(self) -> None:
        for fd in (self._out, self._err, self._null):
            os.close(fd)

    @staticmethod
    def _take(fd: int) -> bytes:
        size = os.fstat(fd).st_size
        data = os.pread(fd, size, 0) if size else b""
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        return data
