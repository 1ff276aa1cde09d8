"""The part of the scheduler that knows what attempts come to: whom a fault is held against, and what is tried again."""

from __future__ import annotations

import math

from gg.schedule.events import AttemptId, Cancel, Fault, Sent, Tripped
from gg.schedule.fleet import Engine
from gg.schedule.policy import RULES, Next, after_memory, backoff, budget, hedge_after, share_of_others
from gg.schedule.queues import Due
from gg.schedule.settle import BACKOFF
from gg.schedule.starting import Starting
from gg.schedule.states import Attempt, Node, Trouble

MAX_BUMPS = 8
_ANSWERED = (
    Fault.THROTTLED,
    Fault.INFRA,
    Fault.LOST,
)  # a duplicate that ended so is no reason to wait longer for the next


class Attempting(Starting):
    """Answers, and cancelling."""

    # Attempts

    def _sent(self, event: Sent) -> None:
        for id in event.attempts:
            attempt = self._attempts.get(id)
            if attempt is not None and attempt.live:
                attempt.since = self.now
                if attempt.limit is not None:
                    attempt.give_up = self.now + attempt.limit + self.policy.cancel_grace
                self._review_later(attempt, hedge_after(self.policy, self._late_of(attempt)))

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
        if attempt.batch is None or attempt.batch.closed():
            memory = attempt.memory if engine.caps.memory_total is not None else 0
            engine.ended(memory, attempt.slot.overdue)
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
        self._tally.judged(blamed=False)
        if engine.worked():
            self._replace_all()

    def _trust(self, attempt: Attempt, fault: Fault) -> None:
        """What a fault says about the engine."""
        engine = attempt.engine
        tripped = False
        if fault is Fault.THROTTLED:
            if attempt.batch is None or attempt.batch.blamed():
                tripped = engine.throttled(self.now, attempt.id)
        elif RULES[fault].blames and attempt.live:
            self._tally.judged(blamed=True)
            if attempt.batch is None or attempt.batch.blamed():
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
        shared = attempt.batch is not None and fault in (Fault.MEMORY, Fault.TOO_BIG)  # it may be another's doing
        free = shared or fault in (Fault.UNDECLARED, Fault.CANCELLED)
        trouble.free += free
        if free and trouble.free > self.policy.max_free:
            trouble.tries += 1
        elif RULES[fault].counts and not (fault is Fault.MISSING_INPUT and node.waiting):
            trouble.tries += 1
            trouble.faulted |= attempt.engine.bit
        trouble.blamed += RULES[fault].blames
        trouble.timeouts += fault is Fault.TIMEOUT
        trouble.lost_workers += fault is Fault.LOST and attempt.batch is None
        trouble.deaths += fault is Fault.DIED and attempt.batch is None
        bar = fault is Fault.TOO_BIG and not shared
        if fault is Fault.MEMORY and not shared:
            trouble.bumps += 1
            node.memory, bar = after_memory(attempt.engine.caps, attempt.memory, node.memory)
        if bar:
            trouble.barred |= attempt.engine.bit

    def _used_up(self, trouble: Trouble) -> bool:
        """Whether it has faulted too often for that to be bad luck, by how often others do."""
        policy, tally = self.policy, self._tally
        if trouble.deaths >= policy.max_deaths:
            return True
        if trouble.tries < policy.max_attempts and trouble.lost_workers < policy.max_lost_workers:
            return False
        share = share_of_others(tally.gone_wrong, tally.answered, trouble.blamed)
        return trouble.tries >= budget(policy, policy.max_attempts, share) or trouble.lost_workers >= budget(
            policy, policy.max_lost_workers, share
        )

    def _retry(self, node: Node, fault: Fault, attempt: AttemptId) -> None:
        """A node without attempts left: wait, run again now or later, or fail."""
        trouble = node.troubled()
        if self._used_up(trouble) or trouble.bumps > MAX_BUMPS:
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
        elif attempt.hedge and fault in _ANSWERED:
            node.hedges -= 1
