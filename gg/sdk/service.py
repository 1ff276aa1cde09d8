"""Forces for a session, in a thread of its own: thunks come in at any time, and each gives its future a result.

One driver serves the session, so what one thunk has made is known to the next. A thunk that is submitted while others
run joins them; whether the driver has taken it in before it was done is told by its ticket.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from gg.composition import Composition
from gg.config import Settings
from gg.core.ids import BlobId, ThunkId
from gg.core.slotted import replace
from gg.core.thunk import Reduction
from gg.errors import GGError, Interrupted, MissingObject, UsageError
from gg.observe import events as seen
from gg.outcome import Outcome, Settled
from gg.resolve import Values
from gg.sdk.values import Result, Thunk, ThunkFailed, Value
from gg.store.base import Store
from gg.workspace import Workspace


class Service:
    """Futures by thunk. `submit` and `close` may be called from any thread."""

    def __init__(self, workspace: Workspace, near: Store, settings: Settings) -> None:
        """`near`: the workspace's store, which stays open."""
        self._composition = Composition(workspace, replace(settings, keep_going=True), self._see, near)
        self._forcer = self._composition.forcer
        self._condition = threading.Condition()
        self._waiting: dict[ThunkId, list[tuple[Thunk, Future[Result]]]] = {}
        self._new: list[tuple[ThunkId, int]] = []
        self._busy = False
        self._closed = False
        self._cached: set[str] = set()
        self._thread = threading.Thread(target=self._serve, name="gg-session", daemon=True)
        self._thread.start()

    def submit(self, thunk: Thunk) -> Future[Result]:
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        with self._condition:
            if self._closed:
                raise UsageError("the session is closed")
            self._waiting.setdefault(thunk.id, []).append((thunk, future))
            self._new.append((thunk.id, self._forcer.want(thunk.id) if self._busy else -1))
            self._condition.notify()
        return future

    def close(self) -> None:
        """Stop what runs; what is not done is answered by an error."""
        with self._condition:
            self._closed = True
            if self._busy:
                self._forcer.stop()
            self._condition.notify()
        self._thread.join()
        self._composition.close()

    # The thread

    def _serve(self) -> None:
        while self._next():
            with self._condition:
                roots = [name for name, _ in self._new if name in self._waiting]
                self._new = []
            try:
                outcome = self._forcer.evaluate(roots, self._finished) if roots else None
            except GGError as error:
                self._fail_all(error)
                continue
            except Exception as error:
                self._fail_all(GGError(f"internal error: {type(error).__name__}: {error}"))
                continue
            self._rest(outcome)
        self._fail_all(Interrupted("the session was closed before this was done"))

    def _next(self) -> bool:
        with self._condition:
            self._busy = False
            while not self._new and not self._closed:
                self._condition.wait()
            self._busy = not self._closed
            return self._busy

    def _rest(self, outcome: Outcome | None) -> None:
        """What the driver took in and gave no answer for, as it needs what failed. What came too late goes on."""
        with self._condition:
            self._new = [(name, ticket) for name, ticket in self._new if not self._forcer.took(ticket)]
            late = {name for name, _ in self._new}
            left = [] if self._closed else [name for name in self._waiting if name not in late]
        for name in left:
            failure = next(iter(outcome.failures.values()), None) if outcome else None
            status, text = (failure.status or 75, failure.message) if failure else (75, "was not done")
            self._answer(name, ThunkFailed(name.hex(), status, b"", text.encode()))

    def _see(self, event: seen.Event) -> None:
        if isinstance(event, seen.ThunkDone):
            if event.how == "cached":
                self._cached.add(event.id)
        elif isinstance(event, seen.ThunkFailed):
            error = ThunkFailed(event.label, event.status, event.stdout, event.stderr)
            failed = ThunkId(bytes.fromhex(event.id))
            with self._condition:
                hit = [n for n, all_of in self._waiting.items() if any(failed in _cone(t) for t, _ in all_of)]
            for name in hit:
                self._answer(name, error)

    def _finished(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            self._give(each.name, each.values, each.reduction)

    def _give(self, name: ThunkId, values: Values, reduction: Reduction) -> None:
        with self._condition:
            waiting = self._waiting.pop(name, [])
        for known, future in waiting:
            made = {
                n: Value(v.blob, v.executable, self._path) for n, v in zip(known.outputs, values, strict=False) if v
            }
            future.set_result(
                Result(
                    thunk=known,
                    outputs=made,
                    stdout=reduction.stdout,
                    stderr=reduction.stderr,
                    usage=reduction.usage,
                    engine=reduction.engine,
                    cached=name.hex() in self._cached,
                )
            )

    def _path(self, blob: BlobId, executable: bool) -> str:
        """Where the bytes are; fetched if only the team's store has them."""
        path = self._composition.store.path(blob, executable=executable)
        if path is None:
            raise MissingObject(f"the blob {blob.hex} is in no store", hint="force its thunk again")
        return os.fsdecode(path)

    def _answer(self, name: ThunkId, error: GGError) -> None:
        with self._condition:
            waiting = self._waiting.pop(name, [])
        for _, future in waiting:
            future.set_exception(error)

    def _fail_all(self, error: GGError) -> None:
        with self._condition:
            names = list(self._waiting)
            self._new = []
        for name in names:
            self._answer(name, error)


def _cone(thunk: Thunk) -> Iterator[ThunkId]:
    """The ids of the thunk and of all that it needs, as far as this program has made them."""
    seen_ids: set[ThunkId] = set()
    stack = [thunk]
    while stack:
        top = stack.pop()
        if top.id not in seen_ids:
            seen_ids.add(top.id)
            yield top.id
            stack.extend(top.inputs)
