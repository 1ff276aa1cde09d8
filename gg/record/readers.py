"""Forces what is about to be read: by a process that opens a placeholder, or by a tool that runs for real.

Whoever must wait for a force is answered when the force is done, from another thread, so other calls go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from gg.light.slotted import slotted
from gg.models.drafts import Call, RunReal
from gg.record import protocol
from gg.record.called_tools import operands
from gg.record.hearers.callers import here
from gg.record.outputs import named
from gg.record.protocol import RecorderRequest, SendReply

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.record.calls import CallCounts, Read
    from gg.record.depfiles.rules import Rules
    from gg.record.world import World


@slotted()
class ReaderAnswer:
    """How a force of some paths ended. 0: none of them is a placeholder any more, each is the real file, or gone because its
    command failed, as its user was told. Else gg's own trouble, and what is to be said of it. `undone`: a command has failed; there
    is no file then, or the one that was there before.
    """

    status: int = 0
    stderr: bytes = b""
    undone: bool = False


class ForceService(Protocol):
    """Forces placeholders in the background of a session.

    `broken`: what a bug in it has raised. `reads`: who was answered; `forced`: thunks whose files are in their places.
    """

    broken: Exception | None
    reads: list[Read]
    forced: set[bytes]

    def force(self, paths: Sequence[bytes], then: Callable[[ReaderAnswer], None], reader: bytes = b"") -> None:
        """Force all of `paths`, then call `then` from any thread. `reader`: the program that waits for them."""
        ...

    def settle(
        self,
        thunks: Mapping[ThunkId, Sequence[bytes]],
        then: Callable[[ReaderAnswer, Collection[ThunkId]], None],
        reader: bytes,
    ) -> None:
        """Evaluate all of these, which are to make these paths, then call `then` from any thread, with those that have failed, or
        need one that has. `reader`: the program that waits.
        """
        ...

    def undo_moved(self, failed: Collection[ThunkId], ending: int) -> None:
        """Remove placeholders of these, wherever they are by now. `ending`: the make whose calls they were, about to end."""
        ...

    def now(self, paths: Sequence[bytes]) -> None:
        """Force and wait; OSError when it fails, for a model treats it like a file it cannot read."""
        ...


def refused(tool: bytes, unmade: bytes) -> bytes:
    """The reply to a call that reads `unmade`, whose command has failed after it was said to have gone well: whoever had been told
    the truth would not have come this far, and what the tool would say of it is beside the point.
    """
    text = b"gg: %s is not run: the command that was to make %s has failed\n" % (os.path.basename(tool), unmade)
    return protocol.reply_exit(1, b"", text)


class Readers:
    """Answers those who read, in one session."""

    def __init__(
        self, forces: ForceService, world: World, rules: Rules, calls: CallCounts, is_unmade: Callable[[bytes], bool]
    ) -> None:
        """`is_unmade`: whether a file is not there because its command has failed, which was said to have gone well."""
        self._forces = forces
        self._world = world
        self._rules = rules
        self._calls = calls
        self._is_unmade = is_unmade

    def opened(self, request: RecorderRequest, reply: SendReply) -> None:
        """A process is about to read the file of `request`, or all of the workspace."""

        def then(forced: ReaderAnswer) -> None:
            if forced.status:
                reply(protocol.reply_failed(forced.status, forced.stderr))
            elif request.path and self._is_unmade(path) and (forced.undone or not os.path.lexists(path)):
                reply(protocol.reply_failed(protocol.UNMADE, b""))
            else:
                reply(protocol.reply_ready())

        path = here(request, named(request.path, request.cwd)) if request.path else self._world.root
        if request.path and self._is_unmade(path) and not os.path.lexists(path):
            reply(protocol.reply_failed(protocol.UNMADE, b""))
            return
        if self._rules.exact(path, lambda: reply(protocol.reply_ready()), self._force_one):
            return
        if not self._world.is_placeholder(path) and os.path.isfile(path):  # somebody else's, or made exact meanwhile
            reply(protocol.reply_ready())
            return
        self._calls.forced += 1
        self._forces.force([path], then, request.argv[0] if request.argv else b"")

    def run_real(self, call: Call, answer: RunReal, reply: SendReply) -> None:
        """Let the real tool run, once what it reads is real."""
        self._calls.ran(call.tool.name, answer.why, probe=answer.probe, argv=call.argv, cwd=call.cwd)
        edits = [] if answer.nested else protocol.edits_for_real(call.env)
        go = protocol.reply_exec(call.tool.path, call.argv, edits)
        waiting = self._placeholders_read(call, answer)
        if not waiting:
            reply(go)
            return

        def then(forced: ReaderAnswer) -> None:
            unmade = next(filter(self._is_unmade, waiting), None) if forced.undone else None
            if forced.status:
                reply(protocol.reply_exit(forced.status, b"", forced.stderr))
            else:
                reply(refused(call.tool.path, unmade) if unmade is not None else go)

        self._calls.forced += len(waiting)
        self._forces.force(waiting, then, call.tool.path)

    def _placeholders_read(self, call: Call, answer: RunReal) -> list[bytes]:
        names = [call.tool.path, *answer.reads]
        if answer.reads_all:
            names += operands(call.argv, call.cwd)
        names = [name for name in names if name and (call.cwd or name.startswith(b"/"))]
        found = dict.fromkeys(named(name, call.cwd) for name in names)
        return [path for path in found if self._world.is_placeholder(path)]

    def _force_one(self, path: bytes, then: Callable[[], None]) -> None:
        self._forces.force([path], lambda forced: then())
