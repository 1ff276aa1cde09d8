"""Calls made again when a store says that its trouble may pass.

Only `TransientStoreError` is retried, by class and never by the text of a message. Every operation of a store may be
repeated: puts replace equal by equal, a fetched file is renamed into place once more. The wait doubles from `first_s`
to `most_s` and is stretched by up to a half at random, so that many clients do not come back together.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from gg.core.ids import BlobId
from gg.store.base import Key, Kind, Store, Stored, TransientStoreError, blob_key
from gg.store.wrapper import Wrapper

T = TypeVar("T")


class Retry(Wrapper):
    """`inner`, asked up to `tries` times. `sleep` takes seconds; `spread` gives a number from 0 to 1."""

    def __init__(
        self,
        inner: Store,
        *,
        tries: int = 6,
        first_s: float = 0.1,
        most_s: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._tries = tries
        self._first_s = first_s
        self._most_s = most_s
        self._sleep = sleep
        self._spread = spread
        self.retried = 0

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        return self._call(lambda: self.inner.get(keys))

    def put(self, items: Mapping[Key, bytes]) -> None:
        self._call(lambda: self.inner.put(items))

    def has(self, keys: Sequence[Key]) -> set[Key]:
        return self._call(lambda: self.inner.has(keys))

    def delete(self, keys: Sequence[Key]) -> None:
        self._call(lambda: self.inner.delete(keys))

    def keys(self, kind: Kind) -> Iterator[Stored]:
        """A listing that breaks off begins again, and what was given already is passed over."""
        given: set[Key] = set()

        def listing() -> Iterator[Stored]:
            return (stored for stored in self.inner.keys(kind) if stored.key not in given)

        rest = self._call(listing)
        failures = 0
        while True:
            try:
                stored = next(rest)
            except StopIteration:
                return
            except TransientStoreError:
                failures += 1
                if failures >= self._tries:
                    raise
                self._wait(failures)
                rest = self._call(listing)
                continue
            failures = 0
            given.add(stored.key)
            yield stored

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        """With `consume`, files that a broken-off call has taken into the store are not asked for again."""
        left = dict(files)
        again = False

        def put() -> None:
            nonlocal again
            if consume and again:
                gone = [blob for blob, path in left.items() if not os.path.lexists(path)]
                stored = self.inner.has([blob_key(blob) for blob in gone])
                for blob in gone:
                    if blob_key(blob) in stored:
                        del left[blob]
            again = True
            self.inner.put_files(left, consume=consume)

        self._call(put)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        return self._call(lambda: self.inner.fetch_files(files))

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        return self._call(lambda: self.inner.path(blob, executable=executable))

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        return self._call(lambda: self.inner.paths(blobs))

    def flush(self) -> None:
        self._call(self.inner.flush)

    def tidy(self) -> int:
        return self._call(self.inner.tidy)

    def _call(self, operation: Callable[[], T]) -> T:
        for failures in range(1, self._tries):
            try:
                return operation()
            except TransientStoreError:
                self._wait(failures)
        return operation()

    def _wait(self, failures: int) -> None:
        self.retried += 1
        wait = min(self._most_s, self._first_s * 2.0 ** (failures - 1))
        self._sleep(wait * (1.0 + self._spread() / 2.0))
