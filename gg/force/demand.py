"""Thunks are forced as they are asked for: at any time, by any thread, each answered as soon as it is settled.

One driver serves all. What is asked for while it runs joins what runs, and nobody waits for what another has asked for.
When nothing is left to do, the thread rests until somebody asks again. Each request gets a ticket, which tells whether the
driver took the thunk in before its run ended. If it did not, the next run begins with that thunk.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gg.errors import GGError, Interrupted, machine_error

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.force.outcome import Outcome

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class NotDone(GGError):
    """A run ended without the thunk's value and without saying why. Exit status 75."""

    exit_code = 75


class Settler(Protocol[T_contra]):
    """Settles thunks. For each one that it has settled, it takes those who wait (`Demand.take`) and answers them."""

    def run(self, roots: Sequence[ThunkId]) -> Outcome | None:
        """Force these, and what is wanted meanwhile. None if all results were known and nothing was wanted meanwhile."""
        ...

    def want(self, root: ThunkId) -> int:
        """Add a thunk to a `run` that is under way. The answer is a ticket for `has_joined`."""
        ...

    def has_joined(self, ticket: int) -> bool: ...
    def stop(self) -> None: ...
    def fail(self, one: T_contra, error: GGError) -> None:
        """Tell one of those who wait that the thunk will not be done."""
        ...


class Demand(Generic[T]):
    """Those who wait, by thunk; each is a T. All methods may be called from any thread; `close` it."""

    def __init__(self, settler: Settler[T], name: str) -> None:
        """`name`: the thread's, which starts when somebody asks."""
        self._settler = settler
        self._condition = threading.Condition()
        self._waiting: dict[ThunkId, list[T]] = {}
        self._new: list[tuple[ThunkId, int]] = []
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._started = False

    def ask(self, root: ThunkId, one: T) -> bool:
        """Have `root` forced for `one`, who is answered when it is settled. False when this is closed."""
        with self._condition:
            if self._closed:
                return False
            self._waiting.setdefault(root, []).append(one)
            self._new.append((root, self._settler.want(root) if self._busy else -1))
            if not self._started:
                self._started = True
                self._thread.start()
            self._condition.notify()
        return True

    def waiting(self) -> dict[ThunkId, list[T]]:
        """Who waits now, by thunk."""
        with self._condition:
            return {name: list(ones) for name, ones in self._waiting.items()}

    def take(self, root: ThunkId) -> list[T]:
        """Those who wait for this thunk. They wait no longer: the caller answers them."""
        with self._condition:
            return self._waiting.pop(root, [])

    def close(self) -> None:
        """Stop what runs. Those who still wait are answered by an error."""
        with self._condition:
            self._closed = True
            if self._busy:
                self._settler.stop()
            self._condition.notify()
        if self._started:
            self._thread.join()

    # The thread

    def _serve(self) -> None:
        while self._next():
            with self._condition:
                roots = list(dict.fromkeys([name for name, _ in self._new if name in self._waiting]))
                self._new = []
            if roots:
                self._run(roots)
        self._fail(Interrupted("it was stopped before this was done"))

    def _next(self) -> bool:
        with self._condition:
            self._busy = False
            while not self._new and not self._closed:
                self._condition.wait()
            self._busy = not self._closed
            return self._busy

    def _run(self, roots: list[ThunkId]) -> None:
        """Run once. Nobody waits for ever: any error, that of a bug too, is the answer for all who wait."""
        try:
            outcome = self._settler.run(roots)
        except GGError as error:
            self._fail(error)
        except Exception as error:
            self._fail(machine_error(error) or GGError(f"internal error: {type(error).__name__}: {error}"))
        else:
            self._rest(outcome)

    def _rest(self, outcome: Outcome | None) -> None:
        """Answer those whose thunk was taken in but not settled, because the run ended early. Later requests go on."""
        with self._condition:
            self._new = [(name, ticket) for name, ticket in self._new if not self._settler.has_joined(ticket)]
            late = {name for name, _ in self._new}
            left = [] if self._closed else [name for name in self._waiting if name not in late]
        failure = next(iter(outcome.failures.values()), None) if outcome else None
        for name in left:
            error = NotDone(failure.message if failure else "was not done")
            for one in self.take(name):
                self._settler.fail(one, error)

    def _fail(self, error: GGError) -> None:
        with self._condition:
            waiting, self._waiting, self._new = self._waiting, {}, []
        for ones in waiting.values():
            for one in ones:
                self._settler.fail(one, error)
