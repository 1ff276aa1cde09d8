"""This process's command line as every user of the machine sees it: in /proc/PID/cmdline, and in `ps`."""

from __future__ import annotations

import ctypes
import re

from gg.errors import WORKER_KEY

_START, _END = 45, 46  # in /proc/PID/stat, counted from the field after the program's name
_KEY = re.compile(WORKER_KEY.encode())


def hide_keys() -> None:
    """Write over the workers' keys in it. Python has its own copy. Where the kernel does not tell the place, nothing is done."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = (int(fields[at]) if len(fields) > at else 0 for at in (_START, _END))
    if not start:
        return
    for found in _KEY.finditer(ctypes.string_at(start, end - start)):
        ctypes.memset(start + found.start(), ord("x"), found.end() - found.start())
