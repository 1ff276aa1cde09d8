"""What other processes of the same user may change of this one: its limits, its priority, its processors."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
from contextlib import suppress

from gg.light.named import NamedTuple

_LIMITS = tuple(sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}))
_IO_PRIORITY = {"x86_64": (251, 252), "aarch64": (30, 31)}.get(platform.machine())  # ioprio_set, ioprio_get
_OF_A_PROCESS = 1


class _Thread(NamedTuple):
    priority: int
    policy: int
    processors: frozenset[int]
    io: int


class OwnLimits:
    """As it was when this was made. Threads that begin later count as the one that makes it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._limits = [resource.getrlimit(each) for each in _LIMITS]
        self._thread = self._of(os.getpid())

    def restored(self) -> bool:
        """Whether all is as it was, put back where need be. What was lowered for good cannot be."""
        for each, was in zip(_LIMITS, self._limits, strict=True):
            if resource.getrlimit(each) != was:
                with suppress(OSError, ValueError):
                    resource.setrlimit(each, was)
                if resource.getrlimit(each) != was:
                    return False
        return all(self._thread_restored(int(each)) for each in os.listdir("/proc/self/task"))

    def _thread_restored(self, thread: int) -> bool:
        was = self._thread
        try:
            if self._of(thread) == was:
                return True
            with suppress(OSError):
                os.sched_setaffinity(thread, was.processors)
                os.sched_setscheduler(thread, was.policy, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, thread, was.priority)
                if _IO_PRIORITY:
                    self._libc.syscall(_IO_PRIORITY[0], _OF_A_PROCESS, thread, was.io)
            return self._of(thread) == was
        except ProcessLookupError:  # it is over
            return True

    def _of(self, thread: int) -> _Thread:
        io = self._libc.syscall(_IO_PRIORITY[1], _OF_A_PROCESS, thread) if _IO_PRIORITY else 0
        return _Thread(
            os.getpriority(os.PRIO_PROCESS, thread),
            os.sched_getscheduler(thread),
            frozenset(os.sched_getaffinity(thread)),
            io,
        )
