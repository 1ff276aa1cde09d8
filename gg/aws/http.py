"""A lean HTTP/1.1 client that signs: keep-alive connections in a pool, TLS, proxies, thousands in flight.

botocore's own client takes 2.4 ms of CPU a request; this one takes about a tenth of that. It knows nothing of retries, nor
what an answer means: `gg.aws.failures` says that. All of it runs in one event loop.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from gg.aws.connection import MOST_BODY, Connection, Response
from gg.aws.sign import EMPTY_SHA256, Credentials, Scope, payload_hash, sign
from gg.aws.trouble import Cause, NoAnswer
from gg.errors import ScarceError, machine_error

__all__ = ["Client", "Endpoint", "KeySource", "NoAnswer", "Response"]

_CONNECT_S = 10.0
_IDLE_S = 60.0
_KEEP_S = 45.0
_NAMES_S = 30.0
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Endpoint(NamedTuple):
    """Who is asked. `proxy` is a URL, empty for none; `tls` None for plain http; `prefix` stands before each path. `proxy_tls`: for
    a proxy that is itself spoken to by TLS.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    proxy: str = ""
    prefix: str = ""
    proxy_tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """As the Host header has it."""
        usual = self.port == (443 if self.tls else 80)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if usual else f"{host}:{self.port}"


class KeySource(Protocol):
    """Where credentials come from."""

    def current(self) -> Credentials | None:
        """At once; None when they must be renewed first."""
        ...

    def renew(self) -> Credentials:
        """May take its time: called in a thread. GGError when there are none."""
        ...


class Client:
    """Signed requests to one endpoint. At most `limit` connections; who comes later waits in line."""

    def __init__(self, endpoint: Endpoint, scope: Scope, keys: KeySource, *, limit: int = 64) -> None:
        self.endpoint = endpoint
        self.scope = scope
        self.requests = 0
        self._keys = keys
        self._limit = limit
        self._open = 0
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._names = _Names()
        self._closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | Sequence[bytes] = b"",
        idle_s: float = _IDLE_S,
        most: int = MOST_BODY,
        repeat: bool | None = None,
        sent: Callable[[], None] | None = None,
    ) -> Response:
        """One request, signed; whatever the answer's status. NoAnswer when there is none of at most `most` bytes.
        `path` and `query` are as they go over the wire (`quote_path`, `query_string`). `idle_s`: seconds without a byte in
        either direction. `repeat`: whether it may be sent again when a connection that was kept turns out to be dead; by
        default for all but POST. `sent` is called when there is a connection to send it by.
        """
        parts = ([body] if body else []) if isinstance(body, bytes) else body
        head = await self._head(method, self.endpoint.prefix + path, query, headers or {}, parts)
        repeat = method in _REPEATABLE if repeat is None else repeat
        self.requests += 1
        while True:
            connection = await self._take()
            kept = connection.idle_since > 0.0
            if sent is not None:
                sent()
            try:
                reply = await connection.exchange(head, parts, method, idle_s, most)
            except NoAnswer as error:
                if kept and repeat and error.cause is Cause.LOST and not error.begun:
                    self._drop_idle()  # they are as old as this one
                    continue
                raise
            except asyncio.CancelledError:
                connection.close()
                raise
            finally:
                self._give_back(connection)
            return reply

    async def warm(self, count: int) -> None:
        """Have so many connections open ahead of need. Trouble is met again by who needs one."""
        await asyncio.gather(*[self._open_ahead() for _ in range(count)], return_exceptions=True)

    async def close(self) -> None:
        """Drop all connections; what is under way fails."""
        self._closed = True
        self._drop_idle()

    async def _head(
        self, method: str, path: str, query: str, headers: Mapping[str, str], parts: Sequence[bytes]
    ) -> bytes:
        endpoint = self.endpoint
        credentials = self._keys.current()
        if credentials is None:
            credentials = await asyncio.get_running_loop().run_in_executor(None, self._keys.renew)
        signed = {"Host": endpoint.name, **headers}
        payload = payload_hash(parts) if parts else EMPTY_SHA256
        added = sign(credentials, self.scope, method=method, path=path, query=query, headers=signed, payload=payload)
        target = f"{path}?{query}" if query else path
        if endpoint.proxy and endpoint.tls is None:
            target = f"http://{endpoint.name}{target}"
            added |= _proxy_login(endpoint.proxy)
        if parts or method in ("PUT", "POST"):
            added["Content-Length"] = str(sum(map(len, parts)))
        lines = [f"{name}: {value}\r\n" for source in (signed, added) for name, value in source.items()]
        return f"{method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1")

    # The pool

    async def _take(self) -> Connection:
        loop = asyncio.get_running_loop()
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.closed and loop.time() - connection.idle_since < _KEEP_S:
                    return connection
                connection.close()
                self._open -= 1
            if self._open < self._limit:
                break
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()
                raise
        return await self._one_more(loop)

    async def _one_more(self, loop: asyncio.AbstractEventLoop) -> Connection:
        self._open += 1
        try:
            return await self._connect(loop)
        except BaseException:
            self._open -= 1
            self._wake()
            raise

    async def _open_ahead(self) -> None:
        if self._open < self._limit:
            self._give_back(await self._one_more(asyncio.get_running_loop()))

    def _give_back(self, connection: Connection) -> None:
        if connection.closed or self._closed:
            connection.close()
            self._open -= 1
        else:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.close()
        self._open -= len(self._idle)
        self._idle.clear()

    # Connecting

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        endpoint = self.endpoint
        try:
            async with asyncio.timeout(_CONNECT_S):
                if endpoint.proxy:
                    return await self._connect_by_proxy(loop)
                addresses = await self._names.addresses(loop, endpoint.host, endpoint.port)
                return await self._open_to(loop, addresses, endpoint.host, endpoint.port, endpoint.tls)
        except TimeoutError:
            raise NoAnswer(Cause.CONNECT, endpoint.name, f"no answer in {_CONNECT_S:g} s") from None
        except socket.gaierror as error:
            raise NoAnswer(Cause.NAME, endpoint.host, error.strerror or str(error)) from error
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(Cause.CERTIFICATE, endpoint.name, error.verify_message) from error
        except ssl.SSLError as error:
            raise NoAnswer(Cause.TLS, endpoint.name, error.reason or str(error)) from error
        except OSError as error:
            if isinstance(scarce := machine_error(error), ScarceError):  # the other side knows nothing of this
                raise scarce from error
            cause = Cause.PROXY if endpoint.proxy else Cause.CONNECT
            host = _without_login(endpoint.proxy) if endpoint.proxy else endpoint.name
            raise NoAnswer(cause, host, error.strerror or str(error)) from error

    async def _open_to(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: Sequence[str],
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> Connection:
        for address in addresses:
            try:
                transport, connection = await loop.create_connection(
                    lambda: Connection(self.endpoint.name, loop),
                    address,
                    port,
                    ssl=tls,
                    server_hostname=host if tls else None,
                )
            except OSError as error:
                if isinstance(error, ssl.SSLError) or address == addresses[-1]:
                    raise
            else:
                _keep_alive(transport.get_extra_info("socket"))
                return connection
        raise OSError("no address")

    async def _connect_by_proxy(self, loop: asyncio.AbstractEventLoop) -> Connection:
        endpoint, tls = self.endpoint, self.endpoint.proxy_tls
        url = urlsplit(endpoint.proxy)
        host, port = url.hostname or "", url.port or (443 if tls else 80)
        try:
            addresses = await self._names.addresses(loop, host, port)
        except socket.gaierror as error:
            raise NoAnswer(Cause.PROXY, _without_login(endpoint.proxy), error.strerror or str(error)) from error
        try:
            connection = await self._open_to(loop, addresses, host, port, tls)
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(Cause.CERTIFICATE, _without_login(endpoint.proxy), error.verify_message) from error
        if endpoint.tls is None:
            return connection
        login = "".join([f"{name}: {value}\r\n" for name, value in _proxy_login(endpoint.proxy).items()])
        where = f"{endpoint.host}:{endpoint.port}"
        head = f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n{login}\r\n".encode("latin-1")
        reply = await connection.exchange(head, [], "HEAD", _CONNECT_S)
        if reply.status != 200:
            connection.close()
            raise NoAnswer(Cause.PROXY, _without_login(endpoint.proxy), f"it answers {reply.status}")
        tunnel = Connection(endpoint.name, loop)
        transport = await loop.start_tls(connection.transport, tunnel, endpoint.tls, server_hostname=endpoint.host)
        assert transport is not None
        tunnel.connection_made(transport)
        return tunnel


class _Names:
    """Addresses of hosts, remembered for half a minute and taken in turn: S3 spreads its load by its many."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[str]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._turn = 0

    async def addresses(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[str]:
        """In the order in which they are to be tried."""
        known = self._known.get((host, port))
        if known is None or loop.time() > known[0]:
            addresses = await self._ask(loop, host, port)
            known = self._known[host, port] = (loop.time() + _NAMES_S, addresses)
        self._turn += 1
        turn = self._turn % len(known[1])
        return known[1][turn:] + known[1][:turn]

    async def _ask(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[str]:
        asking = self._asking.get((host, port))
        if asking is None:
            asking = self._asking[host, port] = asyncio.ensure_future(self._resolve(loop, host, port))
            asking.add_done_callback(lambda _: self._asking.pop((host, port), None))
        return await asyncio.shield(asking)

    async def _resolve(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[str]:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(info[4][0]) for info in found))


def _keep_alive(sock: socket.socket | None) -> None:
    """Have the kernel ask after a connection on which a long command runs: gateways forget silent ones after minutes."""
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)


def _proxy_login(proxy: str) -> dict[str, str]:
    url = urlsplit(proxy)
    if not url.username:
        return {}
    login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login).decode()}


def _without_login(proxy: str) -> str:
    return urlsplit(proxy).netloc.rpartition("@")[2]
