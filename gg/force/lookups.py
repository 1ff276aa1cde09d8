"""Asks whether results are known. If another process is running the thunk right now, waits for that process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.engines.engine import Engine
from gg.force.cone import Cone, LookupResult
from gg.schedule import events

if TYPE_CHECKING:
    from gg.force.staying import Staying
    from gg.force.thunk_locks import ThunkLocks

_OTHERS_S = 600.0  # how long another process is waited for; then the thunk runs here too


class Lookups:
    """`add` takes thunks into the graph, with all below them. `waits` is called when the first one is left to another process.

    `elsewhere`: thunks that another process runs, and until when it is waited for.
    """

    def __init__(
        self,
        cone: Cone,
        engines: Collection[Engine],
        add: Callable[[Sequence[ThunkId]], None],
        waits: Callable[[], None],
        locks: ThunkLocks | None,
        staying: Staying | None,
    ) -> None:
        self._cone = cone
        self._engines = engines
        self._add = add
        self._waits = waits
        self._locks = locks
        self._staying = staying
        self.elsewhere: dict[ThunkId, float] = {}

    def lookup(self, ids: Sequence[events.NodeId], now: float) -> list[events.Event]:
        """What is known of these thunks. Those that another process runs right now are looked up later (`again`)."""
        names = [ThunkId(i) for i in ids if isinstance(i, bytes)]
        free = [name for name in names if self._is_free(name)]
        if len(free) < len(names):
            if not self.elsewhere:
                self._waits()
            self.elsewhere.update((name, now + _OTHERS_S) for name in set(names).difference(free))
        return self._look(free, now) if free else []

    def again(self, now: float) -> list[events.Event]:
        """What is known of those thunks that another process has stopped running, or has run for too long."""
        names = [name for name, until in self.elsewhere.items() if now > until or self._is_free(name)]
        for name in names:
            del self.elsewhere[name]
        return self._look(names, now) if names else []

    def release(self, id: ThunkId) -> None:
        """The thunk has run: other processes may take its lock."""
        if self._locks:
            self._locks.release(id)

    def release_all(self) -> None:
        self.elsewhere = {}
        if self._locks:
            self._locks.release_all()

    def _is_free(self, name: ThunkId) -> bool:
        return self._locks is None or self._locks.take(self._cone.resolve(name).id)

    def _look(self, names: Sequence[ThunkId], now: float) -> list[events.Event]:
        given = {name: self._cone.resolve(name).id for name in names}
        hits: list[ThunkId] = []
        misses: list[ThunkId] = []
        result: list[events.Event] = []
        for name, answer, others in self._cone.lookup(names):
            if answer is not LookupResult.MISS:
                self.release(given[name])
            match answer:
                case LookupResult.HIT:
                    hits.append(name)
                case LookupResult.MISS:
                    misses.append(name)
                case LookupResult.GREW:
                    self._add(others)
                    result.append(events.Grew(now, name, others))
                case LookupResult.BECAME:
                    self._add(others)
                    result.append(events.Became(now, name, others[0]))
        if hits:
            result.append(events.Hit(now, tuple(hits)))
        if misses:
            self._expect(misses)
            result.append(events.Miss(now, tuple(misses)))
        return result

    def _expect(self, names: Sequence[ThunkId]) -> None:
        """Tell the engines that they may soon be given these."""
        thunks = [self._cone.resolve(name).thunk for name in names]
        if self._staying:
            thunks = [thunk for thunk in thunks if not self._staying.why(thunk)]
        for engine in self._engines:
            engine.expect(thunks)
