"""Everyone who waits for a force is answered, whatever becomes of the forcer."""

from __future__ import annotations

import queue
from collections.abc import Sequence

import pytest

from gg.record.recorder import Forced
from gg.record.session import Forces

SECONDS = 10.0


def asked(forces: Forces, *names: bytes) -> list[Forced]:
    """Ask for each name by itself; the answers, in the order in which they come."""
    answers: queue.SimpleQueue[Forced] = queue.SimpleQueue()
    for name in names:
        forces.force([name], answers.put)
    return [answers.get(timeout=SECONDS) for _ in names]


def test_a_forcer_that_breaks_answers_all_who_wait_and_all_who_come() -> None:
    calls: list[Sequence[bytes]] = []

    def forcer(paths: Sequence[bytes]) -> Forced:
        calls.append(paths)
        raise KeyError(b"a.o")

    forces = Forces(forcer)
    for names in ([b"/a.o", b"/b.o"], [b"/c.o"]):
        for done in asked(forces, *names):
            assert done.status == 70
            assert b"internal error: KeyError" in done.stderr
    assert isinstance(forces.broken, KeyError)
    assert len(calls) == 1
    with pytest.raises(OSError, match="internal error"):
        forces.now([b"/d.o"])


def test_of_several_who_wait_each_is_told_its_own() -> None:
    def forcer(paths: Sequence[bytes]) -> Forced:
        return Forced(1, b"no\n") if b"/bad" in paths else Forced()

    forces = Forces(forcer)
    assert sorted(done.status for done in asked(forces, b"/good", b"/bad", b"/fine")) == [0, 0, 1]
    assert forces.broken is None
