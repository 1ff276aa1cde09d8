"""What a process was called before it executed another program in its place: a script that ends with `exec gcc "$@"`, bash with the
last command of its text, nohup. Whoever has started it goes by those words. The interposer in it has written them into a file
(`toolchain-wrappers/common/called.c`), the shim those of a static program that it starts.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress

from gg.record.hearers import processes

_HEAD = struct.Struct("=QI")  # nanoseconds since the machine was started, and how many bytes of words follow
_TICKS = os.sysconf("SC_CLK_TCK")
_LONGEST = 1 << 20


class CalledBefore:
    """Of the processes of one session, whose files are in `directory`."""

    def __init__(self, directory: bytes) -> None:
        self._directory = directory

    def words(self, pid: int) -> tuple[tuple[bytes, ...], ...]:
        """The words of each program that it was, the first one first; nearly always none. They are told once. OSError for one
        that has gone.
        """
        path = os.path.join(self._directory, b"called%d" % pid)
        try:
            with open(path, "rb") as file:
                data = file.read(_LONGEST)
        except OSError:
            return ()
        with suppress(OSError):
            os.unlink(path)
        since = processes.started(pid) * 1_000_000_000 // _TICKS
        return tuple(_words(data, since))


def _words(data: bytes, since: int) -> list[tuple[bytes, ...]]:
    """Those written since then: an earlier process may have had the number."""
    found = []
    while len(data) >= _HEAD.size:
        when, size = _HEAD.unpack_from(data)
        text, data = data[_HEAD.size : _HEAD.size + size], data[_HEAD.size + size :]
        words = tuple(text.removesuffix(b"\0").split(b"\0"))
        if when >= since and words not in found:
            found.append(words)
    return found
