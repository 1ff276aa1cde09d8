"""A walk through a graph, without recursion: graphs of thunks are deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def reached(roots: Iterable[T], below: Callable[[T], Iterable[T]]) -> Iterator[T]:
    """The roots and all that can be reached from them, each once."""
    seen: set[T] = set()
    stack = list(roots)
    while stack:
        top = stack.pop()
        if top not in seen:
            seen.add(top)
            yield top
            stack += below(top)
