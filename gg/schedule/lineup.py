"""The ready nodes, each lined up before the engines that may take it.

A node that no engine may take now is *homeless*: it waits `Policy.patience` seconds for an engine, and then fails.
"""

from __future__ import annotations

from collections.abc import Iterable

from gg.schedule.broken import Failures
from gg.schedule.course import Course
from gg.schedule.events import Fault
from gg.schedule.fleet import EngineState, Fleet
from gg.schedule.nodes import Nodes
from gg.schedule.policy import DEFAULT_MEMORY, NodeRequirements, able, place
from gg.schedule.queues import Due, ReadyQueues, Timers
from gg.schedule.states import READY, Node


class Lineup:
    """The ready queues, and since when some node has been homeless."""

    __slots__ = ("_course", "_failures", "_fleet", "_nodes", "_timers", "homeless_since", "queues")

    def __init__(self, course: Course, nodes: Nodes, failures: Failures, fleet: Fleet, timers: Timers) -> None:
        self._course = course
        self._nodes = nodes
        self._failures = failures
        self._fleet = fleet
        self._timers = timers
        self.queues = ReadyQueues()
        self.homeless_since: float | None = None

    def enqueue(self, node: Node) -> None:
        """A node is ready. It fails at once if no engine that was ever there could run it."""
        self._nodes.move(node, READY)
        self._place(node)

    def candidates(self, node: Node) -> tuple[EngineState, ...]:
        """The engines that may take a node now, the best first."""
        return place(self._course.policy, _demand(node), self._fleet.engines)

    def reserve(self, node: Node) -> EngineState | None:
        """The fallback, if it may take a node now and the node has not faulted there."""
        demand, fallback = _demand(node), self._course.policy.fallback
        found = [e for e in able(demand, self._fleet.engines) if e.name == fallback and e.usable and not e.caps.leaving]
        return next((e for e in found if not demand.deadly and not e.bit & demand.faulted), None)

    def _place(self, node: Node) -> None:
        engines = self.candidates(node)
        if not engines:
            self._place_homeless(node)
            return
        memory = 0
        for engine in engines:
            if engine.caps.memory_total is not None:
                memory = node.memory or DEFAULT_MEMORY[node.work]
        self.queues.push(node, engines, memory)

    def _place_homeless(self, node: Node) -> None:
        policy, engines = self._course.policy, self._fleet.engines
        could = any(
            not e.caps.reserve or e.name in node.engines or e.name == policy.fallback
            for e in able(_demand(node), engines)
        )
        if engines and not could:
            last = node.trouble.last if node.trouble else None
            self._failures.fail(node, last or Fault.NO_ENGINE)
            return
        self.queues.push(node, (), 0)
        if self.homeless_since is None:
            self.homeless_since = self._course.now
            self._timers.add(self._course.now + policy.patience, Due.HOMELESS)

    def place_anew(self) -> None:
        """Engines have come, gone or changed: place all ready nodes anew."""
        self._fleet.weigh()
        for node in self.queues.take_all():
            if node.state is READY:
                self._place(node)
        if self.queues.homeless() is None:
            self.homeless_since = None

    def rise(self, starts: Iterable[Node]) -> None:
        """Carry the ranks of these down to their dependencies."""
        for node in self._nodes.graph.raise_ranks(starts):
            if node.queue is not None:
                self.queues.raised(node)

    def clear(self) -> None:
        """Empty the queues: no ready node is wanted any more."""
        self.queues.take_all()
        self.homeless_since = None

    def evict_homeless(self) -> None:
        """Fail homeless nodes whose patience is over. But a node that a worker has died of may run on this machine from now on."""
        queue, since = self.queues.homeless(), self.homeless_since
        if queue is None or since is None:
            return
        patience = self._course.policy.patience
        if self._course.now < since + patience:
            self._timers.add(since + patience, Due.HOMELESS)
            return
        self.homeless_since = None
        again = False
        for node in list(queue.live()):
            trouble = node.trouble
            if trouble is not None and trouble.deaths and not trouble.waited:
                trouble.waited = again = True  # from now on wherever plain make would run it: here
            else:
                self._failures.fail(node, trouble.last if trouble and trouble.last else Fault.NO_ENGINE)
        if again:
            self.place_anew()


def _demand(node: Node) -> NodeRequirements:
    demand = NodeRequirements(node.work, node.seconds, node.memory, node.input_size, node.engines)
    trouble = node.trouble
    if trouble is not None:
        demand.tries, demand.faulted, demand.barred = trouble.tries, trouble.faulted, trouble.barred
        demand.deadly = bool(trouble.deaths) and not trouble.waited
    return demand
