"""What a machine of one's own sends may be anything, once somebody else has it: it costs one connection, and little memory."""

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from gg.engines.engine import Failure
from gg.engines.remote import one_machine
from gg.engines.remote.hosts import Host
from gg.errors import FormatError
from gg.schedule.events import Fault
from gg.schedule.policy import Policy
from gg.wire import frames, partial_outputs
from gg.wire.frames import Frame, FrameKind, Welcome, Whole
from gg.wire.partial_outputs import PartialOutputs
from gg.wire.reply import encode_wrong_version
from gg.worker.identity import Identity, load_identity
from tests.conformance.engine_suite import PATIENCE, Answers
from tests.support.remote_subject import ListeningWorker, RemoteSubject

MIB = 1 << 20

Send = Callable[[bytes], None]
Script = Callable[[Send, int], None]


class HostileMachine:
    """Lets a coordinator in, and once it is asked to run something does what `script` says, with the number of the attempt."""

    def __init__(self, identity: Identity, script: Script) -> None:
        self.welcome = Welcome("0", "hostile", 2, 1 << 30, os.uname().machine)
        self._context = identity.context()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = Host("127.0.0.1", self._listener.getsockname()[1], identity.key)
        self.connections = 0
        self.hangs_up = False  # as soon as it has let somebody in
        self._script = script
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(plain,), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        with suppress(OSError, EOFError), self._context.wrap_socket(plain, server_side=True) as there:
            self._frame(there)
            there.sendall(frames.encode_frames(FrameKind.WELCOME, 0, frames.encode_welcome(self.welcome))[0])
            while not self.hangs_up:
                kind, number = self._frame(there)
                if kind == FrameKind.RUN:
                    self._script(there.sendall, number)

    @staticmethod
    def _frame(there: socket.socket) -> tuple[int, int]:
        def read(size: int) -> bytes:
            data = b""
            while len(data) < size:
                part = there.recv(size - len(data))
                if not part:
                    raise EOFError
                data += part
            return data

        kind, _, number, length = frames.HEAD.unpack(read(frames.HEAD.size))
        read(length)
        return kind, number

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[RemoteSubject]:
    subject = RemoteSubject(tmp_path, load_identity(str(tmp_path / "identity")))
    yield subject
    subject.close()


Ask = Callable[[Script], tuple[Failure, int]]


@pytest.fixture
def ask(remote: RemoteSubject) -> Ask:
    """The failure of an attempt there, and how often gg has connected; with little memory."""

    def asked(script: Script) -> tuple[Failure, int]:
        machine = HostileMachine(remote.identity, script)
        engine = remote.engine_for(cast("ListeningWorker", machine))
        tracemalloc.start()
        try:
            result = Answers(engine, remote.graph).of(remote.graph.thunk("out", ["x"]))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            engine.close()
            machine.close()
        assert isinstance(result, Failure)
        assert result.setup is None
        assert most < 50 * MIB
        assert not list(remote.where.rglob("output-*"))
        return result, machine.connections

    return asked


def _one(kind: FrameKind, number: int, data: bytes = b"", *, last: bool = True) -> bytes:
    return frames.one(kind, number, data, last=last)


def test_questions_without_an_end(ask: Ask) -> None:
    """It takes none of what it is sent."""
    need = frames.encode_need([(0, bytes(32))] * frames.MOST_NEED)

    def script(send: Send, number: int) -> None:
        for question in range(100_000):
            send(_one(FrameKind.NEED, question, need))

    failure, connections = ask(script)
    assert "the connection to" in failure.message
    assert connections > 1


@pytest.mark.parametrize("size", [0, 33])
def test_small_questions_without_an_end(ask: Ask, size: int) -> None:
    def script(send: Send, number: int) -> None:
        for question in range(0, 10_000_000, 1000):
            send(b"".join([_one(FrameKind.NEED, question + n, bytes(size)) for n in range(1000)]))

    assert "the connection to" in ask(script)[0].message


def test_replies_that_nobody_waits_for(ask: Ask) -> None:
    """Sixty-four of them are begun, and each may be long."""

    def script(send: Send, number: int) -> None:
        part = bytes(frames.PART)
        for _ in range(8):
            for other in range(63):
                send(_one(FrameKind.REPLY, 1000 + other, part, last=False))
        send(_one(FrameKind.REPLY, number, b"none"))

    failure, connections = ask(script)
    assert failure.message.startswith("a damaged reply")
    assert connections == 1


def test_a_reply_without_an_end(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_REPLY", 8 * MIB)

    def script(send: Send, number: int) -> None:
        for _ in range(10_000):
            send(_one(FrameKind.REPLY, number, bytes(frames.PART), last=False))

    assert "the connection to" in ask(script)[0].message


def test_very_many_outputs_that_are_begun(ask: Ask) -> None:
    def script(send: Send, number: int) -> None:
        for n in range(100_000):
            send(_one(FrameKind.OUTPUT, number, b"\0" + struct.pack(">32xI", n)[4:] + b"x", last=False))

    assert "the connection to" in ask(script)[0].message


@pytest.mark.parametrize(
    "data",
    [
        frames.HEAD.pack(FrameKind.REPLY, 1, 1, (1 << 32) - 1),
        frames.HEAD.pack(FrameKind.HELLO, 1, 1, 0),
        frames.HEAD.pack(FrameKind.REPLY, 7, 1, 0),
        _one(FrameKind.OUTPUT, 1, b""),
        _one(FrameKind.OUTPUT, 1, b"\2" + bytes(40)),
        _one(FrameKind.OUTPUT, 1, b"\0short"),
        _one(FrameKind.NEED, 1, bytes(34)),
        _one(FrameKind.NEED, 1, b"\xff" + bytes(32)),
    ],
)
def test_what_is_no_frame(ask: Ask, data: bytes) -> None:
    """The connection ends, soon."""
    begun = time.monotonic()

    def script(send: Send, number: int) -> None:
        send(data[:2] + data[2:10].replace(struct.pack("!Q", 1), struct.pack("!Q", number)) + data[10:])

    assert "the connection to" in ask(script)[0].message
    assert time.monotonic() - begun < 10


def test_an_attempt_that_never_begins(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there and says so, and that is all: others do the work."""
    monkeypatch.setattr(one_machine, "_BEGIN_S", 1.0)

    def script(send: Send, number: int) -> None:
        for _ in range(5):
            send(_one(FrameKind.BEAT, 0))
            time.sleep(1)

    failure, connections = ask(script)
    assert (failure.fault, connections) == (Fault.THROTTLED, 1)
    assert failure.message.endswith("has not begun it for 1 s")


def test_a_machine_that_begins_nothing(remote: RemoteSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it was sent is answered, then it counts as gone, and after a while it may try again: before a run without another
    engine gives up, for its slots may only be another build's.
    """
    assert Policy().patience > one_machine._AGAIN_S
    monkeypatch.setattr(one_machine, "_BEGIN_S", 1.0)
    monkeypatch.setattr(one_machine, "_AGAIN_S", 2.0)

    def script(send: Send, number: int) -> None:
        send(_one(FrameKind.BEAT, 0))

    machine = HostileMachine(remote.identity, script)
    engine = remote.engine_for(cast("ListeningWorker", machine))
    changes: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    try:
        engine.follow(lambda name, slots, caps: changes.put(slots))
        answers = Answers(engine, remote.graph)
        for n in (1, 2):
            answers.submit(n, remote.graph.thunk(f"out{n}", ["x"]))
        found = [answers.next().result for _ in range(2)]
        assert [each.fault for each in found if isinstance(each, Failure)] == [Fault.THROTTLED] * 2
        assert changes.get(timeout=PATIENCE) is None
        assert changes.get(timeout=PATIENCE) == 2
    finally:
        engine.close()
        machine.close()


@pytest.mark.parametrize("kind", [FrameKind.STARTED, FrameKind.BACK, FrameKind.LEAVING, FrameKind.BEAT])
def test_what_is_said_again_and_again(ask: Ask, kind: FrameKind) -> None:
    def script(send: Send, number: int) -> None:
        send(_one(kind, number) * 10_000)
        send(_one(kind, number + 1) * 10_000)
        send(_one(FrameKind.REPLY, number, b"none") * 100)

    ask(script)


def test_who_says_that_he_leaves_again_and_again_is_told_of_once(remote: RemoteSubject) -> None:
    """Each time all that is ready would be placed anew."""
    changes: list[int | None] = []

    def script(send: Send, number: int) -> None:
        send(_one(FrameKind.LEAVING, 0) * 10_000)
        send(_one(FrameKind.REPLY, number, b"none"))

    machine = HostileMachine(remote.identity, script)
    engine = remote.engine_for(cast("ListeningWorker", machine))
    try:
        engine.follow(lambda name, slots, caps: changes.append(slots))
        Answers(engine, remote.graph).of(remote.graph.thunk("out", ["x"]))
        assert changes == [0]
    finally:
        engine.close()
        machine.close()


def test_no_worker_ends_a_run_by_saying_that_it_is_of_another_version(ask: Ask) -> None:
    """Its greeting has told its version; those who let each other in understand each other."""

    def script(send: Send, number: int) -> None:
        send(_one(FrameKind.REPLY, number, encode_wrong_version("older")))

    failure, _ = ask(script)
    assert failure.fault is Fault.INFRA


def test_who_lets_everybody_in_and_hangs_up_is_asked_now_and_then(remote: RemoteSubject) -> None:
    def script(send: Send, number: int) -> None:
        raise EOFError

    machine = HostileMachine(remote.identity, script)
    machine.hangs_up = True
    engine = remote.engine_for(cast("ListeningWorker", machine))
    changes: list[int | None] = []
    try:
        engine.follow(lambda name, slots, caps: changes.append(slots))
        result = Answers(engine, remote.graph).of(remote.graph.thunk("out", ["x"]))
        assert isinstance(result, Failure)
        time.sleep(4.0)
        assert machine.connections < 12
        assert len(changes) < 12
    finally:
        engine.close()
        machine.close()


def test_a_machine_that_has_another_processor_by_now(remote: RemoteSubject) -> None:
    """Nothing is sent there: its commands would fail as if that were the user's doing."""
    asked: list[int] = []
    machine = HostileMachine(remote.identity, lambda send, number: asked.append(number))
    machine.welcome = machine.welcome._replace(machine="sparc64")
    engine = remote.engine_for(cast("ListeningWorker", machine))
    try:
        result = Answers(engine, remote.graph).of(remote.graph.thunk("out", ["x"]))
        assert isinstance(result, Failure)
        assert (result.fault, asked) == (Fault.THROTTLED, [])
    finally:
        engine.close()
        machine.close()


def test_what_is_dropped_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply of which half had come when its attempt was cancelled."""
    monkeypatch.setattr(frames, "_MOST_BEGUN", 100)
    whole = Whole({FrameKind.REPLY: 1000})
    for number in range(100):
        assert whole.take(Frame(FrameKind.REPLY, number, False, bytes(60))) is None
        whole.drop(Frame(FrameKind.REPLY, number, False, bytes(60)))
    whole.take(Frame(FrameKind.REPLY, 1, False, bytes(60)))
    assert whole.take(Frame(FrameKind.REPLY, 1, True, bytes(40))) == bytes(100)
    whole.take(Frame(FrameKind.REPLY, 1, False, bytes(60)))
    with pytest.raises(FormatError):
        whole.take(Frame(FrameKind.REPLY, 2, False, bytes(60)))


def test_not_too_many_outputs_are_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_outputs, "_MOST_BEGUN", 3)
    outputs = PartialOutputs(str(tmp_path), lambda digest, path: None)
    for n in range(3):
        outputs.take(frames.encode_output(bytes([n]) * 32, b"x"), last=False)
    with pytest.raises(FormatError, match="too many"):
        outputs.take(frames.encode_output(b"n" * 32, b"x"), last=False)
    outputs.drop()
    assert not list(tmp_path.iterdir())
