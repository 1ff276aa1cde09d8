"""How long thunks took and how much memory they used, remembered for the next build's priorities.

The key is what a thunk makes, not its id: with an edited source a thunk has a new id, but probably takes as long as before.
All durations are one record in the store, about 20 bytes a thunk.
"""

from __future__ import annotations

import msgpack
from blake3 import blake3

from gg.core.bounded import BoundedReader
from gg.core.thunk import Thunk, Usage
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.store.base import Key, Kind, Store, get_one

_KEY = Key(Kind.ALIAS, blake3(b"durations\0").digest())
_MEMORY_UNIT = 1 << 20
_NAME_SIZE = 8


class LastUsage(NamedTuple):
    """What a thunk took last: seconds of wall time, bytes of peak memory, 0 where that is not known."""

    seconds: float
    memory: int


class Durations:
    """The memory of one store. Loaded when first asked, written by `flush`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table: dict[bytes, list[int]] | None = None
        self._changed: dict[bytes, list[int]] = {}

    def of(self, thunk: Thunk) -> LastUsage | None:
        if self._table is None:
            self._table = self._load()
        found = self._table.get(_name(thunk)) if self._table else None
        return LastUsage(found[0] / 1000, found[1] * _MEMORY_UNIT) if found else None

    def ran(self, thunk: Thunk, usage: Usage) -> None:
        """Remember what an attempt took. If its memory is not known, the value from before stays."""
        before = None if usage.memory else self.of(thunk)
        memory = before.memory if before else usage.memory
        self._changed[_name(thunk)] = [usage.wall_ns // 1_000_000, memory // _MEMORY_UNIT]

    def flush(self) -> None:
        """Add the new figures to those that the store holds by now; another process's figures for other thunks stay."""
        if self._changed:
            self._table = self._load() | self._changed
            self._store.put({_KEY: msgpack.packb([1, self._table])})
            self._changed = {}

    def _load(self) -> dict[bytes, list[int]]:
        data = get_one(self._store, _KEY)
        try:
            return _decoded(data) if data is not None else {}
        except FormatError:
            return {}  # of another version, or damaged: it is learned anew


def _decoded(data: bytes) -> dict[bytes, list[int]]:
    reader = BoundedReader(data, "memory of durations")
    reader.array(2, 2)
    if reader.number() != 1:
        raise reader.damaged()
    table = {reader.octets(_NAME_SIZE): reader.numbers(2, 2) for _ in range(reader.map(len(data) // _NAME_SIZE))}
    reader.end()
    return table


def _name(thunk: Thunk) -> bytes:
    path = thunk.outputs[0].path if thunk.outputs else b""
    return blake3(thunk.work.value.encode() + b"\0" + path).digest(_NAME_SIZE)
