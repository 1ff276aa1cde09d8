"""A small HTTP/1.1 server on asyncio's own protocols: keep-alive, bodies by length or in chunks, `Expect: 100-continue`.

No framework, for two reasons: a handler decides here what is on the wire to the last byte (half an answer, an answer twice,
none at all), and three thousand requests a second must leave a core to whoever is measured.

A handler gets an `Exchange` and calls `send` or `drop` on it exactly once, at once or whenever it likes. The requests of one
connection are handled one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

_MAX_HEAD = 64 << 10
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class Request(NamedTuple):
    """What was asked. `target` is as it came; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return _path(self.target)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))


@lru_cache(maxsize=1024)
def _path(target: str) -> str:
    return unquote(target.partition("?")[0])


class Response(NamedTuple):
    """What is answered; `headers` besides Content-Length."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def encoded(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {_PHRASES.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Exchange:
    """One request and the way back. `gone` is told when the client leaves before it was answered."""

    __slots__ = ("_connection", "gone", "request")

    def __init__(self, connection: Connection, request: Request) -> None:
        self._connection = connection
        self.request = request
        self.gone: Callable[[], None] | None = None

    def send(self, response: Response, *, times: int = 1) -> None:
        """Answer; more than once, if the wire is to carry what no client asked for."""
        self._connection.answer(self, response.encoded() * times)

    def drop(self, partial: bytes = b"") -> None:
        """Close the connection, after these bytes of an answer."""
        self._connection.answer(self, partial, close=True)


Handler = Callable[[Exchange], None]


class BadRequest(Exception):
    """What came is no HTTP."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._current: Exchange | None = None
        self._continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        current, self._current = self._current, None
        if current is not None and current.gone is not None:
            current.gone()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def answer(self, exchange: Exchange, data: bytes, *, close: bool = False) -> None:
        if self._current is not exchange:
            return  # the client has left, and nobody waits for this
        self._current = None
        assert self._transport is not None
        self._transport.write(data)
        if close:
            self._transport.close()
        elif self._buffer:
            self._advance()

    def _advance(self) -> None:
        """Handle the next request, if all of it is here and the last one was answered."""
        if self._current is not None or self._transport is None:
            return
        try:
            request = self._parse()
        except (BadRequest, ValueError) as error:
            self._transport.write(Response(400, str(error).encode(), (("Connection", "close"),)).encoded())
            self._transport.close()
            return
        if request is not None:
            self._continued = False
            self._current = exchange = Exchange(self, request)
            self._handler(exchange)

    def _parse(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise BadRequest("the request's head is too long")
            return None
        first, _, rest = self._buffer[:end].decode("latin-1").partition("\r\n")
        method, target, _version = first.split(" ")
        headers = {}
        for line in rest.split("\r\n") if rest else ():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self._body(end + 4, headers)
        return None if body is None else Request(method, target, headers, body)

    def _body(self, start: int, headers: Mapping[str, str]) -> bytes | None:
        """The body, taken out of the buffer with its head; None when it has not all come."""
        if "chunked" in headers.get("transfer-encoding", ""):
            found = _dechunked(self._buffer, start)
        else:
            length = int(headers.get("content-length", "0"))
            here = len(self._buffer) - start >= length
            found = (bytes(self._buffer[start : start + length]), start + length) if here else None
        if found is None:
            self._encourage(headers)
            return None
        body, stop = found
        del self._buffer[:stop]
        return body

    def _encourage(self, headers: Mapping[str, str]) -> None:
        if not self._continued and headers.get("expect", "").lower() == "100-continue":
            self._continued = True
            assert self._transport is not None
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _dechunked(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    """A body in chunks and where it ends; None when it has not all come."""
    body = bytearray()
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None
        size = int(bytes(buffer[at:line]).partition(b";")[0], 16)
        at = line + 2
        if size == 0:
            end = buffer.find(b"\r\n", at)
            while end > at:  # trailers
                at = end + 2
                end = buffer.find(b"\r\n", at)
            return None if end < 0 else (bytes(body), end + 2)
        if len(buffer) < at + size + 2:
            return None
        body += buffer[at : at + size]
        at += size + 2


async def serve(handler: Handler, port: int = 0) -> tuple[asyncio.Server, int]:
    """A server on loopback and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(handler), "127.0.0.1", port, backlog=4096)
    return server, int(server.sockets[0].getsockname()[1])
