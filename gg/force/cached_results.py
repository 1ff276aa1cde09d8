"""The cached results of a force, found without scheduler or engines. Often they are everything that the force needs.

A thunk has a cached result when all that it reads has one, and a reduction is recorded under its resolved id, with its blobs in the
store. The driver looks into less plain cases: a thunk that became another, placeholders that were read undeclared,
inputs narrowed to what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.codec import Outline, decode_thunk, outline_thunk
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.reduction import outline_reduction
from gg.core.resolve import Values, resolve
from gg.core.thunk import Output, Reduction
from gg.light.named import NamedTuple
from gg.store.base import Key, Kind, blob_key

if TYPE_CHECKING:
    from gg.store.base import Store

_BATCH = 256
_AT_ONCE = 4 << 20  # bytes of blobs: checking a batch takes time, and meanwhile the batch before is placed


class CachedResult(NamedTuple):
    """A thunk whose result is known. `paths`: files with the bytes of what it made, as far as these are here already."""

    name: ThunkId
    outputs: tuple[Output, ...]
    reduction: Reduction
    paths: Mapping[BlobId, bytes]

    @property
    def values(self) -> Values:
        return self.reduction.outputs


class CachedResults:
    """Loads the thunks at and below `roots`, as far as the store has them, into `encoded`; `find` then fills `values`.

    `holds` tells whether a file that was read undeclared is there with those bytes; by default no file is. `is_late` tells
    whether such a file may have come after the thunk was recorded: then the thunk must not read it.
    """

    def __init__(
        self,
        store: Store,
        roots: Iterable[ThunkId],
        holds: Callable[[SandboxPath, BlobId], bool] = lambda path, blob: False,
        is_late: Callable[[ThunkId, SandboxPath], bool] = lambda name, path: False,
    ) -> None:
        self._store = store
        self._holds = holds
        self._is_late = is_late
        self._outlines: dict[ThunkId, Outline] = {}
        self.encoded: dict[ThunkId, bytes] = {}
        self.values: dict[ThunkId, Values] = {}
        self._load(dict.fromkeys(roots))

    def __len__(self) -> int:
        return len(self._outlines)

    def find(self) -> Iterator[list[CachedResult]]:
        """The cached results, batch by batch, dependencies first."""
        waits = {name: len(outline.dependencies) for name, outline in self._outlines.items()}
        users: dict[ThunkId, list[ThunkId]] = {}
        for name, outline in self._outlines.items():
            for below in outline.dependencies:
                users.setdefault(below, []).append(name)
        ready = [name for name, count in waits.items() if not count]
        while ready:
            batch, ready = ready[:_BATCH], ready[_BATCH:]
            for found in self._look(batch):
                for each in found:
                    for user in users.get(each.name, ()):
                        waits[user] -= 1
                        if not waits[user]:
                            ready.append(user)
                yield found

    def _load(self, wanted: Iterable[ThunkId]) -> None:
        while wanted:
            below: dict[ThunkId, None] = {}
            for key, data in self._store.get([Key(Kind.THUNK, name) for name in wanted]).items():
                name = ThunkId(key.digest)
                outline = self._outlines[name] = outline_thunk(data)
                self.encoded[name] = data
                below.update(dict.fromkeys(outline.dependencies))
            wanted = [name for name in below if name not in self._outlines]

    def _look(self, names: Sequence[ThunkId]) -> Iterator[list[CachedResult]]:
        names = [name for name in names if not self._outlines[name].dynamic]
        keys = {name: Key(Kind.REDUCTION, self._resolved(name)) for name in names}
        stored = self._store.get(list(keys.values()))
        found = [(name, outline_reduction(stored[key])) for name, key in keys.items() if key in stored]
        for some in _by_size(found):
            plain = self._plain(some)
            self.values.update([(each.name, each.reduction.outputs) for each in plain])
            yield plain

    def _plain(self, found: Sequence[tuple[ThunkId, Reduction]]) -> list[CachedResult]:
        """The results that hold: every file that was read undeclared is as it was, and the blobs are there."""
        wanted = {made.blob for _, reduction in found for made in reduction.outputs if made}
        paths = self._store.paths(list(wanted))
        absent = wanted - paths.keys()
        if absent:
            elsewhere = self._store.has([blob_key(blob) for blob in absent])
            absent = {blob for blob in absent if blob_key(blob) not in elsewhere}
        return [
            CachedResult(name, self._outlines[name].outputs, reduction, paths)
            for name, reduction in found
            if not (absent and any(made and made.blob in absent for made in reduction.outputs))
            and (
                not reduction.extra_inputs
                or all(self._holds(*each) and not self._is_late(name, each[0]) for each in reduction.extra_inputs)
            )
        ]

    def _resolved(self, name: ThunkId) -> ThunkId:
        if not self._outlines[name].dependencies:
            return name
        data = self.encoded[name]
        return resolve(name, decode_thunk(data), data, self.values).id


def _by_size(found: Sequence[tuple[ThunkId, Reduction]]) -> Iterator[list[tuple[ThunkId, Reduction]]]:
    """Batches, each ended when its outputs come to `_AT_ONCE` bytes."""
    some: list[tuple[ThunkId, Reduction]] = []
    size = 0
    for each in found:
        some.append(each)
        for made in each[1].outputs:
            size += made.blob.size if made else 0
        if size >= _AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some
