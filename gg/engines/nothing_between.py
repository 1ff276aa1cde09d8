"""For ways on which no store is between this machine and the workers (`StoreBetween` of the lambda engine)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gg.core.ids import BlobId
from gg.store.base import Key, Store, blob_key
from gg.wire.request import BucketLocation, PackReference


class NothingBetween:
    """What is the same for all of them. Outputs are in `store` before an attempt is answered."""

    place = BucketLocation()

    def __init__(self, store: Store) -> None:
        self._store = store

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        return set(), set(keys)

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]:
        """Those that have come."""
        here = self._store.has([blob_key(blob) for blob in blobs])
        return {blob for blob in blobs if blob_key(blob) in here}
