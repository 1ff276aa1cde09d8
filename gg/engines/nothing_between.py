"""Takes the place of the store between this machine and its workers (`StoreBetween` of the lambda engine), where there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gg.core.ids import BlobId
from gg.store.base import Key, Store, blob_key
from gg.wire.request import BucketLocation, PackReference


class NothingBetween:
    """What all such ways share. Outputs are in `store` before an attempt is answered."""

    place = BucketLocation()

    def __init__(self, store: Store) -> None:
        self._store = store

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        return set(), set(keys)

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]:
        """The blobs that have come, and are as large as their names say."""
        here = self._store.has([blob_key(blob) for blob in blobs])
        return set(self._store.paths([blob for blob in blobs if blob_key(blob) in here]))
