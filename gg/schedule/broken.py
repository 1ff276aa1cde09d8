"""Nodes that will not be done: those that failed, those that are skipped because of them, those that are given up."""

from __future__ import annotations

from gg.schedule.commands import Failed, Skipped
from gg.schedule.course import Course
from gg.schedule.events import AttemptId, Fault, NodeId
from gg.schedule.fleet import Fleet
from gg.schedule.nodes import Nodes
from gg.schedule.policy import RULES
from gg.schedule.states import FAILED, FOLLOWING, IDLE, SKIPPED, WAITING, Node
from gg.schedule.tally import Tally


class Failures:
    """Takes nodes out of what is wanted, and tells the driver."""

    __slots__ = ("_course", "_fleet", "_nodes", "_tally")

    def __init__(self, course: Course, nodes: Nodes, fleet: Fleet, tally: Tally) -> None:
        self._course = course
        self._nodes = nodes
        self._fleet = fleet
        self._tally = tally

    def fail(self, node: Node, fault: Fault, attempt: AttemptId | None = None) -> None:
        """A node has failed, with no attempt under way. All nodes that wait for it are skipped, and the run may end."""
        course = self._course
        self._nodes.move(node, FAILED)
        course.out.append(Failed(node.id, fault, attempt))
        if not course.policy.keep_going and (RULES[fault].ends or not self._fleet.has_worked()):
            course.halted = True
        self._skip_users(node, node.id)

    def skip(self, node: Node, cause: NodeId) -> None:
        """A node needs `cause`, which failed."""
        self._nodes.move(node, SKIPPED)
        self._course.out.append(Skipped(node.id, cause))
        self._skip_users(node, cause)

    def _skip_users(self, node: Node, cause: NodeId) -> None:
        """Skip all nodes that wait, directly or through others, for a node that will not be done."""
        stack = [node]
        while stack:
            broken = stack.pop()
            for user in broken.users:
                if user.state is WAITING or (user.state is FOLLOWING and user.follow is broken):
                    user.follow = None
                    self._nodes.move(user, SKIPPED)
                    self._course.out.append(Skipped(user.id, cause))
                    stack.append(user)

    def drop(self, node: Node) -> None:
        """Give up a wanted node before it is settled."""
        node.follow = None
        self._nodes.move(node, IDLE)
        self._tally.dropped += 1
