"""The HTTP client against servers that behave in all the ways servers do."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gg.aws.http import Client, Endpoint, NoAnswer, Response
from gg.aws.setup import AwsSession
from gg.aws.sign import Credentials, Scope
from gg.aws.trouble import Cause
from gg.errors import SetupError
from tests.servers.server import Answer, Seen, Server
from tests.support.fixed_keys import FixedKeys

KEYS = FixedKeys(Credentials("AKID", "secret"))
SCOPE = Scope("eu-west-1", "s3")

Work = Callable[[Client], Coroutine[Any, Any, Any]]


def with_client(endpoint: Endpoint, work: Work, *, limit: int = 8) -> Any:
    async def main() -> Any:
        client = Client(endpoint, SCOPE, KEYS, limit=limit)
        try:
            return await work(client)
        finally:
            await client.close()
            await asyncio.sleep(0)

    return asyncio.run(main())


def here(server: Server, **more: Any) -> Endpoint:
    return Endpoint("127.0.0.1", server.port, **more)


def ask(server: Server, method: str = "GET", **options: Any) -> Response:
    async def work(client: Client) -> Response:
        return await client.request(method, "/x", **options)

    reply = with_client(here(server), work)
    assert isinstance(reply, Response)
    return reply


def cause_of(endpoint: Endpoint, **options: Any) -> Cause:
    with pytest.raises(NoAnswer) as caught:
        with_client(endpoint, lambda client: client.request("GET", "/", **options))
    return caught.value.cause


def echo(seen: Seen) -> Answer:
    return Answer(body=seen.body + seen.target.encode(), headers=(("X-Some", "thing"),))


def test_a_request_and_its_answer() -> None:
    with Server(echo) as server:
        reply = ask(server, "PUT", body=[b"two ", b"parts "], query="a=b", headers={"X-Mine": "1"})
        assert reply == Response(200, {"content-length": "16", "x-some": "thing"}, b"two parts /x?a=b")
        (seen,) = server.seen
        assert seen.headers["host"] == f"127.0.0.1:{server.port}"
        assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
        assert "x-mine" in seen.headers["authorization"]


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\n\r\n", b"abcdefgh"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_bodies_of_all_kinds(raw: bytes, body: bytes) -> None:
    with Server(lambda _: Answer(raw=raw, close=True)) as server:
        assert ask(server).body == body


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Content-Length: 4611686018427387904\r\n\r\nx",
        OK + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: +1\r\n\r\nx",
        OK + b"Content-Length: 1_0\r\n\r\n0123456789",
        OK + b"Content-Length: 9" + b"9" * 5000 + b"\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4000000000000000\r\nabc",
        OK
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + b"190\r\n"
        + b"x" * 400
        + b"\r\n"
        + b"190\r\n"
        + b"x" * 400
        + b"\r\n190\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 9000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20000,
        OK + b"Connection: close\r\n\r\n" + b"x" * 1001,
        OK + b"X: y\r\n" * 20000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10000 + OK + b"Content-Length: 2\r\n\r\nok",
    ],
)
def test_what_is_without_bounds_is_no_answer(raw: bytes) -> None:
    with Server(lambda _: Answer(raw=raw, close=True)) as server:
        assert cause_of(here(server), most=1000) in (Cause.GARBLED, Cause.TOO_LONG)


def test_head_has_no_body() -> None:
    with Server(lambda _: Answer(body=b"12345")) as server:
        reply = ask(server, "HEAD")
        assert reply.headers["content-length"] == "5"
        assert reply.body == b""


def test_connections_are_kept_and_bounded() -> None:
    async def work(client: Client) -> None:
        await asyncio.gather(*[client.request("GET", f"/{n}") for n in range(40)])
        await client.request("GET", "/last")

    with Server(echo) as server:
        with_client(here(server), work, limit=4)
        assert len(server.seen) == 41
        assert server.connections == 4


def test_a_dead_kept_connection_is_replaced() -> None:
    """The server has hung up by the time that the next request is sent: nobody is told."""

    async def work(client: Client) -> list[int]:
        first = await client.request("GET", "/1")
        second = await client.request("GET", "/2")
        return [first.status, second.status]

    calls: list[str] = []

    def respond(seen: Seen) -> Answer:
        calls.append(seen.target)
        return Answer(raw=b"", close=True) if len(calls) == 2 else Answer()

    with Server(respond) as server:
        assert with_client(here(server), work) == [200, 200]
        assert calls == ["/1", "/2", "/2"]


def test_what_follows_an_answer_is_nobodys() -> None:
    """The answer is whole; the connection is dropped, lest the rest be taken for the answer to the next request."""

    async def work(client: Client) -> list[bytes]:
        return [(await client.request("GET", target)).body for target in ("/1", "/2")]

    def respond(seen: Seen) -> Answer:
        text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + seen.target.encode()
        return Answer(raw=text * 2)

    with Server(respond) as server:
        assert with_client(here(server), work) == [b"/1", b"/2"]
        assert server.connections == 2


def test_a_post_is_not_sent_twice() -> None:
    async def work(client: Client) -> None:
        await client.request("POST", "/1", body=b"x")
        await client.request("POST", "/2", body=b"x")

    calls: list[str] = []

    def respond(seen: Seen) -> Answer:
        calls.append(seen.target)
        return Answer(raw=b"", close=True) if len(calls) == 2 else Answer()

    with Server(respond) as server, pytest.raises(NoAnswer):
        with_client(here(server), work)
    assert calls == ["/1", "/2"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", close=True), Cause.LOST),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", close=True), Cause.LOST),
        (Answer(raw=b"", close=True), Cause.LOST),
        (Answer(raw=b"SSH-2.0-OpenSSH\r\n\r\n", close=True), Cause.GARBLED),
        (Answer(delay=5.0), Cause.TIMEOUT),
    ],
)
def test_half_answers_are_no_answers(answer: Answer, cause: Cause) -> None:
    with Server(lambda _: answer) as server:
        assert cause_of(here(server), idle_s=0.3) is cause


def test_a_refused_connection_and_an_unknown_name() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert cause_of(Endpoint("127.0.0.1", held.getsockname()[1])) is Cause.CONNECT
    assert cause_of(Endpoint("no-such-host.invalid", 443)) is Cause.NAME


def test_a_cancelled_request_frees_its_place() -> None:
    async def work(client: Client) -> int:
        slow = asyncio.ensure_future(client.request("GET", "/slow"))
        await asyncio.sleep(0.1)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        return (await client.request("GET", "/quick")).status

    with Server(lambda seen: Answer(delay=30.0 if seen.target == "/slow" else 0.0)) as server:
        assert with_client(here(server), work, limit=1) == 200


# TLS and proxies


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key in the same file."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gg test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    place = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    place.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return place


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_tls(certificate: Path) -> None:
    with Server(echo, tls=serving(certificate)) as server:
        reply = with_client(here(server, tls=trusting(certificate)), lambda c: c.request("GET", "/secret"))
        assert reply.body == b"/secret"
        assert cause_of(here(server, tls=ssl.create_default_context())) is Cause.CERTIFICATE
    with Server(echo) as plain:
        assert cause_of(here(plain, tls=trusting(certificate))) in (Cause.TLS, Cause.CONNECT)


@pytest.mark.parametrize("secure", [False, True])
def test_a_plain_proxy(secure: bool, certificate: Path) -> None:
    """A proxy of https:// is told the password by TLS, or not at all."""
    with Server(echo, tls=serving(certificate) if secure else None) as proxy:
        url = f"http{'s' * secure}://me:pass%20word@127.0.0.1:{proxy.port}"
        endpoint = Endpoint("far.example", 80, proxy=url, proxy_tls=trusting(certificate) if secure else None)
        reply = with_client(endpoint, lambda client: client.request("GET", "/x"))
        assert reply.body == b"http://far.example/x"
        assert proxy.seen[0].headers["host"] == "far.example"
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic bWU6cGFzcyB3b3Jk"


@pytest.mark.parametrize("secure", [False, True])
def test_a_tunnel_through_a_proxy(secure: bool, certificate: Path) -> None:
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        there, out = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, out), pipe(there, writer), return_exceptions=True)

    async def main() -> bytes:
        proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0, ssl=serving(certificate) if secure else None)
        url = f"http{'s' * secure}://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        outer = trusting(certificate) if secure else None
        client = Client(here(server, tls=trusting(certificate), proxy=url, proxy_tls=outer), SCOPE, KEYS)
        replies = [await client.request("PUT", f"/{n}", body=b"x" * 100_000) for n in range(3)]
        await client.close()
        proxy.close()
        await asyncio.sleep(0.05)
        return b" ".join(reply.body[-2:] for reply in replies)

    asked: list[bytes] = []
    with Server(echo, tls=serving(certificate)) as server:
        assert asyncio.run(main()) == b"/0 /1 /2"
        assert asked[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1".encode())
        assert len(asked) == 1


def test_a_proxy_that_refuses(certificate: Path) -> None:
    with Server(lambda _: Answer(status=407)) as proxy:
        endpoint = Endpoint("far.example", 443, tls=trusting(certificate), proxy=proxy.url)
        assert cause_of(endpoint) is Cause.PROXY
    assert cause_of(Endpoint("far.example", 80, proxy="http://127.0.0.1:1")) is Cause.PROXY
    with Server(echo, tls=serving(certificate)) as proxy:
        unknown = Endpoint("far.example", 80, proxy=proxy.url, proxy_tls=ssl.create_default_context())
        assert cause_of(unknown) is Cause.CERTIFICATE
        assert proxy.seen == []


def test_which_proxies_are_spoken_to_by_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    session = AwsSession("eu-west-1")
    assert session.endpoint_of("http://far.example", "https://me:word@proxy").proxy_tls is not None
    for plain in ("", "proxy:3128", "http://me:word@proxy"):
        assert session.endpoint_of("http://far.example", plain).proxy_tls is None
    with pytest.raises(SetupError, match="socks5: is no kind of proxy"):
        session.endpoint_of("http://far.example", "socks5://me:word@proxy")
