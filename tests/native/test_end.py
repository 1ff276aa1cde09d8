"""A make that is marked asks before it ends, and ends as it is told. Others do not ask."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gg.record import protocol
from gg.record.protocol import Op, RecorderRequest

from .compiled import cc
from .conftest import FakeRecorder
from .test_exec_redirect import environment, shims

__all__ = ["environment", "shims"]

PROGRAM = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{   /* HOW STATUS [MARK-DIRECTORY] */
    char mark[4096];
    if (argc > 3) {
        snprintf(mark, sizeof mark, "%s/ends%d", argv[3], (int)getpid());
        close(open(mark, O_CREAT | O_WRONLY, 0600));
    }
    printf("words\\n");
    if (!strcmp(argv[1], "exit"))
        exit(atoi(argv[2]));
    if (!strcmp(argv[1], "child") && fflush(stdout) == 0 && fork() == 0)
        exit(0);
    wait(NULL);
    return atoi(argv[2]);
}
"""


@pytest.fixture(scope="module")
def makes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a program by several names."""
    directory = tmp_path_factory.mktemp("makes")
    (directory / "program.c").write_text(PROGRAM)
    cc("-o", directory / "make", directory / "program.c")
    for name in ("ninja", "other"):
        os.link(directory / "make", directory / name)
    return directory


def ended(*argv: str | Path, recorder: FakeRecorder, environment: dict[str, str], told: int) -> tuple[int, list[Op]]:
    def answer(request: RecorderRequest) -> bytes:
        return protocol.reply_exit(told)

    recorder.answer = answer
    done = subprocess.run(argv, env=environment, capture_output=True)
    assert (done.stdout, done.stderr) == (b"words\n", b"")
    return done.returncode, [request.op for request in recorder.requests]


@pytest.mark.parametrize("how", ["exit", "return", "child"])
@pytest.mark.parametrize(
    ("name", "status", "told", "ends"),
    [
        ("make", 0, 0, 0),
        ("make", 0, 1, 2),
        ("make", 3, 0, 3),
        ("make", 3, 1, 3),
        ("ninja", 0, 1, 1),
        ("ninja", 0, 0, 0),
    ],
)
def test_who_is_marked_asks_once(
    how: str,
    name: str,
    status: int,
    told: int,
    ends: int,
    makes: Path,
    recorder: FakeRecorder,
    environment: dict[str, str],
) -> None:
    where = os.path.dirname(environment["GG_SOCKET"])
    argv = makes / name, how, str(status), where
    assert ended(*argv, recorder=recorder, environment=environment, told=told) == (ends, [Op.END])


@pytest.mark.parametrize("name", ["make", "ninja"])
def test_who_is_not_marked_does_not_ask(
    name: str, makes: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    assert ended(makes / name, "exit", "0", recorder=recorder, environment=environment, told=1) == (0, [])


def test_another_program_does_not_ask(makes: Path, recorder: FakeRecorder, environment: dict[str, str]) -> None:
    where = os.path.dirname(environment["GG_SOCKET"])
    assert ended(makes / "other", "exit", "0", where, recorder=recorder, environment=environment, told=1) == (0, [])


def test_without_a_recorder_it_ends_as_ever(makes: Path, environment: dict[str, str], tmp_path: Path) -> None:
    gone = {**environment, "GG_SOCKET": str(tmp_path / "gone")}
    done = subprocess.run([makes / "make", "exit", "0", tmp_path], env=gone, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"words\n", b"")
