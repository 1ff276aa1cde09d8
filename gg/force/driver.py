"""The imperative shell around the scheduler: one thread, one queue of answers, the store's lookups and records.

    driver = Driver(store, engines, observer)
    outcome = driver.force(roots, finished=place)

What is known of the thunks is in `gg.force.cone`; when to run what is the scheduler's; only this shell has them act, and only it
has reductions written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.core.resolve import Resolved, Values
from gg.core.thunk import File, OutputOf, Thunk
from gg.engines.engine import Answer, Engine, Failure, Start
from gg.errors import GGError, NoRoom, SetupError
from gg.force.cone import Answer as Known
from gg.force.cone import Cone, Ran
from gg.force.mailbox import Came, Changed, Mailbox, Sent, Wanted
from gg.force.outcome import Broke, Broken, Finished, GivenUp, Outcome, Settled, Spending
from gg.force.telling import Telling
from gg.light.named import NamedTuple
from gg.run.expand import Groups
from gg.schedule import commands, events
from gg.schedule.commands import How
from gg.schedule.events import AttemptId, Caps, Fault, NodeSpec
from gg.schedule.policy import Policy
from gg.schedule.scheduler import Scheduler
from gg.store.base import Store
from gg.store.durations import Durations

if TYPE_CHECKING:
    from gg.force.alone import Alone
    from gg.force.staying import Staying
    from gg.host.filedb import FileDB
    from gg.observe import build_events as seen
    from gg.workspace.later import Later


FINAL = frozenset({Fault.TOOL, Fault.CHANGED})
"""To try again changes nothing: the call must be recorded anew."""


_LOOK_S = 0.05
_OTHERS_S = 600.0  # for so long another process may run a thunk, then it is run here too


class _Attempt(NamedTuple):
    """One under way: the thunk, and as it was resolved."""

    name: ThunkId
    given: Resolved


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
        outside: Callable[[bytes], bytes] = bytes,
        budget: Spending | None = None,
        mail: Mailbox | None = None,
        alone: Alone | None = None,
        later: Later | None = None,
        staying: Staying | None = None,
    ) -> None:
        """`outside`: where on this machine is what a thunk calls by a path. `later`: what came after a thunk was recorded.
        `staying`: what may not leave this machine.
        """
        self._engines = {engine.name: engine for engine in engines}
        self._tell = Telling(observe, os.fsencode(root) + b"/", outside)
        self._scheduler = Scheduler(policy or Policy())
        self._budget = budget
        self._over_budget = False
        self._mail = mail or Mailbox()
        self._alone = alone
        self._elsewhere: dict[ThunkId, float] = {}  # run by another process, and until when that is waited for
        self._staying = staying
        self._cone = Cone(store, groups, files, outside, later, staying)
        self._extra: dict[ThunkId, tuple[File, ...]] = {}
        self._attempts: dict[int, _Attempt] = {}
        self._failures: dict[ThunkId, Failure] = {}
        self._durations = Durations(store)
        self._settled: set[ThunkId] = set()
        self._cut: dict[ThunkId, set[ThunkId]] = {}  # what a thunk reads of others that were known from the start
        self._broke: Broke | None = None
        self._given_up: GivenUp | None = None
        self._uncounted: set[ThunkId] = set()  # have run, and nobody was told for whom
        self._counted: set[ThunkId] = set()
        self._stop = False
        self._setup: GGError | None = None
        self._ending: list[events.Event] = []  # for the next step
        self._up: dict[str, Caps] = {}
        for engine in engines:
            self._changed(Changed(engine.name, engine.slots, engine.caps))
            engine.follow(self._mail.changed)

    # The outside

    def force(
        self,
        roots: Iterable[ThunkId],
        finished: Finished,
        known: Mapping[ThunkId, Values] | None = None,
        encoded: Mapping[ThunkId, bytes] | None = None,
        broke: Broke | None = None,
        given_up: GivenUp | None = None,
    ) -> Outcome:
        """Evaluate the cones of `roots`; `finished` is called in this thread for thunks as they are done, `broke` for those
        that cannot be, before that is told, and `given_up` afterwards for all that will not be.

        Also for roots that an earlier call has settled, for another placeholder may stand for them now. `known`: values
        of thunks that are not to be evaluated unless they are roots, or the store has lost them. `encoded`: thunks that were
        read from the store just now.
        """
        self._cone.read = encoded or {}
        known = known or {}
        self._cone.values.update((name, value) for name, value in known.items() if name not in self._cone.thunks)
        self._finished = finished
        self._broke = broke
        self._given_up = given_up
        self._done: commands.Summary | None = None
        self._failures = {}
        self._by_running: set[ThunkId] = set()
        self._ran = self._cached = self._skipped = 0
        self._known = len(known)
        self._wake: float | None = None
        wanted = list(dict.fromkeys(roots))
        if not wanted:
            return Outcome(commands.Summary())
        self._want(wanted)
        try:
            while self._done is None:
                self._wait()
        finally:
            self._durations.flush()
            self._elsewhere = {}
            if self._alone:
                self._alone.release_all()
        if self._setup is not None:
            raise self._setup
        return Outcome(
            self._done, self._ran, self._cached, dict(self._failures), self._skipped, self._stop, self._over_budget
        )

    def want(self, root: ThunkId) -> int:
        """Force this one too, while `force` runs; from any thread. A ticket, which `took` tells about after the end."""
        return self._mail.want(root)

    def took(self, ticket: int) -> bool:
        return ticket in self._mail.taken

    def _want(self, roots: Sequence[ThunkId]) -> None:
        again = [self._settled_as(name) for name in roots if name in self._settled]
        if again:
            self._finished(again)
        self._add(roots)
        self._tell.total(len(self._cone.thunks) + self._known)
        self._done = None  # who joins after the last answer, and before anybody has looked, is waited for
        self._step(events.Want(self._mail.now(), tuple(roots), again=True))

    def stop(self) -> None:
        """Cancel everything; `force` returns soon after. Safe in a signal handler."""
        self._stop = True
        self._mail.stop()

    def end(self, error: GGError) -> None:
        """Start nothing more, and have `force` raise `error`. What runs is paid for and let end, unless nothing that it brings
        could be kept. From the driver's own thread.
        """
        if self._setup is None:
            self._setup = error
            finish = not isinstance(error, NoRoom)
            if finish and self._attempts:
                self._tell.ends(error, len(self._attempts))
            self._ending.append(events.Stop(self._mail.now(), finish=finish))

    def lose(self, names: Sequence[ThunkId]) -> None:
        """Bytes that these made were to be there, and are not: they run again. From `finished` alone."""
        self._cone.forget(names)
        self._settled.difference_update(names)
        ran = sum([name in self._uncounted for name in names])
        self._ran, self._cached = self._ran - ran, self._cached - (len(names) - ran)
        self._ending.append(events.Lost(self._mail.now(), tuple(names)))

    def thunk(self, name: ThunkId) -> Thunk:
        """The thunk of this id, loaded if need be."""
        self._cone.load([name])
        return self._cone.thunks[name]

    def ran_below(self, root: ThunkId) -> int:
        """How many thunks at and below `root` have run, those not counted that were counted for others before."""
        count = 0
        stack = [root]
        while stack:
            name = stack.pop()
            if name not in self._counted and name in self._cone.thunks:
                self._counted.add(name)
                count += name in self._uncounted
                self._uncounted.discard(name)
                stack += self._cone.below(name)
        return count

    # The loop

    def _wait(self) -> None:
        timeout = None if self._wake is None else max(0.0, self._wake - self._mail.now())
        if self._elsewhere:
            came = self._mail.take(_LOOK_S if timeout is None else min(timeout, _LOOK_S))
            self._look_again()
        else:
            came = self._mail.take(timeout)
        if came:
            self._take(came)
            self._tell.progress(self._scheduler, self._mail.now(), self._known)
        elif self._wake is not None and self._mail.now() >= self._wake:
            self._wake = None
            self._step(events.Tick(self._mail.now()))

    def _take(self, came: Sequence[Came]) -> None:
        self._answered([each for each in came if isinstance(each, Answer)])
        for each in came:
            if each is None:
                self._step(events.Stop(self._mail.now()))
            elif isinstance(each, Sent):
                self._step(events.Sent(self._mail.now(), each.attempts))
            elif isinstance(each, Changed):
                self._changed(each)
            elif isinstance(each, Wanted):
                self._mail.taken.add(each.ticket)
                self._want([each.root])

    def _changed(self, change: Changed) -> None:
        """An engine has come, gone, or takes more or fewer attempts."""
        now, name = self._mail.now(), change.engine
        caps = change.caps or self._up.get(name) or self._engines[name].caps
        if change.slots is not None:
            was_up = name in self._up
            self._up[name] = caps
            slots = change.slots
            self._step(
                events.EngineChanged(now, name, slots, change.caps)
                if was_up
                else events.EngineUp(now, name, slots, caps)
            )
        elif self._up.pop(name, None) is not None:
            self._step(events.EngineDown(now, name))

    def _step(self, *pending: events.Event) -> None:
        while pending or self._ending:
            pending, self._ending = (*pending, *self._ending), []
            told = self._scheduler.steps(pending)
            self._finish([command for command in told if isinstance(command, commands.Finished)])
            self._fail([command for command in told if isinstance(command, (commands.Failed, commands.Skipped))])
            more: list[events.Event] = []
            for command in told:
                match command:
                    case commands.Lookup():
                        more += self._lookup(command.ids)
                    case commands.Start():
                        more += self._submit(command)
                    case commands.Cancel():
                        self._engines[command.engine].cancel(command.attempt)
                    case commands.Tripped():
                        if self._setup is None:  # else that is why
                            self._tell.tripped(command)
                    case commands.Silent():
                        self._tell.silent(command)
                    case commands.WakeAt():
                        self._wake = command.time
                    case commands.Done():
                        self._done = command.summary
            pending = tuple(more)

    # The graph

    def _add(self, ids: Iterable[ThunkId]) -> None:
        new = self._cone.load(ids)
        if new:
            specs = tuple(self._spec(i, self._cone.thunks[i]) for i in new)
            self._step(events.Add(self._mail.now(), specs))

    def _spec(self, name: ThunkId, thunk: Thunk) -> NodeSpec:
        known = self._durations.of(thunk)
        deps = thunk.dependencies()
        cut = {dep for dep in deps if dep not in self._cone.thunks}
        if cut:
            self._cut[name] = cut
        return NodeSpec(
            id=name,
            deps=tuple([dep for dep in deps if dep not in cut]) if cut else deps,
            work=thunk.work,
            seconds=known.seconds if known else None,
            memory=known.memory if known else 0,
        )

    def _look_again(self) -> None:
        """Look for what another process has run, where it runs it no more or for too long."""
        now = self._mail.now()
        names = [name for name, until in self._elsewhere.items() if now > until or self._is_free(name)]
        for name in names:
            del self._elsewhere[name]
        if names:
            self._step(*self._look(names))

    def _is_free(self, name: ThunkId) -> bool:
        return self._alone is None or self._alone.take(self._cone.resolve(name).id)

    def _lookup(self, ids: Sequence[events.NodeId]) -> list[events.Event]:
        """What is known of these. What another process runs right now is looked for later."""
        names = [ThunkId(i) for i in ids if isinstance(i, bytes)]
        free = [name for name in names if self._is_free(name)]
        if len(free) < len(names):
            if not self._elsewhere:
                self._tell.waits()
            until = self._mail.now() + _OTHERS_S
            self._elsewhere.update((name, until) for name in set(names).difference(free))
        return self._look(free) if free else []

    def _look(self, names: Sequence[ThunkId]) -> list[events.Event]:
        now = self._mail.now()
        given = {name: self._cone.resolve(name).id for name in names}
        hits: list[ThunkId] = []
        misses: list[ThunkId] = []
        result: list[events.Event] = []
        try:
            found = self._cone.lookup(names)
        except SetupError as error:  # the team's store lets us in no more
            self.end(error)
            return []
        for name, answer, others in found:
            if answer is not Known.MISS and self._alone:
                self._alone.release(given[name])
            match answer:
                case Known.HIT:
                    hits.append(name)
                case Known.MISS:
                    misses.append(name)
                case Known.GREW:
                    self._add(others)
                    result.append(events.Grew(now, name, others))
                case Known.BECAME:
                    self._add(others)
                    result.append(events.Became(now, name, others[0]))
        if hits:
            result.append(events.Hit(now, tuple(hits)))
        if misses:
            thunks = [self._cone.resolve(name).thunk for name in misses]
            if self._staying:
                thunks = [thunk for thunk in thunks if not self._staying.why(thunk)]
            for engine in self._engines.values():
                engine.expect(thunks)
            result.append(events.Miss(now, tuple(misses)))
        return result

    # Attempts

    def _submit(self, command: commands.Start) -> list[events.Event]:
        """Begin attempts that go together; what is to be told when there is no money left for some."""
        starts: list[Start] = []
        refused: list[AttemptId] = []
        for each in (command, *command.more):
            start = self._begin(each)
            if start is None:
                refused.append(each.attempt)
            else:
                starts.append(start)
        if starts:
            first = starts[0]._replace(more=tuple(starts[1:])) if len(starts) > 1 else starts[0]
            self._engines[command.engine].submit(first, self._mail.answer)
        if not refused:
            return []
        self._over_budget = True
        now = self._mail.now()
        return [events.Stop(now, finish=True), *[events.Faulted(now, each, Fault.CANCELLED) for each in refused]]

    def _begin(self, command: commands.Start) -> Start | None:
        """What an engine is to be given, in the books; None when there is no money left for it."""
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        given = self._cone.resolve(name)
        if self._budget is not None:
            known = self._durations.of(given.thunk)
            seconds = known.seconds if known else None
            if not self._budget.begin(command.attempt, command.engine, given.thunk.work, seconds, command.memory):
                return None
        self._attempts[command.attempt] = _Attempt(name, given)
        self._tell.started(name, given.thunk, command.engine)
        extra = self._extra.get(name, ())
        return Start(
            command.attempt,
            name,
            given.thunk,
            extra,
            command.deadline,
            command.memory,
            given.encoded,
            command.hedge,
            self._mail.sent,
            stays=self._staying.why(given.thunk, extra) if self._staying else b"",
        )

    def _answered(self, answers: Sequence[Answer]) -> None:
        ran: dict[ThunkId, tuple[AttemptId, Ran]] = {}
        failed: list[tuple[ThunkId, AttemptId, Failure]] = []
        told: list[events.Event] = []
        over: list[Resolved] = []
        now = self._mail.now()
        for answer in answers:
            name, given = self._attempts.pop(answer.attempt)
            over.append(given)
            if self._budget is not None:
                self._budget.end(answer.attempt)
            attempt = AttemptId(answer.attempt)
            if isinstance(answer.result, Failure):
                failed.append((name, attempt, answer.result))
            elif name in self._settled or name in ran:  # a duplicate that came second: the first one's value stands
                told.append(events.Ran(now, attempt, answer.result.usage.wall_ns / 1e9))
            else:
                ran[name] = (attempt, Ran(given, answer.result, answer.encoded))
        self._cone.record([each for _, each in ran.values()])
        if self._alone:
            for given in over:
                self._alone.release(given.id)
        told += [self._ran_well(name, attempt, each, now) for name, (attempt, each) in ran.items()]
        if told:
            self._step(*told)
        for name, attempt, failure in failed:
            self._faulted(name, attempt, failure, now)

    def _ran_well(self, name: ThunkId, attempt: AttemptId, ran: Ran, now: float) -> events.Event:
        self._durations.ran(ran.given.thunk, ran.reduction.usage)
        seconds = ran.reduction.usage.wall_ns / 1e9
        other = self._cone.took(name, ran.reduction)
        if other is None:
            return events.Ran(now, attempt, seconds)
        self._by_running.add(name)
        self._add([other])
        return events.Became(now, name, other, attempt, seconds)

    def _faulted(self, name: ThunkId, attempt: AttemptId, failure: Failure, now: float) -> None:
        if failure.setup is not None and self._setup is None:
            self.end(failure.setup)
        if name in self._settled:  # a duplicate whose other attempt gave the value
            self._step(events.Faulted(now, attempt, failure.fault))
            return
        self._failures[name] = failure
        if failure.fault is Fault.UNDECLARED:
            self._extra[name] = failure.extra
            others = self._cone.grow(name, [OutputOf(path, known.thunk, known.index) for path, known in failure.needs])
            self._add(others)
            del self._failures[name]
            self._step(events.Grew(now, name, others, attempt))
            return
        if failure.fault in (Fault.MISSING_INPUT, Fault.CHANGED) and (retry := self._lose(name, attempt, now)):
            self._step(retry)
            return
        self._tell.trouble(self._cone.thunks[name], failure)
        self._step(events.Faulted(now, attempt, failure.fault))

    def _lose(self, name: ThunkId, attempt: AttemptId, now: float) -> events.Event | None:
        """Force again what the store has lost of the inputs of a thunk; how that attempt ended. None if it has lost none."""
        cut = self._cut.get(name, set())
        self._add(cut)
        lost = self._cone.lost(name)
        if not lost:
            return None
        self._settled -= set(lost)
        self._step(events.Lost(now, tuple(lost)))
        late = tuple([dep for dep in lost if dep in cut])
        if late:
            self._cut[name] = cut.difference(late)
            return events.Grew(now, name, late, attempt)
        return events.Faulted(now, attempt, Fault.MISSING_INPUT)

    # Settled

    def _finish(self, told: Sequence[commands.Finished]) -> None:
        settled = [self._settle(command) for command in told]
        if settled:
            self._finished(settled)

    def _settle(self, command: commands.Finished) -> Settled:
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        self._failures.pop(name, None)
        self._settled.add(name)
        if command.how is How.BECAME:
            self._cone.follow(name)
        settled = self._settled_as(name)
        ran = command.how is How.RAN or name in self._by_running
        self._ran, self._cached = self._ran + ran, self._cached + (not ran)
        if ran:
            self._uncounted.add(name)
        self._tell.done(settled, "ran" if ran else "cached")
        return settled

    def _settled_as(self, name: ThunkId) -> Settled:
        return Settled(name, self._cone.thunks[name], self._cone.values[name], self._cone.reductions[name])

    def _fail(self, told: Sequence[commands.Failed | commands.Skipped]) -> None:
        broken: list[Broken] = []
        failed: list[tuple[ThunkId, Failure]] = []
        for command in told:
            assert isinstance(command.id, bytes)
            name = ThunkId(command.id)
            if isinstance(command, commands.Failed):
                failure = self._failures.setdefault(name, Failure(command.fault, command.fault.value))
                failed.append((name, failure))
                cause: Failure | None = failure
            else:
                self._skipped += 1
                assert isinstance(command.cause, bytes)
                failure, cause = None, self._failures.get(ThunkId(command.cause))
            if cause is not None and cause.fault in FINAL:
                broken.append(Broken(name, self._cone.thunks[name], failure, self._cone.before(name)))
        if broken and self._broke:
            self._broke(broken)
        for name, failure in failed:
            self._tell.failed(name, self._cone.thunks[name], failure)
        if told and self._given_up:
            self._given_up([_with_cause(command) for command in told])


def _with_cause(command: commands.Failed | commands.Skipped) -> tuple[ThunkId, ThunkId]:
    cause = command.id if isinstance(command, commands.Failed) else command.cause
    assert isinstance(command.id, bytes)
    assert isinstance(cause, bytes)
    return ThunkId(command.id), ThunkId(cause)
