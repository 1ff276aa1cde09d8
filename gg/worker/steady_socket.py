"""A connection to another worker that ends if the worker is too slow, however often it sends a byte."""

from __future__ import annotations

import http.client
import math
import socket
import time
from typing import Any

_RATE = 1 << 20  # bytes a second: what comes slower comes sooner from the bucket


class SteadySocket(socket.socket):
    """What comes must have come in time (`expect`); else TimeoutError."""

    _until = math.inf
    _idle = 0.0
    _rate = 0

    def expect(self, seconds: float, *, more: bool = False) -> None:
        """From now on all must come in so many seconds. With `more` each byte that comes gives more time; no pause is longer."""
        self._until = time.monotonic() + seconds
        self._idle = seconds
        self._rate = _RATE if more else 0
        self.settimeout(seconds)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the other worker is too slow")
        self.settimeout(min(left, self._idle))
        count = super().recv_into(buffer, nbytes, flags)
        if self._rate:
            self._until += count / self._rate
        return count


def steady(plain: socket.socket) -> SteadySocket:
    """The same connection; `plain` is it no more."""
    return SteadySocket(plain.family, plain.type, plain.proto, fileno=plain.detach())


class SteadyConnection(http.client.HTTPConnection):
    """A connection over such a socket. With `leads_out` it leads to another machine: to no address of this one."""

    def __init__(self, host: str, port: int, *, timeout: float, leads_out: bool = False) -> None:
        super().__init__(host, port, timeout=timeout)
        self._leads_out = leads_out

    def connect(self) -> None:
        super().connect()
        if self._leads_out and self.sock.getsockname()[0] == self.sock.getpeername()[0]:
            self.close()
            raise ConnectionRefusedError("this machine has that address")
        self.sock = steady(self.sock)

    def expect(self, seconds: float, *, more: bool = False) -> None:
        """See `SteadySocket.expect`. Opens the connection if there is none. OSError."""
        if self.sock is None:
            self.connect()
        if isinstance(self.sock, SteadySocket):
            self.sock.expect(seconds, more=more)
