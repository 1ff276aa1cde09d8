"""Ends every process that a command has left running, however it tried to get away.

This process must be a subreaper (`prctl(PR_SET_CHILD_SUBREAPER)`) with no child that is to stay. Then each process that a
command began, also one that has a session of its own or whose parents are gone, descends from this process; when the
kernel says that this process has no child, none is left. Only children are signalled: until a child is reaped nobody else
has its number. When a child dies, its children become ours.

A program that forks faster than that is stopped where `everybody` may be killed: one call of `kill(-1)` reaches all at once,
for the kernel lets nobody fork while it goes through them.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

_PAUSE_S = 0.0005
_AT_ONCE = 64
_NONE, _ALIVE, _MORE = "none", "those that are alive", "more, of which some may be dead"


def end_descendants(*, everybody: bool, seconds: float = 5.0) -> bool:
    """End all descendants. True if none is left. `everybody`: all other processes of this user may go, who is not root."""
    deadline = 0.0
    while (left := _reap()) is not _NONE:
        now = time.monotonic()
        deadline = deadline or now + seconds
        if now > deadline:
            return False
        if everybody:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGKILL)
        else:
            _kill_children()
        if left is _ALIVE:
            time.sleep(_PAUSE_S)
    return True


def _reap() -> str:
    """Reap dead children, but not for ever: where processes fork they die all the time. The answer tells who is left."""
    try:
        for _ in range(_AT_ONCE):
            if not os.waitpid(-1, os.WNOHANG)[0]:
                return _ALIVE
    except ChildProcessError:
        return _NONE
    return _MORE


def _kill_children() -> None:
    for pid in _children():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _children() -> list[int]:
    """The children of this process, gathered from all its threads."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError), open(f"/proc/self/task/{thread}/children", "rb") as file:
            found += map(int, file.read().split())
    return found
