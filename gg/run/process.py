"""Starts one command and waits for it, keeps its output and measures its use of the machine."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING

from gg.core.thunk import Usage
from gg.host.machine import with_first_limit
from gg.light.slotted import slotted

if TYPE_CHECKING:
    from gg.run.output_follower import Said

_BUSY_PAUSES = (0.001, 0.01, 0.1, 1.0)
"""Seconds. A program that was written a moment ago is "busy" while a child that another thread has just forked holds it open
for writing. That ends as soon as the child executes something."""


@slotted()
class Exit:
    """`status` as a shell gives it. `started` is the wall clock when the command was started, in seconds."""

    status: int
    signal: int
    stdout: bytes
    stderr: bytes
    usage: Usage
    started: float


_NOT_EXECUTED = 127
_MOST_SAID = 1 << 30  # bytes of output, or of error output
_SMALL = 128 << 20  # bytes: up to this a command's peak is not told apart from that of the process that started it


class Killed(Exception):
    """The command was cancelled before or while it ran."""


class TooMuch(Exception):
    """The command has written more than can be kept."""


class Slot:
    """Runs one command at a time. Its output goes to two anonymous files, which it shares with no other command.

    `begin` starts a job, which may be several commands; `kill` ends that job, `cancel` also all later ones.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._killed = False
        self._cancelled = False
        self._warden = b""
        self._trouble = -1
        self.memory = 0  # bytes of data that each process may have; 0 for no limit
        self.most_said = _MOST_SAID
        self.said: Said | None = None  # told what a command prints as output, while it runs
        self.after: Callable[[], None] = lambda: None  # called after a command, before anything looks at what it left

    def begin(self) -> None:
        """Start another job. Kills of earlier jobs do not concern it."""
        with self._lock:
            self._killed = False

    def run(
        self,
        program: bytes,
        argv: Sequence[bytes],
        env: Mapping[bytes, bytes],
        cwd: bytes | str,
        *,
        together: bool = False,
        warden: bytes = b"",
    ) -> Exit:
        """Run to the end in a process group of its own. OSError when it cannot be started, Killed when it was killed, TooMuch
        when it writes too much. `together`: its standard error goes into its output. `warden`: gg-warden, which ends every
        process that the command leaves; without it only those of its group end.
        """
        self._warden = warden
        streams = [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)]
        streams += [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdout", "stderr")]
        try:
            return self._run(program, argv, env, cwd, streams, together)
        finally:
            for fd in streams:
                os.close(fd)

    def _run(
        self,
        program: bytes,
        argv: Sequence[bytes],
        env: Mapping[bytes, bytes],
        cwd: bytes | str,
        streams: Sequence[int],
        together: bool,
    ) -> Exit:
        started, begun = time.time(), time.monotonic_ns()
        with self._lock:
            if self._killed or self._cancelled:
                raise Killed
            child = self._start(program, argv, env, cwd, (*streams[:2], streams[1]) if together else streams)
            self._pid = child.pid
            with_first_limit(child.pid)
            if self.memory:
                _limit(child.pid, self.memory)
        with self._followed(streams[1]):
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:  # until it is reaped nobody else can have its number
            self._pid = 0
            killed = self._killed or self._cancelled
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)  # what it has left in the background
        _, wait_status, used = os.wait4(child.pid, 0)
        code = os.waitstatus_to_exitcode(wait_status)
        child.returncode = code
        wall = time.monotonic_ns() - begun
        self.after()
        if killed:
            raise Killed
        self._refuse_unstarted(code, program)
        out, err = [self._take(fd) for fd in streams[1:]]
        cpu = int((used.ru_utime + used.ru_stime) * 1e9)
        usage = Usage(wall, cpu, _own_peak(used.ru_maxrss * 1024))
        return Exit(code if code >= 0 else 128 - code, max(0, -code), out, err, usage, started)

    def _followed(self, stdout: int) -> AbstractContextManager[None]:
        if self.said is None:
            return nullcontext()
        from gg.run.output_follower import followed

        return followed(stdout, self.said)

    def _start(
        self,
        program: bytes,
        argv: Sequence[bytes],
        env: Mapping[bytes, bytes],
        cwd: bytes | str,
        streams: Sequence[int],
    ) -> subprocess.Popen[bytes]:
        trouble = self._told_by_warden()
        for pause in (*_BUSY_PAUSES, None):
            try:
                return subprocess.Popen(
                    [b"gg-warden", b"%d" % trouble, program, *argv] if trouble >= 0 else list(argv),
                    executable=self._warden or program,
                    pass_fds=(trouble,) if trouble >= 0 else (),
                    env=dict(env),
                    cwd=cwd,
                    stdin=streams[0],
                    stdout=streams[1],
                    stderr=streams[2],
                    close_fds=True,
                    process_group=0,
                    umask=_umask(),
                )
            except OSError as error:
                if error.errno != errno.ETXTBSY or pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError

    def _told_by_warden(self) -> int:
        """The descriptor on which the warden says why a command could not be executed; -1 without a warden."""
        if self._warden and self._trouble < 0:
            self._trouble = os.memfd_create("trouble", os.MFD_CLOEXEC)
        return self._trouble if self._warden else -1

    def _refuse_unstarted(self, code: int, program: bytes) -> None:
        """OSError, if the warden says that the command was never executed."""
        if code != _NOT_EXECUTED or not self._warden or not (said := os.pread(self._trouble, 4, 0)):
            return
        os.ftruncate(self._trouble, 0)
        number = int.from_bytes(said, sys.byteorder)
        raise OSError(number, os.strerror(number), os.fsdecode(program))

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
        if self._pid and self._warden:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGTERM)  # it kills all that there is of the command
        elif self._pid:
            for kill in (os.killpg, os.kill):  # it may have joined another group
                with suppress(ProcessLookupError, PermissionError):
                    kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        if self._trouble >= 0:
            os.close(self._trouble)

    def _take(self, fd: int) -> bytes:
        size = os.fstat(fd).st_size
        if size > self.most_said:
            raise TooMuch(f"it has printed {size} bytes")
        return os.pread(fd, size, 0) if size else b""


def _own_peak(peak: int) -> int:
    """The peak of memory of a command that ended with `peak` bytes; 0 (not known) if that may be this process's own.

    The kernel keeps a process's peak over execve, and the child of a vfork shares its parent's memory until then. So no command
    seems to have taken less than the process that started it. Up to `_SMALL` bytes that is near enough to plan by.
    """
    return 0 if _SMALL < peak <= _peak_here() else peak


@cache
def _umask() -> int:
    """The umask of commands: this process's, but for what hides files from their owner, and whether they are executable. -1 if
    that changes nothing."""
    with suppress(OSError, IndexError, ValueError), open("/proc/self/status", "rb") as file:
        own = int(file.read().partition(b"\nUmask:")[2].split(maxsplit=1)[0], 8)
        return own & ~stat.S_IRWXU if own & stat.S_IRWXU else -1
    return -1


def _peak_here() -> int:
    """The most bytes that this process has had, without the peak that it seems to have had before its own execve."""
    try:
        with open("/proc/self/status", "rb") as file:
            return int(file.read().partition(b"VmHWM:")[2].split(maxsplit=1)[0]) * 1024
    except (OSError, IndexError):
        return 0


def _limit(pid: int, memory: int) -> None:
    import resource

    with suppress(ProcessLookupError):  # it is over already
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))
