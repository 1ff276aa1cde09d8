"""Ninja's list of the commands that it has run, `.ninja_log`: by it ninja tells that an output is as its command made it.

Ninja writes a line when a command has gone well, and a deferred command seems to have. If the command then fails, its line says
what is not true: ninja would take a file that somebody puts there (`touch OUTPUT`), or an older one that was put back, for made.
Format: src/build_log.h of ninja, versions 5 (since 1.2) and 6 (since 1.12); any other is left alone. The last line of an output
counts.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress

from gg.formats.ninja_log import MOST, open_elsewhere
from gg.light.plain_files import read_plain

NAME = b".ninja_log"
_HEADS = (b"# ninja log v5", b"# ninja log v6")


def without_last(data: bytes, outputs: Collection[bytes], directory: bytes) -> bytes:
    """The log without the last line of each of `outputs`, absolute paths; `data` was read in `directory`. ValueError for a log of
    another version.
    """
    lines = data.splitlines(keepends=True)
    if not lines or lines[0].rstrip(b"\n") not in _HEADS:
        raise ValueError("not a log of commands of version 5 or 6")
    left = set(outputs)
    for at in range(len(lines) - 1, 0, -1):
        fields = lines[at].rstrip(b"\n").split(b"\t")
        name = _among(left, fields[3], directory) if len(fields) == 5 else None
        if name is not None:
            left.discard(name)
            lines[at] = b""
    return b"".join(lines)


def _among(outputs: Collection[bytes], name: bytes, directory: bytes) -> bytes | None:
    """Which of `outputs` a line's name is. It is relative to where ninja runs, which is `directory` or above it (`builddir`)."""
    if name.startswith(b"/"):
        return name if name in outputs else None
    while directory not in (b"", b"/"):
        path = os.path.normpath(os.path.join(directory, name))
        if path in outputs:
            return path
        directory = os.path.dirname(directory)
    return None


def forget(directory: bytes, outputs: Collection[bytes], ending: int = 0) -> None:
    """Take the last lines of these outputs, absolute paths, out of the log. Left alone if a ninja other than `ending` runs,
    or on doubt.
    """
    path = os.path.join(directory, NAME)
    with suppress(OSError, ValueError):
        data = read_plain(path, MOST, follow=False)  # through a link it may be another tree's
        mode = os.lstat(path).st_mode
        new = without_last(data, outputs, directory)
        if new == data or open_elsewhere(path, ending):
            return
        aside = b"%s.%d" % (path, os.getpid())
        try:
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode & 0o7777)
            with open(fd, "wb") as file:
                file.write(new)
            os.rename(aside, path)
        except OSError:
            with suppress(OSError):
                os.unlink(aside)
            raise
