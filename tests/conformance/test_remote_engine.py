"""The engine suite on the remote engine: a worker that listens for real, over TLS, and pretends to run commands."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgpack import packb, unpackb

from gg.core.ids import BlobId
from gg.core.thunk import File, Reduction
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.engine import Failure, Submission
from gg.engines.remote.hosts import Host
from gg.schedule.events import EngineCaps, Fault
from gg.store.base import read_blob
from gg.wire import frames
from gg.wire.frames import FrameKind, RefusalReason
from gg.worker.identity import Identity, load_identity
from tests.conformance.engine_suite import PATIENCE, Answers, EngineSuite, Subject
from tests.conformance.test_lambda_engine import Patient
from tests.servers.functions_for_tests import until
from tests.support.remote_subject import FakeHandler, RemoteSubject


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return load_identity(str(tmp_path_factory.mktemp("identity")))


@pytest.fixture
def remote(tmp_path: Path, identity: Identity) -> Iterator[RemoteSubject]:
    subject = RemoteSubject(tmp_path, identity)
    yield subject
    subject.close()


class TestRemoteEngine(EngineSuite):
    answers = Patient

    @pytest.fixture
    def subject(self, remote: RemoteSubject) -> Subject:
        return remote


class Changes:
    """What an engine tells of itself."""

    def __init__(self, engine: LambdaEngine) -> None:
        self._queue: queue.SimpleQueue[tuple[int | None, EngineCaps | None]] = queue.SimpleQueue()
        engine.follow(lambda name, slots, caps: self._queue.put((slots, caps)))

    def next(self) -> tuple[int | None, EngineCaps | None]:
        return self._queue.get(timeout=PATIENCE)


class Proxy:
    """Passes bytes on to a port, until it is told to break what it passes."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            self._open += [near, far]
            back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            back.start()
            self._pass(near, far)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        Proxy._shut(source, target)

    @staticmethod
    def _shut(*sockets: socket.socket) -> None:
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def break_all(self) -> None:
        self._shut(*self._open)
        self._open = []

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # who waits for a connection holds it open otherwise
        self._listener.close()
        self.break_all()


def _hung(remote: RemoteSubject, answers: Answers, count: int) -> None:
    EngineSuite.until_hanging(remote, answers, count)


def test_big_objects_go_both_ways(remote: RemoteSubject) -> None:
    """An input that no request has room for is asked for, an output that no reply has room for is sent before it."""
    data = os.urandom(3 << 20)
    thunk = remote.graph.thunk("out", ["concat", "tail"], remote.graph.file("in", data))
    engine = remote.engine()
    try:
        result = Answers(engine, remote.graph).of(thunk)
    finally:
        engine.close()
    assert isinstance(result, Reduction)
    made = result.outputs[0]
    assert made is not None
    assert read_blob(remote.store, made.blob) == data + b"tail"


def test_half_an_output_is_nowhere_once_its_attempt_is_cancelled(remote: RemoteSubject) -> None:
    def begun() -> list[Path]:
        return list(remote.where.rglob("output-*"))

    engine = remote.engine()
    answers = Answers(engine, remote.graph)
    try:
        answers.submit(1, remote.graph.thunk("out", ["half"]))
        _hung(remote, answers, 1)
        until(lambda: len(begun()) == 2)  # at the worker and here
        engine.cancel(1)
        assert isinstance(answers.next().result, Failure)
        until(lambda: not begun())
    finally:
        engine.close()


def test_a_worker_gets_only_what_its_thunks_declare(remote: RemoteSubject) -> None:
    from gg.engines.remote.lending import Lending

    declared, other = remote.graph.file("a", b"declared"), remote.graph.file("b", b"secret")
    thunk = remote.graph.thunk("out", ["concat"], declared)
    lending = Lending(remote.store, remote.groups)
    lending.grant(Submission(1, thunk, remote.graph.thunks[thunk]))
    assert lending.read(0, declared.blob.digest) == b"declared" or lending.read(1, declared.blob.digest) == b"declared"
    for kind in range(256):
        assert lending.read(kind, other.blob.digest) is None


def test_a_file_in_place_is_lent_if_it_has_its_bytes(remote: RemoteSubject) -> None:
    """What stands at its own path and not in the store, as the system's headers do: changed, it is nobody's."""
    from gg.engines.remote.lending import Lending
    from gg.store.base import blob_key

    path = remote.where / "w" / "header"
    path.write_bytes(b"one")
    file = File(remote.graph.path("header"), BlobId.of(b"one"))
    thunk = remote.graph.thunk("out", ["concat"], file)
    lending = Lending(remote.store, remote.groups)
    lending.grant(Submission(1, thunk, remote.graph.thunks[thunk]))
    kind = int(blob_key(file.blob).kind)
    assert lending.read(kind, file.blob.digest) == b"one"
    path.write_bytes(b"two")
    assert lending.read(kind, file.blob.digest) is None


def test_clocks_start_when_it_runs(remote: RemoteSubject) -> None:
    said: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    engine = remote.engine(1)
    try:
        for number in (1, 2):
            thunk = remote.hang(f"h{number}")
            engine.submit(Submission(number, thunk, remote.graph.thunks[thunk], sent=said.put), lambda answer: None)
        assert said.get(timeout=PATIENCE) == [1]
        with pytest.raises(queue.Empty):
            said.get(timeout=0.5)
        engine.cancel(1)
        assert said.get(timeout=PATIENCE) == [2]
    finally:
        engine.close()


def test_a_broken_connection_is_not_the_thunks_fault(remote: RemoteSubject) -> None:
    """The worker is there when it is knocked at again: what ran is to run again, and nobody has died of it."""
    worker = remote.worker(2)
    proxy = Proxy(worker.port)
    engine = remote.engine_for(worker, Host("127.0.0.1", proxy.port, worker.identity.key))
    answers = Answers(engine, remote.graph)
    try:
        changes = Changes(engine)
        answers.submit(1, remote.hang("h"))
        _hung(remote, answers, 1)
        time.sleep(1)  # until the worker's word that it has begun is here too
        proxy.break_all()
        result = answers.next().result
        assert isinstance(result, Failure)
        assert result.fault is Fault.INFRA
        assert changes.next()[0] == 2
        _hung(remote, answers, 0)  # nobody waits for it any more
        assert isinstance(answers.of(remote.concat("out", "x")), Reduction)
    finally:
        engine.close()
        proxy.close()


def test_a_dead_worker_is_told_and_missed(remote: RemoteSubject) -> None:
    """Nobody listens any more: what ran there is suspect, what waited is not, and the engine is gone until it is back."""
    worker = remote.worker(1)
    proxy = Proxy(worker.port)
    engine = remote.engine_for(worker, Host("127.0.0.1", proxy.port, worker.identity.key))
    answers = Answers(engine, remote.graph)
    try:
        changes = Changes(engine)
        answers.submit(1, remote.hang("one"))
        _hung(remote, answers, 1)
        answers.submit(2, remote.hang("two"))
        time.sleep(0.1)
        proxy.close()
        faults = {a.attempt: a.result.fault for a in (answers.next(), answers.next()) if isinstance(a.result, Failure)}
        assert faults == {1: Fault.DIED, 2: Fault.CANCELLED}
        assert changes.next() == (None, None)
        refused = answers.of(remote.concat("out", "x"))
        assert isinstance(refused, Failure)
        assert refused.fault is Fault.THROTTLED
    finally:
        engine.close()


def test_a_worker_that_leaves(remote: RemoteSubject) -> None:
    """It says so at once; what runs is let end, what waits or takes too long is given back; nothing is blamed."""
    worker = remote.worker(1)
    engine = remote.engine_for(worker)
    answers = Answers(engine, remote.graph)
    try:
        changes = Changes(engine)
        for number in (1, 2):
            answers.submit(number, remote.hang(f"h{number}"))
        _hung(remote, answers, 1)
        leaving = threading.Thread(target=worker.leave, args=(0.5,))
        leaving.start()
        slots, caps = changes.next()
        assert slots == 0
        assert caps is not None
        assert caps.leaving
        faults = [a.result.fault for a in (answers.next(), answers.next()) if isinstance(a.result, Failure)]
        assert faults == [Fault.CANCELLED, Fault.CANCELLED]
        leaving.join()
        assert changes.next()[0] is None
        assert FakeHandler.hanging == 0
    finally:
        engine.close()


def test_who_has_another_key_gets_nothing(remote: RemoteSubject, tmp_path_factory: pytest.TempPathFactory) -> None:
    import asyncio

    from gg.engines.remote.worker_link import knock
    from gg.errors import SetupError

    worker = remote.worker(1)
    other = load_identity(str(tmp_path_factory.mktemp("other")))
    token = worker.host._replace(key=worker.identity.key._replace(token=other.key.token))
    with pytest.raises(SetupError, match="does not let us in: the key is wrong") as refused:
        asyncio.run(knock(token, "me"))
    assert "paste the line" in refused.value.hint
    pinned = worker.host._replace(key=worker.identity.key._replace(fingerprint=other.key.fingerprint))
    with pytest.raises(SetupError, match="another certificate"):
        asyncio.run(knock(pinned, "me"))
    assert worker.said == ["127.0.0.1 was refused: the key is wrong"]  # nothing was said to whom it does not know


def test_who_speaks_another_version_is_told(remote: RemoteSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from gg.engines.remote.worker_link import knock
    from gg.errors import SetupError

    worker = remote.worker(1)
    hello = frames.encode_hello

    def of_another(greeting: frames.Hello) -> bytes:
        tag, version, *rest = unpackb(hello(greeting))
        data: bytes = packb([tag, version + 1, *rest])
        return data

    monkeypatch.setattr(frames, "encode_hello", of_another)
    with pytest.raises(SetupError, match="it is of gg 0, and you are of another one") as refused:
        asyncio.run(knock(worker.host, "me"))
    assert "install the same version of gg" in refused.value.hint


@pytest.mark.parametrize(
    ("number", "hint"), [(RefusalReason.LEAVING, "start it again"), (99, "the same version of gg")]
)
def test_who_is_refused_is_told_what_to_do(
    remote: RemoteSubject, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    """By the refusal's number, whatever its text says; one that nobody here knows is of another version."""
    import asyncio

    from gg.engines.remote.worker_link import knock
    from gg.errors import SetupError

    worker, encode = remote.worker(1), frames.encode_frames

    def refusing(kind: FrameKind, sent: int, data: bytes) -> list[bytes]:
        return (
            encode(FrameKind.REFUSED, number, b"the key is wrong")
            if kind is FrameKind.WELCOME
            else encode(kind, sent, data)
        )

    monkeypatch.setattr(frames, "encode_frames", refusing)
    with pytest.raises(SetupError, match="the key is wrong") as refused:
        asyncio.run(knock(worker.host, "me"))
    assert hint in refused.value.hint
