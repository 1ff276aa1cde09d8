"""Several regions behind one endpoint: a proxy that tells by a request's signature which region it is for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.servers.lambda_service.client import LambdaService
from tests.servers.server import Answer, Seen, Server, pass_on

_REGION = re.compile(r"Credential=[^/]+/\d{8}/([\w-]+)/")
_KEPT = re.compile("x-am")


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
        return pass_on(seen, self._services[region].port, _KEPT)


@contextmanager
def regions(services: Mapping[str, LambdaService]) -> Iterator[tuple[str, Regions]]:
    """The proxy's URL, and itself."""
    proxy = Regions(services)
    with Server(proxy.respond) as server:
        yield server.url, proxy
