"""Keeps the attempts under way: begun, sent, answered, cancelled. Each has a time at which it is looked at again."""

from __future__ import annotations

import math

from gg.schedule.commands import Cancel, Start
from gg.schedule.course import Course
from gg.schedule.events import AttemptId, Sent
from gg.schedule.fleet import EngineState, Fleet
from gg.schedule.nodes import Nodes
from gg.schedule.policy import deadline, hedge_after, memory_for, unknown_patience
from gg.schedule.queues import Due, Timers
from gg.schedule.states import RUNNING, Attempt, Batch, Node
from gg.schedule.tally import Tally


class Attempts:
    """The attempts that their engines have not answered (`under_way`), and their number."""

    __slots__ = ("_course", "_fleet", "_last", "_nodes", "_tally", "_timers", "under_way")

    def __init__(self, course: Course, nodes: Nodes, fleet: Fleet, timers: Timers, tally: Tally) -> None:
        self._course = course
        self._nodes = nodes
        self._fleet = fleet
        self._timers = timers
        self._tally = tally
        self._last = 0
        self.under_way: dict[AttemptId, Attempt] = {}

    def begin(self, node: Node, engine: EngineState, batch: Batch | None = None, hedge: bool = False) -> Start:
        """Begin an attempt and count it. `batch`: the attempts that share its slot."""
        self._last += 1
        policy, now = self._course.policy, self._course.now
        memory = memory_on(node, engine)
        attempt = Attempt(AttemptId(self._last), node, engine, now, memory, hedge)
        timeouts = node.trouble.timeouts if node.trouble else 0
        attempt.limit = limit = deadline(policy, engine.caps, late(node, engine), node.known, timeouts)
        self.under_way[attempt.id] = attempt
        if batch is None or not batch.members:
            engine.started(now, attempt.id, memory if engine.caps.memory_total is not None else 0)
        else:
            engine.joined()
        node.attempts = (*node.attempts, attempt)
        if hedge:
            node.hedges += 1
            self._tally.hedges += 1
        else:
            node.hedges = 0
            engine.load += node.seconds
            self._nodes.move(node, RUNNING)
        if batch is None:
            self._limit(attempt)
        else:
            batch.members.append(attempt)
            attempt.batch = batch
        return Start(attempt.id, node.id, engine.name, limit, memory, hedge)

    def share(self, batch: Batch) -> None:
        """Give each member the time limit of all members together, for they are answered together."""
        if len(batch.members) == 1:
            batch.members[0].batch = None
        limits = [member.limit for member in batch.members if member.limit is not None]
        longest = batch.members[0].engine.caps.max_seconds or math.inf
        for member in batch.members:
            if limits:
                member.limit = min(sum(limits), longest)
            self._limit(member)

    def _limit(self, attempt: Attempt) -> None:
        """Set when to look at a new attempt. While it waits to be sent it has as long as any attempt may take."""
        caps, limit, policy = attempt.engine.caps, attempt.limit, self._course.policy
        if limit is not None:
            longest = max(limit, caps.max_seconds or limit) if caps.announces else limit
            attempt.give_up = self._course.now + longest + policy.cancel_grace
        self.review_later(attempt, hedge_after(policy, late_of(attempt)))

    def sent(self, event: Sent) -> None:
        """The engine has sent these attempts; their time limits start now, and do not start again if that is said again."""
        policy, now = self._course.policy, self._course.now
        for id in event.attempts:
            attempt = self.under_way.get(id)
            if attempt is not None and attempt.live and attempt.since == math.inf:
                if attempt.leads:
                    attempt.engine.began(now - attempt.started)
                attempt.since = now
                if attempt.limit is not None:
                    attempt.give_up = now + attempt.limit + policy.cancel_grace
                self.review_later(attempt, hedge_after(policy, late_of(attempt)))

    def review_later(self, attempt: Attempt, after: float) -> None:
        """Look at an attempt again after some seconds, or when it is overdue, whichever comes first."""
        engine, when, policy = attempt.engine, math.inf, self._course.policy
        sent = attempt.since < math.inf
        if policy.hedge and sent and (engine.caps.independent or len(self._fleet.engines) > 1):
            when = self._course.now + after
        elif policy.hedge and not sent:
            queued = engine.caps.queued and engine.contended
            patience = policy.queue_patience if queued else unknown_patience(policy)
            when = max(attempt.started + patience, self._course.now + 1.0)
        when = min(when, attempt.give_up)
        if when < math.inf:
            self._timers.add(when, Due.REVIEW, attempt)

    def ran_unannounced(self, attempt: Attempt, seconds: float) -> None:
        """An attempt has run that was never said to have begun: it was too short for that. Its engine learns how long it waited."""
        if attempt.since == math.inf and attempt.leads:
            took = seconds if attempt.batch is None else attempt.batch.late
            attempt.engine.began(self._course.now - attempt.started - took)

    def waits_for_worker(self, attempt: Attempt) -> bool:
        """Whether no worker has taken it for a time, in which one should have."""
        waited = self._course.now - attempt.started
        return attempt.engine.caps.queued and attempt.since == math.inf and waited >= self._course.policy.queue_patience

    def waited_for(self, attempt: Attempt) -> bool:
        """Whether it is under way, and somebody wants its answer."""
        return attempt.live and attempt.id in self.under_way

    def on(self, engine: EngineState) -> list[Attempt]:
        """All that are under way on one engine."""
        return [attempt for attempt in self.under_way.values() if attempt.engine is engine]

    def close(self, id: AttemptId) -> Attempt | None:
        """An attempt was answered: its slot is free. None if it was forgotten before."""
        attempt = self.under_way.pop(id, None)
        if attempt is None:
            self._tally.late += 1
            return None
        engine = attempt.engine
        if attempt.batch is None or attempt.batch.closed():
            memory = attempt.memory if engine.caps.memory_total is not None else 0
            engine.ended(memory, attempt.slot.overdue)
        if not attempt.hedge:
            engine.load -= attempt.node.seconds
        if attempt.live:
            node = attempt.node
            node.attempts = tuple([other for other in node.attempts if other is not attempt])
        else:
            self._tally.late += 1
        return attempt

    def cancel(self, attempt: Attempt) -> None:
        """Ask the engine to end it; the slot is free when it has."""
        self._course.out.append(Cancel(attempt.id, attempt.engine.name))
        attempt.give_up = self._course.now + self._course.policy.cancel_grace
        self._timers.add(attempt.give_up, Due.REVIEW, attempt)

    def cancel_all_of(self, node: Node) -> None:
        """Cancel all attempts of a node, for nobody waits for them any more."""
        for attempt in node.attempts:
            attempt.live = False
            self.cancel(attempt)
        node.attempts = ()

    def lag(self, attempt: Attempt, seconds: float) -> float:
        """The seconds of an answered attempt that were not its work; 0 if the answer came before it was announced as sent."""
        return max(0.0, self._course.now - attempt.since - seconds) if attempt.since < math.inf else 0.0


def memory_on(node: Node, engine: EngineState) -> int:
    """The memory for an attempt of `node` there. After a worker has died of it: a whole machine, so that nothing runs beside it."""
    if node.trouble is not None and node.trouble.deaths and engine.caps.memory_total is not None:
        return engine.caps.memory_total
    return memory_for(engine.caps, node.work, node.memory)


def late(node: Node, engine: EngineState) -> float:
    """The seconds that 95 % of nodes like this one stay below on that engine."""
    return node.seconds * engine.spread(node.kind).quantile()


def late_of(attempt: Attempt) -> float:
    """The same for an attempt, summed over those that are answered together with it."""
    return late(attempt.node, attempt.engine) if attempt.batch is None else attempt.batch.late
