"""One HTTP/1.1 connection: an asyncio protocol that carries one request after the other.

There are no streams and no tasks of its own, for a coordinator has thousands of these: a request costs one write, and an
answer that comes in one piece is parsed in one go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, cast

from gg.aws.trouble import Cause, NoAnswer

MOST_BODY = 64 << 20  # bytes; a pack has 32 MiB or comes in ranges, a reply of Lambda 6
_MOST_HEAD = 64 << 10
_MOST_INTERIM = 16
_MOST_CHUNK_LINE = 4096
_LATE_S = 2.0
_READING_S = 2.0


class Response(NamedTuple):
    """An answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """Made by `loop.create_connection`. `exchange` one request at a time; `exchanges` counts them."""

    def __init__(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        self.host = host
        self.closed = False
        self.exchanges = 0
        self.idle_since = 0.0
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._status = 0
        self._idle_s = 0.0
        self._moved = 0.0
        self._unsent = 0
        self._buffer = bytearray()
        self._most = MOST_BODY
        self._reset("")

    def exchange(
        self, head: bytes, body: Sequence[bytes], method: str, idle_s: float, most: int = MOST_BODY
    ) -> asyncio.Future[Response]:
        """Send a request; its answer. NoAnswer when it is lost, when nothing moves for `idle_s` seconds, or when its body
        has more than `most` bytes, which is seen before they are kept.
        """
        self._reset(method)
        self._most = most
        self.exchanges += 1
        waiter = self._waiter = self._loop.create_future()
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            waiter.set_exception(NoAnswer(Cause.LOST, self.host))
            return waiter
        if body:
            transport.writelines([head, *body])
        else:
            transport.write(head)
        self._moved = self._loop.time()
        self._idle_s = idle_s
        self._watch(self._moved + idle_s)
        return waiter

    @property
    def transport(self) -> asyncio.Transport:
        """What carries the bytes, for who puts TLS over it."""
        assert self._transport is not None
        return self._transport

    def close(self) -> None:
        """Drop the connection, and what is under way."""
        self.closed = True
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    # The protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._stop_timer()
        if self._until_close and error is None:
            self._finish()
        else:
            self._fail(Cause.LOST, str(error or "closed by the other side"))

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()  # nobody has asked
            return
        self._moved = self._loop.time()
        if self._status:
            self._take_body(data)
            return
        seen = max(len(self._head) - 3, 0)
        self._head += data
        while (end := self._head.find(b"\r\n\r\n", seen, _MOST_HEAD + 4)) >= 0:
            seen = 0
            head = bytes(self._head[:end])
            del self._head[: end + 4]
            if not self._parse_head(head):
                return
            if self._status >= 200:
                rest = bytes(self._head)
                self._head.clear()
                self._take_body(rest)
                return
            self._status = 0  # 100 Continue, 103 Early Hints: the real one follows
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                self._garbled("one interim answer after the other")
                return
        if len(self._head) > _MOST_HEAD:
            self._garbled("a head without an end")

    # Parsing

    def _reset(self, method: str) -> None:
        self._method = method
        self._head = bytearray()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: bytes | bytearray = b""
        self._left = 0
        self._size = 0
        self._interim = 0
        self._chunked = False
        self._buffer.clear()
        self._until_close = False

    def _parse_head(self, head: bytes) -> bool:
        lines = head.decode("latin-1").split("\r\n")
        try:
            status = _digits(lines[0][9:12], 10)
            headers = {}
            for line in lines[1:]:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            length = _digits(headers.get("content-length", "0"), 10)
        except ValueError:
            status, headers, length = 0, {}, -1
        if not lines[0].startswith("HTTP/1.") or length < 0 or not 100 <= status < 600:
            self._garbled(lines[0][:60])
            return False
        self._status, self._headers, self._left = status, headers, length
        if self._method == "HEAD" or status in (204, 304):
            self._left = 0
        elif "chunked" in headers.get("transfer-encoding", ""):
            self._chunked = True
        elif "content-length" not in headers:
            self._until_close = True
        elif length > self._most:
            self._too_long()
            return False
        return True

    def _take_body(self, data: bytes) -> None:
        if self._chunked:
            self._take_chunks(data)
        elif self._until_close:
            self._size += len(data)
            if self._size > self._most:
                self._too_long()
            else:
                self._add(data)
        elif len(data) <= self._left:
            self._add(data)
            self._left -= len(data)
            if not self._left:
                self._finish()
        else:  # the answer is whole; what follows is nobody's, and might be taken for the answer to what is asked next
            self._add(data[: self._left])
            self.close()
            self._finish()

    def _take_chunks(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        while True:
            end = self._buffer.find(b"\r\n", at)
            if end < 0:
                if len(self._buffer) - at > _MOST_CHUNK_LINE:
                    self._garbled("a chunk without a size")
                    return
                break
            try:
                size = _digits(self._buffer[at:end].partition(b";")[0].strip().decode("latin-1"), 16)
            except ValueError:
                self._garbled("a chunk without a size")
                return
            if size == 0:
                if self._buffer.find(b"\r\n\r\n", end) >= 0:
                    self._finish()
                elif len(self._buffer) - end > _MOST_HEAD:
                    self._garbled("a trailer without an end")
                return
            if self._size + size > self._most:
                self._too_long()
                return
            if len(self._buffer) < end + size + 4:
                break
            self._add(bytes(self._buffer[end + 2 : end + 2 + size]))
            self._size += size
            at = end + size + 4
        del self._buffer[:at]

    def _add(self, data: bytes) -> None:
        """What came in one piece is not copied; of many small ones no more is kept than their bytes."""
        if not self._body:
            self._body = data
            return
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += data

    # Ends

    def _finish(self) -> None:
        waiter, headers = self._waiter, self._headers
        transport = self._transport
        unsent = transport is not None and not self.closed and transport.get_write_buffer_size() > 0
        if unsent or self._until_close or headers.get("connection", "").lower() == "close":
            self.close()
        body, self._body = bytes(self._body), b""
        self._until_close = False
        if waiter is not None and not waiter.done():
            waiter.set_result(Response(self._status, headers, body))

    def _fail(self, cause: Cause, detail: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswer(cause, self.host, detail, begun=bool(self._status or self._head)))

    def _garbled(self, detail: str) -> None:
        self._fail(Cause.GARBLED, detail)
        self.close()

    def _too_long(self) -> None:
        self._fail(Cause.TOO_LONG, f"an answer of more than {self._most} bytes")
        self.close()

    def _watch(self, until: float) -> None:
        """Look no later than at `until` whether anything moves. The timer of one exchange serves those after it too: to set
        and cancel one for each would cost more than to parse the answer.
        """
        if self._timer is not None:
            if self._timer.when() <= until:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(until, self._check_idle)

    def _check_idle(self) -> None:
        """Wait on while bytes move in either direction. Woken far too late, this process was stopped, or its machine asleep:
        what came meanwhile is read first.
        """
        late = self._loop.time() - self._timer.when() if self._timer is not None else 0.0
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if late > _LATE_S:
            self._moved = max(self._moved, self._loop.time() - self._idle_s + _READING_S)
        transport = self._transport
        unsent = transport.get_write_buffer_size() if transport is not None else 0
        if unsent and unsent != self._unsent:
            self._moved = self._loop.time()
        self._unsent = unsent
        left = self._moved + self._idle_s - self._loop.time()
        if left > 0:
            self._watch(self._loop.time() + left)
            return
        self._fail(Cause.TIMEOUT, f"{self._idle_s:g} s")
        self.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _digits(text: str, base: int) -> int:
    """The number that HTTP writes so: digits alone, no sign, at most 16 of them. ValueError for all else."""
    if not 0 < len(text) <= 16 or not text.isascii() or not text.isalnum():
        raise ValueError(text)
    return int(text, base)
