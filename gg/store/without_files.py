"""The answers about files of a store that has none: its objects are not on this disk."""

from __future__ import annotations

from collections.abc import Sequence

from gg.core.ids import BlobId


class WithoutFiles:
    """Base of stores that have no file for a blob, find nothing in another store, and have nothing to tidy."""

    fetched_results = 0

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        return None

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        return {}

    def tidy(self) -> int:
        return 0
