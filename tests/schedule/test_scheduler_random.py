"""Random graphs and random orders of events, with every invariant checked after each one.

The machine plays driver, engines and bad luck at once. In the end all engines turn good: whatever happened before, the
scheduler then settles all that is wanted, each node once, with a bounded number of attempts, and says Done.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gg.core.thunk import Work
from gg.schedule.commands import Finished
from gg.schedule.events import (
    Became,
    EngineCaps,
    EngineChanged,
    EngineDown,
    Fault,
    Grew,
    Hit,
    Lost,
    Miss,
    NodeId,
    NodeSpec,
    Ramp,
    Ran,
    Stop,
)
from gg.schedule.policy import Policy
from gg.schedule.states import OPEN, State
from tests.schedule.schedule_rig import Rig

ENGINES = ("local", "lambda", "spot")
GIB = 1 << 30
FAULTS = [f for f in Fault if f not in (Fault.NO_ENGINE, Fault.CYCLE)]
BAD_LUCK = [f for f in FAULTS if f is not Fault.TOOL]

caps = st.builds(
    EngineCaps,
    memory_classes=st.sampled_from([(), (GIB,), (GIB, 2 * GIB, 4 * GIB)]),
    memory_total=st.sampled_from([None, None, 2 * GIB]),
    max_input=st.sampled_from([None, None, 100]),
    max_seconds=st.sampled_from([None, 900.0]),
    works=st.none(),
    overhead=st.just(0.0),
    slowness=st.just(1.0),
    independent=st.booleans(),
    reserve=st.booleans(),
    ramp=st.sampled_from([None, Ramp(burst=2, rate=1.0)]),
    announces=st.booleans(),
    batch=st.sampled_from([1, 4]),
    call=st.sampled_from([0.0, 0.01, 5.0]),
    price=st.sampled_from([0.0, 0.0, 1e-5]),
    startup=st.sampled_from([0.0, 3.0]),
    queued=st.booleans(),
)
policies = st.builds(
    Policy,
    keep_going=st.booleans(),
    lookup=st.sampled_from([True, True, False]),
    fallback=st.sampled_from([None, "local", "spot"]),
    max_passed=st.sampled_from([0, 3]),
    breaker_faults=st.sampled_from([2, 8]),
    throttle_trip=st.sampled_from([2, 8]),
    batch_seconds=st.sampled_from([0.2, 10.0]),
)
shapes = st.tuples(
    st.sampled_from([None, 0.05, 1.0, 20.0]),
    st.sampled_from([0, GIB // 4, 3 * GIB]),
    st.sampled_from([0, 1000]),
    st.sampled_from([(), (), ("local",), ("lambda", "spot")]),
    st.sampled_from(list(Work)),
)


class Build(RuleBasedStateMachine):
    """A build that goes as wrong as it can."""

    @initialize(policy=policies, slots=st.integers(0, 3), engine_caps=caps)
    def begin(self, policy: Policy, slots: int, engine_caps: EngineCaps) -> None:
        self.rig = Rig(policy, missing=False)
        self.wanted: set[NodeId] = set()
        self.count = 0
        self.stopped = False
        self.down: set[str] = set(ENGINES) - {"lambda"}
        self.rig.up("lambda", slots, engine_caps)

    def any_node(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, self.count - 1))

    def attempts(self) -> list[int]:
        return sorted(self.rig.under_way)

    @rule(links=st.lists(st.integers(0, 5), max_size=3), shape=shapes)
    def add(self, links: list[int], shape: tuple[float | None, int, int, tuple[str, ...], Work]) -> None:
        id = self.count
        deps = tuple(sorted({id - 1 - back for back in links if back < id}))
        seconds, memory, size, engines, work = shape
        spec = NodeSpec(id=id, deps=deps, seconds=seconds, memory=memory, input_size=size, engines=engines, work=work)
        self.rig.add(spec)
        self.count += 1

    @precondition(lambda self: self.count)
    @rule(data=st.data(), again=st.booleans())
    def want(self, data: st.DataObject, again: bool) -> None:
        id = self.any_node(data)
        self.wanted.add(id)
        self.rig.want(id, again=again)

    @precondition(lambda self: self.rig.asked)
    @rule(hit=st.booleans(), all=st.booleans())
    def answer_lookup(self, hit: bool, all: bool) -> None:
        asked, self.rig.asked = self.rig.asked, []
        if not all:
            self.rig.asked = asked[1:]
            asked = asked[:1]
        self.rig.tell((Hit if hit else Miss)(self.rig.now, tuple(asked)))

    @precondition(lambda self: self.rig.under_way)
    @rule(data=st.data())
    def ran(self, data: st.DataObject) -> None:
        self.rig.ran(data.draw(st.sampled_from(list(self.rig.under_way))), data.draw(st.sampled_from([0.0, 0.1, 9.0])))

    @precondition(lambda self: self.rig.starts)
    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        """Also of what is over, and again."""
        self.rig.sent(data.draw(st.sampled_from(self.rig.starts)).attempt)

    @precondition(lambda self: self.rig.under_way)
    @rule(data=st.data(), fault=st.sampled_from([*FAULTS, *BAD_LUCK]))
    def faulted(self, data: st.DataObject, fault: Fault) -> None:
        self.rig.fault(data.draw(st.sampled_from(list(self.rig.under_way))), fault)

    @precondition(lambda self: self.rig.under_way)
    @rule(fault=st.sampled_from([Fault.INFRA, Fault.LOST, Fault.THROTTLED, Fault.MEMORY, Fault.CANCELLED]))
    def storm(self, fault: Fault) -> None:
        """Everything under way ends badly, over and over."""
        for _ in range(6):
            for attempt in list(self.rig.under_way):
                self.rig.fault(attempt, fault)
            if self.rig.wake is not None:
                self.rig.sleep()

    @precondition(lambda self: self.rig.starts)
    @rule(data=st.data())
    def late_answer(self, data: st.DataObject) -> None:
        start = data.draw(st.sampled_from(self.rig.starts))
        if start.attempt not in self.rig.under_way:
            assert not [c for c in self.rig.ran(start.attempt) if isinstance(c, Finished)]

    @precondition(lambda self: self.rig.under_way)
    @rule(data=st.data())
    def grew(self, data: st.DataObject) -> None:
        start = self.rig.under_way[data.draw(st.sampled_from(list(self.rig.under_way)))]
        deps = tuple({self.any_node(data), self.any_node(data)})
        self.rig.tell(Grew(self.rig.now, start.id, deps, start.attempt))

    @precondition(lambda self: self.rig.under_way)
    @rule(data=st.data())
    def became(self, data: st.DataObject) -> None:
        start = self.rig.under_way[data.draw(st.sampled_from(list(self.rig.under_way)))]
        self.rig.tell(Became(self.rig.now, start.id, self.any_node(data), start.attempt, 1.0))

    @precondition(lambda self: self.rig.asked)
    @rule(data=st.data(), became=st.booleans())
    def lookup_tells_more(self, data: st.DataObject, became: bool) -> None:
        id, other = self.rig.asked.pop(0), self.any_node(data)
        self.rig.tell(Became(self.rig.now, id, other) if became else Grew(self.rig.now, id, (other,)))

    @precondition(lambda self: self.rig.done)
    @rule(data=st.data())
    def lost(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.rig.done, key=repr)), min_size=1, max_size=2))
        self.wanted.update(ids)
        self.rig.tell(Lost(self.rig.now, tuple(ids)))

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def unasked_hit(self, data: st.DataObject) -> None:
        self.rig.tell(Hit(self.rig.now, (self.any_node(data),)))

    @rule(seconds=st.sampled_from([0.0, 0.3, 3.0, 40.0, 2000.0]))
    def time_passes(self, seconds: float) -> None:
        self.rig.tick(seconds)

    @rule()
    def time_comes(self) -> None:
        if self.rig.wake is not None:
            self.rig.sleep()

    @rule(engine=st.sampled_from(ENGINES), slots=st.integers(0, 3), engine_caps=caps)
    def engine(self, engine: str, slots: int, engine_caps: EngineCaps) -> None:
        if engine in self.down:
            self.down.discard(engine)
            self.rig.up(engine, slots, engine_caps)
        else:
            self.rig.tell(EngineChanged(self.rig.now, engine, slots, engine_caps if slots & 1 else None))

    @rule(engine=st.sampled_from(ENGINES))
    def engine_down(self, engine: str) -> None:
        if engine not in self.down:
            self.down.add(engine)
            self.rig.tell(EngineDown(self.rig.now, engine))

    @precondition(lambda self: self.count > 6)
    @rule(finish=st.booleans())
    def stop(self, finish: bool) -> None:
        self.stopped = True
        self.rig.tell(Stop(self.rig.now, finish=finish))

    @invariant()
    def attempts_are_bounded(self) -> None:
        if not hasattr(self, "rig"):
            return
        policy = self.rig.policy
        for id in {s.id for s in self.rig.starts}:
            tried = [s for s in self.rig.starts if s.id == id]
            assert len(tried) < 200 * (1 + self.rig.regrown(id)) + policy.max_free

    def teardown(self) -> None:
        if hasattr(self, "rig") and not self.rig.broken:
            self.drain()

    def drain(self) -> None:
        """From now on all goes well."""
        rig = self.rig
        for engine in ENGINES:
            if engine in self.down:
                rig.up(engine, 3, EngineCaps())
            else:
                rig.tell(EngineChanged(rig.now, engine, 3, EngineCaps()))
        for _ in range(20 * self.count + 300):
            if rig.asked:
                asked, rig.asked = rig.asked, []
                rig.tell(Miss(rig.now, tuple(asked)))
            elif rig.under_way:
                rig.tell(Ran(rig.now, next(iter(rig.under_way)), 0.5))
            elif rig.wake is not None and not self.over():
                rig.sleep()
            else:
                break
        assert self.over(), [rig.scheduler.story(id) for id in range(self.count)]
        self.check_settled()

    def over(self) -> bool:
        scheduler = self.rig.scheduler
        return not any(scheduler.count(state) for state in State if OPEN[state])

    def check_settled(self) -> None:
        rig = self.rig
        if self.wanted:
            assert rig.summary is not None, "Done was never said"
        if self.stopped or not rig.policy.keep_going:
            return
        for id in self.wanted:
            assert id in rig.settled or id in rig.done, rig.scheduler.story(id)


TestBuild = Build.TestCase
TestBuild.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
