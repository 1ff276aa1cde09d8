"""The exchange of blobs between workers of one fleet: each worker serves the blobs that it keeps to whoever has its token.

The bucket has every object all the same. If a worker does not answer, or lacks the object, or sends other bytes, the worker that
asks loses a moment, and fetches the object from the bucket. A coordinator gets the token together with a job's answer, and sends
it with each job that reads the outputs.
"""

from __future__ import annotations

import hmac
import http.client
import http.server
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO

from gg.errors import FormatError, UsageError
from gg.store.base import Key, Kind
from gg.wire.peers import Holding, Peer, parse_peer
from gg.worker.disk_cache import Cache

_AT_ONCE = 8
_CONNECT_S = 1.0
_READ_S = 10.0
_AVOID_S = 60.0  # for a worker that did not answer
_PART = 1 << 20
_MOST_OBJECT = 1 << 30
_IDLE_S = 60.0
_KINDS = {int(kind): kind for kind in Kind}

Find = Callable[[Key], IO[bytes] | None]


class ExchangeServer:
    """Serves objects on `host` and `port` (0: any port). `find` opens an object's file, if the object is here. UsageError."""

    def __init__(self, host: str, port: int, find: Find) -> None:
        token = secrets.token_urlsafe(24)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._server = _Server(family, (host, port), find, token)
            address = f"[{host}]" if ":" in host else host
            self.peer = parse_peer(f"{address}:{self._server.server_address[1]}", token)
        except (OSError, FormatError) as error:
            raise UsageError(
                f"cannot serve other workers on {host}:{port}: {error}",
                hint="an address of this machine that other workers reach: --exchange ADDRESS:PORT",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="exchange", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, family: int, address: tuple[str, int], find: Find, token: str) -> None:
        self.address_family = socket.AddressFamily(family)
        self.find = find
        self._expected = f"Bearer {token}".encode()
        super().__init__(address, _Answering)

    def is_known(self, told: str) -> bool:
        """`told`: the header Authorization."""
        return hmac.compare_digest(told.encode(), self._expected)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client has broken off."""


class _Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server

    def do_GET(self) -> None:
        if not self.server.is_known(self.headers.get("Authorization", "")):
            self._head(401, 0)
            return
        key = _key_of(self.path)
        file = self.server.find(key) if key is not None else None
        if file is None:
            self._head(404, 0)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            self._head(200, size)
            while size > 0 and (part := file.read(min(_PART, size))):
                self.wfile.write(part)
                size -= len(part)
        self.close_connection = self.close_connection or size > 0

    def _head(self, status: int, size: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: nobody reads this log."""


def _key_of(path: str) -> Key | None:
    kind, _, digest = path.lstrip("/").partition("/")
    with suppress(ValueError):
        raw = bytes.fromhex(digest)
        if kind.isascii() and kind.isdigit() and int(kind) in _KINDS and len(raw) == 32:
            return Key(_KINDS[int(kind)], raw)
    return None


class Exchange:
    """Asks other workers. `own`: this worker, which does not ask itself. For any thread."""

    def __init__(self, own: Peer) -> None:
        self._own = own
        self._pool = ThreadPoolExecutor(_AT_ONCE, "exchange")
        self._local = threading.local()
        self._avoided: dict[str, float] = {}
        self._lock = threading.Lock()
        self._all: set[http.client.HTTPConnection] = set()
        self.objects = self.bytes = 0

    def fetch(self, keys: Sequence[Key], held: Sequence[Holding], cache: Cache) -> None:
        """Fetch the objects of `keys` that one of these workers has, and put them into the cache."""
        where: dict[bytes, list[Peer]] = {}
        for each in held:
            if self._may_ask(each.peer):
                for digest in each.digests:
                    where.setdefault(digest, []).append(each.peer)
        wanted = [key for key in keys if key.kind is Kind.BLOB and key.digest in where]
        list(self._pool.map(lambda key: self._fetch_one(key, where[key.digest], cache), wanted))

    def _may_ask(self, peer: Peer) -> bool:
        """Whether to connect to an address that came with a job. It may be any service's, so no service of this machine is asked,
        unless this worker serves this machine alone.
        """
        return peer != self._own and (not peer.is_here or self._own.is_here)

    def _fetch_one(self, key: Key, peers: Sequence[Peer], cache: Cache) -> None:
        for peer in peers:
            if self._avoided.get(peer.address, 0.0) > time.monotonic():
                continue
            try:
                if self._taken(peer, key, cache):
                    return
            except (FormatError, OSError, http.client.HTTPException):
                # The bucket has the right bytes.
                self._avoided[peer.address] = time.monotonic() + _AVOID_S
                self._forget(peer)

    def _taken(self, peer: Peer, key: Key, cache: Cache) -> bool:
        """Fetch an object into the cache. False if this worker lacks the object. FormatError, OSError, HTTPException."""
        answer = self._asked(peer, key)
        if answer.status != 200:
            answer.read(_PART)
            return False
        size = 0

        def parts() -> Iterator[bytes]:
            nonlocal size
            while part := answer.read(_PART):
                size += len(part)
                if size > _MOST_OBJECT:
                    raise OSError("the object is too large")
                yield part

        cache.put_parts(key, parts())
        if not answer.isclosed():  # the object was here already
            self._forget(peer)
        with self._lock:
            self.objects, self.bytes = self.objects + 1, self.bytes + size
        return True

    def _asked(self, peer: Peer, key: Key) -> http.client.HTTPResponse:
        """Ask once more, by a new connection, if the other side has closed the old one. OSError, HTTPException."""
        kept = peer.address in self._connections()
        try:
            return self._ask(peer, key)
        except (OSError, http.client.HTTPException):
            self._forget(peer)
            if not kept:
                raise
            return self._ask(peer, key)

    def _ask(self, peer: Peer, key: Key) -> http.client.HTTPResponse:
        connection = self._connection(peer)
        headers = {"Authorization": f"Bearer {peer.token}"}
        connection.request("GET", f"/{int(key.kind)}/{key.digest.hex()}", headers=headers)
        return connection.getresponse()

    def _forget(self, peer: Peer) -> None:
        known = self._connections().pop(peer.address, None)
        if known is not None:
            known.close()
            with self._lock:
                self._all.discard(known)

    def _connections(self) -> dict[str, http.client.HTTPConnection]:
        known: dict[str, http.client.HTTPConnection] | None = getattr(self._local, "connections", None)
        if known is None:
            known = self._local.connections = {}
        return known

    def _connection(self, peer: Peer) -> http.client.HTTPConnection:
        known = self._connections()
        if peer.address not in known:
            connection = http.client.HTTPConnection(peer.host, peer.port, timeout=_CONNECT_S)
            connection.connect()
            assert connection.sock is not None
            connection.sock.settimeout(_READ_S)
            known[peer.address] = connection
            with self._lock:
                self._all.add(connection)
        return known[peer.address]

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        for connection in self._all:
            connection.close()
