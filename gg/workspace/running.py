"""Which gg-infer and gg-force run in a workspace: a file for each among the records, locked for as long as its process lives.

The lock is the process's own (fcntl(2)): no child inherits it, and the kernel lets it go however the process ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from gg.workspace.workspace import Workspace

_MOST = 1 << 20  # bytes of one file


@contextmanager
def announced(workspace: Workspace, what: str, words: Sequence[str]) -> Iterator[None]:
    """Let others see that this process runs there, for as long as the `with` lasts. If the file cannot be made, nothing is
    announced: a build does not fail because of that.
    """
    directory = _directory(workspace)
    path, fd = os.path.join(directory, f"{what}-{os.getpid()}"), -1
    with suppress(OSError):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        record = {"what": what, "time": time.time(), "pid": os.getpid(), "words": list(words)}
        os.write(fd, json.dumps(record).encode())
    try:
        yield
    finally:
        if fd >= 0:
            with suppress(OSError):
                os.unlink(path)
            os.close(fd)


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
