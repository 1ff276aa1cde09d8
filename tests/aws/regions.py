"""Several regions behind one endpoint: a proxy that tells by a request's signature which region it is for."""

from __future__ import annotations

import http.client
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.aws.lambda_service.client import LambdaService
from tests.aws.server import Answer, Seen, Server

_REGION = re.compile(r"Credential=[^/]+/\d{8}/([\w-]+)/")


class Regions:
    """`services` by region. `dead`: regions whose connections are reset; `answers_left`: how many answers one gives first."""

    def __init__(self, services: Mapping[str, LambdaService]) -> None:
        self._services = services
        self.dead: set[str] = set()
        self.answers_left: dict[str, int] = {}
        self.invocations: Counter[str] = Counter()

    def respond(self, seen: Seen) -> Answer:
        found = _REGION.search(seen.headers.get("authorization", ""))
        region = found[1] if found else ""
        if seen.method == "POST" and region in self.answers_left:
            self.answers_left[region] -= 1
            if self.answers_left[region] < 0:
                self.dead.add(region)
        if region in self.dead or region not in self._services:
            return Answer(raw=b"", close=True)
        self.invocations[region] += seen.method == "POST"
        return _pass_on(seen, self._services[region].port)


def _pass_on(seen: Seen, port: int) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(seen.method, seen.target, skip_host=True, skip_accept_encoding=True)
        for name, value in seen.headers.items():
            connection.putheader(name, value)
        connection.endheaders(seen.body)
        reply = connection.getresponse()
        body = reply.read()
        headers = [(name, value) for name, value in reply.getheaders() if name.lower().startswith("x-am")]
        return Answer(reply.status, body, tuple(headers))
    finally:
        connection.close()


@contextmanager
def regions(services: Mapping[str, LambdaService]) -> Iterator[tuple[str, Regions]]:
    """The proxy's URL, and itself."""
    proxy = Regions(services)
    with Server(proxy.respond) as server:
        yield server.url, proxy
