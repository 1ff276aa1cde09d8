"""Forces what a build reads while it is recorded: each reader is answered as soon as its own files are real.

All readers are served by one driver (`gg.force.demand`), so what two of them need is made once, and nobody waits for another's.
Everyone who asks is answered. If this code breaks, the answer is a failure, and `broken` holds the exception.

A file that could not be made is removed, as after a command that has failed, and its reader is told to look again. The
reader itself fails only if its file is still a placeholder. What tools print is shown where gg-infer prints, as in a
plain build, and not where the reader prints.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gg.errors import GGError
from gg.record.calls import Read
from gg.record.readers import ReaderAnswer

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.core.placeholder import Placeholder
    from gg.force.composition import Composition
    from gg.force.demand import Demand
    from gg.force.outcome import Outcome
    from gg.observe.build_events import BuildEvent

_MOST_LATE = 5

Then = Callable[[ReaderAnswer], None]
Compose = Callable[[Callable[["BuildEvent"], None]], "Composition"]


class _Reader:
    """A program that waits for files."""

    def __init__(self, name: bytes, placeholders: Mapping[bytes, Placeholder], then: Then) -> None:
        self.name = name
        self.placeholders = placeholders
        self.paths = list(placeholders)
        self.then: Then | None = then
        self.left: set[ThunkId] = set()
        self.failed: set[ThunkId] | None = None  # of a program that waits until all have ended, however they end
        self.late = 0  # how often its thunk's files were put in their places, but not its own file
        self.thunks = 0
        self.since = time.monotonic()


class Reading:
    """The reading in one recording. `compose(observe)` makes what forces, when the first reader comes."""

    def __init__(self, compose: Compose) -> None:
        self.broken: Exception | None = None
        self.reads: list[Read] = []
        self.forced: set[bytes] = set()
        self._compose = compose
        self._composition: Composition | None = None
        self._early: list[ThunkId] = []  # wanted while the forcer was being made
        self._tickets: dict[int, int] = {}
        self._elsewhere: dict[ThunkId, list[tuple[bytes, Placeholder]]] = {}
        self._failures: dict[str, int] = {}
        self._lock = threading.Lock()
        self._made: Demand[_Reader] | None = None  # made late: most builds read nothing

    def force(self, paths: Sequence[bytes], then: Then, reader: bytes = b"") -> None:
        """Force the placeholders among `paths`, then call `then`, from any thread. `reader`: the program that waits."""
        from gg.workspace.targets import Targets

        if self.broken is not None:
            then(self._is_broken(paths))
            return
        placeholders = Targets.at(paths).placeholders
        if not placeholders:
            then(ReaderAnswer())
            return
        self._wait(_Reader(reader, placeholders, then), {known.thunk for known in placeholders.values()}, placeholders)

    def settle(
        self,
        thunks: Mapping[ThunkId, Sequence[bytes]],
        then: Callable[[ReaderAnswer, Collection[ThunkId]], None],
        reader: bytes,
    ) -> None:
        """Evaluate all of these, then call `then` from any thread, with those that will have no value (`ForceService`)."""
        from gg.workspace.targets import Targets
        from gg.workspace.workspace import read_placeholder

        if self.broken is not None or not thunks:
            then(self._is_broken([reader]) if self.broken is not None else ReaderAnswer(), ())
            return
        failed: set[ThunkId] = set()

        def settled(answer: ReaderAnswer) -> None:
            left = [
                path
                for path, known in placeholders.items()
                if known.thunk in failed and read_placeholder(path) == known
            ]
            if left and not answer.status:  # no tool has failed, but an engine
                answer = ReaderAnswer(75, b"".join(b"gg: " + path + b" could not be forced\n" for path in left))
            then(answer, failed)

        placeholders = Targets.at([path for paths in thunks.values() for path in paths]).placeholders
        waiting = _Reader(reader, placeholders, settled)
        waiting.failed = failed
        self._wait(waiting, thunks, placeholders)

    def _wait(self, waiting: _Reader, thunks: Collection[ThunkId], placeholders: Mapping[bytes, Placeholder]) -> None:
        """Let a reader wait for these thunks, and for their files at these placeholders."""
        waiting.left.update(thunks)
        with self._lock:
            for thunk in thunks:
                self._elsewhere.setdefault(thunk, [])
            for path, known in placeholders.items():
                self._elsewhere.setdefault(known.thunk, []).append((path, known))
        for root in thunks:
            self._ask(root, waiting)

    def undo_moved(self, failed: Collection[ThunkId], ending: int) -> None:
        if self._composition is not None:
            self._composition.forcer.undo_moved(failed, ending)

    def _ask(self, root: ThunkId, waiting: _Reader) -> None:
        if not self._demand.ask(root, waiting):
            self._answer(waiting, GGError("the recording is over"))

    @property
    def _demand(self) -> Demand[_Reader]:
        with self._lock:
            if self._made is None:
                from gg.force.demand import Demand

                self._made = Demand(self, "gg-reading")
            return self._made

    def now(self, paths: Sequence[bytes]) -> None:
        """Force and wait. OSError when that fails: a model treats it like a file that it cannot read."""
        done: list[ReaderAnswer] = []
        over = threading.Event()

        def then(forced: ReaderAnswer) -> None:
            done.append(forced)
            over.set()

        self.force(paths, then, b"gg-infer")
        over.wait()
        if done[0].status:
            raise OSError(f"cannot be forced: {os.fsdecode(done[0].stderr.strip())}")

    def spent(self) -> Mapping[str, Any]:
        """What the engines have cost, as `RunFinished` has it."""
        return self._composition.spent() if self._composition else {}

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
        if self._composition is not None:
            self._composition.close()

    # What the demand calls, in its thread

    def run(self, roots: Sequence[ThunkId]) -> Outcome | None:
        try:
            composition = self._composition or self._begin()
            return composition.forcer.serve(roots, self._elsewhere, self)
        except GGError:
            raise
        except Exception as error:
            self.broken = error
            raise

    def _begin(self) -> Composition:
        composition = self._compose(self._see)
        with self._lock:
            self._composition = composition
            self._tickets = {-2 - at: composition.forcer.want(root) for at, root in enumerate(self._early)}
        return composition

    def want(self, root: ThunkId) -> int:
        with self._lock:
            if self._composition is not None:
                return self._composition.forcer.want(root)
            self._early.append(root)
            return -1 - len(self._early)

    def has_joined(self, ticket: int) -> bool:
        ticket = self._tickets.get(ticket, ticket)
        return self._composition is not None and self._composition.forcer.has_joined(ticket)

    def stop(self) -> None:
        if self._composition is not None:
            self._composition.forcer.stop()

    def fail(self, one: _Reader, error: GGError) -> None:
        self._answer(one, error)

    # What the forcer calls

    def placed(self, names: Sequence[ThunkId]) -> None:
        """These thunks are done, and their files are in their places.

        A reader of a copy of the placeholder (`cp a b; echo >>b`) may have come after the places were collected. Then its own
        file is not among them, and the thunk is asked for once more.
        """
        self.forced.update(names)
        for name in names:
            for one in self._demand.take(name):
                if self._is_left(one, name):
                    self._ask(name, one)
                    continue
                one.left.discard(name)
                one.thunks += self._composition.forcer.ran_below(name) if self._composition else 0
                if not one.left:
                    self._answer(one)

    def _is_left(self, one: _Reader, name: ThunkId) -> bool:
        """Whether a file that the reader waits for is still a placeholder of this thunk, which is done. After some rounds the
        answer is no: others may copy such a placeholder there again and again.
        """
        from gg.workspace.workspace import read_placeholder

        for path, known in one.placeholders.items():
            found = read_placeholder(path) if known.thunk == name else None
            if found is not None and found.thunk == name:
                one.late += 1
                return one.late <= _MOST_LATE
        return False

    def given_up(self, names: Sequence[tuple[ThunkId, ThunkId]]) -> None:
        """These thunks will not be done. Each comes with the one that failed."""
        for name, cause in names:
            for one in self._demand.take(name):
                if one.failed is not None:
                    one.failed.add(name)
                    one.left.discard(name)
                    if not one.left:
                        self._answer(one)
                elif not self._reads_the_earlier(one, name):
                    self._answer(one, status=self._failures.get(cause.hex(), 75))

    def _reads_the_earlier(self, one: _Reader, name: ThunkId) -> bool:
        """Whether earlier calls' placeholders are in the places of this thunk's, which failed. If so, the reader waits for them."""
        from gg.workspace.workspace import read_placeholder

        before = {path: read_placeholder(path) for path, known in one.placeholders.items() if known.thunk == name}
        earlier = {path: found for path, found in before.items() if found is not None and found.thunk != name}
        if not earlier:
            return False
        one.left.discard(name)
        one.placeholders = {**one.placeholders, **earlier}
        self._wait(one, {known.thunk for known in earlier.values()}, earlier)
        return True

    def unplaced(self, names: Sequence[ThunkId], error: GGError) -> None:
        """The files of these thunks could not be put in their places."""
        for name in names:
            for one in self._demand.take(name):
                self._answer(one, error)

    def _see(self, event: BuildEvent) -> None:
        from gg.observe.build_events import ThunkFailed

        if isinstance(event, ThunkFailed):
            self._failures[event.id] = event.status or 75

    def _answer(self, one: _Reader, error: GGError | None = None, status: int = 0) -> None:
        """Answer a reader, unless it has its answer already."""
        with self._lock:
            then, one.then = one.then, None
        if then is None:
            return
        path = os.fsdecode(one.paths[0]) if one.paths else "what it was to make"
        self.reads.append(Read(os.fsdecode(one.name), path, one.thunks, time.monotonic() - one.since))
        then(self._told(one, error, status))

    def _told(self, one: _Reader, error: GGError | None, status: int) -> ReaderAnswer:
        if error is not None:
            from gg.light.shown import encoded

            hint = f"\n    {error.hint}" if error.hint else ""
            return ReaderAnswer(error.exit_code, encoded(f"gg: {error.what}{hint}\n"))
        if not status:
            return ReaderAnswer()
        from gg.workspace.workspace import read_placeholder

        left = [path for path in one.paths if read_placeholder(path) is not None]
        if not left:
            return ReaderAnswer(undone=True)
        return ReaderAnswer(status, b"".join(b"gg: " + path + b" could not be forced\n" for path in left))

    def _is_broken(self, paths: Sequence[bytes]) -> ReaderAnswer:
        from gg.light.shown import encoded

        why = f"{type(self.broken).__name__}: {self.broken}"
        names = b" ".join(paths)
        return ReaderAnswer(GGError.exit_code, b"gg: cannot force %s: internal error: %s\n" % (names, encoded(why)))
