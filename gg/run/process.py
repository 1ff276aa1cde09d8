"""Starting one command and waiting for it, with its output kept and its use of the machine measured."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from gg.core.thunk import Usage
from gg.light.slotted import slotted

_BUSY_PAUSES = (0.001, 0.01, 0.1, 1.0)
"""Seconds. A program that was written a moment ago is busy while a child that another thread has just forked holds it
open for writing, which ends as soon as that child executes something."""


@slotted()
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
    """Runs one command at a time; its output goes to two anonymous files that are used again for the next.

    `begin` starts a job, which may be several commands; `kill` ends that job, `cancel` all there will ever be.
    """

    def __init__(self) -> None:
        self._out = os.memfd_create("stdout", os.MFD_CLOEXEC)
        self._err = os.memfd_create("stderr", os.MFD_CLOEXEC)
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._pid = 0
        self._killed = False
        self._cancelled = False
        self.memory = 0  # bytes of data that each process may have; 0 for no limit

    def begin(self) -> None:
        """Another job: what was killed before does not concern it."""
        with self._lock:
            self._killed = False

    def run(self, program: bytes, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes | str) -> Exit:
        """Run to the end in a process group of its own. OSError when it cannot be started, Killed when it was killed."""
        started, begun = time.time(), time.monotonic_ns()
        with self._lock:
            if self._killed or self._cancelled:
                raise Killed
            child = self._start(program, argv, env, cwd)
            self._pid = child.pid
            if self.memory:
                _limit(child.pid, self.memory)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:  # until it is reaped nobody else can have its number
            self._pid = 0
            killed = self._killed or self._cancelled
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # what it has left in the background
        _, wait_status, used = os.wait4(child.pid, 0)
        code = os.waitstatus_to_exitcode(wait_status)
        child.returncode = code
        wall = time.monotonic_ns() - begun
        out, err = self._take(self._out), self._take(self._err)
        if killed:
            raise Killed
        cpu = int((used.ru_utime + used.ru_stime) * 1e9)
        usage = Usage(wall, cpu, used.ru_maxrss * 1024)
        return Exit(code if code >= 0 else 128 - code, max(0, -code), out, err, usage, started)

    def _start(
        self, program: bytes, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes | str
    ) -> subprocess.Popen[bytes]:
        for pause in (*_BUSY_PAUSES, None):
            try:
                return subprocess.Popen(
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
            except OSError as error:
                if error.errno != errno.ETXTBSY or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def cancel(self) -> None:
        """Kill the command that runs and refuse later ones. From any thread."""
        with self._lock:
            self._cancelled = True
            self._kill()

    def kill(self) -> None:
        """Kill the command that runs now, if any, and refuse others until the next `begin`. From any thread."""
        with self._lock:
            self._killed = True
            self._kill()

    def _kill(self) -> None:
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


def _limit(pid: int, memory: int) -> None:
    import resource

    with suppress(ProcessLookupError):  # it is over already
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
