"""The graph of nodes: who depends on whom, and how far each node is from the end of what is wanted.

`Node.rank` is the critical path: the expected seconds from the node's start to the end of the farthest wanted root.
Ranks only rise while a node is open, so they are kept by raising: from a changed node down to its dependencies, and no
farther than something changes. Nodes are taken by falling index. As dependencies have lower indices when they are
added, each is then taken once; only edges that came later (Grew, Became) can make one be taken again.

The graph has no cycle among nodes that are not done. New nodes are checked when they are added, a later edge when it
comes, and a done node when it must be forced again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from gg.schedule.events import NodeId, NodeSpec, SchedulerError
from gg.schedule.policy import expected_seconds
from gg.schedule.states import DONE, READY, Node


class Graph:
    """All nodes, by id and in the order of their indices."""

    __slots__ = ("nodes", "order")

    def __init__(self) -> None:
        self.nodes: dict[NodeId, Node] = {}
        self.order: list[Node] = []

    def __getitem__(self, id: NodeId) -> Node:
        node = self.nodes.get(id)
        if node is None:
            raise SchedulerError(f"{id!r} was never added")
        return node

    def add(self, specs: Iterable[NodeSpec]) -> int:
        """Add those nodes that are new, in any order; returns how many. SchedulerError for an unknown dependency or a cycle."""
        fresh = {spec.id: spec for spec in specs if spec.id not in self.nodes}
        opened: set[NodeId] = set()
        for spec in fresh.values():
            if spec.id not in self.nodes:
                self._add_with_deps(spec, fresh, opened)
        return len(fresh)

    def _add_with_deps(self, first: NodeSpec, fresh: dict[NodeId, NodeSpec], opened: set[NodeId]) -> None:
        stack = [first]
        while stack:
            spec = stack[-1]
            missing = [dep for dep in spec.deps if dep not in self.nodes]
            if not missing:
                stack.pop()
                if spec.id not in self.nodes:
                    self._create(spec)
                continue
            if spec.id in opened:
                raise SchedulerError(f"{spec.id!r} depends on itself")
            opened.add(spec.id)
            for dep in missing:
                if dep not in fresh:
                    raise SchedulerError(f"{spec.id!r} depends on {dep!r}, which was never added")
                stack.append(fresh[dep])

    def _create(self, spec: NodeSpec) -> None:
        seconds = expected_seconds(spec.work, spec.seconds)
        node = Node(spec.id, len(self.order), spec.work, seconds, spec.seconds is not None)
        node.memory, node.input_size = spec.memory, spec.input_size
        node.engines, node.ran_on = spec.engines, spec.ran_on
        self.nodes[spec.id] = node
        self.order.append(node)
        if spec.deps:
            self._link(node, dict.fromkeys(self.nodes[dep] for dep in spec.deps))

    def _link(self, node: Node, deps: Iterable[Node]) -> None:
        node.deps = (*node.deps, *deps)
        for dep in deps:
            if dep.state is not DONE:
                node.waiting += 1
            if dep.users:
                assert isinstance(dep.users, list)
                dep.users.append(node)
            else:
                dep.users = [node]

    def link(self, node: Node, deps: Iterable[Node]) -> bool:
        """Let `node` depend on these too. False, with nothing changed, if that makes a cycle."""
        new = [dep for dep in dict.fromkeys(deps) if dep not in node.deps]
        if self.reaches(new, node):
            return False
        self._link(node, new)
        return True

    def reaches(self, starts: Iterable[Node], target: Node) -> bool:
        """Whether `target` is among `starts` or below them. Done nodes are not searched: they wait for nothing."""
        stack = list(starts)
        if target in stack:
            return True
        seen: set[Node] = set()
        while stack:
            node = stack.pop()
            if node is target:
                return True
            if node.state is not DONE and node not in seen:
                seen.add(node)
                stack.extend(node.deps)
        return False

    def raise_ranks(self, starts: Iterable[Node]) -> list[Node]:
        """Carry the ranks of `starts` down to their dependencies. The answer is the ready nodes whose rank has risen."""
        pending = {node.index for node in starts}
        heap = [-index for index in pending]
        heapq.heapify(heap)
        risen = []
        while heap:
            index = -heapq.heappop(heap)
            pending.discard(index)
            node = self.order[index]
            rank = node.rank
            for dep in node.deps:
                state = dep.state
                if state < DONE and rank + dep.seconds > dep.rank:
                    dep.rank = rank + dep.seconds
                    if state is READY:
                        risen.append(dep)
                    if dep.index not in pending:
                        pending.add(dep.index)
                        heapq.heappush(heap, -dep.index)
        return risen
