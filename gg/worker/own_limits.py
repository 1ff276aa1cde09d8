"""The properties of this process that others of the same user may change: its limits, its priority, its processors."""

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
_FILES = ("oom_score_adj", "coredump_filter", "autogroup")  # in /proc/self; children inherit them


class _Thread(NamedTuple):
    priority: int
    policy: int
    processors: frozenset[int]
    io: int


class OwnLimits:
    """Remembers the properties at the moment it is made. Later threads should have those of the thread that makes it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._limits = [resource.getrlimit(each) for each in _LIMITS]
        self._thread = self._of(os.getpid())
        self._files = {
            path: _word(path) for name in _FILES if os.access(path := os.path.join("/proc/self", name), os.W_OK)
        }

    def restored(self) -> bool:
        """Put the properties back. True if all are as they were; False if one was lowered for good."""
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
        except ProcessLookupError:  # the thread is over
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
    """The value in the file, in the form in which it can be written. autogroup's is empty if the process is in none."""
    with suppress(OSError):
        text = Path(path).read_text().split()
        return ("0x" if path.endswith("filter") else "") + text[-1] if text else ""  # autogroup's value is the last
    return ""


def _is_written(path: str, word: str) -> bool:
    for _ in range(_TRIES):
        with suppress(OSError):
            Path(path).write_text(word)
        if _word(path) == word:
            return True
        time.sleep(_PAUSE_S)  # the kernel lets a group's priority be set every tenth of a second
    return False
