"""A store whose records of a repetition stay in memory: nobody who builds ever meets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.store.base import Key, Kind, Store
from gg.store.wrapper import Wrapper

_KEPT = frozenset({Kind.THUNK, Kind.REDUCTION, Kind.ALIAS})


class Apart(Wrapper):
    """Reads what `inner` has, and writes blobs and groups there; all else that is put is kept here and forgotten."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._own: dict[Key, bytes] = {}

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = {key: self._own[key] for key in keys if key in self._own}
        rest = [key for key in keys if key not in found]
        return {**self.inner.get(rest), **found} if rest else found

    def put(self, items: Mapping[Key, bytes]) -> None:
        self._own.update((key, data) for key, data in items.items() if key.kind in _KEPT)
        rest = {key: data for key, data in items.items() if key.kind not in _KEPT}
        if rest:
            self.inner.put(rest)

    def has(self, keys: Sequence[Key]) -> set[Key]:
        found = {key for key in keys if key in self._own}
        rest = [key for key in keys if key not in found]
        return found | self.inner.has(rest) if rest else found

    def delete(self, keys: Sequence[Key]) -> None:
        """What is not kept here is not this one's to delete."""
        for key in keys:
            self._own.pop(key, None)

    def close(self) -> None:
        """Forget; the store inside is its owner's to close."""
        self._own.clear()
