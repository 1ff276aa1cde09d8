"""Makes that answer as a whole. Where a program that has started a make, or ninja, may act on its status, the make's calls are
deferred all the same. Before the make ends, the interposer in it asks how they have ended (`toolchain-wrappers/record/end.c`); they
are forced then, all at once, and the make ends as it would have: with a failure where a command has failed.

So whoever started the make is told the truth, and has real files. What was told stands no more: no later force fails by it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.errors import GGError
from gg.record import protocol
from gg.record.hearers import processes

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.record.protocol import RecorderRequest, SendReply
    from gg.record.readers import ForceService, ReaderAnswer
    from gg.workspace.ledger import Ledger

_FAILED = 1


class WholeMakes:
    """Those of one session, which marks them by files in `directory`."""

    def __init__(self, forces: ForceService, ledger: Ledger, directory: bytes) -> None:
        self._forces = forces
        self._ledger = ledger
        self._directory = directory
        self._calls: dict[tuple[int, int], dict[ThunkId, Sequence[bytes]]] = {}

    def note(self, make: int, thunk: ThunkId, paths: Sequence[bytes]) -> None:
        """A call below process `make` is being deferred; its outputs are `paths`. OSError when the make cannot be marked."""
        key = make, processes.started(make)
        if key not in self._calls:
            with open(self._mark(make), "wb"):
                self._calls[key] = {}
        self._calls[key][thunk] = paths

    def ended(self, request: RecorderRequest, reply: SendReply) -> None:
        """A make is about to end: answer it when its calls have ended."""
        make, calls = request.pid, self._calls_of(request.pid)
        known = {thunk for thunk, paths in calls.items() if self._is_known_to_fail(thunk, paths)}

        def then(answer: ReaderAnswer, failed: Collection[ThunkId]) -> None:
            if answer.status:
                reply(protocol.reply_exit(answer.status, b"", answer.stderr))
                return
            status = GGError.exit_code  # should the following break, the make does not wait for ever
            try:
                status = self._tell(known.union(failed), calls, make)
            finally:
                reply(protocol.reply_exit(status))

        name = request.argv[0] if request.argv else b"make"
        self._forces.settle({thunk: paths for thunk, paths in calls.items() if thunk not in known}, then, name)

    def _tell(self, bad: Collection[ThunkId], calls: Mapping[ThunkId, Sequence[bytes]], make: int) -> int:
        """The status of a make whose calls `bad` have failed, or need one that has: it is told by that."""
        if bad:
            self._forces.undo_moved(bad, make)
        status = _FAILED if any(not self._ledger.is_excused(thunk) for thunk in bad) else 0
        self._ledger.answered(bad, [path for thunk in bad for path in calls[thunk]])
        return status

    def _calls_of(self, make: int) -> dict[ThunkId, Sequence[bytes]]:
        """The calls below a make, which are forgotten."""
        try:
            os.unlink(self._mark(make))
            return self._calls.pop((make, processes.started(make)), {})
        except OSError:  # it has not been marked, or was killed meanwhile
            return {}

    def _is_known_to_fail(self, thunk: ThunkId, paths: Sequence[bytes]) -> bool:
        """Whether somebody has read what it was to make, and it has failed, or what it needs."""
        return self._ledger.stands(thunk) or any(self._ledger.is_unmade(path) for path in paths)

    def _mark(self, make: int) -> bytes:
        return os.path.join(self._directory, b"ends%d" % make)
