"""Every invariant of the scheduler, checked from scratch, linear in all there is. Tests run it after each step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gg.schedule.queues import Due
from gg.schedule.states import OPEN, Attempt, Node, State

if TYPE_CHECKING:
    from gg.schedule.dispatch import Dispatching


def audit(scheduler: Dispatching) -> None:
    """AssertionError, with the node's story where one is at fault, when an invariant does not hold."""
    _counts(scheduler)
    for node in scheduler._graph.order:
        problem = _edges(node) or _state(node) or _attempts(scheduler, node)
        if problem:
            raise AssertionError(f"{node!r}: {problem}\n  " + "\n  ".join(scheduler._story(node)))
    _ready(scheduler)
    _engines(scheduler)
    _timers(scheduler)


def _counts(scheduler: Dispatching) -> None:
    counts = [0] * len(State)
    for node in scheduler._graph.order:
        counts[node.state] += 1
    assert counts == scheduler._counts, f"counts by state: {scheduler._counts}, really {counts}"
    opened = [node for node in scheduler._graph.order if OPEN[node.state]]
    assert scheduler._open == len(opened)
    left = math.fsum(node.seconds for node in opened)
    assert math.isclose(scheduler._work_left, left, rel_tol=1e-6, abs_tol=1e-3)
    assert not scheduler._ask, "nodes that nobody will be asked about"
    if scheduler._stopped:
        assert scheduler._open == counts[State.RUNNING], "only what is under way may be open after a stop"


def _edges(node: Node) -> str:
    if node.waiting != sum(dep.state is not State.DONE for dep in node.deps):
        return f"waiting is {node.waiting}, and it waits for {[d for d in node.deps if d.state is not State.DONE]}"
    if len(set(node.deps)) != len(node.deps) or any(node not in dep.users for dep in node.deps):
        return "edges do not agree"
    return ""


def _state(node: Node) -> str:
    state = node.state
    if state in (State.LOOKUP, State.READY, State.BACKOFF) and node.waiting:
        return "went on before all it needs is done"
    if state is State.WAITING:
        if not node.waiting:
            return "waits for nothing"
        for dep in node.deps:
            if dep.state is not State.DONE and not OPEN[dep.state]:
                return f"waits for {dep!r}, which is not going to be done"
            if OPEN[dep.state] and dep.rank + 1e-9 < node.rank + dep.seconds:
                return f"its rank {node.rank} is not carried down to {dep!r}, {dep.rank}"
    if (state is State.FOLLOWING) != (node.follow is not None):
        return f"follows {node.follow!r}"
    if node.follow is not None and not OPEN[node.follow.state]:
        return f"follows {node.follow!r}, which is not going to be done"
    if (node.queue is not None) != (state is State.READY):
        return f"queue is {node.queue!r}"
    if (node.ticket != 0) != (state in (State.READY, State.BACKOFF)):
        return f"ticket is {node.ticket}"
    return ""


def _attempts(scheduler: Dispatching, node: Node) -> str:
    if bool(node.attempts) != (node.state is State.RUNNING):
        return f"has {len(node.attempts)} attempts"
    hedges = sum(a.hedge for a in node.attempts)
    if hedges > node.hedges or hedges > scheduler.policy.max_hedges + 1 or len(node.attempts) - hedges > 1:
        return "has too many attempts side by side"
    for attempt in node.attempts:
        if scheduler._attempts.get(attempt.id) is not attempt or attempt.node is not node or not attempt.live:
            return f"attempt {attempt.id} is not in the books"
    return ""


def _ready(scheduler: Dispatching) -> None:
    queued: set[Node] = set()
    for (engines, _), queue in scheduler._ready.by_class.items():
        heap = queue.heap
        assert queue.engines == engines
        for at in range(1, len(heap)):
            assert heap[(at - 1) // 2][:3] <= heap[at][:3], "a ready queue is no heap"
        for rank, index, ticket, node in heap:
            if node.ticket == ticket:
                assert node.state is State.READY, f"{node!r} is queued"
                assert node not in queued, f"{node!r} is queued twice"
                assert node.queue is queue, f"{node!r} is in another queue than it says"
                assert -rank == node.rank, f"{node!r} is queued with rank {-rank}, not {node.rank}"
                assert index == node.index
                queued.add(node)
    assert len(queued) == scheduler._counts[State.READY], "ready nodes are in no queue"


def _engines(scheduler: Dispatching) -> None:
    for engine in scheduler._fleet:
        mine = [a for a in scheduler._attempts.values() if a.engine is engine]
        slots = len({a.batch or a for a in mine})
        assert engine.running == slots, f"{engine.name}: {engine.running} running, really {slots}"
        overdue = len({a.slot for a in mine if a.slot.overdue})
        assert engine.overdue == overdue, f"{engine.name}: {engine.overdue} overdue, really {overdue}"
        shared = engine.caps.memory_total is not None
        assert engine.memory_used == (sum(a.memory for a in mine) if shared else 0), f"{engine.name}: memory"
        assert engine.up or not mine, f"{engine.name} is down and runs {len(mine)}"
        assert engine.window >= 1.0


def _timers(scheduler: Dispatching) -> None:
    heap = scheduler._timers.heap
    for at in range(1, len(heap)):
        assert heap[(at - 1) // 2][:2] <= heap[at][:2], "the timers are no heap"
    waking = {timer.subject for timer in heap if timer.due is Due.RETRY and isinstance(timer.subject, Node)}
    for node in scheduler._graph.order:
        assert node.state is not State.BACKOFF or node in waking, f"{node!r} will never be tried again"
    reviewed = {timer.subject for timer in heap if isinstance(timer.subject, Attempt)}
    for attempt in scheduler._attempts.values():
        bounded = attempt.give_up < math.inf
        assert not bounded or attempt in reviewed, f"attempt {attempt.id} can be overdue and nobody looks"
    if scheduler._ready.homeless() is not None and scheduler._homeless_since is not None:
        assert any(timer.due is Due.HOMELESS for timer in heap)
