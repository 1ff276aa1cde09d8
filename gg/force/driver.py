"""The imperative shell around the scheduler: one thread, one queue of answers, the store's lookups and records.

    driver = Driver(store, engines, observer)
    outcome = driver.force(roots, finished=place)

`gg.force.cone` holds what is known of the thunks. The scheduler decides when to run what. This shell alone carries out its
commands, and it alone has reductions written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.core.resolve import Resolved, Values
from gg.core.thunk import OutputOf, Reduction, Thunk
from gg.engines.engine import Answer, Engine, Failure
from gg.errors import GGError, NoRoom, SetupError
from gg.force.cone import Cone
from gg.force.credit import Credit
from gg.force.in_hand import InHand
from gg.force.lookups import Lookups
from gg.force.mailbox import AttemptsSent, Changed, Mailbox, MailboxMessage, RootWanted
from gg.force.one_run import ForceRun
from gg.force.outcome import Broken, GivenUp, Outcome, Settled, Spending, TakeBroken, TakeSettled
from gg.force.presence import Presence
from gg.force.telling import Telling
from gg.run.expand import Groups
from gg.schedule import commands, events
from gg.schedule.events import AttemptId, Fault, NodeSpec
from gg.schedule.policy import Policy
from gg.schedule.scheduler import Scheduler
from gg.store.base import Store
from gg.store.durations import Durations

if TYPE_CHECKING:
    from gg.force.staying import Staying
    from gg.force.thunk_locks import ThunkLocks
    from gg.host.filedb import FileDB
    from gg.observe import build_events as seen
    from gg.workspace.later import Later

FINAL = frozenset({Fault.TOOL, Fault.CHANGED})
"""Faults that no further attempt can mend: the call must be recorded anew."""
_LOOK_S = 0.05


class Driver:
    """Forces thunks. One object may force several times; values and thunks are kept between.

    `real_path`: maps a path inside a thunk to the real path on this machine. `later`: what came after a thunk was recorded.
    `staying`: what may not leave this machine.
    """

    def __init__(
        self,
        *,
        store: Store,
        engines: Sequence[Engine],
        groups: Groups,
        files: Callable[[], FileDB],
        observe: Callable[[seen.BuildEvent], None],
        policy: Policy | None = None,
        root: str = "/",
        real_path: Callable[[bytes], bytes] = bytes,
        budget: Spending | None = None,
        mail: Mailbox | None = None,
        locks: ThunkLocks | None = None,
        later: Later | None = None,
        staying: Staying | None = None,
    ) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._tell = Telling(observe, os.fsencode(root) + b"/", real_path)
        self._scheduler = Scheduler(policy or Policy())
        self._mail = mail or Mailbox()
        self._cone = Cone(store, groups, files, real_path, later, staying, os.fsencode(root))
        self._durations = Durations(store)
        self._in_hand = InHand(self._engines, self._cone, self._durations, self._mail, self._tell, budget, staying)
        self._lookups = Lookups(self._cone, engines, self._add, self._tell.waits, locks, staying)
        self._run = ForceRun(lambda settled: None)
        self._settled: set[ThunkId] = set()
        self._cut: dict[ThunkId, set[ThunkId]] = {}  # what a thunk reads of others that were known from the start
        self._credit = Credit(self._cone)
        self._stop = self._over_budget = False
        self._setup: GGError | None = None
        self._ending: list[events.Event] = []  # for the next step
        self._presence = Presence(self._engines)
        for engine in engines:
            self._changed(Changed(engine.name, engine.slots, engine.caps))
            engine.follow(self._mail.changed)

    # The outside

    def force(
        self,
        roots: Iterable[ThunkId],
        finished: TakeSettled,
        known: Mapping[ThunkId, Values] | None = None,
        encoded: Mapping[ThunkId, bytes] | None = None,
        broke: TakeBroken | None = None,
        given_up: GivenUp | None = None,
    ) -> Outcome:
        """Evaluate `roots` and all below. In this thread, `finished` is called with thunks as they are done, `broke` with thunks
        that cannot be done, before that is reported, and `given_up` afterwards with all that will not be done.

        `finished` is also called for roots that an earlier call has settled: another placeholder may stand for them now. `known`:
        values of thunks that need no evaluation unless they are roots or the store has lost them. `encoded`: thunks that were
        read from the store just now.
        """
        self._cone.read = encoded or {}
        known = known or {}
        self._cone.values.update((name, value) for name, value in known.items() if name not in self._cone.thunks)
        run = self._run = ForceRun(finished, broke, given_up, len(known))
        wanted = list(dict.fromkeys(roots))
        if not wanted:
            return Outcome(commands.Summary())
        self._want(wanted)
        try:
            while run.done is None:
                self._wait()
        finally:
            self._durations.flush()
            self._lookups.release_all()
        if self._setup is not None:
            raise self._setup
        return run.outcome(run.done, interrupted=self._stop, over_budget=self._over_budget)

    def want(self, root: ThunkId) -> int:
        """Force this one too, while `force` runs; from any thread. The answer is a ticket for `has_joined`, after the end."""
        return self._mail.want(root)

    def has_joined(self, ticket: int) -> bool:
        return ticket in self._mail.joined

    def _want(self, roots: Sequence[ThunkId]) -> None:
        self._run.tell([self._settled_as(name) for name in roots if name in self._settled])
        self._add(roots)
        self._tell.total(len(self._cone.thunks) + self._run.known)
        self._run.done = None  # who joins after the last answer, and before anybody has looked, is waited for
        self._step(events.Want(self._mail.now(), tuple(roots), again=True))

    def stop(self) -> None:
        """Cancel everything; `force` returns soon after. Safe in a signal handler."""
        self._stop = True
        self._mail.stop()

    def end(self, error: GGError) -> None:
        """Start nothing more, and have `force` raise `error`. What runs is paid for and may end, unless no result could be kept."""
        if self._setup is None:
            self._setup = error
            finish = not isinstance(error, NoRoom)
            if finish and self._in_hand:
                self._tell.ends(error, len(self._in_hand))
            self._in_hand.closed = True
            self._ending.append(events.Stop(self._mail.now(), finish=finish))

    def lose(self, names: Sequence[ThunkId]) -> None:
        """Run these again: bytes that they made are not where they should be. From `finished` alone."""
        self._cone.forget(names)
        self._settled.difference_update(names)
        self._run.lose(len(names), self._credit.uncounted(names))
        self._ending.append(events.Lost(self._mail.now(), tuple(names)))

    def thunk(self, name: ThunkId) -> Thunk:
        """The thunk of this id, loaded if need be."""
        self._cone.load([name])
        return self._cone.thunks[name]

    def ran_below(self, root: ThunkId) -> int:
        """How many thunks have run for `root`, without those that were counted for another root before."""
        return self._credit.below(root)

    # The loop

    def _wait(self) -> None:
        run, mail = self._run, self._mail
        timeout = None if run.wake is None else max(0.0, run.wake - mail.now())
        if self._lookups.elsewhere:
            came = mail.take(_LOOK_S if timeout is None else min(timeout, _LOOK_S))
            found = self._looked(self._lookups.again)
            if found:
                self._step(*found)
        else:
            came = mail.take(timeout)
        if came:
            self._take(came)
            self._tell.progress(self._scheduler, mail.now(), run.known)
        elif run.wake is not None and mail.now() >= run.wake:
            run.wake = None
            self._step(events.Tick(mail.now()))

    def _take(self, came: Sequence[MailboxMessage]) -> None:
        self._answered([each for each in came if isinstance(each, Answer)])
        for each in came:
            if each is None:
                self._step(events.Stop(self._mail.now()))
            elif isinstance(each, AttemptsSent):
                self._step(events.Sent(self._mail.now(), each.attempts))
            elif isinstance(each, Changed):
                self._changed(each)
            elif isinstance(each, RootWanted):
                self._mail.joined.add(each.ticket)
                self._want([each.root])

    def _changed(self, change: Changed) -> None:
        event = self._presence.changed(change, self._mail.now())
        if event is not None:
            self._step(event)

    def _step(self, *pending: events.Event) -> None:
        while pending or self._ending:
            pending, self._ending = (*pending, *self._ending), []
            told = self._scheduler.steps(pending)
            self._run.tell([self._settle(command) for command in told if isinstance(command, commands.Finished)])
            self._fail([command for command in told if isinstance(command, (commands.Failed, commands.Skipped))])
            more: list[events.Event] = []
            for command in told:
                more += self._obey(command)
            pending = tuple(more)

    def _obey(self, command: commands.Command) -> list[events.Event]:
        """Carry out one command of the scheduler's. The answer is the events that it is told at once."""
        match command:
            case commands.Lookup():
                return self._looked(partial(self._lookups.lookup, command.ids))
            case commands.Start():
                return self._submit(command)
            case commands.Cancel():
                self._engines[command.engine].cancel(command.attempt)
            case commands.Tripped():
                if self._setup is None:  # else that is why
                    self._tell.tripped(command)
            case commands.Silent() | commands.Unmanned():
                self._tell.quiet(command)
            case commands.WakeAt():
                self._run.wake = command.time
            case commands.Done():
                self._run.done = command.summary
        return []

    def _looked(self, look: Callable[[float], list[events.Event]]) -> list[events.Event]:
        try:
            return look(self._mail.now())
        except SetupError as error:  # the team's store lets us in no more
            self.end(error)
            return []

    def _submit(self, command: commands.Start) -> list[events.Event]:
        """Begin attempts. When the budget is too small for some, attempts that run may end and no more are begun."""
        refused = self._in_hand.submit(command)
        if not refused:
            return []
        self._over_budget |= not self._in_hand.closed
        now = self._mail.now()
        return [events.Stop(now, finish=True), *[events.Faulted(now, each, Fault.CANCELLED) for each in refused]]

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
            ran_on=known.engine if known else "",
        )

    # Attempts

    def _answered(self, answers: Sequence[Answer]) -> None:
        ran: dict[ThunkId, tuple[AttemptId, Resolved, Reduction, bytes]] = {}
        failed: list[tuple[ThunkId, AttemptId, Failure]] = []
        told: list[events.Event] = []
        now = self._mail.now()
        ended = self._in_hand.end(answers)
        for (attempt, result, encoded), (name, given) in zip(answers, ended, strict=True):
            if isinstance(result, Failure):
                failed.append((name, AttemptId(attempt), result))
            elif name in self._settled or name in ran:  # a duplicate that came second: the first one's value stands
                told.append(events.Ran(now, AttemptId(attempt), result.usage.wall_ns / 1e9))
            else:
                ran[name] = AttemptId(attempt), given, result, encoded
        self._cone.record([each[1:] for each in ran.values()])
        for _, given in ended:
            self._lookups.release(given.id)
        told += [self._ran_well(name, *each[:3], now) for name, each in ran.items()]
        if told:
            self._step(*told)
        for name, at, failure in failed:
            self._faulted(name, at, failure, now)

    def _ran_well(
        self, name: ThunkId, attempt: AttemptId, given: Resolved, reduction: Reduction, now: float
    ) -> events.Event:
        self._durations.ran(given.thunk, reduction.usage, reduction.engine)
        seconds = reduction.usage.wall_ns / 1e9
        other = self._cone.remember(name, reduction)
        if other is None:
            return events.Ran(now, attempt, seconds)
        self._run.became.add(name)
        self._add([other])
        return events.Became(now, name, other, attempt, seconds)

    def _faulted(self, name: ThunkId, attempt: AttemptId, failure: Failure, now: float) -> None:
        if failure.setup is not None and self._setup is None:
            self.end(failure.setup)
        if name in self._settled:  # a duplicate whose other attempt gave the value
            self._step(events.Faulted(now, attempt, failure.fault))
            return
        if failure.fault is Fault.UNDECLARED:
            self._in_hand.extra[name] = failure.extra
            others = self._cone.grow(name, [OutputOf(path, known.thunk, known.index) for path, known in failure.needs])
            self._add(others)
            self._run.failures.pop(name, None)
            self._step(events.Grew(now, name, others, attempt))
            return
        self._run.failures[name] = failure
        if failure.fault in (Fault.MISSING_INPUT, Fault.CHANGED) and (retry := self._lose(name, attempt, now)):
            self._step(retry)
            return
        self._tell.trouble(self._cone.thunks[name], failure)
        self._step(events.Faulted(now, attempt, failure.fault))

    def _lose(self, name: ThunkId, attempt: AttemptId, now: float) -> events.Event | None:
        """Force again the inputs of a thunk that the store has lost. The answer is how the attempt ended; None if none is lost."""
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

    def _settle(self, command: commands.Finished) -> Settled:
        assert isinstance(command.id, bytes)
        name = ThunkId(command.id)
        self._settled.add(name)
        if command.how is commands.How.BECAME:
            self._cone.follow(name)
        settled = self._settled_as(name)
        ran = self._run.settle(name, command.how is commands.How.RAN)
        if ran:
            self._credit.ran(name)
        self._tell.done(settled, "ran" if ran else "cached")
        return settled

    def _settled_as(self, name: ThunkId) -> Settled:
        return Settled(name, self._cone.thunks[name], self._cone.values[name], self._cone.reductions[name])

    def _fail(self, told: Sequence[commands.Failed | commands.Skipped]) -> None:
        run = self._run
        broken: list[Broken] = []
        failed: list[tuple[ThunkId, Failure]] = []
        for command in told:
            name, at_fault = _with_cause(command)
            failure: Failure | None = None
            if isinstance(command, commands.Failed):
                failure = run.failures.setdefault(name, Failure(command.fault, command.fault.value))
                failed.append((name, failure))
            else:
                run.skipped += 1
            cause = run.failures.get(at_fault)
            if cause is not None and cause.fault in FINAL:
                broken.append(Broken(name, self._cone.thunks[name], failure, self._cone.before(name)))
        if broken and run.broke:
            run.broke(broken)
        for name, each in failed:
            self._tell.failed(name, self._cone.thunks[name], each)
        if told and run.given_up:
            run.given_up([_with_cause(command) for command in told])


def _with_cause(command: commands.Failed | commands.Skipped) -> tuple[ThunkId, ThunkId]:
    cause = command.id if isinstance(command, commands.Failed) else command.cause
    assert isinstance(command.id, bytes)
    assert isinstance(cause, bytes)
    return ThunkId(command.id), ThunkId(cause)
