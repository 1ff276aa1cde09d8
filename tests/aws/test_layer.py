"""A layer with the toolchain: workers find it in /opt, and ask S3 for nothing of it; it comes and goes by `gg deploy`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project
from tests.servers.deployed import Deployed, deployed
from tests.servers.lambda_service.config import Config
from tests.servers.seaweed import REGION, Seaweed
from tests.servers.server import Answer, Seen, Server, pass_on

HELLO = '#include <stdio.h>\nint main(void) { printf("hello\\n"); return 0; }\n'
SOURCES = {
    "Makefile": "prog: hello.o own.o lib.a ; $(CC) -o $@ hello.o own.o lib.a\nlib.a: util.o ; ar rcs $@ util.o\n"
    "%.o: %.c ; $(CC) -O1 -g -Wall -c $< -o $@\nown.o: own.h\nclean: ; rm -f prog *.o lib.a\n",
    "hello.c": HELLO,
    "own.h": "int own(void);\n",
    "own.c": '#include "own.h"\n#include <stdlib.h>\nint own(void) { return abs(-1); }\n',
    "util.c": "int util(int x) { return x * 21; }\n",
}
WITHOUT_HEADERS = ("hello.o", "util.o", "lib.a")


class Watched:
    """What workers have asked of S3, by object, and the bytes that they were sent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.got: Counter[str] = Counter()
        self.bytes = 0

    def respond(self, seen: Seen) -> Answer:
        answer = pass_on(seen, self._port, re.compile("etag|content-range"))
        self.got[f"{seen.method} {seen.target}"] += 1
        self.bytes += len(answer.body)
        return answer

    def taken(self) -> tuple[int, int]:
        """Requests and bytes since the last time."""
        taken = self.got.total(), self.bytes
        self.got, self.bytes = Counter(), 0
        return taken


@pytest.fixture(scope="module")
def watched(seaweed_server: Seaweed) -> Watched:
    return Watched(seaweed_server.port)


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed, watched: Watched) -> Iterator[Deployed]:
    with Server(watched.respond) as proxy:
        own = Config(worker_environment=(("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{proxy.port}"),))
        with deployed(seaweed_server, memory="1024", layer="cc,ar", config=own) as here:
            yield here


def test_workers_ask_for_nothing_of_the_toolchain(here: Deployed, project: Project, watched: Watched) -> None:
    plain, _ = project.plain("make")
    project.infer("make")
    watched.taken()
    assert set(project.forced("--fallback", "never", "--jobs", "1", *WITHOUT_HEADERS).ran) == set(WITHOUT_HEADERS)
    assert watched.taken() == (0, 0), "all that these read is in the layer, or in the request"
    project.forced("--fallback", "never", "--jobs", "1")
    project.assert_tree(plain)
    requests, sent = watched.taken()
    assert 0 < requests <= 4, "a header of its own, in a small pack"
    assert sent < 2_000_000

    project.gg("deploy", "lambda", "--bucket", here.bucket, "--region", REGION, "--memory", "1024", "--layer", "none")
    assert here.functions.client().list_layers()["Layers"] == []
    project.env |= here.at("without").environment()
    project.forget()
    project.infer("make", "clean", "prog")
    project.forced("--fallback", "never", "--jobs", "1")
    project.assert_tree(plain)
    requests, sent = watched.taken()
    assert requests > 4
    assert sent > 10_000_000
