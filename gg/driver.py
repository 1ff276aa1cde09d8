"""The imperative shell around the scheduler: one thread, one queue of answers, the store's lookups and records.

    driver = Driver(store, engines, observer)
    outcome = driver.force(roots, finished=place)

A thunk is looked up once all it needs is known: its inputs that are other thunks' outputs are then blobs, so it is found
again whenever they come out equal (cutoff). Failing that it is looked up by what earlier runs of it really read
(`gg.narrow`). Only the driver writes reductions.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gg import narrow
from gg.core import events, placeholder
from gg.core.codec import decode_reduction, decode_thunk, encode_reduction, encode_thunk, thunk_id
from gg.core.events import Fault, How, NodeSpec
from gg.core.ids import SandboxPath, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.policy import Policy
from gg.core.scheduler import Scheduler
from gg.core.thunk import File, Made, OutputOf, Reduction, Thunk
from gg.durations import Durations
from gg.engines.base import Answer, Engine, Failure, Start
from gg.errors import Interrupted, MissingObject
from gg.execute.expand import Groups
from gg.observe import events as seen
from gg.store.base import Key, Kind, Store, blob_key
from gg.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.record.filedb import FileDB

Values = tuple[Made | None, ...]
_PROGRESS_SECONDS = 0.1
Finished = Callable[[ThunkId, Thunk, Values, Reduction], None]


@dataclass(slots=True)
class Outcome:
    """How a force ended. `failures` are the user's and the machine's; `skipped` needed one that failed."""

    summary: events.Summary
    failures: dict[ThunkId, Failure] = field(default_factory=dict)
    skipped: int = 0
    interrupted: bool = False

    @property
    def status(self) -> int:
        """0, the first failing command's own status, 130 when interrupted, or 75 for trouble that is not the user's."""
        if self.interrupted:
            return Interrupted.exit_code
        for failure in self.failures.values():
            return failure.status if failure.fault is Fault.TOOL else 75
        return 0 if self.summary.ok else 75


class Driver:
    """Forces thunks. One object may force several times; values and thunks are kept between."""

    def __init__(
        self,
        *,
        store: Store,
        engines: Sequence[Engine],
        groups: Groups,
        files: Callable[[], FileDB],
        observe: Callable[[seen.Event], None],
        policy: Policy | None = None,
        root: str = "/",
    ) -> None:
        self._store = store
        self._engines = {engine.name: engine for engine in engines}
        self._groups = groups
        self._files = files
        self._observe = observe
        self._scheduler = Scheduler(policy or Policy())
        self._prefix = os.fsencode(root) + b"/"
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._thunks: dict[ThunkId, Thunk] = {}
        self._grown: dict[ThunkId, tuple[OutputOf, ...]] = {}
        self._extra: dict[ThunkId, tuple[File, ...]] = {}
        self._resolved: dict[ThunkId, tuple[ThunkId, Thunk]] = {}
        self._values: dict[ThunkId, Values] = {}
        self._reductions: dict[ThunkId, Reduction] = {}
        self._became: dict[ThunkId, ThunkId] = {}
        self._attempts: dict[int, tuple[ThunkId, ThunkId, Thunk]] = {}  # the thunk, and as it was resolved
        self._failures: dict[ThunkId, Failure] = {}
        self._durations = Durations(store)
        self._settled: set[ThunkId] = set()
        self._stop = False
        self._next_progress = 0.0
        for engine in engines:
            self._step(events.EngineUp(time.monotonic(), engine.name, engine.slots, engine.caps))

    # The outside

    def force(self, roots: Iterable[ThunkId], finished: Finished) -> Outcome:
        """Evaluate the cones of `roots`; `finished` is called in this thread for each thunk as it is done.

        Also for roots that an earlier call has settled, for another placeholder may stand for them now.
        """
        self._finished = finished
        self._done: events.Summary | None = None
        self._failures = {}
        self._skipped = 0
        self._wake: float | None = None
        wanted = list(dict.fromkeys(roots))
        if not wanted:
            return Outcome(events.Summary())
        for name in wanted:
            if name in self._settled:
                finished(name, self._thunks[name], self._values[name], self._reductions[name])
        self._add(wanted)
        self._observe(seen.Started(total=len(self._thunks)))
        self._step(events.Want(time.monotonic(), tuple(wanted), again=True))
        try:
            while self._done is None:
                self._wait()
        finally:
            self._durations.flush()
        return Outcome(self._done, dict(self._failures), self._skipped, self._stop)

    def stop(self) -> None:
        """Cancel everything; `force` returns soon after. Safe in a signal handler."""
        self._stop = True
        self._answers.put(None)

    def thunk(self, name: ThunkId) -> Thunk:
        """The thunk of this id, loaded if need be."""
        if name not in self._thunks:
            self._load([name])
        return self._thunks[name]

    # The loop

    def _wait(self) -> None:
        timeout = None if self._wake is None else max(0.0, self._wake - time.monotonic())
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            self._wake = None
            self._step(events.Tick(time.monotonic()))
            return
        if answer is None:
            self._step(events.Stop(time.monotonic()))
        else:
            self._answered(answer)
        now = time.monotonic()
        if now >= self._next_progress:  # an estimate takes time in proportion to what is running
            self._next_progress = now + _PROGRESS_SECONDS
            self._observe(seen.Progress.of(self._scheduler, self._scheduler.eta(now).seconds))

    def _step(self, event: events.Event) -> None:
        pending: list[events.Event] = [event]
        while pending:
            for command in self._scheduler.step(pending.pop(0)):
                match command:
                    case events.Lookup():
                        pending += self._lookup(command.ids)
                    case events.Start():
                        self._submit(command)
                    case events.Cancel():
                        self._engines[command.engine].cancel(command.attempt)
                    case events.Finished():
                        self._finish(command)
                    case events.Failed():
                        self._fail(command)
                    case events.Skipped():
                        self._skipped += 1
                    case events.WakeAt():
                        self._wake = command.time
                    case events.Done():
                        self._done = command.summary

    # The graph

    def _load(self, ids: Iterable[ThunkId]) -> list[ThunkId]:
        """Thunks of these ids and of all below them into memory; the new ones, dependencies first."""
        order: list[ThunkId] = []
        wanted = [i for i in dict.fromkeys(ids) if i not in self._thunks]
        while wanted:
            found = self._store.get([Key(Kind.THUNK, i) for i in wanted])
            below: dict[ThunkId, None] = {}
            for each in wanted:
                data = found.get(Key(Kind.THUNK, each))
                if data is None:
                    raise MissingObject(
                        f"thunk {each.hex()} is not in the store",
                        hint="its placeholder was made elsewhere or its record is lost: remove it and run gg-infer again",
                    )
                thunk = self._thunks[each] = decode_thunk(data)
                order.append(each)
                below.update(dict.fromkeys(thunk.dependencies()))
            wanted = [i for i in below if i not in self._thunks]
        order.reverse()
        return order

    def _add(self, ids: Iterable[ThunkId]) -> None:
        new = self._load(ids)
        if new:
            specs = tuple(self._spec(i, self._thunks[i]) for i in new)
            self._step(events.Add(time.monotonic(), specs))

    def _spec(self, name: ThunkId, thunk: Thunk) -> NodeSpec:
        known = self._durations.of(thunk)
        return NodeSpec(
            id=name,
            deps=thunk.dependencies(),
            work=thunk.work,
            seconds=known.seconds if known else None,
            memory=known.memory if known else 0,
        )

    def _resolve(self, name: ThunkId) -> tuple[ThunkId, Thunk]:
        """The thunk with every output of another replaced by the blob that it is, and that thunk's id."""
        known = self._resolved.get(name)
        if known:
            return known
        thunk = self._thunks[name]
        more = self._grown.get(name, ())
        if not more and not any(isinstance(e, OutputOf) for e in thunk.entries):
            resolved = (name, thunk)
        else:
            entries: list[object] = []
            for entry in (*thunk.entries, *more):
                if isinstance(entry, OutputOf):
                    made = self._values[entry.thunk][entry.index]
                    if made is not None:
                        entries.append(File(entry.path, made.blob, made.executable))
                else:
                    entries.append(entry)
            plain = thunk._replace(entries=tuple(sorted(entries, key=_by_path)))  # type: ignore[arg-type]
            resolved = (thunk_id(encode_thunk(plain)), plain)
        self._resolved[name] = resolved
        return resolved

    # Lookups

    def _lookup(self, ids: Sequence[events.NodeId]) -> list[events.Event]:
        names = [ThunkId(i) for i in ids if isinstance(i, bytes)]
        keys = {n: Key(Kind.REDUCTION, self._resolve(n)[0]) for n in names}
        found = self._store.get(list(keys.values()))
        candidates: dict[ThunkId, Reduction] = {}
        for name in names:
            data = found.get(keys[name])
            known = decode_reduction(data, None) if data else self._narrowed(name)
            if known is not None:
                candidates[name] = known
        blobs = {blob_key(m.blob) for r in candidates.values() for m in r.outputs if m}
        there = self._store.has(list(blobs)) if blobs else set()
        hits: list[ThunkId] = []
        misses: list[ThunkId] = []
        result: list[events.Event] = []
        now = time.monotonic()
        for name in names:
            reduction = candidates.get(name)
            if reduction is None or not all(m is None or blob_key(m.blob) in there for m in reduction.outputs):
                misses.append(name)
                continue
            grown = self._extra_placeholders(name, reduction)
            if grown:
                self._grow(name, grown)
                result.append(events.Grew(now, name, tuple(dict.fromkeys(e.thunk for e in grown))))
            elif not self._extra_hold(name, reduction):
                misses.append(name)
            else:
                other = self._took(name, reduction)
                if other is None:
                    hits.append(name)
                else:
                    result.append(events.Became(now, name, other))
        if hits:
            result.append(events.Hit(now, tuple(hits)))
        if misses:
            result.append(events.Miss(now, tuple(misses)))
        return result

    def _narrowed(self, name: ThunkId) -> Reduction | None:
        """A reduction that holds though the thunk's id is new; it is recorded under that id too."""
        resolved, thunk = self._resolve(name)
        found = narrow.find(self._store, self._groups, resolved, thunk)
        if found is not None:
            universe = self._groups.universe(thunk)
            self._store.put({Key(Kind.REDUCTION, resolved): encode_reduction(found, universe)})
        return found

    def _extra_placeholders(self, name: ThunkId, reduction: Reduction) -> tuple[OutputOf, ...]:
        """Files that an earlier run read undeclared and that are placeholders now: to be forced before we can tell."""
        have = {e.path for e in self._grown.get(name, ())}
        found: list[OutputOf] = []
        for path, _ in reduction.extra_inputs:
            if path not in have:
                known = read_placeholder(path)
                if known:
                    found.append(OutputOf(path, known.thunk, known.index))
        return tuple(found)

    def _extra_hold(self, name: ThunkId, reduction: Reduction) -> bool:
        """Whether what was read undeclared still has the same bytes."""
        if not reduction.extra_inputs:
            return True
        forced = {e.path: self._values[e.thunk][e.index] for e in self._grown.get(name, ())}
        for path, blob in reduction.extra_inputs:
            if path in forced:
                made = forced[path]
                if made is None or made.blob != blob:
                    return False
                continue
            try:
                if self._files().digest(path).blob != blob:
                    return False
            except OSError:
                return False
        return True

    def _grow(self, name: ThunkId, entries: Sequence[OutputOf]) -> None:
        known = {e.path: e for e in self._grown.get(name, ())}
        known.update({e.path: e for e in entries})
        self._grown[name] = tuple(known.values())
        self._add([e.thunk for e in entries])

    def _took(self, name: ThunkId, reduction: Reduction) -> ThunkId | None:
        """Remember a reduction; the thunk that a dynamic one turned into, if it did."""
        self._reductions[name] = reduction
        self._values[name] = reduction.outputs
        if not self._thunks[name].dynamic:
            return None
        first = self._placeholders_of(reduction.outputs[:1]).get(0)
        if first is None:
            return None
        other = first.thunk
        self._add([other])
        self._became[name] = other
        return other

    def _placeholders_of(self, outputs: Values) -> dict[int, Placeholder]:
        found: dict[int, Placeholder] = {}
        for index, made in enumerate(outputs):
            if made and made.blob.size == placeholder.SIZE:
                data = self._store.get([blob_key(made.blob)]).get(blob_key(made.blob))
                known = placeholder.parse(data) if data else None
                if known:
                    found[index] = known
        return found

    # Attempts

    def _submit(self, command: events.Start) -> None:
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        resolved, thunk = self._resolve(name)
        self._attempts[command.attempt] = (name, resolved, thunk)
        extra = self._extra.get(name, ())
        start = Start(command.attempt, name, thunk, extra, command.deadline, command.memory)
        self._observe(seen.ThunkStarted(name.hex(), self.label(thunk), command.engine))
        self._engines[command.engine].submit(start, self._answers.put)

    def _answered(self, answer: Answer) -> None:
        name, resolved, thunk = self._attempts.pop(answer.attempt)
        attempt = events.AttemptId(answer.attempt)
        now = time.monotonic()
        result = answer.result
        if isinstance(result, Failure):
            self._faulted(name, attempt, result, now)
            return
        seconds = result.usage.wall_ns / 1e9
        if name in self._settled:  # a duplicate that came second: the first one's value stands
            self._step(events.Ran(now, attempt, seconds))
            return
        self._record(resolved, thunk, result)
        other = self._took(name, result)
        if other is None:
            self._step(events.Ran(now, attempt, seconds))
        else:
            self._step(events.Became(now, name, other, attempt, seconds))

    def _faulted(self, name: ThunkId, attempt: events.AttemptId, failure: Failure, now: float) -> None:
        self._failures[name] = failure
        if failure.fault is Fault.UNDECLARED:
            self._extra[name] = failure.extra
            self._resolved.pop(name, None)
            entries = [OutputOf(path, known.thunk, known.index) for path, known in failure.needs]
            self._grow(name, entries)
            del self._failures[name]
            self._step(events.Grew(now, name, tuple(dict.fromkeys(e.thunk for e in entries)), attempt))
            return
        if failure.fault is Fault.MISSING_INPUT and self._lose(name, now):
            self._step(events.Faulted(now, attempt, Fault.MISSING_INPUT))
            return
        if failure.fault not in (Fault.TOOL, Fault.CANCELLED):
            self._observe(seen.Note(f"{self.label(self._thunks[name])}: {failure.message} ({failure.fault.value})"))
        self._step(events.Faulted(now, attempt, failure.fault))

    def _lose(self, name: ThunkId, now: float) -> bool:
        """Inputs of a thunk that the store has lost: force the thunks that make them again. False when none is."""
        lost: list[ThunkId] = []
        for dep in (*self._thunks[name].dependencies(), *(e.thunk for e in self._grown.get(name, ()))):
            blobs = [blob_key(m.blob) for m in self._values.get(dep, ()) if m]
            if len(self._store.has(blobs)) == len(set(blobs)):
                continue
            lost.append(dep)
            while dep in self._became:  # the one that it became at last has made the bytes
                dep = self._became.pop(dep)
                lost.append(dep)
        if lost:
            self._settled -= set(lost)
            self._store.delete([Key(Kind.REDUCTION, self._resolve(dep)[0]) for dep in lost])
            self._resolved.clear()  # what is made again may come out otherwise
            self._step(events.Lost(now, tuple(lost)))
        return bool(lost)

    def _record(self, resolved: ThunkId, thunk: Thunk, reduction: Reduction) -> None:
        """Under what the attempt was given, whatever its inputs are by now."""
        universe = self._groups.universe(thunk)
        items = {Key(Kind.REDUCTION, resolved): encode_reduction(reduction, universe)}
        items.update(narrow.remember(self._store, resolved, thunk))
        self._store.put(items)
        self._durations.ran(thunk, reduction.usage)

    # Settled

    def _finish(self, command: events.Finished) -> None:
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        self._failures.pop(name, None)
        self._settled.add(name)
        if command.how is How.BECAME:
            own = self._values[name]
            known = {i: p for i, p in self._placeholders_of(own).items() if p.thunk in self._values}
            self._values[name] = tuple(
                self._values[known[i].thunk][known[i].index] if i in known else made for i, made in enumerate(own)
            )
        thunk, reduction = self._thunks[name], self._reductions[name]
        how = "cached" if command.how is How.HIT else "ran"
        seconds = reduction.usage.wall_ns / 1e9
        self._observe(seen.ThunkDone(name.hex(), self.label(thunk), reduction.engine, how, seconds))
        self._finished(name, thunk, self._values[name], reduction)

    def _fail(self, command: events.Failed) -> None:
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        failure = self._failures.get(name)
        if failure is None:
            failure = self._failures[name] = Failure(command.fault, command.fault.value)
        label = self.label(self._thunks[name])
        if failure.fault is Fault.TOOL:
            self._observe(seen.ThunkFailed(name.hex(), label, failure.status, failure.stdout, failure.stderr))
        elif failure.fault is not Fault.CANCELLED:
            text = f"gg: {label}: {failure.message}\n".encode()
            self._observe(seen.ThunkFailed(name.hex(), label, 75, b"", text))

    def label(self, thunk: Thunk) -> str:
        """What a person calls the thunk: its first output, from the workspace."""
        path = thunk.outputs[0].path if thunk.outputs else SandboxPath(b"?")
        return os.fsdecode(path.removeprefix(self._prefix))


def _by_path(entry: File) -> bytes:
    return entry.path
