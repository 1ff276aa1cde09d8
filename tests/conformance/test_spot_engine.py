"""The engine suite on the spot engine: queues of moto, and a worker that reads them and pretends to run commands."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gg.aws.sqs import Queues
from gg.core.thunk import Reduction
from gg.engines.engine import Failure, Submission
from gg.schedule.events import EngineCaps, Fault
from gg.wire.build_key import KEY_SIZE, build_name, job_id
from gg.wire.letters import (
    AnswerLetter,
    CallLetter,
    JobLetter,
    StoredBody,
    build_queue,
    decode_answer,
    decode_job,
    encode_answer,
    encode_call,
    encode_job,
    replies_queue,
)
from gg.wire.peers import Holding, Peer
from gg.wire.request import MOST_CARRIED, BucketLocation
from gg.worker import job_answers, slots
from tests.conformance.engine_suite import PATIENCE, Answers, EngineSuite, Subject
from tests.conformance.test_lambda_engine import Patient
from tests.servers.moto import Moto
from tests.support.spot_subject import SpotSubject


@pytest.fixture
def spot(moto_server: Moto, tmp_path: Path) -> Iterator[SpotSubject]:
    subject = SpotSubject(tmp_path, moto_server.port)
    yield subject
    subject.close()


class TestSpotEngine(EngineSuite):
    answers = Patient
    under_way_of_three = 3  # it is the scheduler that counts slots

    @pytest.fixture
    def subject(self, spot: SpotSubject) -> Subject:
        return spot


def test_delivered_twice_and_answered_twice(spot: SpotSubject) -> None:
    """The same job twice in the queue, as SQS may deliver it: one answer, and the late one is nobody's."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.concat("out", "x"))
        url = spot.jobs()
        (job,) = _received(spot, url)
        for _ in range(2):
            spot.loop.run(spot.queues.send(url, [encode_job(job)]))
            time.sleep(0.1)
        spot.worker(1)
        assert isinstance(answers.next().result, Reduction)
        answers.no_more()
    finally:
        engine.close()


def test_the_third_time_is_the_last(spot: SpotSubject) -> None:
    """Two workers have had it, and neither has answered: it runs no more, and that is told."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.concat("out", "x"))
        for _ in range(2):
            _received(spot, spot.jobs(), seconds=0)
        spot.worker(1)
        result = answers.next().result
        assert isinstance(result, Failure)
        assert (result.fault, result.message) == (Fault.DIED, "2 workers have died of it")
    finally:
        engine.close()


def test_a_worker_whose_disk_is_full_takes_nothing(spot: SpotSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would refuse one job after the other, faster than others run them."""
    monkeypatch.setattr(slots, "_LEAST_ROOM", 1 << 62)
    engine = spot.engine(1)
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.concat("out", "x"))
        answers.no_more()
        monkeypatch.undo()
        assert isinstance(answers.next().result, Reduction)
    finally:
        engine.close()


def test_a_worker_that_leaves_gives_back(spot: SpotSubject) -> None:
    engine = spot.engine(1)
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.hang("one"))
        end = time.monotonic() + PATIENCE
        while not spot.workers[0].slots.under_way:
            assert time.monotonic() < end
            time.sleep(0.02)
        spot.workers[0].leave(0.2)
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is Fault.CANCELLED
    finally:
        engine.close()


def test_silence_is_told_and_ends(spot: SpotSubject) -> None:
    """With no worker nobody waits for ever; when one is heard the engine is back."""
    changes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    spot.silence = 1.0
    engine = spot.engine_alone(3)
    answers = Answers(engine, spot.graph)

    def tell(name: str, slots: int | None, caps: EngineCaps | None) -> None:
        changes.put(slots)

    try:
        engine.follow(tell)
        answers.submit(1, spot.concat("out", "x"))
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is Fault.THROTTLED
        assert result.message.startswith("no worker has taken work from ")
        assert changes.get(timeout=PATIENCE) is None
        spot.worker(1)  # it does what still lies there, and is heard
        assert changes.get(timeout=PATIENCE) == 3
    finally:
        engine.close()


def test_workers_tell_how_much_they_take(spot: SpotSubject) -> None:
    """As soon as they hear of the build, so that nobody has to try; and when they leave."""
    told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    engine = spot.engine_alone(20)
    answers = Answers(engine, spot.graph)

    def tell(name: str, slots: int | None, caps: EngineCaps | None) -> None:
        if caps is not None:
            told.put(caps.taken)

    def last(taken: int) -> None:
        while told.get(timeout=PATIENCE) != taken:
            pass

    try:
        engine.follow(tell)
        first, _ = spot.worker(3), spot.worker(2)
        answers.submit(1, spot.wait("out", 4.0))
        last(5)
        first.leave(0.0)
        last(2)
    finally:
        engine.close()


def test_what_is_no_letter_is_deleted(spot: SpotSubject) -> None:
    """In the queue for all and in a build's own."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    call = f'{{"v": 3, "asks": 4, "key": "{"ab" * 32}", "call": 0, "weight": 1{"0" * 400}}}'  # more than any float: it is cut
    try:
        answers.submit(1, spot.concat("out", "x"))
        for url in (spot.jobs(), spot.url):
            spot.loop.run(
                spot.queues.send(url, ["nonsense", '{"v": 3, "asks": 4}', "[]", *([call] if url == spot.url else [])])
            )
        worker = spot.worker(1)
        assert isinstance(answers.next().result, Reduction)
        end = time.monotonic() + PATIENCE
        while len(worker.said) < 6:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert [sum(f"no {kind}" in said for said in worker.said) for kind in ("call", "job")] == [3, 3]
    finally:
        engine.close()


def test_an_answer_that_is_lost_does_not_stop_the_clock(spot: SpotSubject) -> None:
    """A worker has deleted the job, and nobody hears of it again: the attempt counts as sent, so that it can be late."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    sent = threading.Event()
    try:
        thunk = spot.concat("out", "x")
        start = Submission(1, thunk, spot.graph.thunks[thunk], sent=lambda attempts: sent.set())
        engine.submit(start, answers.take)
        found = spot.loop.run(spot.queues.receive(spot.jobs(), 10, 20, 60))
        assert not sent.wait(1)
        spot.loop.run(spot.queues.delete(spot.jobs(), [message.handle for message in found]))
        assert sent.wait(PATIENCE)
    finally:
        engine.close()


def test_what_no_message_has_room_for_goes_by_the_store(spot: SpotSubject) -> None:
    """A request and what a command printed, both too big even when they are compressed."""
    said = os.urandom(300_000).hex()
    engine = spot.engine(1)
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.say("out", 3, said, ""))
        result = answers.next().result
        assert isinstance(result, Failure)
        assert (result.fault, result.status, result.stdout) == (Fault.TOOL, 3, said.encode())
        assert len(spot.bodies.kept) == 2
        spot.bodies.kept.clear()
        answers.submit(2, spot.say("other", 3, "ab" * 300_000, ""))
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.stdout == b"ab" * 300_000
        assert not spot.bodies.kept
    finally:
        engine.close()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_body_that_the_store_has_lost(lost: int, spot: SpotSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a request, or of a reply: the attempt counts as one that did not take place."""
    keep, kept = spot.bodies.keep, []

    def keep_some(data: bytes) -> StoredBody:
        kept.append(data)
        body = keep(data)
        if len(kept) == lost + 1:
            del spot.bodies.kept[body.digest]
        return body

    monkeypatch.setattr(spot.bodies, "keep", keep_some)
    engine = spot.engine(1)
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.say("out", 3, os.urandom(300_000).hex(), ""))
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is (Fault.INFRA if lost else Fault.CANCELLED)
    finally:
        engine.close()


def test_another_build_may_use_the_same_identity(spot: SpotSubject) -> None:
    """Jobs of two builds have the same numbers; both builds have their answers, and a job of another build is not run."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    key, fleet = b"k" * KEY_SIZE, spot.url.rpartition("/")[2]
    other = build_name(key)
    try:
        answers.submit(1, spot.wait("out", 3.0))
        (job,) = _received(spot, spot.jobs(), seconds=0)
        jobs, replies = (
            spot.loop.run(spot.queues.create(name, {}))
            for name in (build_queue(fleet, other), replies_queue(fleet, other))
        )
        spot.loop.run(spot.queues.send(jobs, [encode_job(job), encode_job(job._replace(id=job_id(key, 1)))]))
        spot.loop.run(spot.queues.send(spot.url, [encode_call(CallLetter(key, 0))]))
        spot.worker(2)
        assert isinstance(answers.next().result, Reduction)
        end = time.monotonic() + PATIENCE
        said: dict[str, set[str]] = {}
        while "reply" not in said:
            assert time.monotonic() < end
            for message in spot.loop.run(spot.queues.receive(replies, 10, 1, 60)):
                answer = decode_answer(message.body)
                said.setdefault(answer.what, set()).add(answer.id)
        assert said["reply"] == {job_id(key, 1)}
    finally:
        engine.close()


def test_who_knows_a_builds_name_alone_is_nobody_to_it(spot: SpotSubject) -> None:
    """Names of queues can be listed. He withdraws nothing, silences nobody, has nothing run, and answers nothing."""
    told: queue.SimpleQueue[EngineCaps] = queue.SimpleQueue()
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    try:
        engine.follow(lambda name, slots, caps: told.put(caps) if caps else None)
        answers.submit(1, spot.wait("out", 3.0))
        jobs, replies = spot.jobs(), spot.replies()
        (job,) = _received(spot, jobs, seconds=0)
        name = jobs.rpartition("-")[2]
        ids = (f"{name}-1", "1", f"1-{name[:16]}", name)
        claims = {"asks": 4, "build": name, "key": name.ljust(64, "0"), "call": 1 << 50, "weight": 1}
        forged = [{"v": v, **claims, "withdrawn": [[0, 1 << 52]]} for v in (2, 3)]
        answered = [
            {"v": v, "id": id, "worker": "w", "what": what, "data": "", "slots": 4096}
            for v in (2, 3)
            for id in ids
            for what in ("here", "started", "back", "reply")
        ]
        for url, letters in ((spot.url, forged), (replies, answered)):
            assert not any(spot.loop.run(spot.queues.send(url, [json.dumps(letter) for letter in letters])))
        spot.loop.run(spot.queues.send(jobs, [encode_job(job._replace(id=id)) for id in ids]))
        answers.no_more()
        worker = spot.worker(2)
        assert isinstance(answers.next().result, Reduction)
        assert worker.worker.served == 1
        while not told.empty():
            assert told.get().taken in (0, 2)
        answers.no_more()
    finally:
        engine.close()


def test_a_job_whose_answer_cannot_be_sent_is_left_to_others(
    spot: SpotSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_answers, "PAUSES_S", (0.01, 0.01))
    engine = spot.engine(1)
    answers = Answers(engine, spot.graph)
    refusing = threading.Event()

    async def send(self: Queues, url: str, bodies: Sequence[str]) -> list[str]:
        if "-replies-" in url and any('"reply"' in body for body in bodies):
            refusing.set()
            return ["not now" for _ in bodies]
        return await sent(self, url, bodies)

    sent = Queues.send
    monkeypatch.setattr(Queues, "send", send)
    try:
        answers.submit(1, spot.concat("out", "x"))
        url = spot.jobs()
        assert refusing.wait(PATIENCE)
        time.sleep(0.5)
        assert _hidden(spot, url) == 1
    finally:
        engine.close()


def test_an_answer_that_comes_a_hundred_times_is_read_once(spot: SpotSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them names 64 MiB in the store, and all came before the first was read."""
    reading: list[StoredBody] = []

    async def read(body: StoredBody) -> bytes | None:
        reading.append(body)
        await asyncio.sleep(0.5)
        return None

    monkeypatch.setattr(spot.bodies, "get", read)
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    try:
        answers.submit(1, spot.concat("out", "x"))
        (job,) = _received(spot, spot.jobs())
        body = StoredBody(bytes(32), 64 << 20, BucketLocation())
        spot.loop.run(spot.queues.send(spot.replies(), [encode_answer(AnswerLetter(job.id, "w", "reply", body))] * 100))
        result = answers.next().result
        assert isinstance(result, Failure)
        assert (result.fault, len(reading)) == (Fault.INFRA, 1)
    finally:
        engine.close()


@pytest.mark.parametrize("begun", [False, True])
def test_what_was_cancelled_takes_no_slot(begun: bool, spot: SpotSubject) -> None:
    """A job that lies in the queue, when no worker is there yet, and one that runs: the only slot is the next job's soon."""
    engine = spot.engine_alone()
    answers = Answers(engine, spot.graph)
    try:
        if begun:
            spot.worker(1)
        answers.submit(1, spot.hang("one"))
        url = spot.jobs()
        until = time.monotonic() + PATIENCE
        while not (spot.workers[0].slots.under_way if begun else spot.loop.run(spot.queues.waiting(url))):
            assert time.monotonic() < until
            time.sleep(0.05)
        engine.cancel(1)
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is Fault.CANCELLED
        worker = spot.workers[0] if begun else spot.worker(1)
        answers.submit(2, spot.concat("out", "x"))
        assert isinstance(answers.next().result, Reduction)
        assert worker.worker.served == 1
    finally:
        engine.close()


def test_many_jobs_of_one_build_are_in_nobodys_way(spot: SpotSubject) -> None:
    """Of two builds on one slot the second, which comes when the first has queued many, has every other turn."""
    engines = [spot.engine_alone(100) for _ in range(2)]
    first, second = (Answers(engine, spot.graph) for engine in engines)
    try:
        for number in range(40):
            first.submit(number, spot.wait(f"first{number}", 0.1))
        worker = spot.worker(1)
        assert isinstance(first.next().result, Reduction)
        before = worker.worker.served
        for number in range(8):
            second.submit(number, spot.wait(f"second{number}", 0.1))
        for _ in range(8):
            assert isinstance(second.next().result, Reduction)
        assert worker.worker.served - before < 30
    finally:
        for engine in engines:
            engine.close()


def _hidden(spot: SpotSubject, url: str) -> int:
    """How many messages somebody has taken and nobody has deleted."""
    what = "ApproximateNumberOfMessagesNotVisible"
    found = spot.loop.run(spot.queues._call("GetQueueAttributes", QueueUrl=url, AttributeNames=[what]))
    return int(found["Attributes"][what])


def _received(spot: SpotSubject, url: str, seconds: int = 60) -> list[JobLetter]:
    """As a worker would, which then dies; others see the message after `seconds`."""
    found = spot.loop.run(spot.queues.receive(url, 10, 20, seconds))
    assert found
    return [decode_job(message.body) for message in found]


def test_letters() -> None:
    from gg.errors import FormatError

    job = JobLetter("a-1", b"\0request")
    held = (
        Holding(Peer("10.0.0.5:7178", "t" * 32), (b"\1" * 32, b"\2" * 32)),
        Holding(Peer("[fd00::5]:1", "u" * 16), ()),
    )
    assert decode_job(encode_job(job)) == job
    assert decode_job(encode_job(job._replace(held=held))) == job._replace(held=held)
    made = AnswerLetter("a-1", "w", "reply", b"\xff", held[:1])
    assert decode_answer(encode_answer(made)) == made
    for answer in (AnswerLetter("a-1", "w", "reply", b"\xff"), AnswerLetter("a-1", "w", "started")):
        assert decode_answer(encode_answer(answer)) == answer
    here = AnswerLetter("0123456789abcdef", "w", "here", slots=8)
    assert decode_answer(encode_answer(here)) == here
    stored = StoredBody(b"\1" * 32, 1 << 20, BucketLocation("http://here", "bucket", "p/", "eu-west-1", "123"))
    for body in (b"ab" * 10_000, os.urandom(10_000), stored):
        assert decode_job(encode_job(job._replace(request=body))).request == body
        assert decode_answer(encode_answer(made._replace(data=body))).data == body
    assert len(encode_job(job._replace(request=b"ab" * 10_000))) < 1000
    wrong = ["", "null", "{}", "[" * 5000, '{"v":3,"id":"","request":""}', '{"v":3,"id":"a"}']
    start = '{"v":3,"id":"a","worker":"w","what":"started","request":"","held":'
    wrong += [start + end for end in ("1}", "[1]}", '[["10.0.0.5:1"]]}', '[["10.0.0.5:1","tttttttttttttttt","AAAA"]]}')]
    wrong += [start + '[["169.254.169.254:80","tttttttttttttttt",""]]}']
    wrong += ['{"v":2,"id":"a","worker":"w","what":"here"}', '{"v":2,"id":"a","worker":"w","what":"here","slots":4097}']
    wrong += ['{"v":2,"id":"a","worker":"w","what":"other"}', '{"v":2,"id":"a","worker":"w","what":"reply","data":"*"}']
    start = '{"v":3,"id":"a","worker":"w","what":"reply",'
    bodies = ["[]", '["zstd","AAAA"]', '["zstd",1]', f'["zstd","{_bomb()}"]', '["blob","AAAA",1,"","","","",""]', "1"]
    digest = base64.b64encode(bytes(32)).decode()
    bodies += [f'["blob","{digest}",{size},"","","","",""]' for size in ("-1", "1e9", "99999999999", '"1"')]
    bodies += [f'["blob","{digest}",1,"","","",""]', f'["blob","{digest}",1,"","","","",1]']
    wrong += [start + f'"request":{body},"data":{body}}}' for body in bodies]
    for text in wrong:
        for decode in (decode_job, decode_answer):
            with pytest.raises(FormatError):
                decode(text)


def _bomb() -> str:
    """Of a few kB, with more in it than a body may have."""
    from zstandard import ZstdCompressor

    return base64.b64encode(ZstdCompressor().compress(bytes(MOST_CARRIED + 1))).decode()
