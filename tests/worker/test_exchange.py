"""What workers give each other: to whom, what is believed of it, and what they do without."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from gg.core.ids import BlobId
from gg.errors import FormatError, UsageError
from gg.store.base import Key, Kind, blob_key
from gg.wire.letters import OfferLetter
from gg.wire.peers import Holding, Peer, parse_peer
from gg.worker import exchange, exchange_server
from gg.worker.disk_cache import Cache
from gg.worker.exchange import Exchange
from gg.worker.exchange_server import ExchangeServer, Served
from gg.worker.steady_socket import SteadySocket
from tests.servers.ports import free_ports
from tests.servers.server import Answer, Server

LARGE = bytes(range(256)) * 20_000


class Worker:
    def __init__(self, where: Path) -> None:
        self.cache = Cache(str(where))
        self.server = ExchangeServer("127.0.0.1", 0, Served(self.cache.opened, self.cache.holds))
        self.exchange = Exchange(self.server.peer)

    @property
    def peer(self) -> Peer:
        return self.server.peer

    def keep(self, data: bytes) -> Key:
        key = blob_key(BlobId.of(data))
        self.cache.put(key, data)
        return key

    def close(self) -> None:
        self.server.close()
        self.exchange.close()


Start = Callable[[], Worker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begun() -> Worker:
            worker = Worker(tmp_path / f"cache{len(list(tmp_path.iterdir()))}")
            stack.callback(worker.close)
            return worker

        yield begun


def test_what_one_keeps_another_gets(start: Start) -> None:
    one, other = start(), start()
    keys = [one.keep(data) for data in (b"", b"small", LARGE)]
    nowhere = blob_key(BlobId.of(b"nowhere"))
    held = [Holding(one.peer, (*[key.digest for key in keys], nowhere.digest))]
    other.exchange.fetch([*keys, nowhere], held, other.cache)
    assert [other.cache.get(key) for key in keys] == [b"", b"small", LARGE]
    assert not other.cache.have(nowhere)
    assert (other.exchange.objects, other.exchange.bytes) == (3, 5 + len(LARGE))


def test_a_program_is_served_too(start: Start) -> None:
    one, other = start(), start()
    key = one.keep(b"#!/bin/sh\n")
    assert one.cache.ready(key, executable=True)
    other.exchange.fetch([key], [Holding(one.peer, (key.digest,))], other.cache)
    assert other.cache.get(key) == b"#!/bin/sh\n"


def answered(peer: Peer, path: str, token: str | None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(peer.host, peer.port, timeout=10)
    connection.request("GET", path, headers={} if token is None else {"Authorization": token})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def test_nobody_else_is_served(start: Start) -> None:
    one = start()
    path = f"/{int(Kind.BLOB)}/{one.keep(b'secret').digest.hex()}"
    for token in (None, "", "Bearer ", "Bearer " + "x" * 32, one.peer.token):
        assert answered(one.peer, path, token) == (401, b"")
    known = f"Bearer {one.peer.token}"
    assert answered(one.peer, path, known) == (200, b"secret")
    for other in ("/", "/9/" + "ab" * 32, path + "0", path[:-2], "/../../etc/passwd", f"/{int(Kind.BLOB)}/../aside1"):
        assert answered(one.peer, other, known) == (404, b"")


def test_other_bytes_are_nobodys(start: Start) -> None:
    """Of a worker that has been taken over, or whose file a command has changed: nothing is kept, and it is not asked again."""
    one = start()
    key = blob_key(BlobId.of(b"right"))
    with Server(lambda seen: Answer(200, b"wrong")) as server:
        liar = Peer(f"127.0.0.1:{server.port}", "t" * 32)
        for _ in range(2):
            one.exchange.fetch([key], [Holding(liar, (key.digest,))], one.cache)
        assert not one.cache.have(key)
        assert len(server.seen) == 1


def test_who_does_not_answer_costs_a_moment(start: Start) -> None:
    one, other = start(), start()
    key = other.keep(b"there")
    (port,) = free_ports(1)
    gone = Peer(f"127.0.0.1:{port}", "t" * 32)
    begun = time.monotonic()
    one.exchange.fetch([key], [Holding(gone, (key.digest,)), Holding(other.peer, (key.digest,))], one.cache)
    assert one.cache.get(key) == b"there"
    assert time.monotonic() - begun < 5


class Dripping:
    """What listens here has a worker's address, and sends `head` at once and then a byte now and then, for ever."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        self.peer = Peer(f"127.0.0.1:{self._listener.getsockname()[1]}", "t" * 32)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                there, _ = self._listener.accept()
                threading.Thread(target=self._drip, args=(there,), daemon=True).start()

    def _drip(self, there: socket.socket) -> None:
        with there, suppress(OSError):
            there.sendall(self._head)
            while not self._over.wait(0.1):
                there.sendall(b"x")

    def __enter__(self) -> Dripping:
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_who_sends_a_byte_now_and_then_keeps_nobody(start: Start, monkeypatch: pytest.MonkeyPatch, head: bytes) -> None:
    """Else one worker could have all others' thunks take too long."""
    monkeypatch.setattr(exchange, "_READ_S", 0.5)
    monkeypatch.setattr(exchange, "_TOLD_S", 0.5)
    one = start()
    key = blob_key(BlobId.of(b"x" * 1000))
    with Dripping(head) as slow:
        begun = time.monotonic()
        one.exchange.fetch([key], [Holding(slow.peer, (key.digest,))], one.cache)
        one.exchange._avoided.clear()
        assert one.exchange.have([slow.peer], [key.digest]) == [Holding(slow.peer, ())]
        one.exchange._avoided.clear()
        assert not one.exchange.offer(slow.peer, OfferLetter("ab" * 8, "handle", 1, "{}"))
        assert time.monotonic() - begun < 10
        assert not one.cache.have(key)


def test_who_sends_all_the_time_may_take_long() -> None:
    near, far = socket.socketpair()
    steady = SteadySocket(near.family, near.type, near.proto, fileno=near.detach())
    steady.expect(1.0, more=True)

    def send() -> None:
        with far:
            for _ in range(8):
                far.sendall(bytes(1 << 20))
                time.sleep(0.2)

    sending = threading.Thread(target=send)
    sending.start()
    with steady, steady.makefile("rb") as file:
        assert len(file.read()) == 8 << 20
    sending.join()


def test_strangers_get_no_more_threads_than_there_are(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens connections and says nothing keeps others out for a while, and that is all."""
    monkeypatch.setattr(exchange_server, "_MOST_CONNECTIONS", 4)
    one, other = start(), start()
    key = one.keep(b"x")
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection((one.peer.host, one.peer.port)))
        assert other.exchange.have([one.peer], [key.digest]) == [Holding(one.peer, ())]
        assert sum("process_request_thread" in thread.name for thread in threading.enumerate()) <= 8
    other.exchange._avoided.clear()
    end = time.monotonic() + 20
    while not other.exchange.have([one.peer], [key.digest])[0].digests:
        other.exchange._avoided.clear()
        assert time.monotonic() < end
        time.sleep(0.05)


def test_strangers_who_send_a_byte_now_and_then_are_gone_soon(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_server, "_MOST_CONNECTIONS", 4)
    monkeypatch.setattr(exchange_server, "_STRANGER_S", 1.0)
    one, other = start(), start()
    key = one.keep(b"x")
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection((one.peer.host, one.peer.port))) for _ in range(4)]
        end = time.monotonic() + 20
        while not other.exchange.have([one.peer], [key.digest])[0].digests:
            other.exchange._avoided.clear()
            assert time.monotonic() < end
            for each in slow:
                with suppress(OSError):
                    each.send(b"G")
            time.sleep(0.1)
        time.sleep(1.5)  # and who has shown the token stays
        assert other.exchange.have([one.peer], [key.digest])[0].digests


def test_a_connection_that_was_closed_is_opened_again(start: Start) -> None:
    one = start()
    data = [b"first", b"second"]
    keys = [blob_key(BlobId.of(each)) for each in data]
    by_path = {f"/{int(Kind.BLOB)}/{key.digest.hex()}": each for key, each in zip(keys, data, strict=True)}
    with Server(lambda seen: Answer(200, by_path[seen.target], close=True)) as server:
        peer = Peer(f"127.0.0.1:{server.port}", "t" * 32)
        for key in keys:
            one.exchange.fetch([key], [Holding(peer, (key.digest,))], one.cache)
    assert [one.cache.get(key) for key in keys] == data


def test_two_that_ask_each_other_at_once(start: Start) -> None:
    one, other = start(), start()
    ours = [one.keep(b"ours %d" % number) for number in range(50)]
    theirs = [other.keep(b"theirs %d" % number) for number in range(50)]
    asking = threading.Thread(
        target=one.exchange.fetch, args=(theirs, [Holding(other.peer, tuple(k.digest for k in theirs))], one.cache)
    )
    asking.start()
    other.exchange.fetch(ours, [Holding(one.peer, tuple(k.digest for k in ours))], other.cache)
    asking.join(30)
    assert all(map(one.cache.have, theirs))
    assert all(map(other.cache.have, ours))


def test_no_other_service_of_this_machine_is_asked(start: Start) -> None:
    """A job names the addresses: it must not have a worker that others reach ask what only its own machine reaches."""
    one = start()
    key = blob_key(BlobId.of(b"x"))
    elsewhere = Exchange(Peer("10.0.0.5:7178", "t" * 32))
    with Server(lambda seen: Answer(200, b"x")) as server:
        elsewhere.fetch([key], [Holding(Peer(f"127.0.0.1:{server.port}", "t" * 32), (key.digest,))], one.cache)
        assert server.seen == []
    elsewhere.close()
    one.exchange.fetch([key], [Holding(one.peer, (key.digest,))], one.cache)  # nor itself


def test_no_other_service_at_another_address_of_this_machine_is_asked() -> None:
    """Whichever address that is, who connects to it comes from it."""
    elsewhere, here = (Exchange(Peer(f"{host}:7178", "t" * 32)) for host in ("10.0.0.5", "127.0.0.1"))
    with socket.create_server(("127.0.0.1", 0)) as service:
        peer = Peer(f"127.0.0.1:{service.getsockname()[1]}", "t" * 32)
        with pytest.raises(ConnectionRefusedError):
            elsewhere._ask(peer, "GET", "/1/00", None)
        came, _ = service.accept()
        came.settimeout(5.0)
        assert came.recv(100) == b""
        came.close()
        here._connection(peer).expect(5.0)
    elsewhere.close()
    here.close()


NO_ADDRESSES = """
    host:80 10.0.0.5 10.0.0.5:0 10.0.0.5:70000 169.254.169.254:80 0.0.0.0:80 224.0.0.1:80
    [fe80::1]:80 [::]:80 10.0.0.5:80/x [10.0.0.5:80 999.0.0.1:80
    [::ffff:a9fe:a9fe]:80 [::ffff:7f00:1]:80 [fd00:ec2::254]:80 [64:ff9b::a9fe:a9fe]:80 [2002:a9fe:a9fe::]:80
    168.63.129.16:80 100.100.100.200:80
"""


@pytest.mark.parametrize("address", ["", "10.0.0.5:80 x", *NO_ADDRESSES.split()])
def test_what_is_no_workers_address(address: str) -> None:
    with pytest.raises(FormatError):
        parse_peer(address, "t" * 32)
    with pytest.raises(FormatError):
        parse_peer("10.0.0.5:80", "short")
    assert parse_peer("[fd00::5]:7178", "t" * 32).host == "fd00::5"


def test_an_address_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot serve other workers on 203"):
        ExchangeServer("203.0.113.7", 0, Served(lambda key: None, lambda digest: False))
