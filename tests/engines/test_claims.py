"""What a worker says of its own work counts as far as it can be true: else one reply would spoil later builds, bills and sums."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgpack import packb

from gg.core.codec import decode_thunk
from gg.core.ids import BlobId, SandboxPath
from gg.core.reduction import encode_reduction
from gg.core.thunk import Made, Reduction, Usage
from gg.cost.meter import Billed, billed
from gg.engines.awslambda.claims import Possible
from gg.engines.awslambda.deployed_functions import DeployedFunction
from gg.engines.engine import Failure
from gg.engines.remote.lending import Directly
from gg.errors import FormatError
from gg.schedule.events import Fault
from gg.store.base import Key, Kind, blob_key
from gg.wire.reply import (
    CacheUse,
    Refused,
    Reply,
    Succeeded,
    WorkerInfo,
    asked,
    decode_reply,
    encode_outputs,
    encode_reply,
)
from gg.wire.request import decode_request
from gg.worker.identity import load_identity
from gg.worker.slot_front import Relay
from tests.conformance.engine_suite import Answers
from tests.support.remote_subject import FakeHandler, ListeningWorker, RemoteSubject

MOST = (1 << 53) - 1
DATA = b"an output"


class Liar(FakeHandler):
    """A worker that makes `DATA` of everything. `size`: of its output, as it says; `told`: whether the output comes along."""

    size = len(DATA)
    told = True
    cache = CacheUse()
    usage = Usage()

    def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
        (task,) = decode_request(data).tasks
        made = tuple([Made(BlobId(BlobId.of(DATA).digest, self.size))] * len(decode_thunk(task.thunk).outputs))
        result = Succeeded(encode_reduction(Reduction(made, b"", b"", self.usage, "x"), ()))
        objects = encode_outputs([DATA] if self.told else [])
        return encode_reply(Reply(WorkerInfo("test"), (result,), cache=self.cache, objects=objects), data)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteSubject]:
    subject = RemoteSubject(tmp_path, load_identity(str(tmp_path / "identity")))
    yield subject
    subject.close()


Ask = Callable[[type[FakeHandler]], Reduction | Failure]


@pytest.fixture
def ask(remote: RemoteSubject) -> Ask:
    """The answer of such a worker, and what the run has spent for its requests to S3."""

    def answer(handler: type[FakeHandler]) -> Reduction | Failure:
        worker = ListeningWorker(remote.where / "worker", remote.identity, 1, handler)
        remote.workers.append(worker)
        engine = remote.engine_for(worker)
        try:
            result = Answers(engine, remote.graph).of(remote.graph.thunk("out", ["x"]))
        finally:
            engine.close()
        spent = engine._region.meter.cost.total
        assert 0 <= spent < 0.1
        return result

    return answer


def test_of_what_a_command_took(ask: Ask) -> None:
    class Long(Liar):
        usage = Usage(MOST, MOST, MOST)

    result = ask(Long)
    assert isinstance(result, Reduction)
    assert result.usage.wall_ns < 60e9
    assert result.usage.cpu_ns < 60e9 * 1024
    assert result.usage.memory <= 1 << 40


@pytest.mark.parametrize(
    "said", [CacheUse(requests=MOST, puts=MOST), CacheUse(requests=MOST), CacheUse(requests=1, puts=MOST)]
)
def test_of_what_it_has_cost(ask: Ask, said: CacheUse) -> None:
    class Dear(Liar):
        cache = said

    assert isinstance(ask(Dear), Reduction)


@pytest.mark.parametrize("size", [0, 1, MOST])
@pytest.mark.parametrize("told", [True, False])
def test_of_an_outputs_size(remote: RemoteSubject, ask: Ask, size: int, told: bool) -> None:
    """Also where these bytes are here already: with the size that they have."""

    class Wrong(Liar):
        pass

    Wrong.size, Wrong.told = size, told
    remote.graph.file("in", DATA)
    result = ask(Wrong)
    assert isinstance(result, Failure)
    assert result.fault is Fault.INFRA


@pytest.mark.parametrize("read", [True, False])
def test_what_it_lacks(read: bool, remote: RemoteSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the attempt does not read nothing is forgotten: it may be in the store for other builds."""
    gone: list[Key] = []
    monkeypatch.setattr(Directly, "gone", lambda self, keys: gone.extend(keys))
    others = [(kind, bytes([n]) * 32) for n in range(100) for kind in (Kind.BLOB, Kind.GROUP, Kind.REDUCTION)]
    thunk = remote.graph.thunk("out", ["x"], remote.graph.file("in", DATA))

    class Lacking(FakeHandler):
        def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
            own = [(int(key.kind), key.digest) for key in [blob_key(BlobId.of(DATA))] if read]
            told = Refused(Fault.MISSING_INPUT, "gone", lacking=(*others, *own))
            return encode_reply(Reply(WorkerInfo("test"), (told,)), data)

    worker = ListeningWorker(remote.where / "worker", remote.identity, 1, Lacking)
    remote.workers.append(worker)
    engine = remote.engine_for(worker)
    try:
        result = Answers(engine, remote.graph).of(thunk)
    finally:
        engine.close()
    assert isinstance(result, Failure)
    assert result.fault is (Fault.INFRA if read else Fault.MISSING_INPUT)
    assert gone == [blob_key(BlobId.of(DATA))] * read


def test_what_is_true_stays() -> None:
    function = DeployedFunction("f", 1 << 30, 900.0, 2048)
    possible = Possible.at(function, 12.5)
    usage = Usage(12_400_000_000, 40_000_000_000, 1900 << 20)
    assert possible.usage(usage) == usage
    assert possible.usage(Usage(13_000_000_000, 0, 4 << 30)) == Usage(12_500_000_000, 0, 2 << 30)
    assert possible.requests(CacheUse(requests=3000, puts=50)) == (50, 2950)
    assert possible.requests(CacheUse(requests=3, puts=50)) == (50, 0)


def _log(*lines: bytes) -> str:
    return base64.b64encode(b"\n".join(lines)).decode()


def test_of_what_lambda_bills() -> None:
    """Lambda's own line comes last; a function may print lines like it before."""
    true = (
        b"REPORT RequestId: 1\tDuration: 1 ms\tBilled Duration: 17 ms\tMemory Size: 1769 MB\tMax Memory Used: 60 MB\t"
    )
    false = b"Billed Duration: 899999999 ms\tMemory Size: 999999999 MB"
    assert billed(_log(true)) == Billed(17, 1769)
    assert billed(_log(os.urandom(3), false, true)) == Billed(17, 1769)
    assert billed(_log(false)) == Billed(910_000, 10_240)
    assert billed(_log(b"Billed Duration: " + b"9" * 500 + b" ms\tMemory Size: 1 MB")) is None


# What it says besides


def test_why_it_did_not_run_is_one_line(ask: Ask) -> None:
    class Talker(FakeHandler):
        def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
            result = Refused(Fault.INFRA, "no room\ngg: all is well\x1b[2J" + "x" * (4 << 20))
            return encode_reply(Reply(WorkerInfo("test"), (result,)), data)

    result = ask(Talker)
    assert isinstance(result, Failure)
    assert result.message.startswith("no room gg: all is well [2J")
    assert len(result.message) <= 1000


def test_paths_without_an_end() -> None:
    """Each would be looked up here."""
    paths = tuple([SandboxPath(b"/%d/x" % n) for n in range(100_001)])
    reply = decode_reply(encode_reply(Reply(WorkerInfo("test"), (Succeeded(b"", paths),)), b"r"), asked(b"r"))
    assert reply.results[0].missing == paths[:100_000]
    for missing in (b"/a\0" * 100_001, b"/" + b"a" * 5000 + b"\0"):
        fields = packb(["gg-reply", 4, ["", "", False, 0], [], [0] * 6, [[0, b"", missing]], 0, b"\x90"])
        with pytest.raises(FormatError):
            decode_reply(fields + BlobId.of(fields + asked(b"r")).digest[:16], asked(b"r"))
    long = SandboxPath(b"/" + b"a" * 5000)  # which no file has
    reply = decode_reply(encode_reply(Reply(WorkerInfo("test"), (Succeeded(b"", (long,)),)), b"r"), asked(b"r"))
    assert reply.results[0].missing == ()
