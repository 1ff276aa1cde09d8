"""The part of the scheduler that deals with time: retries that are due, stragglers, when to look again, what is to go."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempting
from gg.schedule.events import Cancel, Eta, Fault
from gg.schedule.fleet import Engine
from gg.schedule.policy import hedge_after, memory_for, place
from gg.schedule.queues import Due
from gg.schedule.settle import READY
from gg.schedule.states import Attempt, Node


class Dispatching(Attempting):
    """Timers and stragglers."""

    # Time

    def _fire(self) -> None:
        """All that is due."""
        while (timer := self._timers.next(self._attempts)) is not None and timer.when <= self.now:
            self._timers.pop()
            subject = timer.subject
            if isinstance(subject, Node):
                self._enqueue(subject)
            elif subject is not None:
                self._review(subject)
            else:
                self._evict_homeless()

    def _evict_homeless(self) -> None:
        queue, since = self._ready.homeless(), self._homeless_since
        if queue is None or since is None:
            return
        if self.now < since + self.policy.patience:
            self._timers.add(since + self.policy.patience, Due.HOMELESS)
            return
        self._homeless_since = None
        for node in list(queue.live()):
            last = node.trouble.last if node.trouble else None
            self._fail(node, last or Fault.NO_ENGINE)

    def _review(self, attempt: Attempt) -> None:
        cancelled = self._stopped or not attempt.live
        if self.now < attempt.give_up:
            if not cancelled:
                self._stragglers.append(attempt)
        elif cancelled:
            self._forget(attempt, Fault.CANCELLED)
        else:
            self._out.append(Cancel(attempt.id, attempt.engine.name))
            self._forget(attempt, Fault.LOST)

    def _forget(self, attempt: Attempt, fault: Fault) -> None:
        """The engine owes an answer and does not give it: go on without."""
        self._close(attempt.id)
        self._trust(attempt, fault)
        if attempt.live:
            self._faulted_attempt(attempt, fault)

    def _hedge_stragglers(self) -> None:
        """Duplicate attempts that drag, where slots are left over now; otherwise look again later."""
        stragglers, self._stragglers = self._stragglers, []
        for attempt in stragglers:
            node = attempt.node
            if attempt.id not in self._attempts or not attempt.live:
                continue
            over = self._halted or self._stopped or not self._may_hedge(node)
            engine = self._second(node.attempts[-1]) if not over and self._drags(node) else None
            if engine is not None:
                self._start(node, engine, hedge=True)
            self._review_later(attempt, max(1.0, 0.25 * (self.now - attempt.started)))

    def _may_hedge(self, node: Node) -> bool:
        """Whether its attempts side by side, and those that it has used up, leave one for a duplicate."""
        trouble = node.trouble
        used_up = trouble is not None and self._used_up(trouble)
        most = self.policy.max_hedges
        return len(node.attempts) <= most and node.hedges < 2 * most and not used_up

    def _drags(self, node: Node) -> bool:
        """Whether its last attempt takes long, by what is known now: at first all that is new seems to."""
        last = node.attempts[-1]
        spread = last.engine.spread(node.kind)
        patience = hedge_after(self.policy, self._late_of(last), node.known or spread.seen, node.hedges)
        return self.now - last.since >= patience + min(last.engine.lag.bound(), self.policy.hedge_blind)

    def _second(self, attempt: Attempt) -> Engine | None:
        """An engine with room for a duplicate, another than this one's if there is one."""
        node = attempt.node
        if self.policy.width is not None and self._wide() >= self.policy.width:
            return None
        engines = [
            e
            for e in place(self.policy, self._demand(node), self._fleet)
            if e.room(self.now)
            and (e is not attempt.engine or e.caps.independent)
            and e.fits(memory_for(e.caps, node.work, node.memory))
        ]
        return next((e for e in engines if e is not attempt.engine), engines[0] if engines else None)

    def _earliest(self) -> float:
        """No later than the time at which something is to be done with no event coming in."""
        heap = self._timers.heap
        when = heap[0].when if heap else math.inf
        if self._counts[READY] and not (self._halted or self._stopped):
            for engine in self._fleet:
                opens = engine.opens_at(self.now)
                if opens is not None and opens < when:
                    when = opens
        return when

    def _next_wake(self) -> float | None:
        """The time at which something is to be done with no event coming in; None when nothing waits for time."""
        if not (self._open or self._attempts):
            return None
        self._timers.next(self._attempts)
        when = self._earliest()
        return when if when < math.inf else None

    def eta(self, now: float) -> Eta:
        """How long what is wanted may still take, from the durations expected and how far they were off so far.

        Costs a walk over the attempts under way. The boost of a Want is part of the path.
        """
        off = self._tally.correction()
        path, work = 0.0, self._work_left * off
        for attempt in self._attempts.values():
            node, elapsed = attempt.node, now - attempt.started
            if attempt.live:
                left = max(node.rank * off - elapsed, (node.rank - node.seconds) * off)
                path = max(path, left)
                work -= min(elapsed, node.seconds * off)
        for entry, _ in self._ready.heads(-1):
            path = max(path, -entry[0] * off)
        width = sum(min(e.slots, int(min(e.window, e.slots))) for e in self._fleet if e.usable)
        return Eta(path, max(0.0, work), width)
