"""Counts of what was asked of a store: calls, objects and bytes by method, and the time spent in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from gg.core.ids import BlobId
from gg.store.base import Key, Kind, Store, Stored
from gg.store.wrapper import Wrapper


@dataclass(slots=True)
class Meter:
    """One method's totals. `objects`: found, stored or removed. `bytes`: of those. `wall_ns`: summed over threads."""

    calls: int = 0
    failures: int = 0
    asked: int = 0
    objects: int = 0
    bytes: int = 0
    wall_ns: int = 0


@dataclass(slots=True)
class _Call:
    objects: int = 0
    bytes: int = 0


class Metered(Wrapper):
    """`inner`, with a `Meter` for each method in `meters`. `clock` gives nanoseconds."""

    def __init__(self, inner: Store, clock: Callable[[], int] = time.monotonic_ns) -> None:
        super().__init__(inner)
        self.meters: dict[str, Meter] = {}
        self._clock = clock
        self._lock = Lock()

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        with self._call("get", len(keys)) as call:
            found = self.inner.get(keys)
            call.objects, call.bytes = len(found), sum(map(len, found.values()))
            return found

    def put(self, items: Mapping[Key, bytes]) -> None:
        with self._call("put", len(items)) as call:
            self.inner.put(items)
            call.objects, call.bytes = len(items), sum(map(len, items.values()))

    def has(self, keys: Sequence[Key]) -> set[Key]:
        with self._call("has", len(keys)) as call:
            found = self.inner.has(keys)
            call.objects = len(found)
            return found

    def delete(self, keys: Sequence[Key]) -> None:
        with self._call("delete", len(keys)) as call:
            self.inner.delete(keys)
            call.objects = len(keys)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        """Timed until the listing begins; what is listed is counted as it is taken."""
        with self._call("keys", 0):
            listing = self.inner.keys(kind)
        for stored in listing:
            with self._lock:
                self.meters["keys"].objects += 1
                self.meters["keys"].bytes += stored.size
            yield stored

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        with self._call("put_files", len(files)) as call:
            self.inner.put_files(files, consume=consume)
            call.objects, call.bytes = len(files), sum(blob.size for blob in files)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        with self._call("fetch_files", len(files)) as call:
            written = self.inner.fetch_files(files)
            call.objects, call.bytes = len(written), sum(files[path].size for path in written)
            return written

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        with self._call("path", 1) as call:
            path = self.inner.path(blob, executable=executable)
            call.objects = int(path is not None)
            return path

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        with self._call("paths", len(blobs)) as call:
            found = self.inner.paths(blobs)
            call.objects = len(found)
            return found

    def flush(self) -> None:
        with self._call("flush", 0):
            self.inner.flush()

    def tidy(self) -> int:
        with self._call("tidy", 0) as call:
            call.bytes = self.inner.tidy()
            return call.bytes

    @contextmanager
    def _call(self, method: str, asked: int) -> Iterator[_Call]:
        call = _Call()
        start = self._clock()
        failed = True
        try:
            yield call
            failed = False
        finally:
            with self._lock:
                meter = self.meters.setdefault(method, Meter())
                meter.calls += 1
                meter.failures += failed
                meter.asked += asked
                meter.objects += call.objects
                meter.bytes += call.bytes
                meter.wall_ns += self._clock() - start
