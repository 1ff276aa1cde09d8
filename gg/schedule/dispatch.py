"""The part of the scheduler that deals with time: retries that are due, stragglers, when to look again, what is to go."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempting
from gg.schedule.events import Cancel, Eta, Fault, Silent
from gg.schedule.fleet import Breaker, Engine
from gg.schedule.policy import deadline, hedge_after, place
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
        again = False
        for node in list(queue.live()):
            trouble = node.trouble
            if trouble is not None and trouble.deaths and not trouble.waited:
                trouble.waited = again = True  # from now on wherever plain make would run it: here
            else:
                self._fail(node, trouble.last if trouble and trouble.last else Fault.NO_ENGINE)
        if again:
            self._replace_all()

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
            over = self._halted or self._stopped
            if not over and self._drags(node):
                self._let_pass(attempt)
                self._listen(attempt.engine)
                asked = attempt.live and attempt.id in self._attempts and self._may_hedge(node)
                engine = self._second(node.attempts[-1]) if asked else None
                if engine is not None and self._may_ask(engine, node):
                    self._start(node, engine, hedge=True)
            if attempt.live and attempt.id in self._attempts:
                if not over and self._takes_too_long(attempt):
                    self._give_up(attempt, Fault.TIMEOUT)
                else:
                    self._review_later(attempt, max(1.0, 0.25 * (self.now - attempt.started)))
        if self._counts[READY] and not (self._halted or self._stopped):
            self._dispatch()

    def _takes_too_long(self, attempt: Attempt) -> bool:
        """Whether it takes many times as long as its like, though nobody knew how long it would take itself. If that is but
        its way, the next attempt has as long as any.
        """
        node, engine = attempt.node, attempt.engine
        timeouts = node.trouble.timeouts if node.trouble else 0
        if node.known or timeouts or not engine.spread(node.kind).seen:
            return False
        limit = deadline(self.policy, engine.caps, self._late_of(attempt), True, 0)
        return limit is not None and self.now - attempt.since >= limit + self.policy.cancel_grace

    def _give_up(self, attempt: Attempt, fault: Fault) -> None:
        """Go on without an attempt; its slot is free when the engine has cancelled it."""
        node = attempt.node
        attempt.live = False
        node.attempts = tuple([other for other in node.attempts if other is not attempt])
        self._cancel(attempt)
        self._faulted_attempt(attempt, fault)

    def _let_pass(self, attempt: Attempt) -> None:
        """Its slot does not count any more in what an engine that throttles is trusted with."""
        slot = attempt.slot
        attempt.engine.overdue += not slot.overdue
        slot.overdue = True

    # Silence

    def _may_ask(self, engine: Engine, node: Node) -> bool:
        """Whether a duplicate may go where nothing has come from for as long as it may take: one at a time, to hear whether
        anything comes at all. More of them would be paid for beside answers that are on their way.
        """
        own = [attempt for attempt in node.attempts if attempt.engine is engine]
        if not own or engine.running <= len(own) or self.now - engine.heard_at < self._patience(node):
            return True
        if self.now < engine.quiet_until:
            return False
        engine.wait_for_news(self.now)
        return True

    def _listen(self, engine: Engine) -> None:
        """Tell and act when an engine says nothing while all that runs there is overdue: the fallback helps, and one attempt
        is asked anew, in the place of the oldest if there is no other.
        """
        now = self.now
        quiet = now - engine.heard_at
        if quiet < self.policy.silence or now < engine.listen_at or not engine.caps.independent:
            return
        engine.listen_at = max(engine.quiet_until, now + 1.0)
        running = [attempt for attempt in self._attempts.values() if attempt.engine is engine]
        nodes = {id(attempt.node): attempt.node for attempt in running}
        if now < engine.quiet_until or len(nodes) < 2 or not all(self._drags(node) for node in nodes.values()):
            return
        if engine.breaker is Breaker.CLOSED:
            self._out.append(Silent(engine.name, quiet, len(running)))
        engine.wait_for_news(now)
        engine.probe_silence(now)
        live = [attempt for attempt in running if attempt.live]
        if engine.running >= engine.slots and quiet >= 3 * self.policy.silence and live:
            self._give_place(live[0])
        self._replace_all()

    def _give_place(self, oldest: Attempt) -> None:
        """Go on without an attempt, and those that share its slot."""
        members = [oldest] if oldest.batch is None else oldest.batch.members
        for attempt in [each for each in members if each.id in self._attempts and each.live]:
            self._give_up(attempt, Fault.CANCELLED)

    def _may_hedge(self, node: Node) -> bool:
        """Whether its attempts side by side, and those that it has used up, leave one for a duplicate."""
        trouble = node.trouble
        used_up = trouble is not None and (bool(trouble.deaths) or self._used_up(trouble))
        most = self.policy.max_hedges
        return len(node.attempts) <= most and node.hedges < 2 * most and not used_up

    def _drags(self, node: Node) -> bool:
        """Whether its last attempt takes long, by what is known now: at first all that is new seems to."""
        return bool(node.attempts) and self.now - node.attempts[-1].since >= self._patience(node)

    def _patience(self, node: Node) -> float:
        """What its last attempt may take before it drags."""
        last = node.attempts[-1]
        spread = last.engine.spread(node.kind)
        patience = hedge_after(self.policy, self._late_of(last), node.known or spread.seen, node.hedges)
        return patience + min(last.engine.lag.bound(), self.policy.hedge_blind)

    def _second(self, attempt: Attempt) -> Engine | None:
        """An engine with room for a duplicate, another than this one's if there is one."""
        node = attempt.node
        if self.policy.width is not None and self._wide() >= self.policy.width:
            return None
        engines = [
            e
            for e in place(self.policy, self._demand(node), self._fleet)
            if e.room(self.now) and (e is not attempt.engine or e.caps.independent) and e.fits(self._memory(node, e))
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
