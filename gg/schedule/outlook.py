"""What comes next if no event comes in: when to wake the scheduler, and how long the rest may take."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempts
from gg.schedule.commands import Eta, WakeAt
from gg.schedule.course import Course
from gg.schedule.fleet import Fleet
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.queues import Timers
from gg.schedule.states import OPEN, READY
from gg.schedule.tally import Tally


class Outlook:
    """Looks ahead; it remembers the time of the last WakeAt."""

    __slots__ = ("_armed", "_attempts", "_course", "_fleet", "_lineup", "_nodes", "_tally", "_timers")

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
        self._armed = math.inf

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

    def eta(self, now: float) -> Eta:
        """How long what is wanted may still take, from the durations expected and how far they were off so far.

        Costs a walk over the attempts under way. The boost of a Want is part of the path.
        """
        off = self._tally.correction()
        path, work = 0.0, self._nodes.work_left * off
        for attempt in self._attempts.under_way.values():
            node, elapsed = attempt.node, now - attempt.started
            if attempt.live:
                left = max(node.rank * off - elapsed, (node.rank - node.seconds) * off)
                path = max(path, left)
                work -= min(elapsed, node.seconds * off)
        for entry, _ in self._lineup.queues.heads(-1):
            path = max(path, -entry[0] * off)
        width = sum(min(e.slots, int(min(e.window, e.slots))) for e in self._fleet.engines if e.usable)
        return Eta(path, max(0.0, work), width)

    def longest(self) -> float:
        """Expected seconds of the longest chain that is still wanted; a walk over all nodes."""
        return max((node.rank for node in self._nodes.graph.order if OPEN[node.state]), default=0.0)
