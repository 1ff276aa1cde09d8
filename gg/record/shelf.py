"""What is to be stored with a thunk, put together and written before anyone can see its placeholder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gg.core.codec import decode_group, encode_group, group_id
from gg.core.ids import BlobId, GroupId, ThunkId
from gg.core.thunk import Entry, File, Group
from gg.store.base import Key, Kind, get_one

if TYPE_CHECKING:
    from gg.record.world import World
    from gg.store.base import Store


class Shelf:
    """One session's way to the store. `known` are the thunks and groups that are there, with all that they name."""

    def __init__(self, store: Store, world: World, known: set[bytes]) -> None:
        self._store = store
        self._world = world
        self._stored = known
        self._loose: dict[bytes, tuple[BlobId, bytes, bytes | None]] = {}
        self._pending: dict[Key, bytes] = {}
        self._pending_files: dict[BlobId, bytes] = {}

    def holds(self, name: bytes) -> bool:
        """Whether a thunk or group is stored, with all that it names."""
        return name in self._stored

    def keep(self, path: bytes, blob: BlobId) -> None:
        """Have the blob at hand, in case that the group or thunk that names it turns out to be new."""
        fresh = self._world.take_fresh(blob.digest)
        if blob.digest not in self._stored and not self._world.stable(path):
            self._loose[blob.digest] = (blob, path, fresh)

    def thunk(self, name: ThunkId, encoded: bytes, entries: Iterable[Entry]) -> None:
        self._blobs(entries, known=name in self._stored)
        self._put(Key(Kind.THUNK, name), encoded)

    def group(self, group: Group) -> GroupId:
        encoded = encode_group(group)
        name = group_id(encoded)
        self._blobs(group.entries, known=name in self._stored)
        self._put(Key(Kind.GROUP, name), encoded)
        return name

    def blob(self, data: bytes) -> BlobId:
        blob = BlobId.of(data)
        self._put(Key(Kind.BLOB, blob.digest), data)
        return blob

    def find_group(self, name: GroupId) -> Group | None:
        key = Key(Kind.GROUP, name)
        data = self._pending.get(key) or get_one(self._store, key)
        return None if data is None else decode_group(data)

    def _blobs(self, entries: Iterable[Entry], *, known: bool) -> None:
        """Store the blobs of these entries. Those of a known group or thunk were stored with it."""
        for entry in entries:
            if isinstance(entry, File):
                loose = self._loose.pop(entry.blob.digest, None)
                if loose is not None:
                    blob, path, fresh = loose
                    self._stored.add(blob.digest)
                    if known:
                        continue
                    if fresh is not None:
                        self._pending[Key(Kind.BLOB, blob.digest)] = fresh
                    else:
                        self._pending_files[blob] = path

    def _put(self, key: Key, value: bytes) -> None:
        if key.digest not in self._stored:
            self._stored.add(key.digest)
            self._pending[key] = value

    def flush(self) -> None:
        """All that was put is in the store."""
        if self._pending_files:
            keys = {Key(Kind.BLOB, blob.digest): blob for blob in self._pending_files}
            for key in self._store.has(list(keys)):
                del self._pending_files[keys[key]]
            if self._pending_files:
                self._store.put_files(self._pending_files)
            self._pending_files = {}
        if self._pending:
            self._store.put(self._pending)
            self._pending = {}
