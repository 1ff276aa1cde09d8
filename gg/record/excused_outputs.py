"""Outputs of calls whose status a shell drops: `gcc -c x.c; ls > list`. They are deferred, although the shell goes on if they fail.

Whoever then sees the name of such an output would see a file that a failed compiler has not left: a pattern of the shell's, `ls`,
`test -f`, `mv`. So the interposer asks before a program reads a directory, looks at such a placeholder or carries it
(`gg_look` in `toolchain-wrappers/record/read.c`), and the calls end first: all that have outputs there, at once. As long as there
is no such call there is no file `excused` beside the recorder's socket, and nobody asks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.record import protocol
from gg.record.hearers.callers import here
from gg.record.outputs import named

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.record.protocol import RecorderRequest, SendReply
    from gg.record.readers import ForceService, ReaderAnswer
    from gg.workspace.ledger import Ledger

_ALL = b"/"


class ExcusedOutputs:
    """Those of one session; any thread may use it."""

    def __init__(self, forces: ForceService, ledger: Ledger, directory: bytes) -> None:
        """`directory`: where the recorder's socket is."""
        self._forces = forces
        self._ledger = ledger
        self._mark = os.path.join(directory, b"excused")
        self._lock = threading.Lock()
        self._calls: dict[bytes, dict[bytes, ThunkId]] = {}  # by directory: an output, and whose it is

    def note(self, thunk: ThunkId, paths: Sequence[bytes], *, excused: bool) -> None:
        """A call is being deferred; its outputs are `paths`. OSError when that cannot be marked."""
        with self._lock:
            if excused and not self._calls:  # while there are some, the mark is there
                with open(self._mark, "wb"):
                    pass
            for path in paths if excused or self._calls else ():
                directory, name = os.path.split(path)
                of = self._calls.setdefault(os.path.realpath(directory), {})
                of.pop(name, None)
                if excused:
                    of[name] = thunk

    def looked(self, request: RecorderRequest, reply: SendReply) -> None:
        """Answer a process that is about to look, when what it can see is true."""
        found = self._wanted(here(request, named(request.path, request.cwd)))
        wanted = {thunk: paths for thunk, paths in found.items() if not self._ledger.stands(thunk)}

        def then(answer: ReaderAnswer, failed: Collection[ThunkId]) -> None:
            self._forget(found)
            reply(protocol.reply_ready())

        if wanted:
            self._forces.settle(wanted, then, request.argv[0] if request.argv else b"")
        else:
            self._forget(found)
            reply(protocol.reply_ready())

    def _wanted(self, path: bytes) -> dict[ThunkId, list[bytes]]:
        """The calls with outputs in the directory `path`, or with the output `path`, and these outputs."""
        found: dict[ThunkId, list[bytes]] = {}
        with self._lock:
            if path == _ALL:
                seen = dict(self._calls)
            elif os.path.isdir(path):
                directory = os.path.realpath(path)
                seen = {directory: self._calls.get(directory, {})}
            else:
                above, name = os.path.split(path)
                directory = os.path.realpath(above)
                of = self._calls.get(directory, {})
                seen = {directory: {name: of[name]} if name in of else {}}
            for directory, of in seen.items():
                for name, thunk in of.items():
                    found.setdefault(thunk, []).append(os.path.join(directory, name))
        return found

    def _forget(self, ended: Collection[ThunkId]) -> None:
        with self._lock:
            for directory, of in list(self._calls.items()):
                left = {name: thunk for name, thunk in of.items() if thunk not in ended}
                if left:
                    self._calls[directory] = left
                else:
                    del self._calls[directory]
            if not self._calls:
                with suppress(OSError):
                    os.unlink(self._mark)
