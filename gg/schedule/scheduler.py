"""The scheduler: `step(event) -> list[Command]`, pure.

No clock, no input or output, no threads, no randomness: the same events give the same commands. The driver feeds it
what has happened and does what it says; the simulator does so under a virtual clock.

A node's way: a Want opens its cone; when all that it needs is done the driver looks up whether the reduction of what
it has become is known (so equal results stop the work here); if not it is started when an engine has room. Its
attempt ends in a value, or in a fault that `gg.schedule.policy.RULES` takes as the user's, the engine's or nobody's. The
first value wins. What comes from an attempt that is not waited for any more only frees its slot.

A failure ends the run as make does unless told to keep going: nothing new is started, what runs is let finish, and the
rest is dropped. A later Want begins anew. After Stop nothing is ever started again.

Settled nodes stay in memory: a later Want may meet them. `validate` checks every invariant, in time linear in all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import assert_never

from gg.schedule.audit import audit
from gg.schedule.dispatch import Dispatching
from gg.schedule.events import (
    Add,
    AttemptId,
    Became,
    Caps,
    Command,
    Done,
    EngineChanged,
    EngineDown,
    EngineUp,
    Event,
    Fault,
    Faulted,
    Grew,
    Hit,
    How,
    Lost,
    Miss,
    NodeId,
    Ran,
    Sent,
    Stop,
    Summary,
    Tick,
    WakeAt,
    Want,
)
from gg.schedule.fleet import Engine
from gg.schedule.policy import Policy
from gg.schedule.settle import BACKOFF, BROKEN, DONE, FOLLOWING, IDLE, LOOKUP, READY, RUNNING, WAITING
from gg.schedule.states import OPEN, Attempt, Node, SchedulerError, State


class Scheduler(Dispatching):
    """Decides what runs, where and when. SchedulerError when the driver breaks the protocol."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(policy or Policy())
        self._announced = True  # Done was said since the last Want
        self._armed = math.inf  # the time of the last WakeAt

    def step(self, event: Event) -> list[Command]:
        """What to do after one event."""
        return self.steps((event,))

    def steps(self, events: Iterable[Event]) -> list[Command]:
        """What to do after several events: the same outcome as one by one, with fewer and larger Lookups."""
        out = self._out = []
        for event in events:
            if event.now > self.now:
                self.now = event.now
            self._cause = type(event)
            self._handle(event)
        self._cause = Tick
        if self._timers.due(self.now):
            self._fire()
        if self._ask:
            self._flush_lookups()
        if self._counts[READY] and not (self._halted or self._stopped):
            self._dispatch()
        if self._stragglers:
            self._hedge_stragglers()
        if not self._announced:
            self._conclude()
        self._arm()
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
                self._sent(event)
            case Faulted():
                self._faulted(event)
            case Add():
                self._counts[IDLE] += self._graph.add(event.nodes)
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

    # What the driver says

    def _wanted(self, event: Want) -> None:
        self._announced = False
        self._tally.dropped = 0
        if self._stopped:
            return
        roots = [self._graph[id] for id in event.ids]
        for node in roots:
            node.rank = max(node.rank, node.seconds + event.boost)
            if node.state is READY and node.queue is not None:
                self._ready.raised(node)
        self._want(roots, roots, event.again)

    def _hit(self, event: Hit) -> None:
        for id in event.ids:
            node = self._graph[id]
            if node.state in (LOOKUP, IDLE, WAITING, READY, BACKOFF):
                self._finish(node, How.HIT)

    def _miss(self, event: Miss) -> None:
        for id in event.ids:
            node = self._graph[id]
            if node.state is LOOKUP:
                self._enqueue(node)

    def _lost(self, event: Lost) -> None:
        for id in event.ids:
            node = self._graph[id]
            if node.state is DONE:
                self._force_again(node)

    def _force_again(self, node: Node) -> None:
        """A done node's blobs are gone: it is open once more, and what was about to read them waits for it."""
        self._announced = False
        self._tally.lost_again += 1
        trouble = node.troubled()
        trouble.lost_outputs += 1
        trouble.last = Fault.MISSING_INPUT
        node.hedges = 0
        self._move(node, WAITING)
        for user in node.users:
            user.waiting += 1
            if user.state in (LOOKUP, READY, BACKOFF):
                self._move(user, WAITING)
        if self._stopped:
            self._drop(node)
        elif trouble.lost_outputs > self.policy.max_lost_outputs:
            self._fail(node, Fault.MISSING_INPUT)
        elif self._graph.reaches(node.deps, node):
            self._fail(node, Fault.CYCLE)
        else:
            node.rank = max([node.seconds, *(u.rank + node.seconds for u in node.users if OPEN[u.state])])
            self._want([dep for dep in node.deps if dep.state is IDLE], [node])
            if node.state is WAITING:
                self._await(node)

    # What attempts came to

    def _ran(self, event: Ran) -> None:
        attempt = self._close(event.attempt)
        if attempt is None:
            return
        node = attempt.node
        attempt.engine.heard(self.now)
        self._learn(attempt, event.seconds)
        self._worked(attempt.engine)
        if attempt.live:
            if attempt.batch is None:
                attempt.engine.lag.observe(self._lag(attempt, event.seconds))
            self._tally.learn(node.seconds, event.seconds, event.changed)
            self._first_answer(attempt)
            self._finish(node, How.RAN, attempt.id)

    def _learn(self, attempt: Attempt, seconds: float) -> None:
        node = attempt.node
        self._tally.busy += seconds
        attempt.engine.spread(node.kind).observe(seconds / node.seconds)

    def _first_answer(self, attempt: Attempt) -> None:
        """An attempt has told what its node is: the other one, if any, is not needed."""
        if attempt.hedge:
            self._tally.hedges_won += 1
        elif attempt.node.hedges:
            self._tally.hedges_lost += 1
        self._cancel_attempts(attempt.node)

    def _faulted(self, event: Faulted) -> None:
        attempt = self._close(event.attempt)
        if attempt is None:
            return
        if event.fault is not Fault.CANCELLED:  # no news of what runs there
            attempt.engine.heard(self.now)
        self._trust(attempt, event.fault)
        if attempt.live:
            self._faulted_attempt(attempt, event.fault)

    def _answered(self, id: NodeId, attempt_id: AttemptId | None, seconds: float) -> Node | None:
        """The node of a Grew or Became, if it is still of interest; its attempts are over."""
        node = self._graph[id]
        if attempt_id is None:
            return node if node.state is LOOKUP else None
        known = self._attempts.get(attempt_id)
        if known is not None and known.node is not node:
            raise SchedulerError(f"attempt {attempt_id} is not one of {id!r}")
        attempt = self._close(attempt_id)
        if attempt is None:
            return None
        attempt.engine.heard(self.now)
        if seconds:
            self._learn(attempt, seconds)
        self._worked(attempt.engine)
        if not attempt.live:
            return None
        self._first_answer(attempt)
        if self._stopped:
            self._drop(node)
            return None
        return node

    def _grew(self, event: Grew) -> None:
        deps = [self._graph[dep] for dep in event.deps]
        node = self._answered(event.id, event.attempt, 0.0)
        if node is None:
            return
        before = len(node.deps)
        if not self._graph.link(node, deps):
            self._fail(node, Fault.CYCLE, event.attempt)
        elif len(node.deps) > before or node.waiting:
            self._wait_again(node)
        else:
            self._grew_nothing(node, event.attempt)

    def _grew_nothing(self, node: Node, attempt: AttemptId | None) -> None:
        """It asks for what it was given: run it again, but not for ever."""
        trouble = node.troubled()
        trouble.free += 1
        if trouble.free > self.policy.max_free:
            self._fail(node, Fault.UNDECLARED, attempt)
        else:
            self._enqueue(node)

    def _became(self, event: Became) -> None:
        other = self._graph[event.other]
        node = self._answered(event.id, event.attempt, event.seconds)
        if node is None:
            return
        if not self._graph.link(node, [other]):
            self._fail(node, Fault.CYCLE, event.attempt)
        elif other.state is DONE:
            self._finish(node, How.BECAME)
        else:
            node.follow = other
            self._move(node, FOLLOWING)
            self._want([other], [node])
            if other.state in BROKEN and node.state is FOLLOWING:
                node.follow = None
                self._skip(node, other.id)

    # Engines

    def _engine(self, name: str) -> Engine:
        engine = self._engines.get(name)
        if engine is None or not engine.up:
            raise SchedulerError(f"engine {name!r} is not up")
        return engine

    def _engine_up(self, event: EngineUp) -> None:
        engine = self._engines.get(event.engine)
        if engine is None:
            engine = self._engines[event.engine] = Engine(event.engine, len(self._fleet), self.policy)
            self._fleet.append(engine)
        elif engine.up:
            raise SchedulerError(f"engine {event.engine!r} is up already")
        engine.come_up(self.now, event.slots, event.caps)
        self._replace_all()

    def _engine_changed(self, event: EngineChanged) -> None:
        engine = self._engine(event.engine)
        engine.slots = event.slots
        if event.caps is not None and event.caps != engine.caps:
            self._change_caps(engine, event.caps)
            self._replace_all()

    def _change_caps(self, engine: Engine, caps: Caps) -> None:
        """New capabilities; what the attempts under way have reserved is counted by the new ones."""
        engine.caps = caps
        shared = caps.memory_total is not None
        engine.memory_used = sum(a.memory for a in self._attempts.values() if a.engine is engine) if shared else 0

    def _engine_down(self, event: EngineDown) -> None:
        engine = self._engine(event.engine)
        gone = [attempt for attempt in self._attempts.values() if attempt.engine is engine]
        for attempt in gone:
            self._close(attempt.id)
        engine.go_down()
        for attempt in gone:
            if attempt.live:
                self._faulted_attempt(attempt, Fault.CANCELLED)
        self._replace_all()

    # The end

    def _stop(self, event: Stop) -> None:
        """Cancel all attempts, or let them end; what they still answer counts. All else that is wanted is dropped."""
        if not self._stopped:
            self._stopped = True
            self._announced = False
            self._drop_open()
        if not event.finish:
            for attempt in self._attempts.values():
                if attempt.live:
                    self._cancel(attempt)

    def _drop_open(self) -> None:
        """Put back all that is wanted and not under way."""
        for node in self._graph.order:
            if OPEN[node.state] and node.state is not RUNNING:
                self._drop(node)
        self._ready.take_all()
        self._homeless_since = None

    def _conclude(self) -> None:
        """Say Done, once, when nothing more will come of what is wanted."""
        if self._stopped:
            over = not self._attempts
        elif self._halted:
            over = self._counts[RUNNING] == 0
        else:
            over = self._open == 0
        if over:
            if self._halted:
                self._drop_open()
                self._halted = False
            self._announced = True
            self._out.append(Done(self.summary()))

    def _arm(self) -> None:
        if self._armed > self.now and self._earliest() >= self._armed:
            return
        when = self._next_wake()
        if when is not None:
            self._armed = when
            self._out.append(WakeAt(when))

    # For those who look on

    def summary(self) -> Summary:
        return self._tally.summary(self._counts, self._fleet, self._stopped)

    def longest(self) -> float:
        """Expected seconds of the longest chain that is still wanted; a walk over all nodes."""
        return max((node.rank for node in self._graph.order if OPEN[node.state]), default=0.0)

    def state(self, id: NodeId) -> State:
        return self._graph[id].state

    def count(self, state: State) -> int:
        """How many nodes are in a state."""
        return self._counts[state]

    def story(self, id: NodeId) -> tuple[str, ...]:
        """What has happened to a node, oldest first, as far as it is remembered."""
        return self._story(self._graph[id])

    def validate(self) -> None:
        """AssertionError when an invariant does not hold."""
        audit(self)
