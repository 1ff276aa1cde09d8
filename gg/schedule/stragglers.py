"""Attempts that drag: they are duplicated if slots are left over, and given up when overdue. Also engines that are silent."""

from __future__ import annotations

import math

from gg.schedule.attempts import Attempts, late_of, memory_on
from gg.schedule.commands import Cancel, Silent, Unmanned
from gg.schedule.course import Course
from gg.schedule.events import Fault
from gg.schedule.fleet import Breaker, EngineState, Fleet
from gg.schedule.lineup import Lineup
from gg.schedule.policy import deadline, hedge_after, unknown_patience
from gg.schedule.starting import Starting
from gg.schedule.states import Attempt, Node
from gg.schedule.verdicts import Verdicts


class Stragglers:
    """Looks after attempts that drag. `found`: those found in this step."""

    __slots__ = ("_attempts", "_course", "_fleet", "_lineup", "_starting", "_verdicts", "found")

    def __init__(
        self,
        course: Course,
        fleet: Fleet,
        lineup: Lineup,
        attempts: Attempts,
        verdicts: Verdicts,
        starting: Starting,
    ) -> None:
        self._course = course
        self._fleet = fleet
        self._lineup = lineup
        self._attempts = attempts
        self._verdicts = verdicts
        self._starting = starting
        self.found: list[Attempt] = []

    def review(self, attempt: Attempt) -> None:
        """It is time to look at an attempt."""
        course = self._course
        cancelled = course.stopped or not attempt.live
        if course.now < attempt.give_up:
            if not cancelled:
                self.found.append(attempt)
        elif cancelled:
            self._verdicts.forget(attempt, Fault.CANCELLED)
        else:
            course.out.append(Cancel(attempt.id, attempt.engine.name))
            self._verdicts.forget(attempt, Fault.LOST)

    def hedge(self) -> None:
        """Duplicate attempts that drag, if slots are left over now; otherwise look again later."""
        found, self.found = self.found, []
        for attempt in found:
            if self._attempts.waited_for(attempt):
                self._hedge(attempt)
        self._starting.dispatch()

    def _hedge(self, attempt: Attempt) -> None:
        node, course = attempt.node, self._course
        over = course.over
        if not over and self._attempts.waits_for_worker(attempt):
            self._begin_elsewhere(attempt)
        elif not over and self._drags(node):
            _let_pass(attempt)
            self._listen(attempt.engine)
            asked = self._attempts.waited_for(attempt) and self._may_hedge(node)
            engine = self._second(node.attempts[-1]) if asked else None
            if engine is not None and self._may_ask(engine, node):
                course.out.append(self._attempts.begin(node, engine, hedge=True))
        if self._attempts.waited_for(attempt):
            if not over and self._takes_too_long(attempt):
                self._verdicts.give_up(attempt, Fault.TIMEOUT)
            else:
                if not over and self._is_overdue(attempt):
                    self._begin_in_reserve(node)
                self._attempts.review_later(attempt, max(1.0, 0.25 * (course.now - attempt.started)))

    def _takes_too_long(self, attempt: Attempt) -> bool:
        """Whether an attempt of unknown duration takes many times as long as similar ones. It is then given up. In case the node
        is simply slow, its next attempt may take as long as any.
        """
        node, engine, policy = attempt.node, attempt.engine, self._course.policy
        timeouts = node.trouble.timeouts if node.trouble else 0
        if node.known or timeouts or not engine.spread(node.kind).seen:
            return False
        limit = deadline(policy, engine.caps, late_of(attempt), True, 0)
        return limit is not None and self._course.now - attempt.since >= limit + policy.cancel_grace

    def _is_overdue(self, attempt: Attempt) -> bool:
        """Whether an attempt takes many times as long as similar ones. While none of these has ended, or the attempt has not begun,
        it may take as many times longer as nobody is impatient.
        """
        node, engine, policy, now = attempt.node, attempt.engine, self._course.policy, self._course.now
        if attempt.since == math.inf:
            return now - attempt.started >= unknown_patience(policy)
        known = node.known or engine.spread(node.kind).seen
        usual = late_of(attempt) if known else max(late_of(attempt), policy.hedge_blind)
        limit = deadline(policy, engine.caps, usual, True, 0)
        return limit is not None and now - attempt.since >= limit

    # Duplicates

    def _begin_elsewhere(self, attempt: Attempt) -> None:
        """Begin a node on another engine too, since no worker takes it. It may be taken still; the first answer wins."""
        node, engine = attempt.node, attempt.engine
        if engine.stalled(self._course.now):
            self._course.out.append(Unmanned(engine.name))
        second = self._second(attempt) if node.attempts[-1] is attempt and self._may_hedge(node) else None
        if second is not None and second is not engine:
            self._course.out.append(self._attempts.begin(node, second, hedge=True))

    def _begin_in_reserve(self, node: Node) -> None:
        """Begin a node on the fallback too: one worker may have taken its duplicates as well, and answer none of them. What is
        merely slow goes on there; the first answer wins.
        """
        engine, most = self._lineup.reserve(node), 2 * self._course.policy.max_hedges
        if engine is None or node.hedges > most or self._is_used_up(node) or self._is_wide():
            return
        taken = any(attempt.engine is engine for attempt in node.attempts)
        if not taken and engine.room(self._course.now) and engine.fits(memory_on(node, engine)):
            self._course.out.append(self._attempts.begin(node, engine, hedge=True))

    def _may_hedge(self, node: Node) -> bool:
        """Whether the node may have another duplicate, by its attempts side by side and those that it has used up."""
        most = self._course.policy.max_hedges
        return len(node.attempts) <= most and node.hedges < 2 * most and not self._is_used_up(node)

    def _is_used_up(self, node: Node) -> bool:
        trouble = node.trouble
        return trouble is not None and (bool(trouble.deaths) or self._verdicts.used_up(trouble))

    def _is_wide(self) -> bool:
        """Whether as many attempts run as may run on all engines together."""
        width = self._course.policy.width
        return width is not None and self._fleet.wide() >= width

    def _drags(self, node: Node) -> bool:
        """Whether the node's last attempt takes long, by what is known now: early in a run every unknown node seems slow."""
        return bool(node.attempts) and self._course.now - node.attempts[-1].since >= self._patience(node)

    def _patience(self, node: Node) -> float:
        """How long the node's last attempt may run before it drags."""
        last, policy = node.attempts[-1], self._course.policy
        spread = last.engine.spread(node.kind)
        patience = hedge_after(policy, late_of(last), node.known or spread.seen, node.hedges)
        return patience + min(last.engine.lag.bound(), policy.hedge_blind)

    def _second(self, attempt: Attempt) -> EngineState | None:
        """An engine with room for a duplicate: another than the attempt's own, if there is one."""
        node, now = attempt.node, self._course.now
        if self._is_wide():
            return None
        engines = [
            e
            for e in self._lineup.candidates(node)
            if e.room(now) and (e is not attempt.engine or e.caps.independent) and e.fits(memory_on(node, e))
        ]
        return next((e for e in engines if e is not attempt.engine), engines[0] if engines else None)

    # Silence

    def _may_ask(self, engine: EngineState, node: Node) -> bool:
        """Whether a duplicate may go to an engine that has been silent for as long as the node may take. One at a time may, to
        find out whether any answer comes. More would be paid for though the first answers may be on their way.
        """
        now = self._course.now
        own = [attempt for attempt in node.attempts if attempt.engine is engine]
        if not own or engine.running <= len(own) or now - engine.heard_at < self._patience(node):
            return True
        if now < engine.quiet_until:
            return False
        engine.wait_for_news(now)
        return True

    def _listen(self, engine: EngineState) -> None:
        """Report and act when an engine is silent while all that runs there is overdue: the fallback takes over, and one attempt
        is made anew, in the place of the oldest if there is no free slot.
        """
        now, silence = self._course.now, self._course.policy.silence
        quiet = now - engine.heard_at
        if quiet < silence or now < engine.listen_at or not engine.caps.independent:
            return
        engine.listen_at = max(engine.quiet_until, now + 1.0)
        running = self._attempts.on(engine)
        nodes = {id(attempt.node): attempt.node for attempt in running}
        if now < engine.quiet_until or len(nodes) < 2 or not all(self._drags(node) for node in nodes.values()):
            return
        if engine.breaker is Breaker.CLOSED:
            self._course.out.append(Silent(engine.name, quiet, len(running)))
        engine.wait_for_news(now)
        engine.probe_silence(now)
        live = [attempt for attempt in running if attempt.live]
        if engine.running >= engine.slots and quiet >= 3 * silence and live:
            self._give_place(live[0])
        self._lineup.place_anew()

    def _give_place(self, oldest: Attempt) -> None:
        """Go on without an attempt and those that share its slot."""
        members = [oldest] if oldest.batch is None else oldest.batch.members
        for attempt in [each for each in members if self._attempts.waited_for(each)]:
            self._verdicts.give_up(attempt, Fault.CANCELLED)


def _let_pass(attempt: Attempt) -> None:
    """Let an overdue attempt's slot no longer count in the engine's window."""
    slot = attempt.slot
    attempt.engine.overdue += not slot.overdue
    slot.overdue = True
