"""Cleans up between two commands on one worker, so that the second finds nothing of the first.

Both run as one user, as the worker itself does, and may be hostile: a path map shows a command its inputs and is no wall. On
Lambda there is no root, there are no namespaces, and no filter for system calls. Everything here rests on three facts:

  - A process cannot look into one that is not dumpable (`gg.worker.hidden`), and cannot leave its tree.
  - When all other processes are dead, nobody can undo what is done now. So first all processes end, then the rest is put back.
  - A file's ctime cannot be set. A file that was right and was not changed since is right (`gg.worker.disk_cache`).

  If something cannot be put back, the environment ends (`Spoilt`), and with it the request that caused it.
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

_EXTENSIONS = "/opt/extensions"  # programs here were started by Lambda before this process


class Spoilt(Exception):
    """This process must end without an answer: a command has changed what nobody can change back."""


class Between:
    """The cleaner of one worker. Make it before the first command."""

    def __init__(self, directory: str, *, alone: bool) -> None:
        """`directory` is the worker's own. `alone`: no other process of this user works, or will work, on this host, so all
        processes, shared directories and shared memory of the user may be cleared.
        """
        hidden.hide()
        self._alone = alone and os.getuid() != 0
        self._limits = OwnLimits()
        self._keys = Keys() if self._alone else None
        self._places = list(shared(directory)) if self._alone else []
        if self._alone and not os.path.isdir(_EXTENSIONS):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(-1, signal.SIGKILL)  # Lambda starts an ended process again; its children may still live

    def keep(self, *places: Writable) -> None:
        """Restore these directories too, from now on."""
        self._places += places

    def end(self) -> None:
        """End every process of the command. Nothing that it wrote may be looked at before. Spoilt."""
        if not end_descendants(everybody=self._alone):
            raise Spoilt("processes that cannot be ended")

    def restore(self) -> None:
        """Put everything back as it was. Spoilt."""
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
