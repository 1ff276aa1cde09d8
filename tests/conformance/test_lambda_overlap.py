"""While inputs are on their way to the store between, or outputs back from it, the lambda engine runs what needs neither."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from gg.core.codec import encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.thunk import File, Group
from gg.engines.engine import Failure
from gg.store.base import Key, Kind, blob_key
from gg.wire.request import BucketLocation, PackReference
from tests.conformance.engine_suite import PATIENCE, EngineSuite
from tests.servers.functions_for_tests import until
from tests.servers.lambda_service.client import LambdaService
from tests.support.lambda_subject import LambdaSubject, Together

output = EngineSuite.output


class Between:
    """A store between whose doors a test opens and shuts. `fetched`: what `bring` puts into the near store."""

    place = BucketLocation("http://127.0.0.1:1", "bucket", "", "us-east-1")

    def __init__(self, subject: LambdaSubject, *fetched: bytes) -> None:
        self._store = subject.store
        self.inwards, self.outwards = threading.Event(), threading.Event()
        self.asked: list[str] = []
        self.fetched = {BlobId.of(data): data for data in fetched}

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        self.asked.append("send")
        assert self.inwards.wait(PATIENCE), "nobody lets it in"
        return set()

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        return set(), set()

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]:
        self.asked.append("bring")
        assert self.outwards.wait(PATIENCE), "nobody lets it out"
        self._store.put({blob_key(blob): self.fetched[blob] for blob in blobs})
        return set(blobs)

    def gone(self, keys: Sequence[Key]) -> None:
        raise AssertionError("nothing is gone")


def grouped(subject: LambdaSubject, name: str) -> ThunkId:
    """A thunk that reads a group."""
    encoded = encode_group(Group((File(SandboxPath(b"/usr/include/x.h"), BlobId.of(b"x")),)))
    plain = subject.graph.thunks[subject.concat(name, name)]
    thunk = plain._replace(groups=(group_id(encoded),), argv=(b"far", name.encode()))
    data = encode_thunk(thunk)
    made = thunk_id(data)
    subject.store.put({Key(Kind.GROUP, group_id(encoded)): encoded, Key(Kind.THUNK, made): data})
    subject.graph.thunks[made] = thunk
    return made


@contextmanager
def through(subject: LambdaSubject, between: Between) -> Iterator[Together]:
    """An engine with this store between. In the end all doors are open."""
    engine = subject.engine(remote=between)
    try:
        yield Together(engine, subject.graph)
    finally:
        between.inwards.set()
        between.outwards.set()
        engine.close()


def test_others_run_while_inputs_are_sent(subject: LambdaSubject, service: LambdaService) -> None:
    between = Between(subject)
    before = service.state().get("invocations", 0)
    with through(subject, between) as answers:
        waits = grouped(subject, "waits")
        between.fetched[BlobId.of(b"waits")] = b"waits"
        answers.submit(1, waits)
        until(lambda: "send" in between.asked, PATIENCE)
        answers.submit(2, subject.concat("runs", "runs"))
        first = answers.next()
        assert (first.attempt, output(subject, first.result)) == (2, b"runs")
        assert service.state()["invocations"] == before + 1, "what waits for its inputs has not been asked for"
        between.inwards.set()
        between.outwards.set()
        second = answers.next()
        assert service.state()["invocations"] == before + 2
    assert second.attempt == 1
    assert not isinstance(second.result, Failure), second.result


def test_others_run_while_outputs_are_fetched(subject: LambdaSubject, service: LambdaService) -> None:
    between = Between(subject, b"far away")
    before = service.state().get("invocations", 0)
    with through(subject, between) as answers:
        answers.submit(1, subject.graph.thunk("big", ["far", "far", " away"]))
        until(lambda: "bring" in between.asked, PATIENCE)
        for number in range(2, 12):
            answers.submit(number, subject.concat(f"o{number}", str(number)))
        early = [answers.next() for _ in range(10)]
        assert {answer.attempt for answer in early} == set(range(2, 12))
        assert service.state()["invocations"] == before + 11
        between.outwards.set()
        late = answers.next()
    assert (late.attempt, output(subject, late.result)) == (1, b"far away")


def test_what_a_batch_lacks_keeps_none_of_its_others(subject: LambdaSubject) -> None:
    """One reply with a big output and a small one: the small one is answered while the big one is on its way."""
    between = Between(subject, b"far away")
    with through(subject, between) as answers:
        big, small = subject.graph.thunk("big", ["far", "far", " away"]), subject.concat("small", "s")
        answers.submit_all(big, small)
        first = answers.next()
        assert (first.attempt, output(subject, first.result)) == (1, b"s")
        between.outwards.set()
        second = answers.next()
    assert (second.attempt, output(subject, second.result)) == (0, b"far away")
