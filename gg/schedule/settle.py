"""Wants nodes, and lets a settled node settle others. This module knows nothing of engines.

Cones can be a hundred thousand deep, so nothing here recurses: every walk has its own stack.
"""

from __future__ import annotations

from collections.abc import Iterable

from gg.schedule.broken import Failures
from gg.schedule.commands import Finished, How, Lookup
from gg.schedule.course import Course
from gg.schedule.events import AttemptId, Fault
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.states import BACKOFF, BROKEN, DONE, FOLLOWING, IDLE, LOOKUP, OPEN, READY, WAITING, Node
from gg.schedule.tally import Tally


class Settling:
    """Opens cones, and lets nodes go on when their dependencies are done. `asked`: nodes for the next Lookup."""

    __slots__ = ("_course", "_failures", "_lineup", "_nodes", "_tally", "asked")

    def __init__(self, course: Course, nodes: Nodes, failures: Failures, lineup: Lineup, tally: Tally) -> None:
        self._course = course
        self._nodes = nodes
        self._failures = failures
        self._lineup = lineup
        self._tally = tally
        self.asked: list[Node] = []

    # Wanting

    def want(self, starts: Iterable[Node], rise: Iterable[Node], again: bool = False) -> None:
        """Open every unsettled node at and below `starts`, and carry the ranks of `rise` down."""
        fresh = []
        stack = list(starts)
        while stack:
            node = stack.pop()
            state = node.state
            if state is IDLE or (again and state in BROKEN and not _needs_itself(node)):
                if again:
                    node.trouble, node.hedges = None, 0
                self._nodes.move(node, WAITING)
                fresh.append(node)
                stack.extend(dep for dep in node.deps if dep.state is not DONE)
        self._lineup.rise([*rise, *fresh])
        for node in fresh:
            if node.state is WAITING:
                self._await(node)

    def _await(self, node: Node) -> None:
        """Let a waiting node go on if all its dependencies are done, or skip it if one of them is broken."""
        if node.waiting == 0:
            self._ripen(node)
            return
        for dep in node.deps:
            if dep.state in BROKEN:
                self._failures.skip(node, dep.id)
                return

    def wait_again(self, node: Node) -> None:
        """Put a node back to waiting for dependencies that are not done, and want those."""
        self._nodes.move(node, WAITING)
        self._want_deps(node)

    def _want_deps(self, node: Node) -> None:
        self.want([dep for dep in node.deps if dep.state is IDLE], [node])
        if node.state is WAITING:
            self._await(node)

    def follow(self, node: Node, other: Node) -> None:
        """Let a node wait for the value of `other`, which will be its own."""
        node.follow = other
        self._nodes.move(node, FOLLOWING)
        self.want([other], [node])
        if other.state in BROKEN and node.state is FOLLOWING:
            node.follow = None
            self._failures.skip(node, other.id)

    def _ripen(self, node: Node) -> None:
        if self._course.policy.lookup:
            self._nodes.move(node, LOOKUP)
            self.asked.append(node)
        else:
            self._lineup.enqueue(node)

    def flush_lookups(self) -> None:
        """Send a Lookup for the nodes that became ready for it in this step."""
        ids = dict.fromkeys([node.id for node in self.asked if node.state is LOOKUP])
        self.asked.clear()
        if ids and not self._course.halted:
            self._course.out.append(Lookup(tuple(ids)))

    # Settling

    def finish(self, node: Node, how: How, attempt: AttemptId | None = None) -> None:
        """A node is done. So are the nodes that follow it, and nodes that waited only for it go on."""
        stack = [(node, how, attempt)]
        while stack:
            node, how, attempt = stack.pop()
            was_open = OPEN[node.state]
            self._nodes.move(node, DONE)
            self._tally.finished(how)
            if was_open:
                self._course.out.append(Finished(node.id, how, attempt))
            for user in node.users:
                user.waiting -= 1
                if user.state is WAITING:
                    if user.waiting == 0:
                        self._ripen(user)
                elif user.state is FOLLOWING and user.follow is node:
                    user.follow = None
                    stack.append((user, How.BECAME, None))

    def lose(self, node: Node) -> None:
        """A done node's blobs are gone: it is open once more, and nodes that were about to read them wait for it."""
        self._tally.lost_again += 1
        trouble = node.troubled()
        trouble.lost_outputs += 1
        trouble.last = Fault.MISSING_INPUT
        node.hedges = 0
        self._nodes.move(node, WAITING)
        for user in node.users:
            user.waiting += 1
            if user.state in (LOOKUP, READY, BACKOFF):
                self._nodes.move(user, WAITING)
        if self._course.stopped:
            self._failures.drop(node)
        elif trouble.lost_outputs > self._course.policy.max_lost_outputs:
            self._failures.fail(node, Fault.MISSING_INPUT)
        elif self._nodes.graph.reaches(node.deps, node):
            trouble.last = Fault.CYCLE
            self._failures.fail(node, Fault.CYCLE)
        else:
            node.rank = max([node.seconds, *(u.rank + node.seconds for u in node.users if OPEN[u.state])])
            self._want_deps(node)


def _needs_itself(node: Node) -> bool:
    return node.trouble is not None and node.trouble.last is Fault.CYCLE
