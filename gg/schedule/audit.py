"""Every invariant of the scheduler, checked from scratch, linear in all there is. Tests run it after each step."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempts
from gg.schedule.course import Course
from gg.schedule.fleet import Fleet
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.queues import Due, Timers
from gg.schedule.states import BACKOFF, DONE, FOLLOWING, LOOKUP, OPEN, READY, RUNNING, WAITING, Attempt, Node, State


def audit(course: Course, nodes: Nodes, fleet: Fleet, timers: Timers, lineup: Lineup, attempts: Attempts) -> None:
    """AssertionError, with the node's story where one is at fault, when an invariant does not hold."""
    _counts(nodes, course)
    for node in nodes.graph.order:
        problem = _edges(node) or _state(node) or _attempts(attempts, course.policy.max_hedges, node)
        if problem:
            raise AssertionError(f"{node!r}: {problem}\n  " + "\n  ".join(nodes.story(node)))
    _ready(lineup, nodes)
    _engines(fleet, attempts)
    _timers(timers, nodes, attempts)
    if lineup.queues.homeless() is not None and lineup.homeless_since is not None:
        assert any(timer.due is Due.HOMELESS for timer in timers.heap)


def _counts(nodes: Nodes, course: Course) -> None:
    counts = [0] * len(State)
    for node in nodes.graph.order:
        counts[node.state] += 1
    assert counts == nodes.counts, f"counts by state: {nodes.counts}, really {counts}"
    opened = [node for node in nodes.graph.order if OPEN[node.state]]
    assert nodes.open == len(opened)
    left = math.fsum(node.seconds for node in opened)
    assert math.isclose(nodes.work_left, left, rel_tol=1e-6, abs_tol=1e-3)
    if course.stopped:
        assert nodes.open == counts[RUNNING], "only what is under way may be open after a stop"


def _edges(node: Node) -> str:
    if node.waiting != sum(dep.state is not DONE for dep in node.deps):
        return f"waiting is {node.waiting}, and it waits for {[d for d in node.deps if d.state is not DONE]}"
    if len(set(node.deps)) != len(node.deps) or any(node not in dep.users for dep in node.deps):
        return "edges do not agree"
    return ""


def _state(node: Node) -> str:
    state = node.state
    if state in (LOOKUP, READY, BACKOFF) and node.waiting:
        return "went on before all it needs is done"
    if state is WAITING:
        if not node.waiting:
            return "waits for nothing"
        for dep in node.deps:
            if dep.state is not DONE and not OPEN[dep.state]:
                return f"waits for {dep!r}, which is not going to be done"
            if OPEN[dep.state] and dep.rank + 1e-9 < node.rank + dep.seconds:
                return f"its rank {node.rank} is not carried down to {dep!r}, {dep.rank}"
    if (state is FOLLOWING) != (node.follow is not None):
        return f"follows {node.follow!r}"
    if node.follow is not None and not OPEN[node.follow.state]:
        return f"follows {node.follow!r}, which is not going to be done"
    if (node.queue is not None) != (state is READY):
        return f"queue is {node.queue!r}"
    if (node.ticket != 0) != (state in (READY, BACKOFF)):
        return f"ticket is {node.ticket}"
    return ""


def _attempts(attempts: Attempts, max_hedges: int, node: Node) -> str:
    if bool(node.attempts) != (node.state is RUNNING):
        return f"has {len(node.attempts)} attempts"
    hedges = sum(a.hedge for a in node.attempts)
    if hedges > node.hedges or hedges > max_hedges + 2 or len(node.attempts) - hedges > 1:
        return "has too many attempts side by side"
    for attempt in node.attempts:
        if attempts.under_way.get(attempt.id) is not attempt or attempt.node is not node or not attempt.live:
            return f"attempt {attempt.id} is not in the books"
    return ""


def _ready(lineup: Lineup, nodes: Nodes) -> None:
    queued: set[Node] = set()
    for (engines, _), queue in lineup.queues.by_class.items():
        heap = queue.heap
        assert queue.engines == engines
        for at in range(1, len(heap)):
            assert heap[(at - 1) // 2][:3] <= heap[at][:3], "a ready queue is no heap"
        for rank, index, ticket, node in heap:
            if node.ticket == ticket:
                assert node.state is READY, f"{node!r} is queued"
                assert node not in queued, f"{node!r} is queued twice"
                assert node.queue is queue, f"{node!r} is in another queue than it says"
                assert -rank == node.rank, f"{node!r} is queued with rank {-rank}, not {node.rank}"
                assert index == node.index
                queued.add(node)
    assert len(queued) == nodes.counts[READY], "ready nodes are in no queue"


def _engines(fleet: Fleet, attempts: Attempts) -> None:
    for engine in fleet.engines:
        mine = attempts.on(engine)
        slots = len({a.batch or a for a in mine})
        assert engine.running == slots, f"{engine.name}: {engine.running} running, really {slots}"
        overdue = len({a.slot for a in mine if a.slot.overdue})
        assert engine.overdue == overdue, f"{engine.name}: {engine.overdue} overdue, really {overdue}"
        shared = engine.caps.memory_total is not None
        assert engine.memory_used == (sum(a.memory for a in mine) if shared else 0), f"{engine.name}: memory"
        assert engine.up or not mine, f"{engine.name} is down and runs {len(mine)}"
        assert engine.window >= 1.0
        assert engine.ahead >= 1.0


def _timers(timers: Timers, nodes: Nodes, attempts: Attempts) -> None:
    heap = timers.heap
    for at in range(1, len(heap)):
        assert heap[(at - 1) // 2][:2] <= heap[at][:2], "the timers are no heap"
    waking = {timer.subject for timer in heap if timer.due is Due.RETRY and isinstance(timer.subject, Node)}
    for node in nodes.graph.order:
        assert node.state is not BACKOFF or node in waking, f"{node!r} will never be tried again"
    reviewed = {timer.subject for timer in heap if isinstance(timer.subject, Attempt)}
    for attempt in attempts.under_way.values():
        bounded = attempt.give_up < math.inf
        assert not bounded or attempt in reviewed, f"attempt {attempt.id} can be overdue and nobody looks"
