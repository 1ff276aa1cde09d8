"""The engine suite on the lambda engine, whose functions are those of the Lambda service's fast mode with a fake worker."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.thunk import Reduction
from gg.engines.engine import Failure, Submission
from gg.schedule.events import Fault
from tests.conformance.engine_suite import PATIENCE, Answers, EngineSuite, Subject
from tests.servers.functions_for_tests import until
from tests.servers.lambda_service.client import LambdaService
from tests.support.lambda_subject import LambdaSubject


class Patient(Answers):
    """Submits again, as the driver does, with what an attempt turned out to need."""

    def of(self, thunk: ThunkId, deadline: float | None = None) -> Reduction | Failure:
        result = super().of(thunk, deadline)
        if isinstance(result, Failure) and result.fault is Fault.UNDECLARED and not result.needs:
            start = Submission(1, thunk, self._graph.thunks[thunk], result.extra, deadline)
            self.engine.submit(start, self._queue.put)
            result = self.next().result
        return result


class TestLambdaEngine(EngineSuite):
    answers = Patient
    under_way_of_three = 3  # it is the scheduler that counts slots

    @pytest.fixture
    def subject(self, service: LambdaService, tmp_path: Path) -> Subject:
        return LambdaSubject(service, tmp_path)

    def test_a_thousand_at_once(self, subject: Subject) -> None:
        """Many begin together and many replies are dealt with together: each is answered once, with its own."""
        thunks = [subject.concat(f"o{n}", str(n), subject.graph.file(f"i{n}", b"%d:" % n)) for n in range(1000)]
        with self.running(subject) as answers:
            for number, thunk in enumerate(thunks):
                answers.submit(number, thunk)
            made = {a.attempt: a.result for a in (answers.next() for _ in thunks)}
            answers.no_more()
        assert {n: self.output(subject, r) for n, r in made.items()} == {n: b"%d:%d" % (n, n) for n in range(1000)}

    def test_it_says_what_was_sent_and_has_no_answer_yet(self, subject: Subject) -> None:
        said: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
        with self.running(subject) as answers:
            for number, thunk in enumerate([subject.concat("quick", "x"), subject.hang("h1"), subject.hang("h2")]):
                start = Submission(number, thunk, subject.graph.thunks[thunk], sent=said.put)
                answers.engine.submit(start, lambda answer: None)
            attempts: set[int] = set()
            while len(attempts) < 2:
                attempts |= set(said.get(timeout=PATIENCE))
        assert attempts == {1, 2}

    def test_a_duplicate_of_what_is_answered_is_not_sent(self, subject: Subject, service: LambdaService) -> None:
        """The answer had come, and the machine was too busy to look: what drags is asked for again, what is done is not."""
        done, hung = subject.concat("done", "x"), subject.hang("hung")
        with self.running(subject) as answers:
            answers.submit(1, done)
            answers.next()
            before = service.state()["invocations"]
            answers.submit(2, hung)
            until(lambda: service.state()["invocations"] == before + 1, PATIENCE)
            answers.engine.submit(Submission(3, done, subject.graph.thunks[done], hedge=True), answers.take)
            result = answers.next().result
            assert isinstance(result, Failure)
            assert result.fault is Fault.CANCELLED
            answers.engine.submit(Submission(4, hung, subject.graph.thunks[hung], hedge=True), answers.take)
            until(lambda: service.state()["invocations"] == before + 2, PATIENCE)

    def test_cancelled_at_once(self, subject: Subject) -> None:
        """Before the engine has looked at them, and while it does: each is answered all the same."""
        with self.running(subject) as answers:
            for number in range(200):
                answers.submit(number, subject.hang(f"h{number}"))
                answers.engine.cancel(number)
            got = [answers.next() for _ in range(200)]
            answers.no_more()
        assert {a.attempt for a in got} == set(range(200))
        assert {a.result.fault for a in got if isinstance(a.result, Failure)} == {Fault.CANCELLED}
