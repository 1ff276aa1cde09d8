"""The states of a node, which may follow which, and the records that the scheduler keeps.

    IDLE      known, and nobody wants it
    WAITING   wanted, something it depends on is not done
    LOOKUP    all it needs is done; the driver was asked whether its reduction is known
    READY     to be run; in exactly one ready queue
    RUNNING   one attempt, or several when hedged
    BACKOFF   to be run again, at a later time
    FOLLOWING its value is another node's value, which is not there yet
    DONE, FAILED, SKIPPED   settled

The six from WAITING to FOLLOWING are *open*: wanted and not settled. A node is wanted exactly when it is not IDLE
(or was, when it was settled without being asked for: a Hit of an IDLE node).

`Node.waiting` counts the dependencies that are not DONE, whatever state the node is in. That one rule makes lost
outputs simple: a node that leaves DONE adds one to each of its dependents, and takes it away when it is back.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from enum import IntEnum

from gg.core.thunk import Work
from gg.schedule.events import AttemptId, EngineName, Fault, NodeId, SchedulerError
from gg.schedule.fleet import EngineState


class State(IntEnum):
    IDLE = 0
    WAITING = 1
    LOOKUP = 2
    READY = 3
    RUNNING = 4
    BACKOFF = 5
    FOLLOWING = 6
    DONE = 7
    FAILED = 8
    SKIPPED = 9


IDLE, WAITING, LOOKUP, READY, RUNNING = State.IDLE, State.WAITING, State.LOOKUP, State.READY, State.RUNNING
BACKOFF, FOLLOWING, DONE, FAILED, SKIPPED = State.BACKOFF, State.FOLLOWING, State.DONE, State.FAILED, State.SKIPPED
"""A module's name is looked up in half the time of an enum's member."""

LEGAL: tuple[frozenset[State], ...] = (
    frozenset({WAITING, DONE}),  # IDLE
    frozenset({LOOKUP, READY, DONE, FAILED, SKIPPED, IDLE}),  # WAITING; DONE: an unasked Hit
    frozenset({READY, DONE, WAITING, FOLLOWING, FAILED, IDLE}),  # LOOKUP
    frozenset({RUNNING, WAITING, DONE, FAILED, IDLE}),  # READY
    frozenset({DONE, FAILED, READY, BACKOFF, WAITING, FOLLOWING, IDLE}),  # RUNNING
    frozenset({READY, WAITING, DONE, IDLE}),  # BACKOFF
    frozenset({DONE, SKIPPED, IDLE}),  # FOLLOWING
    frozenset({WAITING}),  # DONE: its blobs are gone
    frozenset({WAITING}),  # FAILED: wanted again
    frozenset({WAITING}),  # SKIPPED: wanted again
)
"""From a state (the index) to those that may follow it."""

OPEN: tuple[bool, ...] = tuple(WAITING <= state <= FOLLOWING for state in State)
BROKEN = (FAILED, SKIPPED)
PAST_MASK = (1 << 48) - 1


WORKS = tuple(Work)


class Trouble:
    """What went wrong with a node so far. Most nodes never need one."""

    __slots__ = (
        "barred",
        "blamed",
        "bumps",
        "deaths",
        "faulted",
        "free",
        "last",
        "lost_outputs",
        "lost_workers",
        "timeouts",
        "tries",
        "waited",
    )

    def __init__(self) -> None:
        self.last: Fault | None = None
        self.tries = 0  # counted faults
        self.blamed = 0  # faults that are held against engines
        self.free = 0  # faults that cost no attempt
        self.bumps = 0  # steps up in memory
        self.timeouts = 0
        self.lost_workers = 0
        self.deaths = 0  # workers that have died while they ran it
        self.waited = False  # has waited long enough for another machine than this one
        self.lost_outputs = 0
        self.faulted = 0  # bits of the engines that faulted on it
        self.barred = 0  # bits of the engines that cannot run it

    @property
    def harmed(self) -> bool:
        """Whether the node had trouble that it might cause to others that run with it. Throttling is none."""
        return bool(self.tries or self.free or self.bumps or self.barred or self.lost_outputs)


class Node:
    """A node of the graph. `index` numbers nodes in an order where, when added, dependencies come first."""

    __slots__ = (
        "attempts",
        "deps",
        "engines",
        "follow",
        "hedges",
        "id",
        "index",
        "input_size",
        "kind",
        "known",
        "memory",
        "past",
        "queue",
        "ran_on",
        "rank",
        "seconds",
        "state",
        "ticket",
        "trouble",
        "users",
        "waiting",
        "work",
    )

    def __init__(self, id: NodeId, index: int, work: Work, seconds: float, known: bool) -> None:
        self.id = id
        self.index = index
        self.work = work
        self.seconds = seconds  # expected, never 0
        self.known = known  # whether `seconds` is remembered, not assumed
        self.kind = 2 * WORKS.index(work) + known  # what its duration is compared with
        self.memory = 0
        self.input_size = 0
        self.engines: tuple[EngineName, ...] = ()
        self.ran_on: EngineName = ""  # the engine that ran it last, maybe in an earlier build
        self.state = IDLE
        self.past = 0  # the last twelve states, four bits each
        self.deps: tuple[Node, ...] = ()
        self.users: list[Node] | tuple[()] = ()
        self.waiting = 0
        self.rank = 0.0  # seconds from the start of this node to the end of the farthest wanted root
        self.follow: Node | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.hedges = 0  # duplicates since it was last started
        self.queue: Queue | None = None
        self.ticket = 0  # of its entry in a ready queue, or of its retry timer
        self.trouble: Trouble | None = None

    def troubled(self) -> Trouble:
        if self.trouble is None:
            self.trouble = Trouble()
        return self.trouble

    def states(self) -> tuple[State, ...]:
        """Its last states, oldest first, up to and with the present one."""
        past, states = self.past, [self.state]
        while past:
            states.append(State((past & 15) - 1))
            past >>= 4
        return tuple(reversed(states))

    def __repr__(self) -> str:
        return f"<node {self.index} {self.state.name}>"


QueueEntry = tuple[float, int, int, Node]
"""Minus the rank, the index, the ticket, the node: the longest way to go first, then the order of the build."""


class Queue:
    """The ready nodes of one resource class."""

    __slots__ = ("engines", "heap", "keeping", "mask", "priced")

    def __init__(self, engines: tuple[EngineState, ...]) -> None:
        self.engines = engines
        self.priced = len({e.caps.price for e in engines}) > 1
        self.keeping = sum(e.caps.keeps for e in engines) > 1
        self.mask = sum(e.bit for e in engines)
        self.heap: list[QueueEntry] = []

    def head(self) -> QueueEntry | None:
        """The live entry of the highest priority; stale ones before it are dropped."""
        heap = self.heap
        while heap:
            entry = heap[0]
            if entry[3].ticket == entry[2]:
                return entry
            heapq.heappop(heap)
        return None

    def live(self) -> Iterator[Node]:
        return (entry[3] for entry in self.heap if entry[3].ticket == entry[2])


class Attempt:
    """One Start that its engine has not answered yet. `live` until it is cancelled."""

    __slots__ = (
        "batch",
        "engine",
        "give_up",
        "hedge",
        "id",
        "limit",
        "live",
        "memory",
        "node",
        "overdue",
        "since",
        "started",
    )

    def __init__(
        self, id: AttemptId, node: Node, engine: EngineState, started: float, memory: int, hedge: bool
    ) -> None:
        self.id = id
        self.node = node
        self.engine = engine
        self.started = started
        self.since = math.inf if engine.caps.announces else started  # when it was sent
        self.limit: float | None = None  # seconds it may take from then on
        self.memory = memory
        self.give_up = math.inf  # when to go on without its answer
        self.hedge = hedge
        self.live = True
        self.overdue = False
        self.batch: Batch | None = None

    @property
    def slot(self) -> Attempt | Batch:
        """What holds a slot of the engine: this attempt alone, or its batch."""
        return self.batch or self

    @property
    def leads(self) -> bool:
        """Whether it is alone in its slot, or the first there."""
        return self.batch is None or self.batch.members[0] is self


class Batch:
    """Attempts that share an invocation, and so a slot, which is free when all have been answered. `late`: the seconds that
    all of them take at most, as far as was known when they were started.
    """

    __slots__ = ("_left", "_unblamed", "late", "members", "overdue")

    def __init__(self) -> None:
        self.members: list[Attempt] = []
        self.late = 0.0
        self.overdue = False
        self._left = -1
        self._unblamed = True

    def closed(self) -> bool:
        """One attempt has been answered. True if it was the last."""
        self._left = (len(self.members) if self._left < 0 else self._left) - 1
        return self._left == 0

    def blamed(self) -> bool:
        """One attempt's fault is held against the engine. True for the first: one invocation is one fault."""
        first, self._unblamed = self._unblamed, False
        return first


class IllegalTransition(SchedulerError):
    """A transition that the table does not allow. `story` is what happened to the node, oldest first."""

    def __init__(self, node: Node, new: State, story: tuple[str, ...]) -> None:
        super().__init__(f"{node.id!r}: {node.state.name} to {new.name} after:\n  " + "\n  ".join(story))
        self.story = story
