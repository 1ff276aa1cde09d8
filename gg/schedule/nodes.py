"""The nodes and their states.

`Nodes.move` is the only place where a state changes. It keeps the counts right (open nodes, the work that is left, tickets),
and a transition that the table does not know raises an error with the node's story.
"""

from __future__ import annotations

from collections import deque

from gg.schedule.course import Course
from gg.schedule.graph import Graph
from gg.schedule.states import BACKOFF, LEGAL, OPEN, PAST_MASK, READY, IllegalTransition, Node, State

LOG_LENGTH = 4096


class Nodes:
    """The graph; how many nodes are in each state (`counts`), how many are open, and the expected seconds of these."""

    __slots__ = ("_course", "_log", "counts", "graph", "open", "work_left")

    def __init__(self, course: Course) -> None:
        self._course = course
        self._log: deque[tuple[float, type, Node, State]] = deque(maxlen=LOG_LENGTH)
        self.graph = Graph()
        self.counts = [0] * len(State)
        self.open = 0
        self.work_left = 0.0

    def move(self, node: Node, new: State) -> None:
        """Change a node's state. IllegalTransition if `new` may not follow."""
        old = node.state
        if new not in LEGAL[old]:
            raise IllegalTransition(node, new, self.story(node))
        counts = self.counts
        counts[old] -= 1
        counts[new] += 1
        if OPEN[old] is not OPEN[new]:
            sign = 1 if OPEN[new] else -1
            self.open += sign
            self.work_left += sign * node.seconds
        if old is READY or old is BACKOFF:
            node.ticket, node.queue = 0, None
        node.state = new
        node.past = (node.past << 4 | old + 1) & PAST_MASK
        course = self._course
        self._log.append((course.now, course.cause, node, new))

    def story(self, node: Node) -> tuple[str, ...]:
        """What happened to a node: its last states, then the moves still in the log, then what there is to say now."""
        now, cause = self._course.now, self._course.cause
        lines = ["states: " + " ".join(state.name for state in node.states())]
        lines += [f"{at:.6f} {why.__name__}: {new.name}" for at, why, logged, new in self._log if logged is node]
        running = ", ".join(f"{a.id} on {a.engine.name} since {a.started:.6f}" for a in node.attempts)
        lines.append(f"{now:.6f} {cause.__name__}: waits for {node.waiting}, attempts: {running or 'none'}")
        return tuple(lines)
