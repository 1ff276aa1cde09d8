"""A job that reads much runs at the worker that has most of it, if that worker can begin it at once."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gg.aws.loop import LoopThread
from gg.aws.sign import Credentials
from gg.aws.sqs import Queues
from gg.core.codec import encode_thunk
from gg.core.ids import BlobId
from gg.engines.spot.heard_workers import HeardWorkers
from gg.engines.spot.present_workers import PresentWorkers
from gg.store.base import blob_key
from gg.store.directory import DirectoryStore
from gg.wire.build_key import build_name, job_id
from gg.wire.letters import (
    AnswerLetter,
    CallLetter,
    JobLetter,
    OfferLetter,
    build_queue,
    decode_answer,
    encode_call,
    encode_job,
    replies_queue,
)
from gg.wire.peers import MOST_HELD, MUCH, Holding, Peer
from gg.wire.request import Request, Task, encode_request
from gg.worker.job_places import best_of
from gg.worker.queue_worker import QueueWorker
from gg.worker.s3_relay import SharedObjects
from gg.worker.slots import Slots
from tests.servers.moto import Moto
from tests.support.remote_subject import MEMORY, FakeHandler
from tests.support.spot_subject import queues
from tests.support.thunks import Graph

KEY = bytes(range(32))
BUILD = build_name(KEY)
LARGE = os.urandom(MUCH + 1)
ONE, OTHER = Peer("10.0.0.5:1", "t" * 32), Peer("10.0.0.6:1", "u" * 32)
PATIENCE = 60


class Member:
    """A worker of a fleet, which serves others on loopback. `asks`: whether it takes jobs from a queue itself."""

    def __init__(self, where: Path, port: int, url: str, name: str, *, asks: bool) -> None:
        self.slots = Slots(str(where / "slots"), cpus=1, memory=MEMORY, make=FakeHandler)
        self.bucket = SharedObjects(
            str(where), lambda: Credentials("x", "y"), "http://127.0.0.1:1", 1 << 30, ("127.0.0.1", 0)
        )
        self.said: list[str] = []
        self.loop = LoopThread(name)

        async def start() -> QueueWorker:
            worker = QueueWorker(self.slots, queues(port), url, self.bucket, name, "0", self.said.append)
            if not asks:
                worker._builds.wanted = lambda build: 0  # type: ignore[method-assign]
            worker.start()
            return worker

        self.worker = self.loop.run(start())

    @property
    def peer(self) -> Peer:
        assert self.bucket.server is not None
        return self.bucket.server.peer

    def keep(self, data: bytes) -> None:
        self.bucket.cache.put(blob_key(BlobId.of(data)), data)

    def knows_build(self) -> bool:
        return BUILD in self.worker._sources

    def close(self) -> None:
        self.loop.run(self.worker.leave(0.0))
        self.slots.close()
        self.loop.close()


class Fleet:
    """A build's side of the queues, and its workers."""

    def __init__(self, where: Path, port: int) -> None:
        self.where = where
        self.port = port
        self.loop = LoopThread("fleet")
        self.queues = self.loop.run(self._open())
        name = f"jobs-{os.urandom(4).hex()}"
        self.url, self.jobs, self.replies = (
            self.loop.run(self.queues.create(each, {}))
            for each in (name, build_queue(name, BUILD), replies_queue(name, BUILD))
        )
        self.loop.run(self.queues.send(self.url, [encode_call(CallLetter(KEY, 0))]))
        self.graph = Graph(DirectoryStore(where / "store"))
        self.members: list[Member] = []
        self.numbers = itertools.count()

    async def _open(self) -> Queues:
        return queues(self.port)

    def member(self, name: str, *, asks: bool) -> Member:
        member = Member(self.where / name, self.port, self.url, name, asks=asks)
        self.members.append(member)
        wait_for(member.knows_build)
        return member

    def job(self, held: tuple[Holding, ...], *data: bytes, argv: tuple[str, ...] = ("say", "0", "", "")) -> JobLetter:
        files = [self.graph.file(f"in{number}", each) for number, each in enumerate(data)]
        thunk = self.graph.thunks[self.graph.thunk(f"out{os.urandom(4).hex()}", argv, *files)]
        task = Task(encode_thunk(thunk), milliseconds=60_000)
        return JobLetter(job_id(KEY, next(self.numbers)), encode_request(Request((task,))), held)

    def send(self, job: JobLetter) -> None:
        assert self.loop.run(self.queues.send(self.jobs, [encode_job(job)])) == [""]

    def answer(self, job: JobLetter) -> AnswerLetter:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for message in self.loop.run(self.queues.receive(self.replies, 10, 1, 60)):
                answer = decode_answer(message.body)
                if answer.id == job.id and answer.what != "started":
                    return answer
        raise AssertionError("no answer")

    def run(self, job: JobLetter) -> str:
        """The name of the worker that answers."""
        self.send(job)
        answer = self.answer(job)
        assert answer.what == "reply"
        return answer.worker

    def close(self) -> None:
        for member in self.members:
            member.close()
        self.loop.run(self.queues.close())
        self.loop.close()


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def fleet(moto_server: Moto, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path, moto_server.port)
    with ExitStack() as stack:
        stack.callback(made.close)
        yield made


def test_it_goes_where_its_inputs_are(fleet: Fleet) -> None:
    """The worker that the queue gives the job to has nothing; who has most gets it, and ends it: the queue is empty then."""
    taker, some, most = (fleet.member(name, asks=name == "taker") for name in ("taker", "some", "most"))
    some.keep(LARGE)
    for data in (LARGE, LARGE[::-1]):
        most.keep(data)
    job = fleet.job((Holding(some.peer, ()), Holding(most.peer, ())), LARGE, LARGE[::-1])
    assert fleet.run(job) == "most"
    assert (taker.worker.served, most.worker.served) == (0, 1)
    wait_for(lambda: fleet.loop.run(fleet.queues.waiting(fleet.jobs)) == 0)
    assert fleet.loop.run(fleet.queues.receive(fleet.jobs, 10, 0, 1)) == []
    taker.keep(b"small")
    assert fleet.run(fleet.job((Holding(most.peer, ()),), b"small")) == "taker"  # and it is idle again


def test_nobody_waits_for_a_worker_that_is_busy(fleet: Fleet) -> None:
    """The job runs where it came, and its inputs come from there all the same."""
    taker, busy = (fleet.member(name, asks=name == "taker") for name in ("taker", "busy"))
    busy.keep(LARGE)
    hanging = fleet.job((), argv=("hang",))
    assert busy.worker._accept(OfferLetter(BUILD, "handle", 1, encode_job(hanging)))
    wait_for(lambda: busy.slots.under_way == 1)
    assert fleet.run(fleet.job((Holding(busy.peer, ()),), LARGE)) == "taker"
    assert taker.bucket.exchange is not None
    assert taker.bucket.exchange.objects == 1


def test_a_worker_that_leaves_or_has_gone_gets_none(fleet: Fleet) -> None:
    taker, leaving = (fleet.member(name, asks=name == "taker") for name in ("taker", "leaving"))
    leaving.keep(LARGE)
    leaving.worker._leaving = True
    held = (Holding(leaving.peer, ()), Holding(Peer("127.0.0.1:1", "t" * 32), ()))
    assert fleet.run(fleet.job(held, LARGE)) == "taker"
    leaving.worker._leaving = False
    taker.bucket.cache.trim((), 1 << 31)
    assert not taker.bucket.cache.holds(BlobId.of(LARGE).digest)
    assert fleet.run(fleet.job((Holding(leaving.peer, ()),), LARGE)) == "leaving"


def test_a_job_that_comes_again_is_not_passed_on(fleet: Fleet) -> None:
    """A worker may have died of it: it runs alone, by the rules of the queue."""
    other = fleet.member("other", asks=False)
    other.keep(LARGE)
    job = fleet.job((Holding(other.peer, ()),), LARGE)
    fleet.send(job)
    (message,) = fleet.loop.run(fleet.queues.receive(fleet.jobs, 1, 20, 0))
    assert message.received == 1
    taker = fleet.member("taker", asks=True)
    assert fleet.answer(job).worker == "taker"
    assert taker.worker._places is not None
    assert taker.worker._places.given == 0


def test_only_a_worker_that_knows_the_build_takes_an_offer(fleet: Fleet) -> None:
    other = fleet.member("other", asks=False)
    taker = fleet.member("taker", asks=True)
    exchange = taker.bucket.exchange
    assert exchange is not None
    job = encode_job(fleet.job((), b"x"))
    assert not exchange.offer(other.peer, OfferLetter("ab" * 8, "handle", 1, job))
    assert not exchange.offer(Peer(other.peer.address, "w" * 32), OfferLetter(BUILD, "handle", 1, job))
    assert not exchange.offer(taker.peer, OfferLetter(BUILD, "handle", 1, job))  # itself
    assert other.worker.served == 0
    assert exchange.offer(other.peer, OfferLetter(BUILD, "handle", 1, job))
    wait_for(lambda: other.worker.served == 1)


def test_nothing_is_offered_to_who_is_not_named(fleet: Fleet) -> None:
    """A worker that an earlier job named learns nothing of this one."""
    taker, other = (fleet.member(name, asks=name == "taker") for name in ("taker", "other"))
    other.keep(LARGE)
    assert fleet.run(fleet.job((Holding(other.peer, ()),), LARGE)) == "other"
    taker.keep(LARGE[::-1])
    assert fleet.run(fleet.job((Holding(taker.peer, ()),), LARGE[::-1])) == "taker"
    asked: list[Peer] = []
    exchange = taker.bucket.exchange
    assert exchange is not None
    exchange.have = lambda peers, digests: asked.extend(peers) or []  # type: ignore[method-assign,func-returns-value]
    taker.bucket.cache.trim((), 1 << 31)
    fleet.run(fleet.job((Holding(ONE, ()),), LARGE))
    fleet.run(fleet.job((), LARGE))
    assert asked == [ONE]


def test_what_is_no_offer_is_nobodys(fleet: Fleet) -> None:
    import http.client

    peer = fleet.member("other", asks=False).peer
    known = {"Authorization": f"Bearer {peer.token}"}
    offers = [b"", b"{}", b"\xff", b'{"v":3,"build":"../../../x","handle":"h","received":1,"job":"{}"}']
    asked = [("/jobs", body, 400 if body else 404) for body in offers]
    asked += [("/have", b"x" * 31, 400), ("/have", bytes(32 * (MOST_HELD + 1)), 404), ("/other", b"x", 404)]
    for path, body, status in asked:
        connection = http.client.HTTPConnection(peer.host, peer.port, timeout=10)
        connection.request("POST", path, body, known)
        answer = connection.getresponse()
        assert (path, answer.status, answer.read()) == (path, status, b"")
        connection.request("POST", path, body)
        assert connection.getresponse().status == 401
        connection.close()


def test_who_has_what(fleet: Fleet) -> None:
    one, other = (fleet.member(name, asks=False) for name in ("one", "other"))
    one.keep(b"x")
    digests = [BlobId.of(data).digest for data in (b"x", b"y")]
    exchange = other.bucket.exchange
    assert exchange is not None
    assert exchange.have([one.peer, Peer("127.0.0.1:1", "t" * 32)], digests) == [
        Holding(one.peer, (digests[0],)),
        Holding(Peer("127.0.0.1:1", "t" * 32), ()),
    ]


def test_many_jobs_at_once_each_have_one_answer(fleet: Fleet) -> None:
    first, second = (fleet.member(name, asks=True) for name in ("first", "second"))
    for member, data in ((first, LARGE), (second, LARGE[::-1])):
        member.keep(data)
    held = (Holding(first.peer, ()), Holding(second.peer, ()))
    jobs = [fleet.job(held, LARGE if number % 2 else LARGE[::-1]) for number in range(20)]
    for job in jobs:
        fleet.send(job)
    answered: list[str] = []
    end = time.monotonic() + PATIENCE
    while len(set(answered)) < len(jobs):
        assert time.monotonic() < end
        letters = [decode_answer(each.body) for each in fleet.loop.run(fleet.queues.receive(fleet.replies, 10, 1, 60))]
        answered += [letter.id for letter in letters if letter.what == "reply"]
    assert sorted(answered) == sorted(job.id for job in jobs)


@pytest.mark.parametrize(
    ("here", "there", "best"),
    [
        ([], {ONE: [0]}, ONE),
        ([], {ONE: [0], OTHER: [0, 1]}, OTHER),
        ([0], {ONE: [0]}, None),  # as much is here
        ([0], {ONE: [1]}, None),
        ([0], {ONE: [0, 1]}, ONE),
        ([], {ONE: [2]}, None),  # too little
        ([], {ONE: []}, None),
        ([], {}, None),
    ],
)
def test_which_is_best(here: list[int], there: dict[Peer, list[int]], best: Peer | None) -> None:
    blobs = [bytes([number]) * 32 for number in range(3)]
    read = {blobs[0]: MUCH, blobs[1]: MUCH, blobs[2]: MUCH - 1}
    told = [Holding(peer, tuple(blobs[n] for n in numbers)) for peer, numbers in there.items()]
    assert best_of(read, [blobs[n] for n in here], told) == best


def test_a_small_part_of_much_is_not_worth_the_way() -> None:
    read = {b"a" * 32: MUCH, b"b" * 32: 4 * MUCH}
    assert best_of(read, [], [Holding(ONE, (b"a" * 32,))]) is None


def test_workers_that_are_here_count_until_they_are_silent() -> None:
    present = PresentWorkers()
    assert present.slots(0.0) == 0
    present.hear("one", 4, 0.0)
    present.hear("other", 2, 20.0)
    assert (present.slots(45.0), present.slots(46.0)) == (6, 2)
    present.hear("other", 0, 47.0)
    assert present.slots(48.0) == 0


def test_workers_are_remembered_for_the_next_run(tmp_path: Path) -> None:
    now = [1000.0]
    first = HeardWorkers(str(tmp_path), "https://queue", lambda: now[0])
    for peer in (ONE, OTHER, ONE):
        first.hear(peer)
    first.keep()
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    again = HeardWorkers(str(tmp_path), "https://queue", lambda: now[0] + 3600)
    assert (again.last(1), again.last(9)) == ([ONE], [ONE, OTHER])
    assert HeardWorkers(str(tmp_path), "https://other", lambda: now[0]).last(9) == []
    assert HeardWorkers(str(tmp_path), "https://queue", lambda: now[0] + 86400).last(9) == []
    path.write_bytes(b'{"https://queue": [["nowhere", "x", 1]]}')
    assert HeardWorkers(str(tmp_path), "https://queue").last(9) == []
