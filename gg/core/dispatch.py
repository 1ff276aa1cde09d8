"""The part of the scheduler that knows engines: who runs what now, retries, stragglers, and when to look again.

Dispatch is a list schedule: as long as an engine has room, the ready node with the longest way to go is started on the
best engine that may take it and has room. A node too big for what is left of a shared memory is passed over by
smaller ones, but only so often (`Policy.max_passed`): then the engine drains until it fits, so none starves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gg.core.events import AttemptId, Cancel, EngineName, Eta, Fault, Sent, Start, Tripped
from gg.core.fleet import Engine
from gg.core.policy import (
    DEFAULT_MEMORY,
    RULES,
    Demand,
    Next,
    Policy,
    able,
    after_memory,
    backoff,
    deadline,
    exhausted,
    hedge_after,
    memory_for,
    place,
)
from gg.core.queues import Due, ReadyQueues, Timers
from gg.core.settle import BACKOFF, READY, RUNNING, Settling
from gg.core.states import Attempt, Node

MAX_BUMPS = 8


class Dispatching(Settling):
    """Engines, attempts, ready queues and timers."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._engines: dict[EngineName, Engine] = {}
        self._fleet: list[Engine] = []
        self._attempts: dict[AttemptId, Attempt] = {}
        self._last_attempt = 0
        self._ready = ReadyQueues()
        self._timers = Timers()
        self._stragglers: list[Attempt] = []
        self._homeless_since: float | None = None
        self._stopped = False

    # Ready nodes

    def _enqueue(self, node: Node) -> None:
        self._move(node, READY)
        self._place(node)

    def _demand(self, node: Node) -> Demand:
        demand = Demand(node.work, node.seconds, node.memory, node.input_size, node.engines)
        trouble = node.trouble
        if trouble is not None:
            demand.tries, demand.faulted, demand.barred = trouble.tries, trouble.faulted, trouble.barred
        return demand

    def _place(self, node: Node) -> None:
        """Enter a ready node in the queue of its class; it fails if no engine we know of could ever run it."""
        demand = self._demand(node)
        engines = place(self.policy, demand, self._fleet)
        if not engines:
            self._place_homeless(node, demand)
            return
        memory = 0
        for engine in engines:
            if engine.caps.memory_total is not None:
                memory = node.memory or DEFAULT_MEMORY[node.work]
        self._ready.push(node, engines, memory)

    def _place_homeless(self, node: Node, demand: Demand) -> None:
        could = any(
            not e.caps.reserve or e.name in node.engines or e.name == self.policy.fallback
            for e in able(demand, self._fleet)
        )
        if self._fleet and not could:
            last = node.trouble.last if node.trouble else None
            self._fail(node, last or Fault.NO_ENGINE)
            return
        self._ready.push(node, (), 0)
        if self._homeless_since is None:
            self._homeless_since = self.now
            self._timers.add(self.now + self.policy.patience, Due.HOMELESS)

    def _replace_all(self) -> None:
        """Engines have come, gone or changed: place all ready nodes anew."""
        for node in self._ready.take_all():
            if node.state is READY:
                self._place(node)
        if self._ready.homeless() is None:
            self._homeless_since = None

    def _rise(self, starts: Iterable[Node]) -> None:
        for node in self._graph.raise_ranks(starts):
            if node.queue is not None:
                self._ready.raised(node)

    # Starting

    def _dispatch(self) -> None:
        now = self.now
        mask = 0
        for engine in self._fleet:
            if engine.room(now):
                mask |= engine.bit
        most = self.policy.width
        while mask and (most is None or len(self._attempts) < most) and (choice := self._choose(mask)) is not None:
            node, engine, passed = choice
            engine.passed = engine.passed + 1 if passed else 0
            self._start(node, engine, hedge=False)
            if not engine.room(now):
                mask &= ~engine.bit

    def _choose(self, mask: int) -> tuple[Node, Engine, bool] | None:
        """The next node to start, where, and whether it passes over one that waits for that engine's memory."""
        blocked = 0
        for entry, queue in self._ready.heads(mask):
            node = entry[3]
            for engine in queue.engines:
                bit = engine.bit
                if not bit & mask:
                    continue
                if engine.caps.memory_total is None:
                    return node, engine, False
                if engine.fits(memory_for(engine.caps, node.work, node.memory)):
                    return node, engine, bool(bit & blocked)
                blocked |= bit
                if engine.passed >= self.policy.max_passed:
                    mask &= ~bit
        return None

    def _start(self, node: Node, engine: Engine, hedge: bool) -> None:
        self._last_attempt += 1
        memory = memory_for(engine.caps, node.work, node.memory)
        attempt = Attempt(AttemptId(self._last_attempt), node, engine, self.now, memory, hedge)
        late = node.seconds * engine.spread(node.kind).quantile()
        timeouts = node.trouble.timeouts if node.trouble else 0
        limit = deadline(self.policy, engine.caps, late, node.known, timeouts)
        if limit is not None:  # while it waits to be sent it has as long as any attempt may take
            attempt.limit = limit
            longest = max(limit, engine.caps.max_seconds or limit) if engine.caps.announces else limit
            attempt.give_up = self.now + longest + self.policy.cancel_grace
        self._attempts[attempt.id] = attempt
        engine.started(self.now, attempt.id, memory if engine.caps.memory_total is not None else 0)
        node.attempts = (*node.attempts, attempt)
        if hedge:
            node.hedges += 1
            self._tally.hedges += 1
        else:
            node.hedges = 0
            self._move(node, RUNNING)
        self._out.append(Start(attempt.id, node.id, engine.name, limit, memory, hedge))
        self._review_later(attempt, hedge_after(self.policy, late))

    # Attempts

    def _sent(self, event: Sent) -> None:
        for id in event.attempts:
            attempt = self._attempts.get(id)
            if attempt is not None and attempt.live:
                attempt.since = self.now
                if attempt.limit is not None:
                    attempt.give_up = self.now + attempt.limit + self.policy.cancel_grace
                late = attempt.node.seconds * attempt.engine.spread(attempt.node.kind).quantile()
                self._review_later(attempt, hedge_after(self.policy, late))

    def _lag(self, attempt: Attempt, seconds: float) -> float:
        """What passed besides its work; nothing to speak of when it was answered before it was announced."""
        return max(0.0, self.now - attempt.since - seconds) if attempt.since < math.inf else 0.0

    def _close(self, id: AttemptId) -> Attempt | None:
        """An attempt was answered: its slot is free. None if it was forgotten before."""
        attempt = self._attempts.pop(id, None)
        if attempt is None:
            self._tally.late += 1
            return None
        engine = attempt.engine
        engine.ended(attempt.memory if engine.caps.memory_total is not None else 0)
        if attempt.live:
            node = attempt.node
            node.attempts = tuple([other for other in node.attempts if other is not attempt])
        else:
            self._tally.late += 1
        return attempt

    def _cancel(self, attempt: Attempt) -> None:
        self._out.append(Cancel(attempt.id, attempt.engine.name))
        attempt.give_up = self.now + self.policy.cancel_grace
        self._timers.add(attempt.give_up, Due.REVIEW, attempt)

    def _cancel_attempts(self, node: Node) -> None:
        for attempt in node.attempts:
            attempt.live = False
            self._cancel(attempt)
        node.attempts = ()

    def _worked(self, engine: Engine) -> None:
        if engine.worked():
            self._replace_all()

    def _trust(self, attempt: Attempt, fault: Fault) -> None:
        """What a fault says about the engine."""
        engine = attempt.engine
        tripped = False
        if fault is Fault.THROTTLED:
            tripped = engine.throttled(self.now, attempt.id, attempt.started)
        elif RULES[fault].blames and attempt.live:
            tripped = engine.faulted(self.now, attempt.id)
        elif fault in (Fault.TOOL, Fault.MEMORY, Fault.UNDECLARED):
            self._worked(engine)
        else:
            engine.unsure(attempt.id)
        if tripped:
            self._tally.trips += 1
            self._out.append(Tripped(engine.name, given_up=not engine.usable))
            self._replace_all()

    def _note(self, node: Node, attempt: Attempt, fault: Fault) -> None:
        """Remember a fault with its node."""
        trouble = node.troubled()
        trouble.last = fault
        free = fault in (Fault.UNDECLARED, Fault.CANCELLED)
        trouble.free += free
        if free and trouble.free > self.policy.max_free:
            trouble.tries += 1
        elif RULES[fault].counts and not (fault is Fault.MISSING_INPUT and node.waiting):
            trouble.tries += 1
            trouble.faulted |= attempt.engine.bit
        trouble.timeouts += fault is Fault.TIMEOUT
        trouble.lost_workers += fault is Fault.LOST
        bar = fault is Fault.TOO_BIG
        if fault is Fault.MEMORY:
            trouble.bumps += 1
            node.memory, bar = after_memory(attempt.engine.caps, attempt.memory, node.memory)
        if bar:
            trouble.barred |= attempt.engine.bit

    def _retry(self, node: Node, fault: Fault, attempt: AttemptId) -> None:
        """A node without attempts left: wait, run again now or later, or fail."""
        trouble = node.troubled()
        if exhausted(self.policy, trouble.tries, trouble.lost_workers) or trouble.bumps > MAX_BUMPS:
            self._fail(node, fault, attempt)
            return
        self._tally.retry(fault)
        if node.waiting:
            self._wait_again(node)
        elif RULES[fault].next is Next.LATER:
            self._move(node, BACKOFF)
            node.ticket = self._ready.ticket()
            wait = backoff(self.policy.backoff, self.policy.backoff_cap, max(1, trouble.tries), node.index)
            self._timers.add(self.now + wait, Due.RETRY, node, node.ticket)
        else:
            self._enqueue(node)

    def _faulted_attempt(self, attempt: Attempt, fault: Fault) -> None:
        """A live attempt, closed already, gave no value."""
        node = attempt.node
        self._tally.fault(fault)
        if self._stopped:
            if not node.attempts:
                self._drop(node)
            return
        if RULES[fault].next is Next.FAIL:
            self._fail(node, fault, attempt.id)
            return
        self._note(node, attempt, fault)
        if not node.attempts:
            self._retry(node, fault, attempt.id)

    # Time

    def _review_later(self, attempt: Attempt, after: float) -> None:
        """Look at an attempt again after some seconds, or when it is overdue, whichever comes first."""
        engine, when = attempt.engine, math.inf
        sent = attempt.since < math.inf
        if self.policy.hedge and sent and (engine.caps.independent or len(self._fleet) > 1):
            when = self.now + after
        when = min(when, attempt.give_up)
        if when < math.inf:
            self._timers.add(when, Due.REVIEW, attempt)

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
        used_up = trouble is not None and exhausted(self.policy, trouble.tries, trouble.lost_workers)
        most = self.policy.max_hedges
        return len(node.attempts) <= most and node.hedges < 2 * most and not used_up

    def _drags(self, node: Node) -> bool:
        """Whether its last attempt takes long, by what is known now: at first all that is new seems to."""
        last = node.attempts[-1]
        spread = last.engine.spread(node.kind)
        late = node.seconds * spread.quantile()
        patience = hedge_after(self.policy, late, node.known or spread.seen, node.hedges)
        return self.now - last.since >= patience + min(last.engine.lag.bound(), self.policy.hedge_blind)

    def _second(self, attempt: Attempt) -> Engine | None:
        """An engine with room for a duplicate, another than this one's if there is one."""
        node = attempt.node
        if self.policy.width is not None and len(self._attempts) >= self.policy.width:
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
