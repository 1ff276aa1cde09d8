"""Attempts that share an invocation, on the lambda engine: one request, one reply, and exactly one answer each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from gg.core.thunk import Reduction
from gg.engines.engine import Failure
from gg.schedule.events import Fault
from gg.store.base import blob_key
from tests.conformance.engine_suite import EngineSuite
from tests.servers.lambda_service.client import LambdaService
from tests.support.lambda_subject import LambdaSubject, Together

output = EngineSuite.output


@contextmanager
def together(subject: LambdaSubject) -> Iterator[Together]:
    engine = subject.engine(4)
    try:
        yield Together(engine, subject.graph)
    finally:
        engine.close()


def test_one_invocation_and_an_answer_for_each(subject: LambdaSubject, service: LambdaService) -> None:
    thunks = [subject.concat(f"o{n}", str(n), subject.graph.file(f"i{n}", b"%d:" % n)) for n in range(16)]
    before = service.state().get("invocations", 0)
    with together(subject) as answers:
        answers.submit_all(*thunks)
        made = answers.all(16)
    assert {n: output(subject, made[n]) for n in made} == {n: b"%d:%d" % (n, n) for n in range(16)}
    assert service.state()["invocations"] == before + 1


def test_equal_outputs_and_inputs_are_no_trouble(subject: LambdaSubject) -> None:
    source = subject.graph.file("i", b"same")
    with together(subject) as answers:
        answers.submit_all(*[subject.concat(f"o{n}", "!", source) for n in range(3)])
        assert [output(subject, each) for each in answers.all(3).values()] == [b"same!"] * 3


def test_a_users_error_is_his_alone(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        answers.submit_all(subject.concat("a", "a"), subject.say("b", 3, "out", "err"), subject.concat("c", "c"))
        found = answers.all(3)
    assert [output(subject, found[n]) for n in (0, 2)] == [b"a", b"c"]
    failure = found[1]
    assert isinstance(failure, Failure)
    assert (failure.fault, failure.status, failure.stdout, failure.stderr) == (Fault.TOOL, 3, b"out", b"err")


def test_what_befalls_the_invocation_befalls_each(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        answers.submit_all(subject.concat("a", "a"), subject.graph.thunk("b", ["die"]), subject.concat("c", "c"))
        found = answers.all(3)
    assert [each.fault for each in found.values() if isinstance(each, Failure)] == [Fault.INFRA] * 3


def test_a_deadline_is_of_one(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        answers.submit_all(subject.concat("a", "a"), subject.hang("b"), subject.concat("c", "c"), deadline=0.3)
        found = answers.all(3)
    assert [output(subject, found[n]) for n in (0, 2)] == [b"a", b"c"]
    assert isinstance(found[1], Failure)
    assert found[1].fault is Fault.TIMEOUT


def test_a_member_is_cancelled_and_the_rest_goes_on(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        answers.submit_all(subject.concat("a", "a"), subject.hang("b"), subject.concat("c", "c"), deadline=1.0)
        answers.engine.cancel(2)
        first = answers.next()
        assert isinstance(first.result, Failure)
        assert (first.attempt, first.result.fault) == (2, Fault.CANCELLED)
        found = answers.all(2)
    assert output(subject, found[0]) == b"a"


def test_all_members_are_cancelled(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        attempts = answers.submit_all(*[subject.hang(f"h{n}") for n in range(5)])
        EngineSuite.until_hanging(subject, answers, 5)
        for attempt in attempts:
            answers.engine.cancel(attempt)
        found = answers.all(5)
        assert {each.fault for each in found.values() if isinstance(each, Failure)} == {Fault.CANCELLED}
        EngineSuite.until_hanging(subject, answers, 0)


def test_a_lost_input_is_one_members(subject: LambdaSubject) -> None:
    lost = subject.graph.file("lost", b"lost")
    subject.store.delete([blob_key(lost.blob)])
    os.unlink(lost.path) if os.path.exists(lost.path) else None
    with together(subject) as answers:
        answers.submit_all(subject.concat("a", "a"), subject.concat("b", "b", lost), subject.concat("c", "c"))
        found = answers.all(3)
    assert isinstance(found[1], Failure)
    assert found[1].fault is Fault.CHANGED
    assert [output(subject, found[n]) for n in (0, 2)] == [b"a", b"c"]


def test_what_is_too_much_for_one_request_goes_in_several(subject: LambdaSubject, service: LambdaService) -> None:
    """Sixteen sources of 250 kB each are more than the three megabytes that a request holds of them."""
    sources = [subject.graph.file(f"i{n}", os.urandom(250_000)) for n in range(16)]
    before = service.state().get("invocations", 0)
    with together(subject) as answers:
        answers.submit_all(*[subject.concat(f"o{n}", "", source) for n, source in enumerate(sources)])
        found = answers.all(16)
    assert all(isinstance(each, Reduction) for each in found.values())
    assert service.state()["invocations"] == before + 2


def test_it_is_metered_once(subject: LambdaSubject) -> None:
    with together(subject) as answers:
        answers.submit_all(*[subject.concat(f"o{n}", str(n)) for n in range(16)])
        answers.all(16)
        assert subject.meter.usage.invocations == 1
