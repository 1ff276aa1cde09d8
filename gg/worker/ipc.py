"""System V shared memory, semaphores and message queues, which outlive the processes that made them."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_REMOVE = 0  # IPC_RMID


def remove_all() -> None:
    """Remove all that this user may remove. Not for hosts where other processes of this user work."""
    for kind in ("shm", "sem", "msg"):
        with suppress(OSError), open(f"/proc/sysvipc/{kind}", "rb") as file:
            lines = file.read().splitlines()[1:]
            if lines:
                _remove(kind, [int(line.split()[1]) for line in lines])


def _remove(kind: str, numbers: list[int]) -> None:
    libc = ctypes.CDLL(None)
    for number in numbers:
        if kind == "sem":
            libc.semctl(number, 0, _REMOVE)
        else:
            getattr(libc, f"{kind}ctl")(number, _REMOVE, None)
