"""A proxy before an S3 server that does what networks and busy servers do: resets, 503s, truncated and garbled answers."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers.server import Answer, Seen, Server, pass_on

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_KEPT = re.compile("(etag|content-range|x-amz-bucket-region|date)$")

Choose = Callable[[Seen], str]


class Flaky:
    """Passes requests on, and does to each what `choose` says: one of FAULTS, a refusal (`403 AccessDenied`), or nothing."""

    FAULTS = ("reset", "lost", "slow", "503", "500", "truncated", "cut", "flipped", "other")

    def __init__(self, port: int, choose: Choose) -> None:
        self.port = port
        self.choose = choose
        self.done: Counter[str] = Counter()
        self._last_body = b""

    def respond(self, seen: Seen) -> Answer:
        fault = self.choose(seen)
        self.done[fault] += 1
        if fault == "reset":
            return Answer(raw=b"", close=True)
        if fault == "503":
            return Answer(503, SLOW_DOWN)
        if fault == "500":
            return Answer(500, b"<Error><Code>InternalError</Code></Error>")
        status, _, code = fault.partition(" ")
        if code:
            return Answer(int(status), f"<Error><Code>{code}</Code></Error>".encode())
        answer = pass_on(seen, self.port, _KEPT)
        if fault == "lost":  # it was done, and nobody is told
            return Answer(raw=b"", close=True)
        return self._spoiled(answer, fault)

    def _spoiled(self, answer: Answer, fault: str) -> Answer:
        body = answer.body
        whole = Answer(answer.status, body, answer.headers)
        if fault == "slow":
            return whole._replace(delay=0.2)
        if fault == "cut" and body:  # fewer bytes than announced
            head = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            return Answer(raw=head + body[: len(body) // 2], close=True)
        if fault == "truncated" and body:  # fewer bytes, and announced so
            return whole._replace(body=body[: len(body) // 2])
        if fault == "flipped" and body:
            return whole._replace(body=body[:-1] + bytes([body[-1] ^ 1]))
        if fault == "other":
            body, self._last_body = self._last_body, body
            return whole._replace(body=body)
        return whole


def sometimes(share: float, faults: tuple[str, ...], seed: int = 1) -> Choose:
    """Each request suffers one of `faults` with that probability."""
    chance = random.Random(seed)
    return lambda seen: chance.choice(faults) if chance.random() < share else ""


@contextmanager
def flaky(port: int, choose: Choose) -> Iterator[tuple[int, Flaky]]:
    """A proxy before `port`; its own port, and itself."""
    proxy = Flaky(port, choose)
    with Server(proxy.respond) as server:
        yield server.port, proxy
