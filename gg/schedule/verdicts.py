"""What an attempt that gave no value means: whom its fault is held against, and what is tried again."""

from __future__ import annotations

from gg.schedule.attempts import Attempts
from gg.schedule.broken import Failures
from gg.schedule.commands import Tripped
from gg.schedule.course import Course
from gg.schedule.events import AttemptId, Fault
from gg.schedule.fleet import EngineState
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.policy import RULES, Next, Policy, after_memory, backoff, budget, share_of_others
from gg.schedule.queues import Due, Timers
from gg.schedule.settle import Settling
from gg.schedule.states import BACKOFF, Attempt, Node, Trouble
from gg.schedule.tally import Tally

MAX_BUMPS = 8
_ANSWERED = (Fault.THROTTLED, Fault.INFRA, Fault.LOST)
"""Faults of a duplicate that are no reason to wait longer before the next."""


class Verdicts:
    """Judges engines and nodes by how attempts end. `EngineState`, `Node.trouble` and `Tally` hold what it remembers."""

    __slots__ = ("_attempts", "_course", "_failures", "_lineup", "_nodes", "_settling", "_tally", "_timers")

    def __init__(
        self,
        course: Course,
        nodes: Nodes,
        failures: Failures,
        lineup: Lineup,
        settling: Settling,
        attempts: Attempts,
        timers: Timers,
        tally: Tally,
    ) -> None:
        self._course = course
        self._nodes = nodes
        self._failures = failures
        self._lineup = lineup
        self._settling = settling
        self._attempts = attempts
        self._timers = timers
        self._tally = tally

    # Engines

    def worked(self, engine: EngineState) -> None:
        """An engine has run a command, successfully or not."""
        self._tally.judged(blamed=False)
        if engine.worked():
            self._lineup.place_anew()

    def trust(self, attempt: Attempt, fault: Fault) -> None:
        """Judge the engine by a fault."""
        engine, now = attempt.engine, self._course.now
        tripped = False
        if fault is Fault.THROTTLED:
            if attempt.batch is None or attempt.batch.blamed():
                tripped = engine.throttled(now, attempt.id)
        elif RULES[fault].blames and attempt.live:
            self._tally.judged(blamed=True)
            if attempt.batch is None or attempt.batch.blamed():
                tripped = engine.faulted(now, attempt.id)
        elif fault in (Fault.TOOL, Fault.MEMORY, Fault.UNDECLARED):
            self.worked(engine)
        else:
            engine.unsure(attempt.id)
        if tripped:
            self._tally.trips += 1
            self._course.out.append(Tripped(engine.name, given_up=not engine.usable))
            self._lineup.place_anew()

    # Nodes

    def faulted(self, attempt: Attempt, fault: Fault) -> None:
        """A live attempt, closed already, gave no value."""
        node = attempt.node
        self._tally.fault(fault)
        if self._course.stopped:
            if not node.attempts:
                self._failures.drop(node)
            return
        if RULES[fault].next is Next.FAIL:
            self._attempts.cancel_all_of(node)
            self._failures.fail(node, fault, attempt.id)
            return
        _note(node, attempt, fault, self._course.policy)
        if not node.attempts:
            self._retry(node, fault, attempt.id)
        elif attempt.hedge and fault in _ANSWERED:
            node.hedges -= 1

    def used_up(self, trouble: Trouble) -> bool:
        """Whether a node has faulted too often for bad luck, compared with others."""
        policy, tally = self._course.policy, self._tally
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
        trouble, policy = node.troubled(), self._course.policy
        if self.used_up(trouble) or trouble.bumps > MAX_BUMPS:
            self._failures.fail(node, fault, attempt)
            return
        self._tally.retry(fault)
        if node.waiting:
            self._settling.wait_again(node)
        elif RULES[fault].next is Next.LATER:
            self._nodes.move(node, BACKOFF)
            node.ticket = self._lineup.queues.ticket()
            wait = backoff(policy.backoff, policy.backoff_cap, max(1, trouble.tries), node.index)
            self._timers.add(self._course.now + wait, Due.RETRY, node, node.ticket)
        else:
            self._lineup.enqueue(node)

    def asked_in_vain(self, node: Node, attempt: AttemptId | None) -> None:
        """A node reports inputs missing that it was given: run it again, but not for ever."""
        trouble = node.troubled()
        trouble.free += 1
        if trouble.free > self._course.policy.max_free:
            self._failures.fail(node, Fault.UNDECLARED, attempt)
        else:
            self._lineup.enqueue(node)

    # Attempts that are given up

    def forget(self, attempt: Attempt, fault: Fault) -> None:
        """Go on without an answer that the engine owes and does not give."""
        self._attempts.close(attempt.id)
        self.trust(attempt, fault)
        if attempt.live:
            self.faulted(attempt, fault)

    def give_up(self, attempt: Attempt, fault: Fault) -> None:
        """Go on without an attempt; its slot is free when the engine has cancelled it."""
        node = attempt.node
        attempt.live = False
        node.attempts = tuple([other for other in node.attempts if other is not attempt])
        self._attempts.cancel(attempt)
        self.faulted(attempt, fault)


def _note(node: Node, attempt: Attempt, fault: Fault, policy: Policy) -> None:
    """Remember a fault with its node."""
    trouble = node.troubled()
    trouble.last = fault
    shared = attempt.batch is not None and fault in (Fault.MEMORY, Fault.TOO_BIG)  # perhaps by another of the batch
    free = shared or fault in (Fault.UNDECLARED, Fault.CANCELLED)
    trouble.free += free
    if free and trouble.free > policy.max_free:
        trouble.tries += 1
        trouble.faulted |= attempt.engine.bit  # it gives the node back whenever it gets it
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
