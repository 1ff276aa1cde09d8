"""What a force knows before any engine is asked."""

from __future__ import annotations

from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.reduction import encode_reduction
from gg.core.thunk import Made, Reduction, Usage
from gg.force.cached_results import CachedResults
from gg.store.base import Key, Kind, blob_key
from gg.store.memory import MemoryStore
from tests.support.thunks import Graph

_READ = (SandboxPath(b"/usr/bin/nm"), BlobId.of(b"nm"))


def _made(store: MemoryStore, name: ThunkId, data: bytes, *extra: tuple[SandboxPath, BlobId]) -> None:
    blob = BlobId.of(data)
    reduction = Reduction((Made(blob),), b"", b"", Usage(), "local", extra_inputs=extra)
    store.put({Key(Kind.REDUCTION, name): encode_reduction(reduction, ()), blob_key(blob): data})


def _found(known: CachedResults) -> list[list[ThunkId]]:
    return [[each.name for each in batch] for batch in known.find()]


def test_what_was_read_undeclared_has_to_be_there_with_the_same_bytes() -> None:
    store = MemoryStore()
    thunk = Graph(store).thunk("out", ["true"])
    _made(store, thunk, b"made", _READ)
    asked: list[tuple[bytes, BlobId]] = []

    def holds(path: bytes, blob: BlobId) -> bool:
        asked.append((path, blob))
        return len(asked) == 1

    assert _found(CachedResults(store, [thunk], holds)) == [[thunk]]
    assert _found(CachedResults(store, [thunk], holds)) == [[]]
    assert _found(CachedResults(store, [thunk])) == [[]]
    assert asked == [_READ, _READ]


def test_large_outputs_are_found_in_smaller_batches() -> None:
    store = MemoryStore()
    graph = Graph(store)
    thunks = [graph.thunk(f"out{n}", ["true"]) for n in range(6)]
    for n, thunk in enumerate(thunks):
        _made(store, thunk, bytes([n]) * (3 << 20))
    found = _found(CachedResults(store, thunks))
    assert [len(batch) for batch in found] == [2, 2, 2]
    assert sorted(name for batch in found for name in batch) == sorted(thunks)
