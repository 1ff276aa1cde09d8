"""The part of the scheduler that knows no engines: states, wanting, and how a settled node settles others.

`_move` is the only place where a state changes. What leaves a state's books in order (the open count, the work that is
left, tickets) is done there, and a transition that the table does not know raises with the node's story.

Cones can be a hundred thousand deep, so nothing here recurses: every walk has its own stack.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gg.schedule.events import AttemptId, Command, Failed, Fault, Finished, How, Lookup, NodeId, Skipped
from gg.schedule.graph import Graph
from gg.schedule.policy import RULES, Policy
from gg.schedule.states import LEGAL, OPEN, PAST_MASK, IllegalTransition, Node, State
from gg.schedule.tally import Tally

WAITING, LOOKUP, READY, RUNNING = State.WAITING, State.LOOKUP, State.READY, State.RUNNING
BACKOFF, FOLLOWING, DONE, IDLE = State.BACKOFF, State.FOLLOWING, State.DONE, State.IDLE
BROKEN = (State.FAILED, State.SKIPPED)
LOG_LENGTH = 4096


class Settling:
    """Nodes and their states. Engines come in with the subclass, through `_enqueue` and `_cancel_attempts`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.now = 0.0
        self._graph = Graph()
        self._tally = Tally()
        self._counts = [0] * len(State)
        self._open = 0  # nodes in open states
        self._work_left = 0.0  # their expected seconds
        self._out: list[Command] = []
        self._ask: list[Node] = []  # for the next Lookup
        self._halted = False  # a node failed, and we are not to keep going
        self._cause: type = type(None)  # the class of the event that is being handled
        self._log: deque[tuple[float, type, Node, State]] = deque(maxlen=LOG_LENGTH)

    # What the subclass provides

    def _enqueue(self, node: Node) -> None:
        raise NotImplementedError

    def _cancel_attempts(self, node: Node) -> None:
        raise NotImplementedError

    def _rise(self, starts: Iterable[Node]) -> None:
        raise NotImplementedError

    def _has_worked(self) -> bool:
        """Whether any engine has ever run a command: what goes wrong is not the set-up then."""
        raise NotImplementedError

    # States

    def _move(self, node: Node, new: State) -> None:
        old = node.state
        if new not in LEGAL[old]:
            raise IllegalTransition(node, new, self._story(node))
        self._counts[old] -= 1
        self._counts[new] += 1
        if OPEN[old] is not OPEN[new]:
            sign = 1 if OPEN[new] else -1
            self._open += sign
            self._work_left += sign * node.seconds
        if old is READY or old is BACKOFF:
            node.ticket, node.queue = 0, None
        node.state = new
        node.past = (node.past << 4 | old + 1) & PAST_MASK
        self._log.append((self.now, self._cause, node, new))

    def _story(self, node: Node) -> tuple[str, ...]:
        """What happened to a node: its last states, then the moves still in the log, then what there is to say now."""
        lines = ["states: " + " ".join(state.name for state in node.states())]
        lines += [f"{now:.6f} {cause.__name__}: {new.name}" for now, cause, logged, new in self._log if logged is node]
        running = ", ".join(f"{a.id} on {a.engine.name} since {a.started:.6f}" for a in node.attempts)
        lines.append(f"{self.now:.6f} {self._cause.__name__}: waits for {node.waiting}, attempts: {running or 'none'}")
        return tuple(lines)

    # Wanting

    def _want(self, starts: Iterable[Node], rise: Iterable[Node], again: bool = False) -> None:
        """Open what is not settled at and below `starts`; ranks go down from `rise`."""
        fresh = []
        stack = list(starts)
        while stack:
            node = stack.pop()
            state = node.state
            if state is IDLE or (again and state in BROKEN):
                if again:
                    node.trouble, node.hedges = None, 0
                self._move(node, WAITING)
                fresh.append(node)
                stack.extend(dep for dep in node.deps if dep.state is not DONE)
        self._rise([*rise, *fresh])
        for node in fresh:
            if node.state is WAITING:
                self._await(node)

    def _await(self, node: Node) -> None:
        """A waiting node goes on if all it needs is done, and is skipped if something it needs is broken."""
        if node.waiting == 0:
            self._ripen(node)
            return
        for dep in node.deps:
            if dep.state in BROKEN:
                self._skip(node, dep.id)
                return

    def _wait_again(self, node: Node) -> None:
        """A node that was further on waits for dependencies that are not done; those are wanted."""
        self._move(node, WAITING)
        self._want([dep for dep in node.deps if dep.state is IDLE], [node])
        if node.state is WAITING:
            self._await(node)

    def _ripen(self, node: Node) -> None:
        if self.policy.lookup:
            self._move(node, LOOKUP)
            self._ask.append(node)
        else:
            self._enqueue(node)

    def _flush_lookups(self) -> None:
        ids = dict.fromkeys([node.id for node in self._ask if node.state is LOOKUP])
        self._ask.clear()
        if ids and not self._halted:
            self._out.append(Lookup(tuple(ids)))

    def _drop(self, node: Node) -> None:
        """It was wanted, and is given up unsettled."""
        node.follow = None
        self._move(node, IDLE)
        self._tally.dropped += 1

    # Settling

    def _finish(self, node: Node, how: How, attempt: AttemptId | None = None) -> None:
        """A node is done; so are those that follow it, and what waited only for it goes on."""
        stack = [(node, how, attempt)]
        while stack:
            node, how, attempt = stack.pop()
            was_open = OPEN[node.state]
            self._move(node, DONE)
            self._tally.finished(how)
            if was_open:
                self._out.append(Finished(node.id, how, attempt))
            for user in node.users:
                user.waiting -= 1
                if user.state is WAITING:
                    if user.waiting == 0:
                        self._ripen(user)
                elif user.state is FOLLOWING and user.follow is node:
                    user.follow = None
                    stack.append((user, How.BECAME, None))

    def _fail(self, node: Node, fault: Fault, attempt: AttemptId | None = None) -> None:
        self._cancel_attempts(node)
        self._move(node, State.FAILED)
        self._out.append(Failed(node.id, fault, attempt))
        if not self.policy.keep_going and (RULES[fault].ends or not self._has_worked()):
            self._halted = True
        self._skip_users(node, node.id)

    def _skip(self, node: Node, cause: NodeId) -> None:
        self._move(node, State.SKIPPED)
        self._out.append(Skipped(node.id, cause))
        self._skip_users(node, cause)

    def _skip_users(self, node: Node, cause: NodeId) -> None:
        """All that wait for a node that will not be done are skipped, and all that wait for those."""
        stack = [node]
        while stack:
            broken = stack.pop()
            for user in broken.users:
                if user.state is WAITING or (user.state is FOLLOWING and user.follow is broken):
                    user.follow = None
                    self._move(user, State.SKIPPED)
                    self._out.append(Skipped(user.id, cause))
                    stack.append(user)
