"""Answers each request of a recorded build: with a placeholder, or by letting the real tool run.

The recorder is single-threaded: one call is modelled at a time, in a millisecond or less. What must wait for a force
is handed to the session's force service and answered when that is done, so other calls go on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gg.errors import GGError, StoreError
from gg.models.drafts import Call, RunReal
from gg.record import protocol
from gg.record.called_tools import CalledTools, operands
from gg.record.outputs import named
from gg.record.protocol import Op, RecorderRequest, SendReply
from gg.record.readers import refused

if TYPE_CHECKING:
    from gg.record.calls import CallCounts
    from gg.record.deferral import Deferral
    from gg.record.excused_outputs import ExcusedOutputs
    from gg.record.modelling import Deferrable, Modelling
    from gg.record.readers import Readers
    from gg.record.whole_makes import WholeMakes
    from gg.workspace.ledger import Ledger


class Recorder:
    """One session's answers."""

    def __init__(
        self,
        tools: CalledTools,
        modelling: Modelling,
        deferral: Deferral,
        reads: Readers,
        ledger: Ledger,
        calls: CallCounts,
        makes: Callable[[], WholeMakes],
        excused: Callable[[], ExcusedOutputs],
    ) -> None:
        self._tools = tools
        self._modelling = modelling
        self._deferral = deferral
        self._reads = reads
        self._ledger = ledger
        self._calls = calls
        self._makes = makes
        self._excused = excused
        self._operations = {
            Op.CALL: self._called,
            Op.FORCE: reads.opened,
            Op.UNWATCHED: self._started_unwatched,
            Op.END: self._make_ends,
            Op.LOOK: self._looked,
        }

    def handle(self, request: RecorderRequest, reply: SendReply) -> None:
        """Answer one request, now or later."""
        self._operations[request.op](request, reply)

    def run_anyway(self, request: RecorderRequest, why: str, reply: SendReply) -> None:
        """Have the real tool of a call run, whatever is to be said of the call."""
        called = self._tools.of(request)
        if called.call is not None:
            self._reads.run_real(called.call, RunReal(why), reply)
        else:
            reply(protocol.reply_exec(called.program, called.argv, ()) if called.program else protocol.HANG_UP)

    def _make_ends(self, request: RecorderRequest, reply: SendReply) -> None:
        self._makes().ended(request, reply)

    def _looked(self, request: RecorderRequest, reply: SendReply) -> None:
        self._excused().looked(request, reply)

    def _started_unwatched(self, request: RecorderRequest, reply: SendReply) -> None:
        self._calls.unwatched[os.fsdecode(os.path.basename(request.path))] += 1
        reply(protocol.reply_exit(0))

    def _called(self, request: RecorderRequest, reply: SendReply) -> None:
        called = self._tools.of(request)
        if called.program is None:
            text = b"gg: " + os.path.basename(called.name) + b": command not found\n"
            reply(protocol.reply_exit(127, b"", text))
            return
        call = called.call
        if call is None:
            reply(protocol.reply_exec(called.program, called.argv, ()))
            return
        answer = self._modelling.answer(call, called.request)
        unmade = self._unmade(call, answer) if self._ledger.has_unmade else b""
        if unmade:
            self._calls.ran(call.tool.name, "what it reads was not made", probe=False, argv=call.argv, cwd=call.cwd)
            reply(refused(called.name, unmade))
        elif isinstance(answer, RunReal):
            self._reads.run_real(call, answer, reply)
        else:
            self._defer(call, answer, request.umask, reply)

    def _defer(self, call: Call, answer: Deferrable, umask: int, reply: SendReply) -> None:
        try:
            real = self._deferral.defer(call, answer, umask)
        except (GGError, OSError) as error:
            status = error.exit_code if isinstance(error, GGError) else StoreError.exit_code
            reply(protocol.reply_exit(status, b"", os.fsencode(f"gg: {error}\n")))
            return
        if real is not None:
            self._reads.run_real(call, real, reply)
        else:
            reply(protocol.reply_exit(0))

    def _unmade(self, call: Call, answer: Deferrable | RunReal) -> bytes:
        """Which file that the call reads was to be made by one that has failed after it was said to have gone well; empty: none."""
        if not isinstance(answer, RunReal):
            reads: Sequence[bytes] = answer.captured.draft.inputs
        elif answer.reads:
            reads = answer.reads
        else:
            before = zip((b"", *call.argv), call.argv, strict=False)
            reads = operands([word for last, word in before if last != b"-o" and word[:2] != b"-o"], call.cwd)
        paths = (named(name, call.cwd) for name in reads if name and call.cwd)
        return next((name for name in paths if self._ledger.is_unmade(name)), b"")
