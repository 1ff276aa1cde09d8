"""A compiler that crashes or is killed: its own words and status, as plainly, and nothing that gg would do about it."""

from __future__ import annotations

import re

import pytest

from tests.e2e.project import Project

PLUGIN = """\
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int plugin_is_GPL_compatible;
static int above(int number) { kill(getppid(), number); usleep(200000); _exit(0); }
int plugin_init(void *arguments, void *version) { return arguments == version || (%s) ? 0 : 0; }
"""
WAYS = {
    "segmentation fault": "raise(SIGSEGV)",
    "abort": "(abort(), 1)",
    "terminated": "raise(SIGTERM)",
    "exit": "(exit(7), 1)",
    "the driver: segmentation fault": "above(SIGSEGV)",
    "the driver: terminated": "above(SIGTERM)",
    "the driver: user signal": "above(SIGUSR1)",
}


@pytest.mark.parametrize("isolation", ["pathmap", "namespace"])
@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
def test_the_tools_own_words_and_status(project: Project, way: str, isolation: str) -> None:
    project.write("crash.c", PLUGIN % way)
    project.write("a.c", "int f(void) { return 0; }\n")
    project.run("gcc", "-shared", "-fPIC", "crash.c", "-o", "crash.so")
    line = ("gcc", f"-fplugin={project.path('crash.so')}", "-c", "a.c")
    plain = project.run(*line, status=None)
    status = plain.status if plain.status >= 0 else 128 - plain.status
    project.infer("--quiet", *line, deferred=1)
    forced = project.force("--isolation", isolation, status=None)
    words = b"".join(part for part in forced.stderr.splitlines(True) if not part.startswith(b"gg: a.o: failed"))
    assert (forced.status, _addresses(words)) == (status, _addresses(plain.stderr))
    assert not project.path("a.o").exists()
    assert project.infer("--quiet", *line, status=None).status == plain.status


def _addresses(text: bytes) -> bytes:
    return re.sub(rb"0x[0-9a-f]+|/tmp/cc\w+", b"0x0", text)
