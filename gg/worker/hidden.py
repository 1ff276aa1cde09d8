"""Keeps a worker to itself. What it runs is of the same user, so only the kernel's own rules stand between them.

After `hide` nobody of that user reads this process's memory, environment or descriptors: it is not dumpable, so its files
in /proc are root's. What a command leaves running, whatever it did to get away, becomes a child of this process.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_SET_DUMPABLE, _SET_CHILD_SUBREAPER, _SET_NO_NEW_PRIVS = 4, 36, 38
_ENV_START, _ENV_END = 47, 48  # in /proc/PID/stat, counted from the field after the program's name
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "GG_KEY")


def hide() -> None:
    """Close this process off, and have what descends from it stay below it. OSError where the kernel does not do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_SET_DUMPABLE, 0), (_SET_CHILD_SUBREAPER, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # refused on Lambda, where no program gives anybody more rights
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(AttributeError, ValueError):  # POSIX message queues outlive who made them, and nobody can list them
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))


def take(names: Collection[str] = CREDENTIALS) -> dict[str, str]:
    """The values of these variables, which are in the environment no more; /proc/PID/environ has nothing of them either."""
    taken = {name: os.environ.pop(name, "") for name in names}
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    if not start:
        return taken
    at = start
    for variable in ctypes.string_at(start, end - start).split(b"\0"):
        name, equals, value = variable.partition(b"=")
        if equals and os.fsdecode(name) in names:
            ctypes.memset(at + len(name) + 1, 0, len(value))
        at += len(variable) + 1
    return taken
