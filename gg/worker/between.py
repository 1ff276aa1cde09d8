"""What lies between two commands on one worker: nothing of the first is there for the second.

Both are of one user, as the worker itself is, and may be hostile: a path map shows a command its inputs and is no wall. On
Lambda there is no root, there are no namespaces, and no filter for system calls. What that leaves, and all of this rests on:

  - A process cannot look into one that is not dumpable (`gg.worker.hidden`), and cannot leave its tree.
  - When all others are dead nobody is there to undo what is done now. So first all processes end, then all else is put back.
  - A file's ctime cannot be set. What was not changed since it was seen to be right is right (`gg.worker.disk_cache`).

What cannot be put back ends the environment (`Spoilt`), and with it the request of whoever did that.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from gg.run.ending import end_descendants
from gg.worker import hidden, ipc
from gg.worker.kernel_keys import Keys
from gg.worker.own_limits import OwnLimits
from gg.worker.writable import Writable, shared

_EXTENSIONS = "/opt/extensions"  # of which Lambda has begun processes before this one


class Spoilt(Exception):
    """This process must end without an answer: a command has changed what nobody can change back."""


class Between:
    """Of one worker. Made before the first command."""

    def __init__(self, directory: str, *, alone: bool) -> None:
        """`directory` is the worker's own. `alone`: nobody else of this user is, or will be, at work on this host, so that
        processes, directories for all and shared memory may be cleared of everything.
        """
        hidden.hide()
        self._alone = alone and os.getuid() != 0
        self._limits = OwnLimits()
        self._keys = Keys() if self._alone else None
        self._places = list(shared(directory)) if self._alone else []
        if self._alone and not os.path.isdir(_EXTENSIONS):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGKILL)  # Lambda starts a process that has ended again, and what it left may live

    def keep(self, *places: Writable) -> None:
        """Restore these too, from now on."""
        self._places += places

    def end(self) -> None:
        """Have no process left of what ran; nothing that it has written may be looked at before. Spoilt."""
        if not end_descendants(everybody=self._alone):
            raise Spoilt("processes that cannot be ended")

    def restore(self) -> None:
        """Have all as it was. Spoilt."""
        self.end()
        if not self._limits.restored():
            raise Spoilt("limits that cannot be raised again")
        try:
            if not all(place.restored() for place in self._places):
                raise Spoilt("a directory that was moved away")
        except OSError as error:
            raise Spoilt(f"a directory that cannot be emptied: {error}") from error
        if self._alone:
            ipc.remove_all()
        if self._keys and not self._keys.cleared():
            raise Spoilt("keys that cannot be taken away")
