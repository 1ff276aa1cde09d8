"""How long thunks took, how much memory they used and where they ran, remembered for the next build's priorities.

The key is what a thunk makes, not its id: with an edited source a thunk has a new id, but probably takes as long as before.
All durations are one record in the store, about 20 bytes a thunk: [2, names of engines, {name of a thunk: [milliseconds, MiB, which
of the engines]}].
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
_VERSION = 2
_MOST_ENGINE = 1024


class LastUsage(NamedTuple):
    """What a thunk took last: seconds of wall time, bytes of peak memory, 0 where that is not known; and where it ran."""

    seconds: float
    memory: int
    engine: str = ""


class Durations:
    """The memory of one store. Loaded when first asked, written by `flush`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._table: dict[bytes, LastUsage] | None = None
        self._changed: dict[bytes, LastUsage] = {}

    def of(self, thunk: Thunk) -> LastUsage | None:
        if self._table is None:
            self._table = self._load()
        return self._table.get(_name(thunk)) if self._table else None

    def ran(self, thunk: Thunk, usage: Usage, engine: str = "") -> None:
        """Remember what an attempt took. If its memory is not known, the value from before stays."""
        before = None if usage.memory else self.of(thunk)
        memory = before.memory if before else usage.memory
        self._changed[_name(thunk)] = LastUsage(usage.wall_ns / 1e9, memory, engine)

    def flush(self) -> None:
        """Add the new figures to those that the store holds by now; another process's figures for other thunks stay."""
        if self._changed:
            self._table = self._load() | self._changed
            self._store.put({_KEY: _encoded(self._table)})
            self._changed = {}

    def _load(self) -> dict[bytes, LastUsage]:
        data = get_one(self._store, _KEY)
        try:
            return _decoded(data) if data is not None else {}
        except FormatError:
            return {}  # of another version, or damaged: it is learned anew


def _encoded(table: dict[bytes, LastUsage]) -> bytes:
    engines = list(dict.fromkeys(each.engine for each in table.values()))
    at = {engine: number for number, engine in enumerate(engines)}
    rows = {
        name: [int(each.seconds * 1000), each.memory // _MEMORY_UNIT, at[each.engine]] for name, each in table.items()
    }
    data: bytes = msgpack.packb([_VERSION, engines, rows])
    return data


def _decoded(data: bytes) -> dict[bytes, LastUsage]:
    reader = BoundedReader(data, "memory of durations")
    reader.array(3, 3)
    if reader.number() != _VERSION:
        raise reader.damaged()
    engines = [reader.text(_MOST_ENGINE) for _ in range(reader.array(0, len(data)))]
    table: dict[bytes, LastUsage] = {}
    for _ in range(reader.map(len(data) // _NAME_SIZE)):
        name, (milliseconds, memory, engine) = reader.octets(_NAME_SIZE), reader.numbers(3, 3)
        if engine >= len(engines):
            raise reader.damaged()
        table[name] = LastUsage(milliseconds / 1000, memory * _MEMORY_UNIT, engines[engine])
    reader.end()
    return table


def _name(thunk: Thunk) -> bytes:
    path = thunk.outputs[0].path if thunk.outputs else b""
    return blake3(thunk.work.value.encode() + b"\0" + path).digest(_NAME_SIZE)
