"""Which gg-infer and gg-force run in a workspace: a file for each among the records, locked for as long as its process lives.

The lock is the process's own (fcntl(2)): no child inherits it, and the kernel lets it go however the process ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import cast

from gg.workspace.workspace import Workspace

_MOST = 1 << 20  # bytes of one file


class Running:
    """This process's own file. Where it cannot be made, nothing is said: a build does not fail for want of it."""

    def __init__(self, workspace: Workspace, what: str, words: Sequence[str]) -> None:
        directory = _directory(workspace)
        self._fd, self._path = -1, os.path.join(directory, f"{what}-{os.getpid()}")
        with suppress(OSError):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            record = {"what": what, "time": time.time(), "pid": os.getpid(), "words": list(words)}
            os.write(self._fd, json.dumps(record).encode())

    def end(self) -> None:
        """It has ended. Done twice, the second time does nothing."""
        if self._fd >= 0:
            with suppress(OSError):
                os.unlink(self._path)
            os.close(self._fd)
            self._fd = -1


def running(workspace: Workspace) -> Iterator[dict[str, object]]:
    """What runs there: `what`, `time` (when it began, seconds since the epoch), `pid`, `words`. Files of the dead are removed."""
    directory = _directory(workspace)
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        found = _read(os.path.join(directory, name))
        if found is not None:
            yield found


def _directory(workspace: Workspace) -> str:
    return os.path.join(workspace.dot, "builds")


def _read(path: str) -> dict[str, object] | None:
    from gg.core.jsontext import json_from
    from gg.errors import FormatError

    try:
        with open(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW), "r+b") as file:
            if _is_free(file.fileno()):
                os.unlink(path)
                return None
            found = json_from(file.read(_MOST), "running build")
    except (OSError, FormatError):  # it has just ended, or has not yet written what it is
        return None
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _is_free(fd: int) -> bool:
    """Whether nobody has locked the file."""
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
