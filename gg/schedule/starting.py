"""Starts attempts: which engine may take a ready node, and which node goes next.

It is a list schedule: as long as an engine has room, the ready node with the longest way to go is started on the
best engine that may take it and has room. Where engines differ in price, `thrift.py` says which is best. A node too big
for what is left of a shared memory is passed over by smaller ones, but only so often (`Policy.max_passed`): then the engine
drains until it fits, so none starves. Where engines keep what they have read and made, a node that needs others goes to the one
that has most of it, if that one has room and is as fast: a link after an edit goes where the last one ran.

If an engine takes several attempts in one go (`EngineCaps.batch`), nodes that are expected to be short go together. A node
goes alone if it had trouble, if it is a duplicate, or if nobody knows how long it takes.
"""

from __future__ import annotations

import math
from collections import Counter

from gg.schedule.attempts import Attempts, late, memory_on
from gg.schedule.course import Course
from gg.schedule.fleet import Breaker, EngineState, Fleet
from gg.schedule.nodes import Nodes
from gg.schedule.outlook import Outlook
from gg.schedule.policy import batch_size
from gg.schedule.queues import ReadyQueues
from gg.schedule.states import READY, Batch, Node, Queue
from gg.schedule.tally import Tally
from gg.schedule.thrift import NOISE, Thrift


class Starting:
    """Takes nodes from the ready queues to engines with room. It keeps nothing of its own."""

    __slots__ = ("_attempts", "_course", "_fleet", "_nodes", "_outlook", "_queues", "_thrift")

    def __init__(
        self,
        course: Course,
        nodes: Nodes,
        fleet: Fleet,
        queues: ReadyQueues,
        attempts: Attempts,
        outlook: Outlook,
        tally: Tally,
    ) -> None:
        self._course = course
        self._nodes = nodes
        self._fleet = fleet
        self._queues = queues
        self._attempts = attempts
        self._outlook = outlook
        self._thrift = Thrift(course, nodes, fleet, outlook, tally)

    def dispatch(self) -> None:
        """Start what may be started now."""
        course = self._course
        if not self._nodes.counts[READY] or course.halted or course.stopped:
            return
        now = course.now
        self._outlook.choose_at = math.inf
        mask = 0
        for engine in self._fleet.engines:
            if engine.room(now):
                mask |= engine.bit
        most = course.policy.width
        while mask and (most is None or self._fleet.wide() < most) and (choice := self._choose(mask)) is not None:
            node, engine, passed = choice
            engine.passed = engine.passed + 1 if passed else 0
            self._start_some(node, engine)
            if not engine.room(now):
                mask &= ~engine.bit

    def _choose(self, mask: int) -> tuple[Node, EngineState, bool] | None:
        """The next node to start, its engine, and whether it passes over a node that waits for that engine's memory."""
        blocked = 0
        for entry, queue in self._queues.heads(mask):
            node, free = entry[3], []
            for engine in queue.engines:
                bit = engine.bit
                if not bit & mask:
                    continue
                if engine.caps.memory_total is None or engine.fits(memory_on(node, engine)):
                    if not queue.priced:
                        engine = _nearest(node, engine, queue, mask)
                        return node, engine, bool(engine.bit & blocked)
                    free.append(engine)
                    continue
                blocked |= bit
                if engine.passed >= self._course.policy.max_passed:
                    mask &= ~bit
            chosen = self._thrift.choose(node, queue.engines, free) if free else None
            if chosen is not None:
                return node, chosen, bool(chosen.bit & blocked)
        return None

    def _start_some(self, node: Node, engine: EngineState) -> None:
        """Start a node, together with the nodes that share its invocation."""
        queue = node.queue
        together = self._together(node, engine)
        if together < 2 or queue is None:
            self._course.out.append(self._attempts.begin(node, engine))
            return
        batch = Batch()
        batch.late = late(node, engine)
        first = self._attempts.begin(node, engine, batch)
        memory, more = first.memory, [first]
        while len(more) < together and (entry := queue.head()) is not None:
            node = entry[3]
            longest = late(node, engine)
            if (
                batch.late + longest > self._course.policy.batch_seconds
                or not _may_share(node, engine)
                or memory_on(node, engine) != memory
            ):
                break
            batch.late += longest
            more.append(self._attempts.begin(node, engine, batch))
        self._attempts.share(batch)
        self._course.out.append(first._replace(more=tuple(more[1:])))

    def _together(self, node: Node, engine: EngineState) -> int:
        """How many nodes are best started in one go, beginning with this one."""
        if engine.caps.batch < 2 or engine.breaker is not Breaker.CLOSED or not _may_share(node, engine):
            return 1
        policy, ready = self._course.policy, self._nodes.counts[READY]
        width = min(engine.slots, engine.window, policy.width or engine.slots)
        return batch_size(policy, engine.caps, late(node, engine), ready, max(1, int(width)))


def _nearest(node: Node, first: EngineState, queue: Queue, mask: int) -> EngineState:
    """The engine with room that has most of what a node needs, among those that take no longer than the first."""
    if not node.deps or not queue.keeping or not first.caps.keeps:
        return first
    latest = first.expected(node.kind, node.seconds) * (1.0 + NOISE)
    near = [
        engine
        for engine in queue.engines
        if engine.bit & mask
        and engine.caps.keeps
        and (engine.caps.memory_total is None or engine.fits(memory_on(node, engine)))
        and engine.expected(node.kind, node.seconds) <= latest
    ]
    made = Counter([dep.ran_on for dep in node.deps])
    return max(near or [first], key=lambda engine: (engine.name == node.ran_on, made[engine.name]))


def _may_share(node: Node, engine: EngineState) -> bool:
    """Whether the node's duration is known well enough, and it has not caused trouble."""
    trouble = node.trouble
    return (node.known or engine.spread(node.kind).seen) and (trouble is None or not trouble.harmed)
