"""What a store is: a place for objects under 32-byte keys, whose primitive operation is the batch.

Kinds of objects. *Content-addressed* ones (blobs, thunks, groups) have the BLAKE3 digest of their bytes for a key: no
two writers ever disagree about them, and what does not match its key is never kept and never given out. *Records*
(reductions, aliases) are small, are found under a key that the caller derives, and the last one put replaces what
was there.

The rules that every store keeps (`tests/conformance/store_suite.py` tests them):

- What is not there is simply left out of the answer. So is what is damaged: a store heals by being given the
  object again, and a caller needs one way to deal with a loss, not two.
- `put` refuses bytes that do not match a content-addressed key, with FormatError, and keeps nothing of that batch or
  all that did match. Putting what is already there is cheap, and repairs it if it is damaged.
- When `put` or `put_files` returns, the objects outlive this process, however it dies, if the store is persistent.
- Each object appears whole or not at all, to every reader.
- A store may be used from several threads. It must not be used in a child after a fork.
- Trouble is a StoreError that says what to do; TransientStoreError when the same call may succeed later.

Paths are the host's own, as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import IntEnum
from typing import Protocol

from blake3 import blake3

from gg.core.ids import DIGEST_SIZE, BlobId
from gg.errors import FormatError, MissingObject, StoreError
from gg.light.named import NamedTuple
from gg.light.slotted import slotted


class Kind(IntEnum):
    """What an object is. The numbers are part of the directory store's format."""

    BLOB = 0
    THUNK = 1
    GROUP = 2
    REDUCTION = 3
    ALIAS = 4


CONTENT_ADDRESSED = frozenset({Kind.BLOB, Kind.THUNK, Kind.GROUP})


KINDS = {int(kind): kind for kind in Kind}
"""The kinds by their numbers, as formats have them."""


class Key(NamedTuple):
    """Where an object is found: what it is, and 32 bytes."""

    kind: Kind
    digest: bytes


def blob_key(blob: BlobId) -> Key:
    return Key(Kind.BLOB, blob.digest)


class Stored(NamedTuple):
    """One object as `Store.keys` lists it: size in bytes, last use in seconds since the epoch (to about a day)."""

    key: Key
    size: int
    used: float


@slotted()
class StoreCaps:
    """What a store can do, so that callers never ask for its type.

    `persistent`: objects outlive the process. `writable`: put and delete work. `local_paths`: `path` answers.
    """

    persistent: bool
    writable: bool = True
    local_paths: bool = False


class TransientStoreError(StoreError):
    """Trouble that may pass by itself: a timeout, a busy server. The same call may be made again."""


class SourceChanged(FormatError):
    """Files given to `put_files` that do not, or no longer, have the bytes they were announced with (or are gone)."""

    def __init__(self, paths: Sequence[bytes]) -> None:
        names = ", ".join(repr(path)[1:] for path in paths[:3])
        super().__init__(f"changed while being read: {names}", hint="do not edit files while they are recorded")
        self.paths = tuple(paths)


class Store(Protocol):
    """See the head of this module for the rules. All methods may raise StoreError."""

    @property
    def caps(self) -> StoreCaps: ...

    @property
    def fetched_results(self) -> int:
        """How many reductions this store lacked and found in another one."""
        ...

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """The objects that are there and sound."""
        ...

    def put(self, items: Mapping[Key, bytes]) -> None: ...

    def has(self, keys: Sequence[Key]) -> set[Key]:
        """Those of `keys` that `get` would give. A remote store may answer from what it remembers."""
        ...

    def delete(self, keys: Sequence[Key]) -> None:
        """Take the objects away; those that are not there are no error."""
        ...

    def keys(self, kind: Kind) -> Iterator[Stored]:
        """All objects of one kind, in no order. What is put or deleted meanwhile may or may not be listed."""
        ...

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        """Put blobs from files, without holding big ones in memory. The bytes copied are the bytes checked.

        SourceChanged, after all others have been put, when files do not have the bytes that their BlobId names.
        With `consume` the files may be taken (renamed) instead of copied; nobody may have them open for writing.
        """
        ...

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        """Write blobs to destination paths; the answer is the paths written, the others' blobs are missing.

        Each file appears whole, replacing what was there, as a new file of mode 0666 less the umask.
        """
        ...

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        """A read-only file with the blob's bytes (mode 0444, or 0555 if `executable`, less the umask).

        It stays for as long as the blob is stored. None if the blob is missing, or the store is without `local_paths`.
        """
        ...

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        """As `path`, for many: the blobs that are here at once. `has` may know of more, and `path` may be able to get them."""
        ...

    def flush(self) -> None:
        """Write down bookkeeping that is held back for speed. Objects are safe without it."""
        ...

    def tidy(self) -> int:
        """Remove what interrupted writes have left behind; the answer is the bytes that were freed."""
        ...

    def close(self) -> None:
        """Flush and let go of everything. Closing twice is no error."""
        ...


def of_this_machine(store: Store) -> Store:
    """The part of `store` that is on this machine, where it stands in front of a team's: for records of this machine's files, which
    nobody else is to write."""
    near: Store = getattr(store, "near", store)
    return near


def matches(key: Key, data: bytes) -> bool:
    """Whether `data` may stand under `key`: always for a record, by digest for what is content-addressed."""
    return key.kind not in CONTENT_ADDRESSED or blake3(data).digest() == key.digest


def check_put(items: Mapping[Key, bytes], caps: StoreCaps) -> None:
    """FormatError for bytes that do not match their key, StoreError for a store that only reads."""
    if not caps.writable:
        raise StoreError("the store is read-only", hint="make it writable, or choose another with --store")
    for key, data in items.items():
        if len(key.digest) != DIGEST_SIZE:
            raise FormatError("a key does not have 32 bytes")
        if not matches(key, data):
            raise FormatError(f"the {key.kind.name.lower()} {key.digest.hex()} does not have these bytes")


def read_blob(store: Store, blob: BlobId) -> bytes:
    """The bytes of `blob`; MissingObject if the store does not hold it."""
    data = store.get([blob_key(blob)]).get(blob_key(blob))
    if data is None or len(data) != blob.size:
        raise MissingObject(f"the blob {blob.hex} is in no store", hint="record again with gg-infer")
    return data


def put_blobs(store: Store, blobs: Sequence[bytes]) -> list[BlobId]:
    """Put small blobs in one batch; their ids, in order."""
    ids = [BlobId.of(data) for data in blobs]
    store.put({blob_key(blob): data for blob, data in zip(ids, blobs, strict=True)})
    return ids


def get_one(store: Store, key: Key) -> bytes | None:
    """The object under one key, or None."""
    return store.get([key]).get(key)


def missing(store: Store, keys: AbstractSet[Key]) -> set[Key]:
    """Those of `keys` that the store does not hold."""
    return set(keys) - store.has(list(keys))
