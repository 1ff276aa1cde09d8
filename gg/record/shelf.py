"""What is to be stored with a thunk, put together and written before anyone can see its placeholder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gg.core.codec import decode_group, encode_group, group_id
from gg.core.ids import BlobId, GroupId, ThunkId
from gg.core.thunk import Entry, File, Group
from gg.store.base import Key, Kind, get_one

if TYPE_CHECKING:
    from gg.record.world import World
    from gg.store.base import Store


_AHEAD = 200  # thunks that are asked for together


class Shelf:
    """One session's way to the store, which has objects of many workspaces: never all of them are asked for."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world
        self._stored: set[bytes] = set()  # what this session has put, or found there
        self._new: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._expected: Sequence[bytes] = ()
        self._places: dict[bytes, int] = {}
        self._loose: dict[bytes, tuple[BlobId, bytes, bytes | None]] = {}
        self._pending: dict[Key, bytes] = {}
        self._pending_files: dict[BlobId, bytes] = {}

    def expect(self, names: Sequence[bytes]) -> None:
        """These thunks are likely to be asked for by `holds`, about in this order."""
        self._expected = names
        self._places = {name: place for place, name in enumerate(names)}

    def holds(self, name: bytes) -> bool:
        """Whether a thunk is stored, with all that it names."""
        if name not in self._stored and name not in self._asked:
            place = self._places.get(name, len(self._expected))
            names = {name, *self._expected[place : place + _AHEAD]} - self._asked
            self._asked |= names
            self._stored.update(key.digest for key in self._store.has([Key(Kind.THUNK, each) for each in names]))
        return name in self._stored

    def is_new(self, name: bytes) -> bool:
        """Whether the store did not have the thunk before this session; told once."""
        if name not in self._new:
            return False
        self._new.remove(name)
        return True

    def keep(self, path: bytes, blob: BlobId) -> None:
        """Have the blob at hand, in case that the group or thunk that names it turns out to be new."""
        fresh = self._world.take_fresh(blob.digest)
        if blob.digest not in self._stored and not self._world.stable(path):
            self._loose[blob.digest] = (blob, path, fresh)

    def thunk(self, name: ThunkId, encoded: bytes, entries: Iterable[Entry]) -> None:
        self._blobs(entries)
        self._put(Key(Kind.THUNK, name), encoded)

    def group(self, group: Group) -> GroupId:
        encoded = encode_group(group)
        name = group_id(encoded)
        self._blobs(group.entries)
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

    def _blobs(self, entries: Iterable[Entry]) -> None:
        """Store the blobs of these entries."""
        for entry in entries:
            if isinstance(entry, File):
                loose = self._loose.pop(entry.blob.digest, None)
                if loose is not None:
                    blob, path, fresh = loose
                    self._stored.add(blob.digest)
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
            records = [key for key in self._pending if key.kind is not Kind.BLOB]
            for key in self._store.has(records):
                del self._pending[key]
            self._new.update(key.digest for key in self._pending if key.kind is Kind.THUNK)
            if self._pending:
                self._store.put(self._pending)
            self._pending = {}
