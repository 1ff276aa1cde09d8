"""The workspace's own store in front of a team's: results of others are found, and results made here are shared.

Everything is put into the local store first and at once. Results (reductions, and the aliases, thunks and groups by which they
are found again) are shared in the background, their blobs before them, so that a record that others can see never leads to
nothing. Objects that only the team's store has are fetched in the background as soon as somebody wants them, and kept.

A build never fails because the team's store has trouble: gg reports that once, and leaves that store alone from then on. A wrong
set-up is an error (SetupError): the user asked for a store that cannot be had. Deleting deletes in the local store only, and
this process does not look in the team's store for objects that it deleted; a team's store forgets by age alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from gg.core.ids import BlobId
from gg.errors import AccessError, GGError, SetupError, StoreError, Unreachable
from gg.share.unshared import Unshared
from gg.store.base import CONTENT_ADDRESSED, Key, Kind, Store, StoreCaps, Stored, blob_key
from gg.store.collection import references

T = TypeVar("T")

_SHARE_EVERY = 256  # records
_BATCH = 16 << 20
_PREFETCH = 32 << 20


class Tiered:
    """`near` in front of `far`. `share`: whether results go to `far`. `report(text)` is called for trouble, once a kind."""

    def __init__(
        self,
        near: Store,
        far: Store,
        *,
        share: bool = True,
        report: Callable[[str], None] = lambda text: None,
        scratch: bytes = b"",
        borrowed: bool = False,
        needed: bool = True,
        unshared: Unshared | None = None,
    ) -> None:
        """`borrowed`: somebody else closes `near`. `needed`: nothing can be done without `far`, so it is an error if `far` cannot
        be reached or lets nobody in; otherwise gg does without. `unshared`: notes of what must still be shared.
        """
        self.near = near
        self.far = far
        self.fetched_results = 0
        self.shared = 0
        self._share = share and far.caps.writable
        self._report = report
        self._scratch = scratch
        self._borrowed = borrowed
        self._needed = needed
        self._lock = threading.Lock()
        self._down = False
        self._hidden: set[Key] = set()
        self._records: dict[Key, bytes] = {}
        self._with: dict[Key, None] = {}
        self._coming: dict[Key, Future[None]] = {}
        self._worker: ThreadPoolExecutor | None = None
        self._sending: list[Future[bool]] = []
        self._unshared = unshared if self._share else None

    @property
    def caps(self) -> StoreCaps:
        return self.near.caps

    # Reading

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = self.near.get(keys)
        absent = self._absent(keys, found)
        if absent:
            self._await(absent)
            found.update(self.near.get([key for key in absent if key in self._coming]))
            found.update(self._fetch([key for key in absent if key not in found]))
        return found

    def has(self, keys: Sequence[Key]) -> set[Key]:
        """Also begins to fetch the blobs that only the far store has, for the caller will want them."""
        found = self.near.has(keys)
        absent = self._absent(keys, found)
        if absent:
            there = self._ask(lambda: self.far.has(absent), set[Key]())
            self._prefetch([key for key in there if key.kind is Kind.BLOB])
            found |= there
        return found

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        path = self.near.path(blob, executable=executable)
        key = blob_key(blob)
        if path is None and self._absent([key], ()):
            self._await([key])
            path = self.near.path(blob, executable=executable)
            if path is None and self._fetch_file(blob):
                path = self.near.path(blob, executable=executable)
        return path

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        return self.near.paths(blobs)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        written = self.near.fetch_files(files)
        left = {path: blob for path, blob in files.items() if path not in written}
        wanted = self._absent([blob_key(blob) for blob in left.values()], ())
        if wanted:
            for blob in {blob for blob in left.values() if blob_key(blob) in wanted}:
                self._await([blob_key(blob)])
                if not self.near.has([blob_key(blob)]):
                    self._fetch_file(blob)
            written |= self.near.fetch_files(left)
        return written

    def keys(self, kind: Kind) -> Iterator[Stored]:
        """The objects of the near store."""
        return self.near.keys(kind)

    # Writing

    def put(self, items: Mapping[Key, bytes]) -> None:
        if self._unshared and any(key.kind not in CONTENT_ADDRESSED for key in items):
            with self._lock:
                self._unshared.note([key for key in items if key.kind is not Kind.BLOB])
        self.near.put(items)
        with self._lock:
            self._hidden.difference_update(items)
            if self._share and not self._down:
                self._with.update({key: None for key in items if key.kind in CONTENT_ADDRESSED})
                self._records.update({key: data for key, data in items.items() if key.kind not in CONTENT_ADDRESSED})
        if len(self._records) >= _SHARE_EVERY:
            self._begin_sharing()

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        self.near.put_files(files, consume=consume)
        self._hidden.difference_update([blob_key(blob) for blob in files])

    def delete(self, keys: Sequence[Key]) -> None:
        self.near.delete(keys)
        with self._lock:
            self._hidden.update(keys)
            for key in keys:
                self._records.pop(key, None)
                self._with.pop(key, None)

    def flush(self) -> None:
        """Wait until everything is shared, or cannot be."""
        self.near.flush()
        self._begin_sharing()
        all_sent = True
        while self._sending:
            all_sent &= self._sending.pop().result()
        self._ask(self.far.flush, None)
        if self._unshared and not self._down:
            if all_sent:
                self._unshared.shared()
            self._offer_left(self._unshared)

    def tidy(self) -> int:
        return self.near.tidy()

    def close(self) -> None:
        if self._unshared:
            self._unshared.close()
        try:
            if self._worker is not None:
                self._worker.shutdown(cancel_futures=True)
            self.far.close()
        finally:
            if not self._borrowed:
                self.near.close()

    # The far store

    def _absent(self, keys: Sequence[Key], found: Container[Key]) -> list[Key]:
        """The keys to ask the far store for."""
        if self._down:
            return []
        return [key for key in dict.fromkeys(keys) if key not in found and key not in self._hidden]

    def _fetch(self, keys: list[Key]) -> dict[Key, bytes]:
        there: dict[Key, bytes] = self._ask(lambda: self.far.get(keys), {}) if keys else {}
        found = {key: there[key] for key in keys if key in there}  # and nothing that nobody has asked for
        if found:
            self.fetched_results += sum(key.kind is Kind.REDUCTION for key in found)
            self.near.put(found)
        return found

    def _fetch_file(self, blob: BlobId) -> bool:
        """Fetch one blob, from file to file when it is large."""
        if blob.size <= _PREFETCH or not self._scratch:
            return bool(self._fetch([blob_key(blob)]))
        path = b"%s/far%d-%s" % (self._scratch, os.getpid(), blob.digest.hex().encode())
        if not self._ask(lambda: self.far.fetch_files({path: blob}), set[bytes]()):
            return False
        self.near.put_files({blob: path}, consume=True)
        if os.path.exists(path):
            os.unlink(path)
        return True

    def _prefetch(self, keys: list[Key]) -> None:
        with self._lock:
            fresh = [key for key in keys if key not in self._coming]
            if fresh:
                future = self._pool().submit(self._bring, fresh)
                self._coming.update(dict.fromkeys(fresh, future))

    def _bring(self, keys: list[Key]) -> None:
        for start in range(0, len(keys), 200):
            self._fetch(keys[start : start + 200])

    def _await(self, keys: Sequence[Key]) -> None:
        for future in {self._coming[key] for key in keys if key in self._coming}:
            future.result()

    def _ask(self, work: Callable[[], T], otherwise: T) -> T:
        if self._down:
            return otherwise
        try:
            return work()
        except (SetupError, StoreError) as error:
            if isinstance(error, SetupError) and (self._needed or not isinstance(error, (AccessError, Unreachable))):
                raise
            with self._lock:
                told, self._down = self._down, True
            if not told:
                self._report(f"going on without the shared store: {error.what}")
            return otherwise

    def _pool(self) -> ThreadPoolExecutor:
        if self._worker is None:
            self._worker = ThreadPoolExecutor(2, thread_name_prefix="gg shared store")
        return self._worker

    # Sharing

    def _begin_sharing(self) -> None:
        with self._lock:
            records, self._records = self._records, {}
            beside, self._with = self._with, {}
            if records:
                self._sending.append(self._pool().submit(self._send, records, list(beside)))

    def _offer_left(self, unshared: Unshared) -> None:
        """Offer the results that earlier runs could not share, as far as they are still here."""
        for keys in unshared.left():
            beside = [key for key in keys if key.kind in CONTENT_ADDRESSED]
            names = [key for key in keys if key.kind not in CONTENT_ADDRESSED]
            for start in range(0, len(names), _SHARE_EVERY):
                records = self.near.get(names[start : start + _SHARE_EVERY])
                if records and not self._send(records, beside):
                    return
                beside = []

    def _send(self, records: dict[Key, bytes], beside: list[Key]) -> bool:
        """Share records and what they lead to. False, with a report, if that fails."""
        try:
            return self._ask(lambda: self._send_all(records, beside), False)
        except GGError as error:
            self._share = False
            self._report(f"results are not shared: {error.what}")
            return False

    def _send_all(self, records: dict[Key, bytes], beside: list[Key]) -> bool:
        """Send what the records lead to, then the records themselves."""
        wanted = dict.fromkeys(key for key in beside if key.kind is not Kind.BLOB)
        for record, data in records.items():
            wanted.update(dict.fromkeys(references(record, data)))
        self._add_groups(wanted)
        there = self.far.has(list(wanted))
        batch: dict[Key, bytes] = {}
        size = 0
        missing = [key for key in wanted if key not in there]
        for start in range(0, len(missing), 64):
            for key, data in self.near.get(missing[start : start + 64]).items():
                if size and size + len(data) > _BATCH:
                    self.far.put(batch)
                    batch, size = {}, 0
                batch[key] = data
                size += len(data)
        self.far.put({**batch, **records})
        self.shared += sum(key.kind is Kind.REDUCTION for key in records)
        return True

    def _add_groups(self, wanted: dict[Key, None]) -> None:
        """Add the groups of the thunks among `wanted`, and all below them: others need them to narrow by these thunks."""
        frontier = [key for key in wanted if key.kind in (Kind.THUNK, Kind.GROUP)]
        while frontier:
            below: dict[Key, None] = {}
            for key, data in self.near.get(frontier).items():
                below.update(dict.fromkeys(one for one in references(key, data) if one.kind is Kind.GROUP))
            frontier = [key for key in below if key not in wanted]
            wanted.update(dict.fromkeys(frontier))
