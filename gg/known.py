"""What of a force is known already, found without scheduler or engines: mostly all of it.

A thunk is known here when all that it reads is, and a reduction is recorded under its resolved id, with its blobs in the
store. What is less plain is left to the driver: a thunk that became another, placeholders that were read undeclared,
inputs narrowed to what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gg.core.codec import Outline, decode_reduction, decode_thunk, outline_thunk
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.thunk import Output, Reduction
from gg.resolve import Values, resolve
from gg.store.base import Key, Kind, blob_key

if TYPE_CHECKING:
    from gg.store.base import Store

_BATCH = 256
_AT_ONCE = 4 << 20  # bytes of blobs: their check costs time, in which those before them are placed


class Found(NamedTuple):
    """A thunk whose result is known."""

    name: ThunkId
    outputs: tuple[Output, ...]
    reduction: Reduction


class Known:
    """The thunks at and below `roots`, as far as the store has them; `find` then fills `values`.

    `holds` tells whether a file that was read undeclared is there with those bytes. Without it, none is.
    """

    def __init__(
        self,
        store: Store,
        roots: Iterable[ThunkId],
        holds: Callable[[SandboxPath, BlobId], bool] = lambda path, blob: False,
    ) -> None:
        self._store = store
        self._holds = holds
        self._outlines: dict[ThunkId, Outline] = {}
        self._with_inputs: dict[ThunkId, bytes] = {}  # thunks that read others' outputs, encoded
        self.values: dict[ThunkId, Values] = {}
        self._load(dict.fromkeys(roots))

    def __len__(self) -> int:
        return len(self._outlines)

    def find(self) -> Iterator[list[Found]]:
        """What is known, batch by batch, dependencies first."""
        waits = {name: len(outline.dependencies) for name, outline in self._outlines.items()}
        users: dict[ThunkId, list[ThunkId]] = {}
        for name in self._with_inputs:
            for below in self._outlines[name].dependencies:
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
                if outline.dependencies:
                    self._with_inputs[name] = data
                    below.update(dict.fromkeys(outline.dependencies))
            wanted = [name for name in below if name not in self._outlines]

    def _look(self, names: Sequence[ThunkId]) -> Iterator[list[Found]]:
        names = [name for name in names if not self._outlines[name].dynamic]
        keys = {name: Key(Kind.REDUCTION, self._resolved(name)) for name in names}
        stored = self._store.get(list(keys.values()))
        found = [
            Found(name, self._outlines[name].outputs, decode_reduction(stored[key], None))
            for name, key in keys.items()
            if key in stored
        ]
        for some in _by_size(found):
            plain = self._plain(some)
            self.values.update((each.name, each.reduction.outputs) for each in plain)
            yield plain

    def _plain(self, found: Sequence[Found]) -> list[Found]:
        """Those that hold: what was read undeclared is as it was, and the blobs are there."""
        blobs = {blob_key(made.blob) for each in found for made in each.reduction.outputs if made}
        there = self._store.has(list(blobs))
        return [
            each
            for each in found
            if all(self._holds(path, blob) for path, blob in each.reduction.extra_inputs)
            and all(made is None or blob_key(made.blob) in there for made in each.reduction.outputs)
        ]

    def _resolved(self, name: ThunkId) -> ThunkId:
        data = self._with_inputs.get(name)
        return resolve(name, decode_thunk(data), data, self.values).id if data else name


def _by_size(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Cut where the outputs come to `_AT_ONCE` bytes."""
    some: list[Found] = []
    size = 0
    for each in found:
        some.append(each)
        size += sum(made.blob.size for made in each.reduction.outputs if made)
        if size >= _AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some
