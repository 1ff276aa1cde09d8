"""What other processes of the same user may change of this one: its limits, its priority, its processors."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import time
from contextlib import suppress
from pathlib import Path

from gg.light.named import NamedTuple

_LIMITS = tuple(sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")}))
_IO_PRIORITY = {"x86_64": (251, 252), "aarch64": (30, 31)}.get(platform.machine())  # ioprio_set, ioprio_get
_OF_A_PROCESS = 1
_TRIES, _PAUSE_S = 4, 0.05
_FILES = ("oom_score_adj", "coredump_filter", "autogroup")  # in /proc/self; what this process starts has the same


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
        self._files = {
            path: _word(path) for name in _FILES if os.access(path := os.path.join("/proc/self", name), os.W_OK)
        }

    def restored(self) -> bool:
        """Whether all is as it was, put back where need be. What was lowered for good cannot be."""
        for each, was in zip(_LIMITS, self._limits, strict=True):
            if resource.getrlimit(each) != was:
                with suppress(OSError, ValueError):
                    resource.setrlimit(each, was)
                if resource.getrlimit(each) != was:
                    return False
        if not all(_word(path) == was or _is_written(path, was) for path, was in self._files.items()):
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


def _word(path: str) -> str:
    """What is in the file, as it may be written there. Nothing is in autogroup's where this process is in none."""
    with suppress(OSError):
        text = Path(path).read_text().split()
        return ("0x" if path.endswith("filter") else "") + text[-1] if text else ""  # autogroup's is the last
    return ""


def _is_written(path: str, word: str) -> bool:
    for _ in range(_TRIES):
        with suppress(OSError):
            Path(path).write_text(word)
        if _word(path) == word:
            return True
        time.sleep(_PAUSE_S)  # a group's priority may be set every tenth of a second
    return False
