"""A store around another one: every method goes to the store inside, unless a subclass has its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gg.core.ids import BlobId
from gg.store.base import Key, Kind, Store, StoreCaps, Stored


class Wrapper:
    """A store that does what `inner` does."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def caps(self) -> StoreCaps:
        return self.inner.caps

    @property
    def fetched_results(self) -> int:
        return self.inner.fetched_results

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        return self.inner.get(keys)

    def put(self, items: Mapping[Key, bytes]) -> None:
        self.inner.put(items)

    def has(self, keys: Sequence[Key]) -> set[Key]:
        return self.inner.has(keys)

    def delete(self, keys: Sequence[Key]) -> None:
        self.inner.delete(keys)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        return self.inner.keys(kind)

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        self.inner.put_files(files, consume=consume)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        return self.inner.fetch_files(files)

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        return self.inner.path(blob, executable=executable)

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        return self.inner.paths(blobs)

    def flush(self) -> None:
        self.inner.flush()

    def tidy(self) -> int:
        return self.inner.tidy()

    def close(self) -> None:
        self.inner.close()
