"""Defers a call: puts it into the ledger, and leaves what stands for its outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.models.drafts import Call, RunReal
from gg.record.leave import CannotLeave, Leaver

if TYPE_CHECKING:
    from gg.record.calls import CallCounts
    from gg.record.capture import Capture, Captured
    from gg.record.excused_outputs import ExcusedOutputs
    from gg.record.modelling import Deferrable
    from gg.record.whole_makes import WholeMakes
    from gg.workspace.ledger import Ledger
    from gg.workspace.stamps import Stamps


class Deferral:
    """Defers the calls of one session; `listener` is told of each."""

    def __init__(
        self,
        leaver: Leaver,
        ledger: Ledger,
        capture: Capture,
        calls: CallCounts,
        stamps: Stamps,
        makes: Callable[[], WholeMakes],
        excused: Callable[[], ExcusedOutputs],
        listener: Callable[[Call, Captured], None] | None,
    ) -> None:
        self._leaver = leaver
        self._ledger = ledger
        self._capture = capture
        self._calls = calls
        self._stamps = stamps
        self._makes = makes
        self._excused = excused
        self._any_excused = False
        self._listener = listener

    def defer(self, call: Call, deferrable: Deferrable, umask: int) -> RunReal | None:
        """Leave placeholders. The answer says why the call must run for real, if none can be left. GGError or OSError when the
        call can be neither deferred nor run.
        """
        captured, witnessed = deferrable
        paths = [output.path for output in captured.outputs if not (output.soft or output.optional)]

        def record() -> None:
            by, excused = witnessed.by, witnessed.excused
            self._stamps.note(captured.id, witnessed.stamps)
            if witnessed.answers:
                self._makes().note(witnessed.answers, captured.id, paths)
            if excused or self._any_excused:
                self._any_excused = True
                self._excused().note(captured.id, paths, excused=excused)
            self._ledger.record(captured.id, paths, umask & 0o777, heard=witnessed.heard, by=by, excused=excused)

        try:
            self._leaver.leave(call, captured, umask, record)
        except CannotLeave as error:
            return RunReal(str(error), reads=captured.draft.inputs)
        new = self._capture.is_new(captured.id)
        self._calls.captured(captured.id, call.tool.name, captured.draft.work.value, new=new)
        if self._listener:
            self._listener(call, captured)
        return None
