"""Forces for a session: thunks come in at any time, and each gives its future a result.

One driver serves the session (`gg.force.demand`), so what one thunk has made is known to the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from gg.core.colour import ColourForm, shown
from gg.core.ids import BlobId, ThunkId
from gg.core.reached import reached
from gg.engines.engine import Printed
from gg.errors import GGError, MissingObject, UsageError
from gg.force.composition import Composition
from gg.force.demand import Demand, NotDone
from gg.force.outcome import Outcome, Settled
from gg.light.shown import encoded
from gg.light.slotted import replace
from gg.observe import build_events as seen
from gg.sdk.values import Result, Thunk, ThunkFailed, Value
from gg.store.base import Store
from gg.workspace.settings import Settings
from gg.workspace.workspace import Workspace

_Asked = tuple[Thunk, "Future[Result]"]


class Service:
    """Futures by thunk. `submit` and `close` may be called from any thread."""

    def __init__(
        self,
        workspace: Workspace,
        near: Store,
        settings: Settings,
        printed: Printed | None = None,
        observe: Callable[[seen.BuildEvent], None] = lambda event: None,
    ) -> None:
        """`near`: the workspace's store, which stays open. `printed`: see `gg.engines.supplies`. `observe`: sees all events."""
        self._observe = observe
        settings = replace(settings, keep_going=True)
        self._composition = Composition(workspace, settings, self._see, near, printed=printed)
        self._forcer = self._composition.forcer
        self._cached: set[str] = set()
        self._demand: Demand[_Asked] = Demand(self, "gg-session")

    def submit(self, thunk: Thunk) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        if not self._demand.ask(thunk.id, (thunk, future)):
            raise UsageError("the session is closed")
        return future

    def told(self) -> dict[str, Any]:
        """What was spent so far, and how many results came from the team's store, as the history has it."""
        return {**self._composition.spent(), "fetched": self._composition.fetched()}

    def close(self) -> None:
        """Stop what runs; what is not done is answered by an error."""
        self._demand.close()
        self._composition.close()

    # What the demand has done

    def run(self, roots: Sequence[ThunkId]) -> Outcome:
        return self._forcer.evaluate(roots, self._finished)

    def want(self, root: ThunkId) -> int:
        return self._forcer.want(root)

    def has_joined(self, ticket: int) -> bool:
        return self._forcer.has_joined(ticket)

    def stop(self) -> None:
        self._forcer.stop()

    def fail(self, one: _Asked, error: GGError) -> None:
        thunk, future = one
        if isinstance(error, NotDone):
            error = ThunkFailed(thunk.id.hex(), error.exit_code, b"", encoded(error.what))
        future.set_exception(error)

    # The driver's thread

    def _see(self, event: seen.BuildEvent) -> None:
        self._observe(event)
        if isinstance(event, seen.ThunkDone):
            if event.how == "cached":
                self._cached.add(event.id)
        elif isinstance(event, seen.ThunkFailed):
            error = ThunkFailed(event.label, event.status, event.stdout, event.stderr)
            failed = ThunkId(bytes.fromhex(event.id))
            for name, asked in self._demand.waiting().items():
                if any(failed in _cone(thunk) for thunk, _ in asked):
                    for one in self._demand.take(name):
                        self.fail(one, error)

    def _finished(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            for thunk, future in self._demand.take(each.name):
                future.set_result(self._result(thunk, each))

    def _result(self, thunk: Thunk, settled: Settled) -> Result:
        values, reduction = zip(thunk.outputs, settled.values, strict=False), settled.reduction
        return Result(
            thunk=thunk,
            outputs={name: Value(made.blob, made.executable, self._path) for name, made in values if made},
            stdout=reduction.stdout,
            stderr=shown(reduction.stderr, ColourForm.PLAIN),
            usage=reduction.usage,
            engine=reduction.engine,
            cached=thunk.id.hex() in self._cached,
        )

    def _path(self, blob: BlobId, executable: bool) -> str:
        """Where the bytes are; fetched if only the team's store has them."""
        path = self._composition.store.path(blob, executable=executable)
        if path is None:
            raise MissingObject(f"the blob {blob.hex} is in no store", hint="force its thunk again")
        return os.fsdecode(path)


def _cone(thunk: Thunk) -> Iterator[ThunkId]:
    """The ids of the thunk and of all that it needs, as far as this program has made them."""
    return (each.id for each in reached([thunk], lambda each: each.inputs))
