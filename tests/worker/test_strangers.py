"""Who connects to a worker and shows no token: it costs little, and keeps nobody out who connects from elsewhere."""

from __future__ import annotations

import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gg.wire import frames
from gg.wire.frames import FrameKind, Hello
from gg.worker.identity import load_identity
from tests.support.remote_subject import ListeningWorker

PATIENCE = 60


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[ListeningWorker]:
    made = ListeningWorker(tmp_path / "w", load_identity(str(tmp_path / "identity")), 1)
    yield made
    made.close()


def _answer(worker: ListeningWorker, source: str, token: bytes) -> FrameKind | None:
    """The kind of what a worker answers to a greeting from an address; None if it hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", worker.port), PATIENCE, (source, 0)) as plain,
            context.wrap_socket(plain) as there,
        ):
            there.sendall(frames.encode_frames(FrameKind.HELLO, 0, frames.encode_hello(Hello(token, "me")))[0])
            head = there.recv(frames.HEAD.size)
            return FrameKind(head[0]) if head else None
    except OSError:
        return None


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"])
def test_connections_that_show_no_token(worker: ListeningWorker, said: bytes) -> None:
    token = worker.identity.key.token
    tracemalloc.start()
    with ExitStack() as stack:
        for _ in range(300):
            there = stack.enter_context(socket.create_connection(("127.0.0.1", worker.port), PATIENCE))
            if said:
                there.send(said)
        assert _answer(worker, "127.0.0.2", token) is FrameKind.WELCOME
        _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 << 20
    end = time.monotonic() + PATIENCE
    while _answer(worker, "127.0.0.1", token) is not FrameKind.WELCOME:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_another_token(worker: ListeningWorker) -> None:
    assert _answer(worker, "127.0.0.1", bytes(frames.TOKEN_SIZE)) is FrameKind.REFUSED
    assert _answer(worker, "127.0.0.1", worker.identity.key.token) is FrameKind.WELCOME
