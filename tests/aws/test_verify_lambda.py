"""`gg verify --engines local,lambda`: what was made here is made again there, and what differs is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.project import Project
from tests.servers.deployed import Deployed, deployed
from tests.servers.seaweed import Seaweed

SOURCES = {
    "Makefile": "prog: main.o part.o ; $(CC) -o $@ main.o part.o\n%.o: %.c ; $(CC) -O1 -g -c $< -o $@\n",
    "main.c": "int part(void);\nint main(void) { return part(); }\n",
    "part.c": "int part(void) { return 0; }\n",
}


@pytest.fixture(scope="module")
def functions(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server, memory="1024") as here:
        yield here


def test_made_here_and_made_again_there(here: Deployed, project: Project) -> None:
    project.infer("make")
    project.gg("force", "--engine", "local")
    before = here.invocations()
    told = project.gg("verify", "--repeat", "1", "--engines", "local,lambda", "prog", status=0).text
    assert here.invocations() > before
    assert "3 thunks" in told
