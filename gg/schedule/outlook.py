"""What comes next if no event comes in: when to wake the scheduler, and how long the rest may take."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempts
from gg.schedule.commands import Eta, WakeAt
from gg.schedule.course import Course
from gg.schedule.fleet import EngineState, Fleet
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.queues import Timers
from gg.schedule.states import BACKOFF, LOOKUP, OPEN, READY
from gg.schedule.tally import Tally

_LOOK_S = 0.5
_LOOK_SHARE = 0.02
_UNSEEN_S = 5.0


class Outlook:
    """Looks ahead; it remembers the time of the last WakeAt, and when the build was last expected to end: to tell that takes a walk
    over all attempts under way. `free_at`: when each engine was last expected to have a slot free. `choose_at`: when to choose anew
    for nodes that wait for a cheaper engine.
    """

    __slots__ = (
        "_armed",
        "_attempts",
        "_course",
        "_ends",
        "_fleet",
        "_lineup",
        "_look_at",
        "_nodes",
        "_tally",
        "_timers",
        "choose_at",
        "free_at",
    )

    def __init__(
        self,
        course: Course,
        nodes: Nodes,
        fleet: Fleet,
        lineup: Lineup,
        attempts: Attempts,
        timers: Timers,
        tally: Tally,
    ) -> None:
        self._course = course
        self._nodes = nodes
        self._fleet = fleet
        self._lineup = lineup
        self._attempts = attempts
        self._timers = timers
        self._tally = tally
        self._armed = self.choose_at = math.inf
        self._ends = self._look_at = -math.inf
        self.free_at: dict[EngineState, float] = {}

    def arm(self) -> None:
        """Ask for a Tick, unless one that comes early enough was asked for."""
        if self._armed > self._course.now and self._earliest() >= self._armed:
            return
        when = self._next_wake()
        if when is not None:
            self._armed = when
            self._course.out.append(WakeAt(when))

    def _earliest(self) -> float:
        """A time no later than `_next_wake`, found more cheaply."""
        heap, course = self._timers.heap, self._course
        when = heap[0].when if heap else math.inf
        if self._nodes.counts[READY] and not (course.halted or course.stopped):
            when = min(when, self.choose_at)
            for engine in self._fleet.engines:
                opens = engine.opens_at(course.now)
                if opens is not None and opens < when:
                    when = opens
        return when

    def _next_wake(self) -> float | None:
        """The time at which something must be done if no event comes in; None when nothing waits for time."""
        under_way = self._attempts.under_way
        if not (self._nodes.open or under_way):
            return None
        self._timers.next(under_way)
        when = self._earliest()
        return when if when < math.inf else None

    def changed(self) -> None:
        """More is wanted, or engines have come or gone."""
        self._look_at = -math.inf

    def left(self) -> float:
        """Seconds until the build ends, as expected half a second ago or later."""
        now, counts = self._course.now, self._nodes.counts
        unseen = counts[LOOKUP] or counts[BACKOFF]  # perhaps the longest way goes on from such a node
        if now >= self._look_at + (_UNSEEN_S if unseen else 0.0):
            seconds = self.eta(now).seconds
            self.free_at = self._next_ends(now)
            self._ends, self._look_at = now + seconds, now + max(_LOOK_S, _LOOK_SHARE * seconds)
        return max(0.0, self._ends - now)

    def _next_ends(self, now: float) -> dict[EngineState, float]:
        found: dict[EngineState, float] = {}
        for attempt in self._attempts.under_way.values():
            engine, node = attempt.engine, attempt.node
            end = attempt.started + engine.expected(node.kind, node.seconds)
            if end > now and end < found.get(engine, math.inf):
                found[engine] = end
        return found

    def eta(self, now: float) -> Eta:
        """How long what is wanted may still take: a walk over the attempts under way. The boost of a Want is part of the path."""
        off = self._tally.correction()
        path, work, begun = 0.0, self._nodes.work_left * off, 0
        for attempt in self._attempts.under_way.values():
            node, elapsed = attempt.node, now - attempt.started
            begun += attempt.engine.caps.queued and attempt.leads and attempt.since < math.inf
            if attempt.live:
                left = max(node.rank * off - elapsed, (node.rank - node.seconds) * off)
                path = max(path, left)
                work -= min(elapsed, node.seconds * off)
        for entry, _ in self._lineup.queues.heads(-1):
            path = max(path, -entry[0] * off)
        engines = [engine for engine in self._fleet.engines if engine.usable]
        sure = begun + sum([e.width() for e in engines if not (e.caps.queued or e.caps.reserve)])
        return Eta(path, max(0.0, work), sum([e.width() for e in engines]), sure)

    def longest(self) -> float:
        """Expected seconds of the longest chain that is still wanted; a walk over all nodes."""
        return max((node.rank for node in self._nodes.graph.order if OPEN[node.state]), default=0.0)
