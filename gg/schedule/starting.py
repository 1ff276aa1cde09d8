"""The part of the scheduler that starts attempts: which engine may take a ready node, and which node goes next.

It is a list schedule: as long as an engine has room, the ready node with the longest way to go is started on the
best engine that may take it and has room. A node too big for what is left of a shared memory is passed over by
smaller ones, but only so often (`Policy.max_passed`): then the engine drains until it fits, so none starves.

Where an engine takes several attempts in one go (`Caps.batch`), nodes that are expected to be short go together; what was
in trouble, what is a duplicate and what nobody knows the duration of goes alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from gg.schedule.events import AttemptId, EngineName, Fault, Start
from gg.schedule.fleet import Breaker, Engine
from gg.schedule.policy import (
    DEFAULT_MEMORY,
    Demand,
    Policy,
    able,
    batch_size,
    deadline,
    hedge_after,
    memory_for,
    place,
)
from gg.schedule.queues import Due, ReadyQueues, Timers
from gg.schedule.settle import READY, RUNNING, Settling
from gg.schedule.states import Attempt, Batch, Node


class Starting(Settling):
    """Engines, ready queues, timers and the attempts under way."""

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

    def _has_worked(self) -> bool:
        return any(engine.proven for engine in self._fleet)

    # Ready nodes

    def _enqueue(self, node: Node) -> None:
        self._move(node, READY)
        self._place(node)

    def _demand(self, node: Node) -> Demand:
        demand = Demand(node.work, node.seconds, node.memory, node.input_size, node.engines)
        trouble = node.trouble
        if trouble is not None:
            demand.tries, demand.faulted, demand.barred = trouble.tries, trouble.faulted, trouble.barred
            demand.deadly = bool(trouble.deaths) and not trouble.waited
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
        while mask and (most is None or self._wide() < most) and (choice := self._choose(mask)) is not None:
            node, engine, passed = choice
            engine.passed = engine.passed + 1 if passed else 0
            self._start_some(node, engine)
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
                if engine.fits(self._memory(node, engine)):
                    return node, engine, bool(bit & blocked)
                blocked |= bit
                if engine.passed >= self.policy.max_passed:
                    mask &= ~bit
        return None

    def _start_some(self, node: Node, engine: Engine) -> None:
        """Start a node, and with it those that are to share its invocation."""
        queue = node.queue
        together = self._together(node, engine)
        if together < 2 or queue is None:
            self._start(node, engine, hedge=False)
            return
        batch = Batch()
        batch.late = self._late(node, engine)
        first = self._begin(node, engine, batch)
        memory, more = first.memory, [first]
        while len(more) < together and (entry := queue.head()) is not None:
            node = entry[3]
            late = self._late(node, engine)
            if (
                batch.late + late > self.policy.batch_seconds
                or not self._may_share(node, engine)
                or self._memory(node, engine) != memory
            ):
                break
            batch.late += late
            more.append(self._begin(node, engine, batch))
        self._share(batch)
        self._out.append(first._replace(more=tuple(more[1:])))

    def _together(self, node: Node, engine: Engine) -> int:
        """How many nodes are best started in one go, this one the first."""
        if engine.caps.batch < 2 or engine.breaker is not Breaker.CLOSED or not self._may_share(node, engine):
            return 1
        width = min(engine.slots, engine.window, self.policy.width or engine.slots)
        return batch_size(self.policy, engine.caps, self._late(node, engine), self._counts[READY], max(1, int(width)))

    def _memory(self, node: Node, engine: Engine) -> int:
        """What an attempt is given there: all of a machine after a worker has died of it, so that nothing runs beside it."""
        if node.trouble is not None and node.trouble.deaths and engine.caps.memory_total is not None:
            return engine.caps.memory_total
        return memory_for(engine.caps, node.work, node.memory)

    def _may_share(self, node: Node, engine: Engine) -> bool:
        """Whether its duration can be told, and nothing has gone wrong with it that it might be the cause of."""
        trouble = node.trouble
        return (node.known or engine.spread(node.kind).seen) and (trouble is None or not trouble.harmed)

    def _late(self, node: Node, engine: Engine) -> float:
        """Seconds that 95 % of its like stay below there."""
        return node.seconds * engine.spread(node.kind).quantile()

    def _late_of(self, attempt: Attempt) -> float:
        """The same of an attempt, with those that are answered together with it."""
        return self._late(attempt.node, attempt.engine) if attempt.batch is None else attempt.batch.late

    def _wide(self) -> int:
        """How many attempts run side by side."""
        return sum([engine.running for engine in self._fleet])

    def _start(self, node: Node, engine: Engine, hedge: bool) -> None:
        self._out.append(self._begin(node, engine, None, hedge))

    def _begin(self, node: Node, engine: Engine, batch: Batch | None, hedge: bool = False) -> Start:
        """An attempt, in the books; of a batch, whose others share its slot."""
        self._last_attempt += 1
        memory = self._memory(node, engine)
        attempt = Attempt(AttemptId(self._last_attempt), node, engine, self.now, memory, hedge)
        timeouts = node.trouble.timeouts if node.trouble else 0
        attempt.limit = limit = deadline(self.policy, engine.caps, self._late(node, engine), node.known, timeouts)
        self._attempts[attempt.id] = attempt
        if batch is None or not batch.members:
            engine.started(self.now, attempt.id, memory if engine.caps.memory_total is not None else 0)
        else:
            engine.joined()
        node.attempts = (*node.attempts, attempt)
        if hedge:
            node.hedges += 1
            self._tally.hedges += 1
        else:
            node.hedges = 0
            self._move(node, RUNNING)
        if batch is None:
            self._limit(attempt)
        else:
            batch.members.append(attempt)
            attempt.batch = batch
        return Start(attempt.id, node.id, engine.name, limit, memory, hedge)

    def _share(self, batch: Batch) -> None:
        """The members are answered together, so each may take what all of them may."""
        if len(batch.members) == 1:
            batch.members[0].batch = None
        limits = [member.limit for member in batch.members if member.limit is not None]
        longest = batch.members[0].engine.caps.max_seconds or math.inf
        for member in batch.members:
            if limits:
                member.limit = min(sum(limits), longest)
            self._limit(member)

    def _limit(self, attempt: Attempt) -> None:
        """When to look at a new attempt: while it waits to be sent it has as long as any attempt may take."""
        caps, limit = attempt.engine.caps, attempt.limit
        if limit is not None:
            longest = max(limit, caps.max_seconds or limit) if caps.announces else limit
            attempt.give_up = self.now + longest + self.policy.cancel_grace
        self._review_later(attempt, hedge_after(self.policy, self._late_of(attempt)))

    # When to look at an attempt

    def _review_later(self, attempt: Attempt, after: float) -> None:
        """Look at an attempt again after some seconds, or when it is overdue, whichever comes first."""
        engine, when = attempt.engine, math.inf
        sent = attempt.since < math.inf
        if self.policy.hedge and sent and (engine.caps.independent or len(self._fleet) > 1):
            when = self.now + after
        when = min(when, attempt.give_up)
        if when < math.inf:
            self._timers.add(when, Due.REVIEW, attempt)
