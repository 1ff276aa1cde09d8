"""An HTTP server for tests that does as it is told, on a loopback port, in a thread."""

from __future__ import annotations

import asyncio
import http.client
import re
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from gg.aws.loop import LoopThread


class Seen(NamedTuple):
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    """What to send back. `raw`: these bytes instead; `close`: hang up after them; `delay`: seconds before."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    close: bool = False
    delay: float = 0.0


Respond = Callable[[Seen], Answer]


def pass_on(seen: Seen, port: int, kept: re.Pattern[str]) -> Answer:
    """What the server at that loopback port answers to the same request, with those of its headers that match."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(seen.method, seen.target, skip_host=True, skip_accept_encoding=True)
        for name, value in seen.headers.items():
            connection.putheader(name, value)
        connection.endheaders(seen.body)
        reply = connection.getresponse()
        body = reply.read()
        headers = tuple((name, value) for name, value in reply.getheaders() if kept.match(name.lower()))
        return Answer(reply.status, body, headers)
    finally:
        connection.close()


class Server:
    """Answers each request by `respond`. `seen` holds the requests, `connections` counts what was opened."""

    def __init__(self, respond: Respond, *, tls: ssl.SSLContext | None = None) -> None:
        self.respond = respond
        self.seen: list[Seen] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._thread = LoopThread("test server")
        self._lock = threading.Lock()

    def __enter__(self) -> Server:
        self._server = self._thread.run(self._start())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.run(self._stop())
        self._thread.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n")[0].split(" ")
        pairs = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Seen(method, target, headers, body)
        with self._lock:
            self.seen.append(request)
        answer = await asyncio.to_thread(self.respond, request)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        writer.write(answer.raw if answer.raw is not None else _encoded(answer, method))
        await writer.drain()
        return not answer.close


def _encoded(answer: Answer, method: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} X", f"Content-Length: {len(answer.body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if method == "HEAD" else answer.body)
