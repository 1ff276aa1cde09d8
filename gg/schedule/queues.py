"""The ready queues and the timers: heaps whose entries go stale instead of being taken out.

There is one ready queue for each *resource class*: the engines that may take the node, and the size of the memory it
needs to the next power of two where an engine shares its memory. Nodes of one class are interchangeable but for
priority, so only the heads of a handful of queues are ever looked at. An entry is live while its ticket is the
node's ticket.
"""

from __future__ import annotations

import heapq
from enum import Enum

from gg.light.named import NamedTuple
from gg.schedule.events import AttemptId
from gg.schedule.fleet import EngineState
from gg.schedule.states import BACKOFF, Attempt, Node, Queue, QueueEntry


class ReadyQueues:
    """All ready nodes, by resource class."""

    __slots__ = ("by_class", "last_ticket")

    def __init__(self) -> None:
        self.by_class: dict[tuple[tuple[EngineState, ...], int], Queue] = {}
        self.last_ticket = 0

    def ticket(self) -> int:
        self.last_ticket += 1
        return self.last_ticket

    def push(self, node: Node, engines: tuple[EngineState, ...], memory: int) -> None:
        """Enter a node. `engines`: in order of preference. `memory`: bytes to set aside where the memory is shared."""
        key = (engines, memory.bit_length())
        queue = self.by_class.get(key)
        if queue is None:
            queue = self.by_class[key] = Queue(engines)
        node.queue = queue
        self.raised(node)

    def raised(self, node: Node) -> None:
        """Enter a ready node anew, after its rank has risen."""
        assert node.queue is not None
        node.ticket = self.ticket()
        heapq.heappush(node.queue.heap, (-node.rank, node.index, node.ticket, node))

    def heads(self, mask: int) -> list[tuple[QueueEntry, Queue]]:
        """The head of every queue that one of these engines serves, the highest priority first."""
        found = []
        for queue in self.by_class.values():
            if queue.mask & mask:
                entry = queue.head()
                if entry is not None:
                    found.append((entry, queue))
        if len(found) > 1:
            found.sort(key=lambda pair: pair[0][:3])
        return found

    def homeless(self) -> Queue | None:
        """The queue of the nodes that no engine serves now."""
        return self.by_class.get(((), 0))

    def take_all(self) -> list[Node]:
        """Empty all queues."""
        nodes = [node for queue in self.by_class.values() for node in queue.live()]
        for node in nodes:
            node.queue, node.ticket = None, 0
        self.by_class.clear()
        return nodes


class Due(Enum):
    """What a timer is for."""

    RETRY = 0  # a node's backoff has passed
    REVIEW = 1  # an attempt may be a straggler, or overdue
    HOMELESS = 2  # ready nodes that no engine serves


class Timer(NamedTuple):
    """One entry; `ticket` as in the ready queues, for RETRY."""

    when: float
    seq: int
    due: Due
    subject: Node | Attempt | None
    ticket: int


class Timers:
    """What is to happen at a later time."""

    __slots__ = ("heap", "seq")

    def __init__(self) -> None:
        self.heap: list[Timer] = []
        self.seq = 0

    def add(self, when: float, due: Due, subject: Node | Attempt | None = None, ticket: int = 0) -> None:
        self.seq += 1
        heapq.heappush(self.heap, Timer(when, self.seq, due, subject, ticket))

    def due(self, now: float) -> bool:
        """Whether there is anything to look at by this time."""
        return bool(self.heap) and self.heap[0].when <= now

    def next(self, running: dict[AttemptId, Attempt]) -> Timer | None:
        """The earliest timer that still matters."""
        heap = self.heap
        while heap:
            timer = heap[0]
            subject = timer.subject
            if isinstance(subject, Attempt):
                if subject.id in running:
                    return timer
            elif subject is None or (subject.ticket == timer.ticket and subject.state is BACKOFF):
                return timer
            heapq.heappop(heap)
        return None

    def pop(self) -> Timer:
        return heapq.heappop(self.heap)
