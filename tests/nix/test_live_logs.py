"""`gg nix force` shows what a builder prints while the builder runs, and nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from gg.core.ids import ThunkId
from gg.nix.live_logs import LiveLogs
from tests.nix import world
from tests.nix.test_derivations_as_thunks import GG, GRAPH, SECONDS, Graph

ONE, OTHER = (ThunkId(bytes([number]) * 32) for number in (1, 2))


def test_what_was_shown_is_not_shown_at_the_end() -> None:
    shown: list[bytes] = []
    logs = LiveLogs(shown.append)
    logs.printed(ONE, 0, b"a\nb\n")
    logs.printed(OTHER, 0, b"x\n")
    logs.printed(ONE, 4, b"c\n")
    logs.end(ONE, b"a\nb\nc\nd")
    logs.end(OTHER, b"x\n")
    assert b"".join(shown) == b"a\nb\nx\nc\nd\n"


def test_an_attempt_that_says_the_same_again_is_shown_once() -> None:
    shown: list[bytes] = []
    logs = LiveLogs(shown.append)
    for pieces in ((b"a\n", b"b\n"), (b"a\nb\nc\n",), (b"a\n",)):
        at = 0
        for piece in pieces:
            logs.printed(ONE, at, piece)
            at += len(piece)
    logs.end(ONE, b"a\nb\nc\n")
    assert b"".join(shown) == b"a\nb\nc\n"


def test_an_attempt_that_says_something_else_is_shown_from_there_on() -> None:
    shown: list[bytes] = []
    logs = LiveLogs(shown.append)
    logs.printed(ONE, 0, b"a\n1 s\n")
    logs.printed(ONE, 0, b"a\n")
    logs.printed(ONE, 2, b"2 s\n")
    logs.end(ONE, b"a\n2 s\nover\n")
    assert b"".join(shown) == b"a\n1 s\n2 s\nover\n"


def test_a_log_that_nobody_heard_is_shown_at_the_end() -> None:
    shown: list[bytes] = []
    LiveLogs(shown.append).end(ONE, b"a\nb")
    assert b"".join(shown) == b"a\nb\n"


def test_a_log_is_shown_while_the_builder_runs(tmp_path: Path) -> None:
    """The builder would go on for minutes after its first line. Meanwhile others see that it runs, later that it was stopped."""
    given = Graph(tmp_path, {}).given
    command = world.entered([str(GG), "nix", "force", "--file", str(GRAPH), *given, "slow"])
    own = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "GG_HOME": ""}
    world.ready()
    with subprocess.Popen(
        command, cwd=tmp_path, env=world.environment(own), stderr=subprocess.PIPE, text=True
    ) as force:
        assert force.stderr is not None
        told = []
        for line in force.stderr:
            told.append(line)
            if line == "begun\n":
                break
        assert told[-1:] == ["begun\n"], told
        assert force.poll() is None
        listed = world.run([str(GG), "builds", "--running"], cwd=tmp_path, env=own).stdout
        assert listed.startswith("gg nix force slow: for ")
        force.send_signal(signal.SIGINT)
        assert "over" not in force.stderr.read()
        assert force.wait(SECONDS) == 130
    (ended,) = world.run([str(GG), "builds", "--json"], cwd=tmp_path, env=own).stdout.splitlines()
    assert json.loads(ended)["status"] == 130
