"""Which engine a ready node is started on where a second costs more on one than on another.

The rule: the cheapest engine on which the node does not end so late that the build ends later. Slack is the time between the
end of the longest way from the node and the expected end of the build. A node without slack goes where it ends first. Another
one goes where it costs least, if that is later by no more than its slack.

It may also wait for a cheaper engine all of whose slots are taken: if all that is ready would end in time there, and if that
engine, with others that cost no more, can do all that is left until the build's expected end. Otherwise the dearer ones have to
help, and begin with the node that has the longest way to go.

An engine costs what an attempt there adds to the bill. A spot machine that runs is paid whatever it does, and so is this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from gg.schedule.course import Course
from gg.schedule.fleet import Breaker, EngineState, Fleet
from gg.schedule.nodes import Nodes
from gg.schedule.outlook import Outlook
from gg.schedule.states import READY, Node
from gg.schedule.tally import Tally

_LOOK_S = 0.5
_SURE = 0.9  # of the time that is left: the last of many thunks must not come too late because one took longer
NOISE = 0.1
"""of what a thunk takes: no expectation is more exact."""


class Thrift:
    """Chooses among engines of several prices."""

    __slots__ = ("_course", "_fleet", "_nodes", "_outlook", "_tally")

    def __init__(self, course: Course, nodes: Nodes, fleet: Fleet, outlook: Outlook, tally: Tally) -> None:
        self._course = course
        self._nodes = nodes
        self._fleet = fleet
        self._outlook = outlook
        self._tally = tally

    def choose(self, node: Node, engines: Sequence[EngineState], free: Sequence[EngineState]) -> EngineState | None:
        """The engine of those with room (`free`) that is to take the node; None if it is to wait for another of `engines`."""
        takes = {engine: engine.expected(node.kind, node.seconds) for engine in engines}
        soonest = min(free, key=lambda engine: takes[engine])
        latest = takes[soonest] * (1.0 + NOISE) + self._slack(node)
        in_time = [engine for engine in free if takes[engine] <= latest]
        best = min(in_time, key=lambda engine: (engine.caps.price, takes[engine]))
        for engine in engines:
            cheaper = engine.caps.price < best.caps.price and engine not in free
            if cheaper and self._is_worth_waiting_for(engine, takes[engine], latest):
                self._outlook.choose_at = self._course.now + _LOOK_S
                return None
        return best

    def _slack(self, node: Node) -> float:
        """By how many seconds the node may end later than it could."""
        return max(0.0, self._outlook.left() - node.rank * self._tally.correction())

    def _is_worth_waiting_for(self, engine: EngineState, takes: float, latest: float) -> bool:
        """Whether an engine without room has a slot soon enough for all that is ready, and it and others as cheap are enough for
        all that is left.
        """
        width, now = engine.width(), self._course.now
        if not width or engine.breaker is not Breaker.CLOSED or now < engine.held_until:
            return False
        turn = self._outlook.free_at.get(engine, now) - now
        if turn <= 0.0:
            turn = takes / width
        if turn + takes * (1.0 + (self._nodes.counts[READY] - 1) / width) > latest:
            return False
        cheap, work = 0, self._nodes.work_left
        for each in self._fleet.engines:
            if each.caps.price > engine.caps.price:
                work -= each.load  # that is done there already
            elif each.usable:
                cheap += each.width()
        return work * self._tally.correction() <= _SURE * self._outlook.left() * cheap
