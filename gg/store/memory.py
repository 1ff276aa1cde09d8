"""A store in memory: the simplest store that keeps the rules, and the fake that tests inject trouble into."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock

from gg.core.ids import BlobId
from gg.errors import StoreError
from gg.host.files import write_whole
from gg.store.base import Key, Kind, SourceChanged, StoreCaps, Stored, blob_key, check_put
from gg.store.without_files import WithoutFiles

Before = Callable[[str, Sequence[Key]], None]
Alter = Callable[[Key, bytes], bytes]


class MemoryStore(WithoutFiles):
    """Objects in a dict.

    `before(method, keys)` is called ahead of each operation and may raise. `alter(key, data)` stands between the
    store and its readers, and may give other bytes, as a bad network would. `now` is the clock, in seconds.
    """

    def __init__(
        self,
        *,
        before: Before | None = None,
        alter: Alter | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.before = before
        self.alter = alter
        self._caps = StoreCaps(persistent=False)
        self._now = now
        self._lock = Lock()
        self._objects: dict[Key, bytes] = {}
        self._used: dict[Key, float] = {}

    @property
    def caps(self) -> StoreCaps:
        return self._caps

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        self._begin("get", keys)
        with self._lock:
            found = {key: self._objects[key] for key in keys if key in self._objects}
            self._used.update(dict.fromkeys(found, self._now()))
        if self.alter is not None:
            found = {key: self.alter(key, data) for key, data in found.items()}
        return found

    def peek(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        self._begin("get", keys)
        return {key: self._objects[key] for key in keys if key in self._objects}

    def drop_unused(self, keys: Sequence[Key], before: float) -> set[Key]:
        used = {key for key in keys if self._used.get(key, 0.0) >= before}
        self.delete([key for key in keys if key not in used])
        return used

    def news(self, mark: int) -> tuple[int, dict[Key, bytes]]:
        return 0, {}

    def opened(self) -> float:
        return math.inf

    def put(self, items: Mapping[Key, bytes]) -> None:
        self._begin("put", list(items))
        check_put(items, self._caps)
        with self._lock:
            self._objects.update((Key(Kind(key.kind), key.digest), data) for key, data in items.items())
            self._used.update(dict.fromkeys(items, self._now()))

    def has(self, keys: Sequence[Key]) -> set[Key]:
        self._begin("has", keys)
        with self._lock:
            return {key for key in keys if key in self._objects}

    def delete(self, keys: Sequence[Key]) -> None:
        self._begin("delete", keys)
        with self._lock:
            for key in keys:
                self._objects.pop(key, None)
                self._used.pop(key, None)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        self._begin("keys", [])
        with self._lock:
            listed = [
                Stored(key, len(data), self._used[key]) for key, data in self._objects.items() if key.kind is kind
            ]
        yield from listed

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        changed = []
        items = {}
        for blob, path in files.items():
            data = _read(path)
            if data is None or BlobId.of(data) != blob:
                changed.append(path)
            else:
                items[blob_key(blob)] = data
        self.put(items)
        if consume:
            for path in set(files.values()) - set(changed):
                os.unlink(path)
        if changed:
            raise SourceChanged(changed)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        with self._lock:
            sizes = {blob: len(self._objects.get(blob_key(blob), b"")) for blob in files.values()}
        found = self.get([blob_key(blob) for blob in files.values()])
        written = set()
        for path, blob in files.items():
            data = found.get(blob_key(blob))
            if data is not None and sizes[blob] == blob.size:
                write_whole(path, data)
                written.add(path)
        return written

    def flush(self) -> None:
        self._begin("flush", [])

    def close(self) -> None:
        return None

    def _begin(self, method: str, keys: Sequence[Key]) -> None:
        if self.before is not None:
            self.before(method, keys)


def _read(path: bytes) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot read {os.fsdecode(path)}: {error.strerror}") from error
