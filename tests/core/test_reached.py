"""All that a graph's roots lead to, each once."""

from __future__ import annotations

from gg.core.reached import reached


def test_each_comes_once() -> None:
    below = {"a": ["b", "c"], "b": ["d"], "c": ["d", "a"], "d": []}
    found = list(reached(["a", "b"], below.__getitem__))
    assert sorted(found) == ["a", "b", "c", "d"]


def test_a_chain_may_be_longer_than_the_stack() -> None:
    assert sum(1 for _ in reached([0], lambda each: [each + 1] if each < 100_000 else [])) == 100_001
