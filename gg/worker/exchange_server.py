"""Serves to other workers of the fleet what this worker keeps, and takes jobs that they offer (`gg.wire.peers`)."""

from __future__ import annotations

import hmac
import http.server
import os
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from gg.core.columns import split_digests
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError, UsageError
from gg.store.base import KINDS, Key
from gg.wire.letters import MOST_OFFER, OfferLetter, decode_offer
from gg.wire.peers import HAVE, JOBS, MOST_HELD, parse_peer
from gg.worker.steady_socket import SteadySocket, steady

_PART = 1 << 20
_IDLE_S = 60.0
_STRANGER_S = 5.0  # in which a connection must have shown the token
_MOST_CONNECTIONS = 512
_MOST_BODY = {HAVE: MOST_HELD * DIGEST_SIZE, JOBS: MOST_OFFER}


class Served:
    """What a worker serves, from any thread. `opened`: the file of an object here. `holds`: whether a blob seems to be here."""

    def __init__(self, opened: Callable[[Key], IO[bytes] | None], holds: Callable[[bytes], bool]) -> None:
        self.opened = opened
        self.holds = holds
        self.accept: Callable[[OfferLetter], bool] = lambda offer: False
        """Takes a job that another worker offers, if it can begin at once."""


class ExchangeServer:
    """Serves on `host` and `port` (0: any port). UsageError."""

    def __init__(self, host: str, port: int, served: Served) -> None:
        token = secrets.token_urlsafe(24)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.served = served
        try:
            self._server = _Server(family, (host, port), served, token)
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

    def __init__(self, family: int, address: tuple[str, int], served: Served, token: str) -> None:
        self.address_family = socket.AddressFamily(family)
        self.served = served
        self._expected = f"Bearer {token}".encode()
        self._room = threading.Semaphore(_MOST_CONNECTIONS)
        super().__init__(address, _Answering)

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        return steady(plain), address

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, unless there are too many, of whomever: the bucket has everything too."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def is_known(self, told: str) -> bool:
        """`told`: the header Authorization."""
        return hmac.compare_digest(told.encode(), self._expected)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client has broken off."""


class _Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_S
    server: _Server
    connection: SteadySocket
    _known = False

    def handle_one_request(self) -> None:
        """Wait for a request, and answer it. All of it must have come in time, however slowly it begins to come."""
        self.connection.expect(_IDLE_S if self._known else _STRANGER_S)
        super().handle_one_request()

    def do_GET(self) -> None:
        if not self._is_known():
            return
        key = _key_of(self.path)
        file = self.server.served.opened(key) if key is not None else None
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

    def do_POST(self) -> None:
        if not self._is_known():
            return
        size = self.headers.get("Content-Length", "")
        most = _MOST_BODY.get(self.path, 0)
        if not (size.isascii() and size.isdigit()) or len(size) > 9 or not 0 < int(size) <= most:
            self.close_connection = True  # whatever comes behind the header is not read
            self._head(404, 0)
            return
        body = self.rfile.read(int(size))
        answer = self._answer_to_have if self.path == HAVE else self._answer_to_offer
        try:
            answer(body)
        except FormatError:
            self._head(400, 0)

    def _answer_to_have(self, body: bytes) -> None:
        digests = split_digests(body, len(body) // DIGEST_SIZE)
        here = bytes(map(self.server.served.holds, digests))
        self._head(200, len(here))
        self.wfile.write(here)

    def _answer_to_offer(self, body: bytes) -> None:
        accepted = self.server.served.accept(decode_offer(body.decode("utf-8", "replace")))
        self._head(200 if accepted else 409, 0)

    def _is_known(self) -> bool:
        if self.server.is_known(self.headers.get("Authorization", "")):
            self._known = True
            self.connection.settimeout(_IDLE_S)
            return True
        self.close_connection = True
        self._head(401, 0)
        return False

    def _head(self, status: int, size: int) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(size))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: nobody reads this log."""


def _key_of(path: str) -> Key | None:
    kind, _, digest = path.lstrip("/").partition("/")
    with suppress(ValueError):
        raw = bytes.fromhex(digest)
        if kind.isascii() and kind.isdigit() and int(kind) in KINDS and len(raw) == DIGEST_SIZE:
            return Key(KINDS[int(kind)], raw)
    return None
