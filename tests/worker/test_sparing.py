"""Who may send to a queue fills no log of the workers."""

from __future__ import annotations

from gg.worker.sparing import SparingSay


def test_a_million_lines_are_few() -> None:
    said: list[str] = []
    now = [0.0]
    say = SparingSay(said.append, lambda: now[0])
    for n in range(100_000):
        now[0] += 0.001
        say(f"a message that is no call is deleted: {n}")
    assert len(said) == 2 * 10 + 1
    assert said[0].endswith(": 0")
    assert said[10].startswith("and 5999")
    now[0] += 100.0
    say("another")
    assert said[-1] == "another"
