"""The store in a directory, used by many at once: blobs as files, the small objects in one SQLite database. Format 1.

  version      "1" and a newline
  lock         held shared by whoever uses the store to write (`flock`); the byte at the second of its opening is locked too
  gate         held for the moment in which an old blob is taken into use, or goes (`flock`)
  grown        how much was added (`gg.store.growth`)
  store.db     thunks, groups, reductions, aliases (`gg.store.metadata`)
  blobs/ab/…   blobs (`gg.store.blobfiles`)
  tmp/         files that are being written

Several processes use one store at a time. Any of them may be killed at any moment: if `put` had returned, its objects are
there, and if not, each of them is whole or absent. `tmp/` may hold a leftover, which `tidy` removes. A directory that cannot
be written is a store that only reads. A store must be on a local file system: SQLite's log needs memory shared between users.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from gg.core.ids import BlobId
from gg.errors import FormatError, StoreError
from gg.host.files import trouble, write_whole
from gg.store.base import Key, Kind, StoreCaps, Stored, check_put
from gg.store.blobfiles import BlobFiles
from gg.store.metadata import Metadata

VERSION = 1
# When others may be writing, a write that began longer ago than this counts as dead.
_STALE_S = 24 * 3600.0
_RANGE = struct.Struct("hhqqi4x")  # struct flock of fcntl(2)


class DirectoryStore:
    """The store at `directory`, made if it is not there.

    `read_only` None: as the directory's permissions have it. `exclusive`: nobody else may use the store meanwhile, as a
    collection needs; StoreError if somebody does. FormatError if a newer gg made the directory.
    """

    fetched_results = 0  # it asks no other store

    def __init__(
        self, directory: bytes | str | os.PathLike[str], *, read_only: bool | None = None, exclusive: bool = False
    ) -> None:
        self.directory = os.path.abspath(os.fsencode(directory))
        if read_only is None:
            read_only = os.path.isdir(self.directory) and not os.access(self.directory, os.W_OK)
        self._exclusive = exclusive
        self._lock: int | None = None
        _check_version(self.directory, read_only)
        if not read_only:
            self._acquire()
        self._caps = StoreCaps(persistent=True, writable=not read_only, local_paths=True)
        self._metadata = Metadata(self.directory + b"/store.db", read_only=read_only)
        self._blobs = BlobFiles(self.directory, self._metadata, writable=not read_only)

    @property
    def caps(self) -> StoreCaps:
        return self._caps

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        blobs, others = _apart(keys)
        found = self._metadata.get(others) if others else {}
        self._blobs.verified.prefetch([key.digest for key in blobs])
        for key in blobs:
            data = self._blobs.get(key.digest)
            if data is not None:
                found[key] = data
        return found

    def peek(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """See `gg.store.collection.Collectable`. Not for blobs."""
        return self._metadata.get(keys, peek=True)

    def drop_unused(self, keys: Sequence[Key], before: float) -> set[Key]:
        """See `gg.store.collection.Collectable`."""
        self._need_writable()
        blobs, others = _apart(keys)
        used = self._metadata.drop_unused(others, before) if others else set()
        if blobs:
            kept = self._blobs.drop_unused([key.digest for key in blobs], before)
            used.update(key for key in blobs if key.digest in kept)
        return used

    def news(self, mark: int) -> tuple[int, dict[Key, bytes]]:
        """See `gg.store.collection.Collectable`."""
        return self._metadata.news(mark)

    def opened(self) -> float:
        """See `gg.store.collection.Collectable`."""
        return math.inf if self._lock is None else _oldest(self._lock)

    def put(self, items: Mapping[Key, bytes]) -> None:
        check_put(items, self._caps)
        blobs, others = _apart(items)
        for key in blobs:
            self._blobs.put(key.digest, items[key])
        if others:
            # After the blobs, so that whoever finds a reduction also finds the blobs that it names.
            self._metadata.put({key: items[key] for key in others})

    def has(self, keys: Sequence[Key]) -> set[Key]:
        blobs, others = _apart(keys)
        found = self._metadata.has(others) if others else set()
        self._blobs.verified.prefetch([key.digest for key in blobs])
        found.update(key for key in blobs if self._blobs.has(key.digest))
        return found

    def delete(self, keys: Sequence[Key]) -> None:
        self._need_writable()
        blobs, others = _apart(keys)
        self._metadata.delete(others)
        for key in blobs:
            self._blobs.delete(key.digest)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        return self._blobs.keys() if kind is Kind.BLOB else self._metadata.keys(kind)

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        self._need_writable()
        self._blobs.put_files(files, consume=consume)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        self._blobs.verified.prefetch([blob.digest for blob in files.values()])
        return {path for path, blob in files.items() if self._blobs.fetch(blob, path)}

    def path(self, blob: BlobId, *, executable: bool = False) -> bytes | None:
        return self._blobs.path(blob, executable=executable)

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        return self._blobs.paths(blobs)

    def flush(self) -> None:
        self._metadata.flush()

    def tidy(self) -> int:
        self._need_writable()
        return self._blobs.tidy(0.0 if self._exclusive else _STALE_S)

    def close(self) -> None:
        try:
            self._metadata.close()
        finally:
            self._blobs.close()
            self._release()

    def __enter__(self) -> DirectoryStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _need_writable(self) -> None:
        check_put({}, self._caps)

    def _acquire(self) -> None:
        path = self.directory + b"/lock"
        try:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._lock, (fcntl.LOCK_EX | fcntl.LOCK_NB) if self._exclusive else fcntl.LOCK_SH)
            _tell_opening(self._lock)
        except BlockingIOError:
            self._release()
            raise StoreError(
                f"{os.fsdecode(self.directory)} is in use", hint="wait until gg-infer and gg-force have ended"
            ) from None
        except OSError as error:
            self._release()
            raise trouble("lock", path, error) from error

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _tell_opening(lock: int) -> None:
    """Lock the byte whose position is the time, while the descriptor is open: so a collection learns when each session began."""
    with suppress(OSError):  # a file system without such locks
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _RANGE.pack(fcntl.F_RDLCK, os.SEEK_SET, int(time.time()), 1, 0))


def _oldest(lock: int) -> float:
    """The earliest time whose byte somebody else has locked; infinity when nobody has."""
    oldest, end = math.inf, int(time.time()) + 86400
    while end > 0:
        try:
            asked = fcntl.fcntl(lock, fcntl.F_OFD_GETLK, _RANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, end, 0))
        except OSError:
            return oldest
        kind, _, start, _, _ = _RANGE.unpack(asked)
        if kind == fcntl.F_UNLCK:
            break
        oldest = end = start
    return float(oldest)


def _apart(keys: Sequence[Key] | Mapping[Key, bytes]) -> tuple[list[Key], list[Key]]:
    blobs: list[Key] = []
    others: list[Key] = []
    for key in keys:
        (blobs if key.kind == Kind.BLOB else others).append(key)
    return blobs, others


def _check_version(directory: bytes, read_only: bool) -> None:
    """FormatError unless `directory` is a store of this version. Makes a new one where there is none."""
    name = os.fsdecode(directory)
    path = directory + b"/version"
    try:
        with open(path, "rb") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        if read_only:
            raise StoreError(f"{name} is not a store", hint="record a build first: gg-infer make") from None
        if os.path.exists(directory + b"/store.db"):
            raise FormatError(
                f"{name} has lost its version file", hint=f'write "{VERSION}" to {name}/version'
            ) from None
        _make(directory)
        return
    except OSError as error:
        raise trouble("read", path, error) from error
    if not text.isdigit() or int(text) < 1:
        raise FormatError(f"{name}/version is damaged", hint=f'it should say "{VERSION}"')
    if int(text) > VERSION:
        raise FormatError(
            f"{name} is of version {int(text)}, made by a newer gg; this one knows version {VERSION}",
            hint="use the newer gg, or remove that directory and record again",
        )
    if not read_only and not os.path.isdir(directory + b"/tmp"):
        _make(directory)


def _make(directory: bytes) -> None:
    try:
        os.makedirs(directory + b"/blobs", exist_ok=True)
        os.makedirs(directory + b"/tmp", exist_ok=True)
    except OSError as error:
        raise trouble("make", directory, error) from error
    write_whole(directory + b"/version", b"%d\n" % VERSION)
