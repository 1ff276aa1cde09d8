"""The scheduler: `step(event) -> list[Command]`, pure.

No clock, no input or output, no threads, no randomness: the same events give the same commands. The driver feeds it
events and carries out its commands; the simulator does so under a virtual clock.

A node's way: a Want opens its cone, that is the node and all below it. When everything that the node needs is done, the
driver looks up whether a reduction is known for the node as it is now (so equal results stop the work here). If not, the
node is started when an engine has room. Its attempt ends in a value, or in a fault that `gg.schedule.policy.RULES` takes as
the user's, the engine's or nobody's. The first value wins. The answer of an attempt that nobody waits for only frees its
slot.

A failure ends the run as make does unless told to keep going: nothing new is started, what runs is let finish, and the
rest is dropped. A later Want begins anew. After Stop nothing is ever started again.

The scheduler is composed of parts, each with one state and each made of those above it only:

    Course      the policy, the time, the commands of this step     Fleet       the engines: slots, windows, breakers
    Nodes       the graph, and the state of each node                Timers      what is to happen later
    Failures    what will not be done                                Lineup      ready nodes, before the engines that may take them
    Settling    what is wanted; how a settled node settles others    Attempts    what is under way
    Verdicts    whom a fault is held against, what is tried again    Outlook     when to wake, how long the rest may take
    Starting    which ready node goes where, at what price           Stragglers  what drags, and who is silent

Here they are joined: each event is told to the parts that it concerns.

Settled nodes stay in memory: a later Want may meet them. `validate` checks every invariant, in time linear in all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from gg.schedule.attempts import Attempts
from gg.schedule.broken import Failures
from gg.schedule.commands import Command, Done, Eta, How, Summary
from gg.schedule.course import Course
from gg.schedule.events import (
    Add,
    AttemptId,
    Became,
    EngineChanged,
    EngineDown,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Grew,
    Hit,
    Lost,
    Miss,
    NodeId,
    Ran,
    SchedulerError,
    Sent,
    Stop,
    Tick,
    Want,
)
from gg.schedule.fleet import Fleet
from gg.schedule.lineup import Lineup
from gg.schedule.nodes import Nodes
from gg.schedule.outlook import Outlook
from gg.schedule.policy import Policy
from gg.schedule.queues import Timers
from gg.schedule.settle import Settling
from gg.schedule.starting import Starting
from gg.schedule.states import BACKOFF, DONE, IDLE, LOOKUP, OPEN, READY, RUNNING, WAITING, Attempt, Node, State
from gg.schedule.stragglers import Stragglers
from gg.schedule.tally import Tally
from gg.schedule.verdicts import Verdicts

_UNRUN = (LOOKUP, IDLE, WAITING, READY, BACKOFF)


class Scheduler:
    """Decides what runs, where and when. SchedulerError when the driver breaks the protocol."""

    def __init__(self, policy: Policy | None = None) -> None:
        policy = policy or Policy()
        course = self._course = Course(policy)
        tally = self._tally = Tally()
        timers = self._timers = Timers()
        fleet = self._fleet = Fleet(policy)
        nodes = self._nodes = Nodes(course)
        failures = self._failures = Failures(course, nodes, fleet, tally)
        lineup = self._lineup = Lineup(course, nodes, failures, fleet, timers)
        settling = self._settling = Settling(course, nodes, failures, lineup, tally)
        attempts = self._attempts = Attempts(course, nodes, fleet, timers, tally)
        verdicts = self._verdicts = Verdicts(course, nodes, failures, lineup, settling, attempts, timers, tally)
        outlook = self._outlook = Outlook(course, nodes, fleet, lineup, attempts, timers, tally)
        starting = self._starting = Starting(course, nodes, fleet, lineup.queues, attempts, outlook, tally)
        self._stragglers = Stragglers(course, fleet, lineup, attempts, verdicts, starting)
        self._announced = True  # Done was sent since the last Want

    @property
    def now(self) -> float:
        """The time of the latest event."""
        return self._course.now

    def step(self, event: Event) -> list[Command]:
        """What to do after one event."""
        return self.steps((event,))

    def steps(self, events: Iterable[Event]) -> list[Command]:
        """What to do after several events: as after one by one, but with fewer and larger Lookups."""
        course = self._course
        out = course.out = []
        for event in events:
            if event.now > course.now:
                course.now = event.now
            course.cause = type(event)
            self._handle(event)
        course.cause = Tick
        if self._timers.due(course.now):
            self._fire()
        if self._settling.asked:
            self._settling.flush_lookups()
        self._starting.dispatch()
        if self._stragglers.found:
            self._stragglers.hedge()
        if not self._announced:
            self._conclude()
        self._outlook.arm()
        return out

    def _handle(self, event: Event) -> None:
        match event:
            case Ran():
                self._ran(event)
            case Miss():
                self._miss(event)
            case Hit():
                self._hit(event)
            case Tick():
                pass
            case Sent():
                self._attempts.sent(event)
            case Faulted():
                self._faulted(event)
            case Add():
                self._nodes.counts[IDLE] += self._nodes.graph.add(event.nodes)
            case Want():
                self._wanted(event)
            case Grew():
                self._grew(event)
            case Became():
                self._became(event)
            case Lost():
                self._lost(event)
            case EngineUp():
                self._engine_up(event)
            case EngineChanged():
                self._engine_changed(event)
            case EngineDown():
                self._engine_down(event)
            case Stop():
                self._stop(event)
            case _:
                assert_never(event)

    def _fire(self) -> None:
        """All that is due."""
        timers, under_way, now = self._timers, self._attempts.under_way, self._course.now
        while (timer := timers.next(under_way)) is not None and timer.when <= now:
            timers.pop()
            subject = timer.subject
            if isinstance(subject, Node):
                self._lineup.enqueue(subject)
            elif subject is not None:
                self._stragglers.review(subject)
            else:
                self._lineup.evict_homeless()

    # What the driver says

    def _wanted(self, event: Want) -> None:
        self._announced = False
        self._outlook.changed()
        self._tally.dropped = 0
        if self._course.stopped:
            return
        roots = [self._nodes.graph[id] for id in event.ids]
        for node in roots:
            node.rank = max(node.rank, node.seconds + event.boost)
            if node.state is READY and node.queue is not None:
                self._lineup.queues.raised(node)
        self._settling.want(roots, roots, event.again)

    def _hit(self, event: Hit) -> None:
        for id in event.ids:
            node = self._nodes.graph[id]
            if node.state in _UNRUN:
                self._settling.finish(node, How.HIT)

    def _miss(self, event: Miss) -> None:
        for id in event.ids:
            node = self._nodes.graph[id]
            if node.state is LOOKUP:
                self._lineup.enqueue(node)

    def _lost(self, event: Lost) -> None:
        for id in event.ids:
            node = self._nodes.graph[id]
            if node.state is DONE:
                self._announced = False
                self._settling.lose(node)

    # What attempts came to

    def _ran(self, event: Ran) -> None:
        attempt = self._attempts.close(event.attempt)
        if attempt is None:
            return
        node, engine = attempt.node, attempt.engine
        engine.heard(self._course.now)
        self._attempts.ran_unannounced(attempt, event.seconds)
        self._learn(attempt, event.seconds)
        self._verdicts.worked(engine)
        if attempt.live:
            if attempt.batch is None:
                engine.lag.observe(self._attempts.lag(attempt, event.seconds))
            node.ran_on = engine.name
            self._tally.learn(node.seconds, event.seconds, event.changed)
            self._first_answer(attempt)
            self._settling.finish(node, How.RAN, attempt.id)

    def _learn(self, attempt: Attempt, seconds: float) -> None:
        node = attempt.node
        self._tally.busy += seconds
        attempt.engine.spread(node.kind).observe(seconds / node.seconds)

    def _first_answer(self, attempt: Attempt) -> None:
        """An attempt is the first to give its node a value: others of the node are not needed."""
        if attempt.hedge:
            self._tally.hedges_won += 1
        elif attempt.node.hedges:
            self._tally.hedges_lost += 1
        self._attempts.cancel_all_of(attempt.node)

    def _faulted(self, event: Faulted) -> None:
        attempt = self._attempts.close(event.attempt)
        if attempt is None:
            return
        if event.fault is not Fault.CANCELLED:  # a cancelled attempt says nothing about its engine
            attempt.engine.heard(self._course.now)
        self._verdicts.trust(attempt, event.fault)
        if attempt.live:
            self._verdicts.faulted(attempt, event.fault)

    def _answered(self, id: NodeId, attempt_id: AttemptId | None, seconds: float) -> Node | None:
        """The node of a Grew or Became, if somebody still waits for it. Its attempts are ended."""
        node = self._nodes.graph[id]
        if attempt_id is None:
            return node if node.state is LOOKUP else None
        known = self._attempts.under_way.get(attempt_id)
        if known is not None and known.node is not node:
            raise SchedulerError(f"attempt {attempt_id} is not one of {id!r}")
        attempt = self._attempts.close(attempt_id)
        if attempt is None:
            return None
        attempt.engine.heard(self._course.now)
        if seconds:
            self._learn(attempt, seconds)
        self._verdicts.worked(attempt.engine)
        if not attempt.live:
            return None
        self._first_answer(attempt)
        if self._course.stopped:
            self._failures.drop(node)
            return None
        return node

    def _grew(self, event: Grew) -> None:
        deps = [self._nodes.graph[dep] for dep in event.deps]
        node = self._answered(event.id, event.attempt, 0.0)
        if node is None:
            return
        before = len(node.deps)
        if not self._nodes.graph.link(node, deps):
            self._failures.fail(node, Fault.CYCLE, event.attempt)
        elif len(node.deps) > before or node.waiting:
            self._settling.wait_again(node)
        else:
            self._verdicts.asked_in_vain(node, event.attempt)

    def _became(self, event: Became) -> None:
        other = self._nodes.graph[event.other]
        node = self._answered(event.id, event.attempt, event.seconds)
        if node is None:
            return
        if not self._nodes.graph.link(node, [other]):
            self._failures.fail(node, Fault.CYCLE, event.attempt)
        elif other.state is DONE:
            self._settling.finish(node, How.BECAME)
        else:
            self._settling.follow(node, other)

    # Engines

    def _engine_up(self, event: EngineUp) -> None:
        self._fleet.come_up(self._course.now, event.engine, event.slots, event.caps)
        self._outlook.changed()
        self._lineup.place_anew()

    def _engine_changed(self, event: EngineChanged) -> None:
        engine = self._fleet[event.engine]
        engine.slots = event.slots
        engine.moved()
        self._outlook.changed()
        if event.caps is not None and event.caps != engine.caps:
            engine.told(event.caps)
            shared = event.caps.memory_total is not None  # what is under way is counted by the new capabilities
            engine.memory_used = sum(attempt.memory for attempt in self._attempts.on(engine)) if shared else 0
            self._lineup.place_anew()

    def _engine_down(self, event: EngineDown) -> None:
        engine = self._fleet[event.engine]
        gone = self._attempts.on(engine)
        for attempt in gone:
            self._attempts.close(attempt.id)
        engine.go_down()
        self._outlook.changed()
        for attempt in gone:
            if attempt.live:
                self._verdicts.faulted(attempt, Fault.CANCELLED)
        self._lineup.place_anew()

    # The end

    def _stop(self, event: Stop) -> None:
        """Cancel all attempts, or let them end; their answers still count. All other wanted nodes are dropped."""
        if not self._course.stopped:
            self._course.stopped = True
            self._announced = False
            self._drop_open()
        if not event.finish:
            for attempt in self._attempts.under_way.values():
                if attempt.live:
                    self._attempts.cancel(attempt)

    def _drop_open(self) -> None:
        """Drop every wanted node that is not under way."""
        for node in self._nodes.graph.order:
            if OPEN[node.state] and node.state is not RUNNING:
                self._failures.drop(node)
        self._lineup.clear()

    def _conclude(self) -> None:
        """Send Done, once, when no wanted node can go on any more."""
        course = self._course
        if course.stopped:
            over = not self._attempts.under_way
        elif course.halted:
            over = self._nodes.counts[RUNNING] == 0
        else:
            over = self._nodes.open == 0
        if over:
            if course.halted:
                self._drop_open()
                course.halted = False
            self._announced = True
            course.out.append(Done(self.summary()))

    # For those who look on

    def summary(self) -> Summary:
        return self._tally.summary(self._nodes.counts, self._fleet.engines, self._course.stopped)

    def eta(self, now: float) -> Eta:
        """How long what is wanted may still take (`Outlook.eta`)."""
        return self._outlook.eta(now)

    def longest(self) -> float:
        """Expected seconds of the longest chain that is still wanted; a walk over all nodes."""
        return self._outlook.longest()

    def state(self, id: NodeId) -> State:
        return self._nodes.graph[id].state

    def count(self, state: State) -> int:
        """How many nodes are in a state."""
        return self._nodes.counts[state]

    def story(self, id: NodeId) -> tuple[str, ...]:
        """What has happened to a node, oldest first, as far as it is remembered."""
        return self._nodes.story(self._nodes.graph[id])

    def validate(self) -> None:
        """AssertionError when an invariant does not hold."""
        from gg.schedule.audit import audit  # for tests alone

        audit(self._course, self._nodes, self._fleet, self._timers, self._lineup, self._attempts)
        assert not self._settling.asked, "nodes that nobody will be asked about"
