"""A near store in front of a far one: what is fetched from afar is kept near, what is put goes to both.

Writing is to the far store first, so that what the near one holds is never ahead of what others can see. A record
that is near is taken as it is, even if the far store has a later one: a reduction does not turn wrong with age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gg.core.ids import BlobId
from gg.light.slotted import replace
from gg.store.base import Caps, Key, Kind, Store, Stored
from gg.store.wrapper import Wrapper


class Cache(Wrapper):
    """`near` in front of `far`."""

    def __init__(self, near: Store, far: Store) -> None:
        super().__init__(far)
        self.near = near

    @property
    def caps(self) -> Caps:
        """What the far store can do, with the near one's local paths."""
        return replace(self.inner.caps, local_paths=self.near.caps.local_paths or self.inner.caps.local_paths)

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = self.near.get(keys)
        absent = [key for key in keys if key not in found]
        if absent:
            fetched = self.inner.get(absent)
            self._keep(fetched)
            found.update(fetched)
        return found

    def put(self, items: Mapping[Key, bytes]) -> None:
        self.inner.put(items)
        self._keep(items)

    def has(self, keys: Sequence[Key]) -> set[Key]:
        found = self.near.has(keys)
        absent = [key for key in keys if key not in found]
        return found | self.inner.has(absent) if absent else found

    def delete(self, keys: Sequence[Key]) -> None:
        self.inner.delete(keys)
        self.near.delete(keys)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        """Both stores' objects; one that is in both is listed as the near store has it."""
        given: set[Key] = set()
        for stored in self.near.keys(kind):
            given.add(stored.key)
            yield stored
        for stored in self.inner.keys(kind):
            if stored.key not in given:
                yield stored

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        self.inner.put_files(files)
        if self.near.caps.writable:
            self.near.put_files(files, consume=consume)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        written = self.near.fetch_files(files)
        absent = {path: blob for path, blob in files.items() if path not in written}
        if absent:
            fetched = self.inner.fetch_files(absent)
            if self.near.caps.writable:
                self.near.put_files({absent[path]: path for path in fetched})
            written |= fetched
        return written

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        """Of the near store, which is given the blob first if only the far one has it."""
        path = self.near.path(blob, executable=executable)
        if path is None and self.near.caps.local_paths and self.near.caps.writable:
            # From file to file where both have them, for a blob may be large.
            source = self.inner.path(blob)
            if source is not None:
                self.near.put_files({blob: source})
            else:
                self.get([Key(Kind.BLOB, blob.digest)])
            path = self.near.path(blob, executable=executable)
        return path if path is not None else self.inner.path(blob, executable=executable)

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        found = self.near.paths(blobs)
        return found | self.inner.paths([blob for blob in blobs if blob not in found])

    def flush(self) -> None:
        self.inner.flush()
        self.near.flush()

    def tidy(self) -> int:
        return self.inner.tidy() + self.near.tidy()

    def close(self) -> None:
        try:
            self.inner.close()
        finally:
            self.near.close()

    def _keep(self, items: Mapping[Key, bytes]) -> None:
        caps = self.near.caps
        if caps.writable:
            most = caps.max_object
            self.near.put({key: data for key, data in items.items() if most is None or len(data) <= most})
