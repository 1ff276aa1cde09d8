"""Hides a worker from its commands. They run as the same user, so only the kernel's own rules protect the worker.

After `hide` no process of that user can read this process's memory, environment or descriptors: it is not dumpable, so its
files in /proc are root's. Every process that a command leaves, whatever it did to get away, becomes a child of this process.
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
    """Close this process off, and keep its descendants below it. OSError if the kernel cannot do that."""
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_SET_DUMPABLE, 0), (_SET_CHILD_SUBREAPER, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # refused on Lambda, but there no program gives more rights anyway
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(AttributeError, ValueError):  # POSIX message queues outlive their makers, and nobody can list them
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))


def take(names: Collection[str] = CREDENTIALS) -> dict[str, str]:
    """Take these variables out of the environment and /proc/PID/environ, and return their values."""
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
