"""What every engine must do, as tests over a `Subject`: an engine, and the words for commands that it understands."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gg.core.ids import BlobId, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.thunk import File, Reduction
from gg.engines.engine import Answer, Engine, Failure, Submission
from gg.schedule.events import Fault
from gg.store.base import Store, read_blob
from tests.support.thunks import Graph

PATIENCE = 60.0  # seconds until an answer counts as missing, however busy the machine
QUIET = 0.3  # seconds in which no further answer may come


class Subject(ABC):
    """An engine under test with a store and a graph to make thunks in."""

    store: Store
    graph: Graph

    @abstractmethod
    def engine(self, slots: int = 2) -> Engine: ...

    @abstractmethod
    def concat(self, name: str, text: str, *files: File) -> ThunkId:
        """A thunk that writes the files' bytes and `text`."""

    @abstractmethod
    def say(self, name: str, status: int, out: str, err: str) -> ThunkId:
        """A thunk that prints, and exits with a status."""

    @abstractmethod
    def hang(self, name: str) -> ThunkId: ...

    @abstractmethod
    def read(self, name: str, what: bytes) -> ThunkId:
        """A thunk that writes the bytes of a file that it does not declare."""

    @abstractmethod
    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        """Have such a file. Before `engine`."""

    @abstractmethod
    def hanging(self, engine: Engine) -> int:
        """How many commands that hang are running."""


class PretendedCommands(Subject):
    """Commands that are words for a worker or engine which only pretends to run them."""

    def concat(self, name: str, text: str, *files: File) -> ThunkId:
        return self.graph.thunk(name, ["concat", text], *files)

    def say(self, name: str, status: int, out: str, err: str) -> ThunkId:
        return self.graph.thunk(name, ["say", str(status), out, err])

    def hang(self, name: str) -> ThunkId:
        return self.graph.thunk(name, ["hang"])

    def read(self, name: str, what: bytes) -> ThunkId:
        return self.graph.thunk(name, [b"read", what])


class Answers:
    """Submits attempts and collects answers."""

    def __init__(self, engine: Engine, graph: Graph) -> None:
        self.engine = engine
        self._graph = graph
        self._queue: queue.SimpleQueue[Answer] = queue.SimpleQueue()

    def submit(self, attempt: int, thunk: ThunkId, deadline: float | None = None) -> None:
        start = Submission(attempt, thunk, self._graph.thunks[thunk], deadline=deadline)
        self.engine.submit(start, self._queue.put)

    def take(self, answer: Answer) -> None:
        """For what a test submits by itself."""
        self._queue.put(answer)

    def next(self) -> Answer:
        return self._queue.get(timeout=PATIENCE)

    def of(self, thunk: ThunkId, deadline: float | None = None) -> Reduction | Failure:
        """Submit one, and take its only answer."""
        self.submit(1, thunk, deadline)
        answer = self.next()
        assert answer.attempt == 1
        self.no_more()
        return answer.result

    def no_more(self) -> None:
        with pytest.raises(queue.Empty):
            self._queue.get(timeout=QUIET)


class EngineSuite:
    """Subclasses give the fixture `subject`."""

    answers: type[Answers] = Answers
    under_way_of_three = 2  # how many of three hanging attempts an engine with two slots has begun

    @contextmanager
    def running(self, subject: Subject, slots: int = 2) -> Iterator[Answers]:
        engine = subject.engine(slots)
        try:
            yield self.answers(engine, subject.graph)
        finally:
            engine.close()

    @staticmethod
    def output(subject: Subject, result: Reduction | Failure) -> bytes:
        assert isinstance(result, Reduction), result
        made = result.outputs[0]
        assert made is not None
        return read_blob(subject.store, made.blob)

    @staticmethod
    def until_hanging(subject: Subject, answers: Answers, count: int) -> None:
        import time

        end = time.monotonic() + PATIENCE
        while subject.hanging(answers.engine) != count:
            assert time.monotonic() < end, f"{subject.hanging(answers.engine)} hang, not {count}"
            time.sleep(0.005)

    def test_it_says_what_it_is(self, subject: Subject) -> None:
        with self.running(subject, slots=3) as answers:
            assert answers.engine.name
            assert answers.engine.slots == 3

    def test_an_output_is_in_the_store(self, subject: Subject) -> None:
        thunk = subject.concat("out", "text", subject.graph.file("a", b"1\n"), subject.graph.file("b", b"2\n"))
        with self.running(subject) as answers:
            assert self.output(subject, answers.of(thunk)) == b"1\n2\ntext"

    def test_one_answer_for_each(self, subject: Subject) -> None:
        thunks = [subject.concat(f"out{i}", str(i)) for i in range(12)]
        with self.running(subject) as answers:
            for number, thunk in enumerate(thunks):
                answers.submit(number, thunk)
            made = {answer.attempt: answer.result for answer in (answers.next() for _ in thunks)}
            answers.no_more()
        assert {n: self.output(subject, result) for n, result in made.items()} == {n: b"%d" % n for n in range(12)}

    def test_what_the_tool_printed(self, subject: Subject) -> None:
        with self.running(subject) as answers:
            result = answers.of(subject.say("out", 0, "one\ntwo", "three"))
        assert isinstance(result, Reduction)
        assert (result.stdout, result.stderr) == (b"one\ntwo", b"three")

    @pytest.mark.parametrize("status", [1, 2, 77, 255])
    def test_a_failing_tool_is_the_users(self, status: int, subject: Subject) -> None:
        with self.running(subject) as answers:
            result = answers.of(subject.say("out", status, "said", "x.c:1: error\n"))
        assert isinstance(result, Failure)
        assert (result.fault, result.status) == (Fault.TOOL, status)
        assert (result.stdout, result.stderr) == (b"said", b"x.c:1: error\n")

    def test_cancelled_while_it_waits(self, subject: Subject) -> None:
        with self.running(subject, slots=1) as answers:
            answers.submit(1, subject.hang("one"))
            self.until_hanging(subject, answers, 1)
            answers.submit(2, subject.hang("two"))
            answers.engine.cancel(2)
            answers.engine.cancel(1)
            got = [answers.next(), answers.next()]
            answers.no_more()
        assert {a.attempt for a in got} == {1, 2}
        assert {a.result.fault for a in got if isinstance(a.result, Failure)} == {Fault.CANCELLED}

    def test_cancelled_while_it_runs(self, subject: Subject) -> None:
        with self.running(subject) as answers:
            answers.submit(1, subject.hang("one"))
            self.until_hanging(subject, answers, 1)
            answers.engine.cancel(1)
            result = answers.next().result
            answers.no_more()
            self.until_hanging(subject, answers, 0)
            assert isinstance(result, Failure)
            assert result.fault is Fault.CANCELLED
            after = answers.of(subject.concat("out", "the slot is free again"))
            assert self.output(subject, after) == b"the slot is free again"

    def test_cancelled_too_late_or_unknown(self, subject: Subject) -> None:
        with self.running(subject) as answers:
            first = answers.of(subject.concat("out", "x"))
            answers.engine.cancel(1)
            answers.engine.cancel(999)
            answers.no_more()
            again = answers.of(subject.concat("out2", "y"))
        assert self.output(subject, first) == b"x"
        assert self.output(subject, again) == b"y"

    def test_closed_while_it_runs(self, subject: Subject) -> None:
        """Nothing is posted afterwards, and no process is left."""
        engine = subject.engine(2)
        answers = Answers(engine, subject.graph)
        for number in range(3):
            answers.submit(number, subject.hang(f"h{number}"))
        self.until_hanging(subject, answers, self.under_way_of_three)
        engine.close()
        assert subject.hanging(engine) == 0
        answers.no_more()

    def test_a_deadline(self, subject: Subject) -> None:
        with self.running(subject) as answers:
            result = answers.of(subject.hang("one"), deadline=0.2)
        assert isinstance(result, Failure)
        assert result.fault is Fault.TIMEOUT

    def test_a_deadline_that_is_met(self, subject: Subject) -> None:
        with self.running(subject) as answers:
            assert self.output(subject, answers.of(subject.concat("out", "x"), deadline=PATIENCE)) == b"x"

    def test_an_undeclared_placeholder_is_waited_for(self, subject: Subject) -> None:
        known = Placeholder(subject.concat("made", "later"), 0)
        path = subject.undeclared("hidden", known)
        with self.running(subject) as answers:
            result = answers.of(subject.read("out", path))
        assert isinstance(result, Failure)
        assert (result.fault, result.needs) == (Fault.UNDECLARED, ((path, known),))

    def test_an_undeclared_file_is_taken_in(self, subject: Subject) -> None:
        path = subject.undeclared("hidden", b"found\n")
        with self.running(subject) as answers:
            result = answers.of(subject.read("out", path))
        assert self.output(subject, result) == b"found\n"
        assert isinstance(result, Reduction)
        assert (path, BlobId.of(b"found\n")) in result.extra_inputs

    def test_a_lost_blob(self, subject: Subject) -> None:
        lost = File(subject.graph.path("lost"), BlobId.of(b"nowhere"))
        with self.running(subject) as answers:
            result = answers.of(subject.concat("out", "x", lost))
        assert isinstance(result, Failure)
        assert result.fault in (
            Fault.MISSING_INPUT,
            Fault.CHANGED,
        )  # the latter from engines that know that it is nowhere
