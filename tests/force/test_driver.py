"""The driver, over a store in memory and an engine without processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import Placeholder
from gg.core.resolve import Values
from gg.core.thunk import Work
from gg.engines.engine import Engine, Failure, Submission
from gg.errors import AccessError, GGError, NoRoom
from gg.force.cached_results import CachedResults
from gg.force.driver import Driver
from gg.force.outcome import Outcome, Settled, Spending
from gg.host.awake import Awake
from gg.host.filedb import FileDB
from gg.observe import build_events as seen
from gg.run.expand import Groups
from gg.schedule.events import EngineCaps, Fault
from gg.schedule.policy import Policy
from gg.store.base import Key, Kind, blob_key, read_blob
from gg.store.memory import MemoryStore
from tests.support.fake_engine import HANG, FakeEngine, Hang
from tests.support.thunks import Graph

QUICK = Policy(backoff=0.001, backoff_cap=0.002, hedge=False, keep_going=True)


@dataclass
class Bench:
    """One store; `force` makes a new driver each time, as another gg-force would."""

    store: MemoryStore = field(default_factory=MemoryStore)
    seen: list[seen.BuildEvent] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    values: dict[ThunkId, Values] = field(default_factory=dict)
    graph: Graph = field(init=False)

    def __post_init__(self) -> None:
        self.graph = Graph(self.store)

    def engine(
        self,
        trouble: Callable[[Submission], Failure | Hang | None] = lambda start: None,
        world: dict[bytes, bytes | Placeholder] | None = None,
        name: str = "fake",
        caps: EngineCaps | None = None,
    ) -> FakeEngine:
        return FakeEngine(self.store, trouble=trouble, world=world, name=name, caps=caps)

    def driver(self, *engines: Engine, policy: Policy = QUICK, budget: Spending | None = None) -> Driver:
        files = FileDB(None)
        return Driver(
            store=self.store,
            engines=engines,
            groups=Groups(self.store),
            files=lambda: files,
            observe=self.seen.append,
            policy=policy,
            root="/w",
            budget=budget,
        )

    def force(self, *roots: ThunkId, engine: FakeEngine | None = None, policy: Policy = QUICK) -> Outcome:
        self.finished = []
        return self.driver(engine or self.engine(), policy=policy).force(roots, self.note)

    def note(self, settled: Sequence[Settled]) -> None:
        for name, thunk, values, _ in settled:
            self.finished.append(thunk.outputs[0].path.rpartition(b"/")[2].decode())
            self.values[name] = values

    def value(self, name: ThunkId) -> bytes:
        made = self.values[name][0]
        assert made is not None
        return read_blob(self.store, made.blob)

    def names(self, engine: FakeEngine) -> list[str]:
        """What the engine began, in order."""
        return [start.thunk.outputs[0].path.rpartition(b"/")[2].decode() for start in engine.started]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def chain(bench: Bench, text: str = "x") -> tuple[ThunkId, ThunkId, ThunkId]:
    a = bench.graph.thunk("a", ["concat", text])
    b = bench.graph.thunk("b", ["concat", "y"], a)
    return a, b, bench.graph.thunk("c", ["concat", "z"], a, b)


def test_dependencies_first(bench: Bench) -> None:
    _, _, c = chain(bench)
    engine = bench.engine()
    outcome = bench.force(c, engine=engine)
    assert (outcome.status, outcome.summary.ran) == (0, 3)
    assert bench.value(c) == b"xxyz"
    assert bench.finished == bench.names(engine) == ["a", "b", "c"]


def test_what_is_known_does_not_run(bench: Bench) -> None:
    a, _, c = chain(bench)
    bench.force(c)
    engine = bench.engine()
    outcome = bench.force(a, c, engine=engine)
    assert (engine.started, outcome.summary.hits) == ([], 3)
    assert bench.value(c) == b"xxyz"


def test_only_the_cone_is_forced(bench: Bench) -> None:
    a, b, _ = chain(bench)
    engine = bench.engine()
    bench.force(a, engine=engine)
    assert bench.names(engine) == ["a"]
    bench.force(b, engine=engine)
    assert bench.names(engine) == ["a", "b"]


def test_cutoff(bench: Bench) -> None:
    """Another `a` that gives the same bytes stops the rebuild there; one with other bytes does not."""
    bench.force(chain(bench)[2])
    same = bench.graph.thunk("a", ["concat", "", "x"])
    b = bench.graph.thunk("b", ["concat", "y"], same)
    engine = bench.engine()
    bench.force(bench.graph.thunk("c", ["concat", "z"], same, b), engine=engine)
    assert bench.names(engine) == ["a"]
    engine = bench.engine()
    bench.force(chain(bench, "other")[2], engine=engine)
    assert bench.names(engine) == ["a", "b", "c"]


def test_trouble_is_retried(bench: Bench) -> None:
    faults = iter([Fault.INFRA, Fault.LOST, Fault.THROTTLED, Fault.CANCELLED])

    def trouble(start: Submission) -> Failure | None:
        fault = next(faults, None)
        return Failure(fault, "no luck") if fault else None

    a = bench.graph.thunk("a", ["concat", "x"])
    outcome = bench.force(a, engine=bench.engine(trouble))
    assert outcome.status == 0
    assert bench.value(a) == b"x"
    assert sum(outcome.summary.retries.values()) >= 3


def test_trouble_for_good_ends_and_is_told(bench: Bench) -> None:
    _, _, c = chain(bench)
    engine = bench.engine(lambda start: Failure(Fault.INFRA, "the disk is on fire"))
    outcome = bench.force(c, engine=engine)
    assert outcome.status == 75
    assert len(engine.started) == QUICK.max_attempts
    assert outcome.skipped == 2
    told = [event for event in bench.seen if isinstance(event, seen.ThunkFailed)]
    assert len(told) == 1
    assert b"the disk is on fire" in told[0].stderr


def test_a_users_error_is_told_once_and_not_retried(bench: Bench) -> None:
    bad = bench.graph.thunk("bad", ["say", "3", "said", "x.c:1: error\n"])
    good = bench.graph.thunk("good", ["concat", "g"])
    after = bench.graph.thunk("after", ["concat"], bad, good)
    engine = bench.engine()
    outcome = bench.force(after, good, engine=engine)
    assert outcome.status == 3
    assert sorted(bench.names(engine)) == ["bad", "good"]
    told = [event for event in bench.seen if isinstance(event, seen.ThunkFailed)]
    assert [(e.status, e.stdout, e.stderr) for e in told] == [(3, b"said", b"x.c:1: error\n")]
    assert outcome.skipped == 1
    engine = bench.engine()
    bench.force(after, engine=engine)
    assert bench.names(engine) == ["bad"], "a failure is never recorded"


def test_another_engine_helps(bench: Bench) -> None:
    poor = bench.engine(lambda start: Failure(Fault.INFRA, "no"), name="poor")
    good = bench.engine(name="local", caps=EngineCaps(reserve=True))
    a = bench.graph.thunk("a", ["concat", "x"])
    outcome = bench.driver(poor, good).force([a], bench.note)
    assert outcome.status == 0
    assert len(poor.started) == QUICK.fallback_after
    assert len(good.started) == 1


def test_a_straggler_is_duplicated(bench: Bench) -> None:
    """The first attempt never ends; the second one's value is taken and the first is cancelled."""
    first: list[Submission] = []

    def trouble(start: Submission) -> Hang | None:
        if first:
            return None
        first.append(start)
        return HANG

    engine = bench.engine(trouble)
    policy = Policy(hedge_floor=0.05, hedge_blind=0.05, hedge_multiple=0.001)
    a = bench.graph.thunk("a", ["concat", "x"])
    outcome = bench.force(a, engine=engine, policy=policy)
    assert bench.value(a) == b"x"
    assert (len(engine.started), outcome.summary.hedges, outcome.summary.hedges_won) == (2, 1, 1)
    assert engine.hanging == []
    assert bench.finished == ["a"]


def test_an_engine_says_when_an_attempt_was_sent(bench: Bench) -> None:
    """It takes its time to send the first, which then never ends: only what was sent is run twice."""
    waits: list[float] = []

    def trouble(start: Submission) -> Hang | None:
        if not start.hedge:
            assert start.sent is not None
            threading.Timer(0.3, start.sent, [[start.attempt]]).start()
            waits.append(time.monotonic())
            return HANG
        waits.append(time.monotonic())
        return None

    a = bench.graph.thunk("a", ["concat", "x"])
    policy = Policy(hedge_floor=0.05, hedge_blind=0.05, hedge_multiple=0.001)
    bench.force(a, engine=bench.engine(trouble, caps=EngineCaps(announces=True)), policy=policy)
    assert bench.value(a) == b"x"
    first, second = waits
    assert second - first >= 0.3


class Purse:
    """Lets so many attempts begin."""

    def __init__(self, attempts: int) -> None:
        self.left = attempts
        self.under_way: set[int] = set()

    def begin(self, attempt: int, engine: str, work: Work, seconds: float | None, memory: int) -> bool:
        self.left -= 1
        self.under_way.add(attempt)
        return self.left >= 0

    def end(self, attempt: int) -> None:
        self.under_way.remove(attempt)


def test_what_cannot_be_paid_is_not_begun_and_what_was_is_kept(bench: Bench) -> None:
    names = [bench.graph.thunk(name, ["concat", name]) for name in "abcde"]
    all_of_them = bench.graph.thunk("all", ["concat"], *names)
    engine, purse = bench.engine(), Purse(3)
    outcome = bench.driver(engine, budget=purse).force([all_of_them], bench.note)
    assert (outcome.status, outcome.over_budget, outcome.ran) == (79, True, 3)
    assert len(engine.started) == 3
    assert len(bench.finished) == 3
    again = bench.engine()
    assert bench.driver(again, budget=Purse(9)).force([all_of_them], bench.note).status == 0
    assert len(again.started) == 3
    assert bench.value(all_of_them) == b"abcde"


@pytest.mark.parametrize(
    ("error", "kept"),
    [(AccessError("the AWS session has expired"), 2), (NoRoom("cannot write store.db: no space left"), 1)],
)
def test_what_is_paid_for_is_let_end_when_the_set_up_turns_out_wrong(bench: Bench, error: GGError, kept: int) -> None:
    """Unless its answer could not be kept. Nothing is begun afterwards, and what is wrong is told.

    Of the attempts the first goes well, the second takes its time, and the third finds what is wrong.
    """

    def trouble(start: Submission) -> Failure | Hang | None:
        match len(engine.started):
            case 2:
                threading.Timer(0.2, lambda: engine.release(start.attempt) if engine.hanging else None).start()
                return HANG
            case 3:
                return Failure(Fault.INFRA, "no", setup=error)
        return None

    names = [bench.graph.thunk(name, ["concat", name]) for name in "abcde"]
    engine = bench.engine(trouble)
    with pytest.raises(type(error)):
        bench.force(bench.graph.thunk("all", ["concat"], *names), engine=engine)
    assert bench.finished == bench.names(engine)[:kept]
    assert len(engine.started) == 3
    told = [event.text for event in bench.seen if isinstance(event, seen.Note)]
    assert len(told) == kept - 1
    assert all("1 attempt under way let end" in text for text in told), told


def test_a_store_that_lets_nobody_in_any_more(bench: Bench) -> None:
    """Its refusal comes when something is looked up, while another thunk runs: that one is let end."""
    a, b = (bench.graph.thunk(name, ["concat", name]) for name in "ab")
    c = bench.graph.thunk("c", ["concat"], a)
    engine = bench.engine(lambda start: HANG if start.id == b else None)
    driver = bench.driver(engine)
    lookup = driver._cone.lookup

    def refuse(names: Sequence[ThunkId]) -> Any:
        if c in names:
            threading.Timer(0.1, lambda: engine.release(engine.hanging[0])).start()
            raise AccessError("the AWS session has expired")
        return lookup(names)

    driver._cone.lookup = refuse  # type: ignore[method-assign]
    with pytest.raises(AccessError):
        driver.force([b, c], bench.note)
    assert bench.finished == ["a", "b"]


def test_bytes_that_cannot_be_had_after_all_are_made_again(bench: Bench) -> None:
    """Who places a known result finds that its bytes are nowhere, though the store says that it has them."""
    a, b, c = chain(bench)
    bench.force(c)
    engine = bench.engine()
    driver = bench.driver(engine)
    damaged = {b}

    def note(settled: Sequence[Settled]) -> None:
        lost = [each.name for each in settled if each.name in damaged]
        damaged.difference_update(lost)
        bench.note([each for each in settled if each.name not in lost])
        if lost:
            driver.lose(lost)

    bench.finished = []
    outcome = driver.force([a, b, c], note)
    assert (outcome.status, outcome.ran, outcome.cached) == (0, 1, 2)
    assert bench.names(engine) == ["b"]
    assert sorted(bench.finished) == ["a", "b", "c"]


def test_a_process_that_was_stopped_reads_what_has_come_before_it_looks_at_the_clock(bench: Bench) -> None:
    """A minute passes in which nothing runs here; the answer comes just after. It is not given up, nor duplicated."""
    real = time.monotonic
    asleep = 0.0

    def stop(start: Submission) -> Hang:
        def wake() -> None:
            nonlocal asleep
            asleep = 600.0
            time.sleep(0.5)
            engine.release(start.attempt)

        threading.Timer(0.2, wake).start()
        return HANG

    engine = bench.engine(stop, caps=EngineCaps(max_seconds=10.0))
    engine._serve = lambda: serve(engine)  # type: ignore[method-assign]
    driver = bench.driver(engine, policy=Policy(keep_going=True))
    driver._mail.now = Awake(lambda: real() + asleep).now
    a = bench.graph.thunk("a", ["concat", "x"])
    outcome = driver.force([a], bench.note)
    assert (outcome.status, outcome.summary.attempts, outcome.summary.hedges) == (0, 1, 0)
    assert outcome.summary.faults == {}


def serve(engine: FakeEngine) -> None:
    """As the engine does, but what hangs does so beyond its deadline."""
    while engine._waiting:
        start, post = engine._waiting.popleft()
        engine.started.append(start)
        assert engine._trouble(start) is HANG
        engine._hanging[start.attempt] = (start, post)


def test_nothing_is_begun_without_money(bench: Bench) -> None:
    engine = bench.engine()
    outcome = bench.driver(engine, budget=Purse(0)).force([bench.graph.thunk("a", ["concat"])], bench.note)
    assert (outcome.status, outcome.ran, engine.started) == (79, 0, [])


def test_what_becomes_of_a_duplicate_is_no_failure(bench: Bench) -> None:
    """The straggler is answered, as cancelled, while something else still runs."""
    hung: list[Submission] = []

    def trouble(start: Submission) -> Hang | None:
        if hung:
            return None
        hung.append(start)
        return HANG

    a = bench.graph.thunk("a", ["concat", "x"])
    b = bench.graph.thunk("b", ["concat", "y"], a)
    policy = Policy(hedge_floor=0.05, hedge_blind=0.05, hedge_multiple=0.001)
    outcome = bench.force(b, engine=bench.engine(trouble), policy=policy)
    assert outcome.summary.hedges_won == 1
    assert (outcome.status, outcome.failures) == (0, {})


def test_a_thunk_that_becomes_another(bench: Bench) -> None:
    inner = bench.graph.thunk("inner", ["concat", "made"])
    middle = bench.graph.thunk("middle", ["become", inner.hex()], dynamic=True)
    outer = bench.graph.thunk("outer", ["become", middle.hex()], dynamic=True)
    user = bench.graph.thunk("user", ["concat", "!"], outer)
    outcome = bench.force(user)
    assert outcome.status == 0
    assert bench.value(outer) == b"made"
    assert bench.value(user) == b"made!"
    engine = bench.engine()
    assert bench.force(user, engine=engine).status == 0
    assert engine.started == []
    assert bench.value(user) == b"made!"


def test_only_a_dynamic_thunk_becomes_another(bench: Bench) -> None:
    """A compiler that happens to write a placeholder has made a file of 256 bytes."""
    inner = bench.graph.thunk("inner", ["concat", "made"])
    plain = bench.graph.thunk("plain", ["become", inner.hex()])
    bench.force(plain)
    assert len(bench.value(plain)) == 256
    assert bench.finished == ["plain"]


def test_becoming_oneself_is_no_endless_loop(bench: Bench) -> None:
    a = bench.graph.thunk("a", ["concat", "x"])
    one = bench.graph.thunk("one", ["become", a.hex()], dynamic=True)
    engine = bench.engine()
    outcome = bench.force(one, engine=engine)
    assert outcome.status == 0
    assert len(engine.started) == 2


def test_an_undeclared_placeholder_is_forced_first(bench: Bench) -> None:
    made = bench.graph.thunk("made", ["concat", "late"])
    path = bench.graph.path("hidden")
    reader = bench.graph.thunk("reader", [b"read", path])
    engine = bench.engine(world={path: Placeholder(made, 0)})
    outcome = bench.force(reader, engine=engine)
    assert outcome.status == 0
    assert bench.names(engine) == ["reader", "made", "reader"]
    assert bench.value(reader) == b"late"


def test_a_lost_blob_is_made_again(bench: Bench) -> None:
    """In mid-run: when `c` is to run, the blob of `a` has vanished from the store."""
    a, _, c = chain(bench)
    lost: list[bytes] = []

    def trouble(start: Submission) -> None:
        if start.id == c and not lost:
            made = bench.values[a][0]
            assert made is not None
            bench.store.delete([blob_key(made.blob)])
            lost.append(made.blob.digest)

    engine = bench.engine(trouble)
    outcome = bench.force(c, engine=engine)
    assert outcome.status == 0, outcome.failures
    assert bench.names(engine) == ["a", "b", "c", "a", "c"]
    assert bench.value(c) == b"xxyz"
    assert outcome.summary.lost_again == 1


def test_a_lost_blob_of_a_thunk_that_became_another(bench: Bench) -> None:
    inner = bench.graph.thunk("inner", ["concat", "made"])
    outer = bench.graph.thunk("outer", ["become", inner.hex()], dynamic=True)
    user = bench.graph.thunk("user", ["concat", "!"], outer)
    lost: list[ThunkId] = []

    def trouble(start: Submission) -> None:
        if start.id == user and not lost:
            made = bench.values[inner][0]
            assert made is not None
            bench.store.delete([blob_key(made.blob)])
            lost.append(inner)

    outcome = bench.force(user, engine=bench.engine(trouble))
    assert outcome.status == 0, outcome.failures
    assert bench.value(user) == b"made!"


def test_a_blob_lost_since_the_last_run(bench: Bench) -> None:
    a, _, c = chain(bench)
    bench.force(c)
    made = bench.values[a][0]
    assert made is not None
    bench.store.delete([blob_key(made.blob)])
    engine = bench.engine()
    assert bench.force(c, engine=engine).status == 0
    assert bench.names(engine) == ["a"]


def test_a_blob_that_nothing_makes(bench: Bench) -> None:
    file = bench.graph.file("source", b"text")
    a = bench.graph.thunk("a", ["concat"], file)
    bench.store.delete([blob_key(file.blob)])
    outcome = bench.force(a)
    assert outcome.status == 75
    assert outcome.failures[a].fault is Fault.MISSING_INPUT


def test_a_damaged_reduction_is_none(bench: Bench) -> None:
    """A store may lose a record at any time: the thunk runs again."""
    a, _, c = chain(bench)
    bench.force(c)
    bench.store.delete([Key(Kind.REDUCTION, a), *(s.key for s in bench.store.keys(Kind.ALIAS))])
    engine = bench.engine()
    assert bench.force(c, engine=engine).status == 0
    assert bench.names(engine) == ["a"]


def test_stopped(bench: Bench) -> None:
    engine = bench.engine(lambda start: HANG)
    driver = bench.driver(engine)
    a, _, c = chain(bench)
    timer = threading.Timer(0.05, driver.stop)
    timer.start()
    outcome = driver.force([c], bench.note)
    timer.join()
    assert (outcome.interrupted, outcome.status) == (True, 130)
    assert (engine.hanging, bench.finished) == ([], [])
    assert [start.id for start in engine.started] == [a]


def test_one_driver_forces_several_times(bench: Bench) -> None:
    """As the recorder's does: each time is told of what was asked for, even if it was done before."""
    a, b, c = chain(bench)
    engine = bench.engine()
    driver = bench.driver(engine)
    assert driver.force([b], bench.note).status == 0
    assert bench.finished == ["a", "b"]
    bench.finished = []
    assert driver.force([c, a], bench.note).status == 0
    assert "a" in bench.finished
    assert bench.names(engine) == ["a", "b", "c"]


def test_a_failure_is_tried_afresh_by_the_same_driver(bench: Bench) -> None:
    bad = [Failure(Fault.TOOL, "failed", 1)]
    engine = bench.engine(lambda start: bad.pop() if bad else None)
    driver = bench.driver(engine)
    a = bench.graph.thunk("a", ["concat", "x"])
    assert driver.force([a], bench.note).status == 1
    assert driver.force([a], bench.note).status == 0
    assert bench.value(a) == b"x"


def test_nothing_to_force(bench: Bench) -> None:
    assert bench.force().status == 0


def test_what_is_known_from_the_start_is_not_even_looked_up(bench: Bench) -> None:
    a, b, c = chain(bench)
    bench.force(b)
    known = CachedResults(bench.store, [a, b, c])
    assert [each.name for batch in known.find() for each in batch] == [a, b]
    engine = bench.engine()
    outcome = bench.driver(engine).force([c], bench.note, known.values)
    assert (outcome.ran, outcome.cached, bench.names(engine)) == (1, 0, ["c"])
    assert bench.value(c) == b"xxyz"


def test_a_blob_of_what_was_known_from_the_start_is_lost(bench: Bench) -> None:
    a, b, c = chain(bench)
    bench.force(b)
    known = CachedResults(bench.store, [a, b, c])
    assert sum(map(len, known.find())) == 2
    lost = bench.values[a][0]
    assert lost is not None
    bench.store.delete([blob_key(lost.blob)])
    engine = bench.engine()
    outcome = bench.driver(engine).force([c], bench.note, known.values)
    assert outcome.status == 0
    assert bench.names(engine) == ["c", "a", "c"]
    assert bench.value(c) == b"xxyz"


def test_known_ahead_is_only_what_needs_no_further_look(bench: Bench) -> None:
    a, b, c = chain(bench)
    bench.force(c)
    assert {each.name for batch in CachedResults(bench.store, [c]).find() for each in batch} == {a, b, c}
    made = bench.values[b][0]
    assert made is not None
    bench.store.delete([blob_key(made.blob)])
    assert {each.name for batch in CachedResults(bench.store, [c]).find() for each in batch} == {a}
    bench.store.delete([Key(Kind.THUNK, a)])
    known = CachedResults(bench.store, [c])
    assert (len(known), list(known.find())) == (2, [])


def test_a_thunk_that_became_another_has_run_once(bench: Bench) -> None:
    other = bench.graph.thunk("other", ["concat", "made by another"])
    first = bench.graph.thunk("first", ["become", other.hex()], dynamic=True)
    outcome = bench.force(first)
    assert (outcome.ran, outcome.cached) == (2, 0)
    outcome = bench.force(first)
    assert (outcome.ran, outcome.cached) == (0, 2)
    assert not any(CachedResults(bench.store, [first]).find())


def test_who_joins_with_the_last_answer_is_waited_for(bench: Bench) -> None:
    """The answer that ends a force and a further root come together: the root is forced all the same."""
    first, second = bench.graph.thunk("a", ["concat", "a"]), bench.graph.thunk("b", ["concat", "b"])
    tickets: list[int] = []

    def join(start: Submission) -> None:
        if not tickets:
            tickets.append(driver.want(second))

    driver = bench.driver(bench.engine(join))
    driver.force([first], bench.note)
    assert driver.has_joined(tickets[0])
    assert bench.finished == ["a", "b"]
