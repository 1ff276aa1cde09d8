"""Asks the model of a called tool, and captures the thunk of its draft: or says why the call runs for real."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from gg.errors import GGError, machine_error
from gg.light.named import NamedTuple
from gg.models.drafts import Call, Model, RunReal
from gg.record.capture import Capture, Captured
from gg.record.hearers.callers import why_real

if TYPE_CHECKING:
    from gg.record.hearers.witnesses import Witnessed, Witnesses
    from gg.record.protocol import RecorderRequest
    from gg.record.world import World
    from gg.workspace.ledger import Ledger


class Deferrable(NamedTuple):
    """A call that can wait: its thunk, in the store, and who would have noticed."""

    captured: Captured
    witnessed: Witnessed


class Modelling:
    """Answers for the calls of one session. `always_real`: tools that the settings let run."""

    def __init__(
        self,
        models: Mapping[str, Model],
        always_real: frozenset[str],
        world: World,
        capture: Capture,
        ledger: Ledger,
        marks: bytes,
    ) -> None:
        """`marks`: the directory where processes of the build leave files beside the recorder's socket."""
        self._models = models
        self._always_real = always_real
        self._world = world
        self._capture = capture
        self._ledger = ledger
        self._marks = marks

    @cached_property
    def _witnesses(self) -> Witnesses:
        from gg.record.hearers.witnesses import Witnesses

        return Witnesses(self._world.root, self._marks)

    def answer(self, call: Call, request: RecorderRequest) -> Deferrable | RunReal:
        """The thunk of `call`, which the process of `request` makes; RunReal where it cannot be deferred."""
        forbidden = why_real(request)
        if forbidden:
            return RunReal(forbidden)
        if call.tool.name in self._always_real:
            return RunReal("the settings say so")
        if not call.cwd:
            return RunReal("its working directory is gone")
        model = self._models.get(call.tool.name)
        if model is None:
            return RunReal("no model for this tool")
        try:
            answer = self._modelled(model, call, request)
        except GGError as error:
            return RunReal(str(error))
        except Exception as error:  # a bug of ours must not stand in a build's way; it is counted and told as a reason
            known = machine_error(error)
            return RunReal(str(known) if known else f"internal error: {type(error).__name__}: {error}")
        if isinstance(answer, Deferrable) and self._ledger.has_failed(answer.captured.id):
            return RunReal("it has failed before", reads=answer.captured.draft.inputs)
        return answer

    def _modelled(self, model: Model, call: Call, request: RecorderRequest) -> Deferrable | RunReal:
        from gg.record.doubt import doubt

        why = doubt(call)
        if why:
            return RunReal(why)
        self._world.begin()
        moved = self._world.canon.moved
        answer = self._ask(model, call, request)
        if self._world.canon.moved != moved:  # a directory is called otherwise than the model remembered
            self._world.renew()
            answer = self._ask(model, call, request)
        return answer

    def _ask(self, model: Model, call: Call, request: RecorderRequest) -> Deferrable | RunReal:
        from gg.record.doubt import doubt_of

        draft = model(call, self._world)
        if isinstance(draft, RunReal):
            return draft
        why = doubt_of(draft, call)
        if why:
            return RunReal(why, reads=draft.inputs)
        witnessed = self._witnesses.of(draft, call, request)
        if witnessed.why:
            return RunReal(witnessed.why, reads=draft.inputs)
        captured = self._capture.capture(draft, call)
        return captured if isinstance(captured, RunReal) else Deferrable(captured, witnessed)
