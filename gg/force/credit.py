"""For which root each thunk has run: for the first root above it that is asked about."""

from __future__ import annotations

from collections.abc import Iterable

from gg.core.ids import ThunkId
from gg.force.cone import Cone


class Credit:
    """Counts each thunk that has run once."""

    def __init__(self, cone: Cone) -> None:
        self._cone = cone
        self._uncounted: set[ThunkId] = set()  # have run, and were counted for no root yet
        self._counted: set[ThunkId] = set()

    def ran(self, name: ThunkId) -> None:
        self._uncounted.add(name)

    def uncounted(self, names: Iterable[ThunkId]) -> int:
        """How many of these have run and were counted for no root yet."""
        return sum([name in self._uncounted for name in names])

    def below(self, root: ThunkId) -> int:
        """How many thunks at and below `root` have run. Each is counted once: not again if it was counted for another root."""
        count = 0
        stack = [root]
        while stack:
            name = stack.pop()
            if name not in self._counted and name in self._cone.thunks:
                self._counted.add(name)
                count += name in self._uncounted
                self._uncounted.discard(name)
                stack += self._cone.below(name)
        return count
