"""A remote store at work: bucket, catalog, log, reader and sender in one event loop, opened when first used."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from gg.aws.loop import LoopThread
from gg.core.ids import BlobId
from gg.errors import StoreError
from gg.share.bucket_service import BucketService
from gg.share.keys import Keyring
from gg.share.s3.catalog import Catalog
from gg.share.s3.journal import Journal
from gg.share.s3.log import LogEntry, LooseObject, PackNote
from gg.share.s3.pack import blob_name, pack_name
from gg.share.s3.packer import ObjectToPack, Packed, PackSource, plan
from gg.share.s3.reader import Reader
from gg.share.s3.uri import StoreUri
from gg.share.services import open_service
from gg.store.base import Key, blob_key

T = TypeVar("T")

_RESYNC_S = 30.0
_RESYNC_FEW_S = 600.0
_MANY = 8  # objects
_PACKS_AT_ONCE = 4
_SINGLE = 64 << 20
Records = Sequence[tuple[Key, bytes | None]]


class Remote:
    """The store at `where`, remembered in the database `catalog`. Thread-safe from outside.

    `clock` gives seconds since the epoch; `open_bucket` is for tests.
    """

    def __init__(
        self,
        where: StoreUri,
        catalog: bytes,
        keyring: Keyring,
        *,
        clock: Callable[[], float] = time.time,
        open_bucket: Callable[[], BucketService] | None = None,
    ) -> None:
        self.where = where
        self.keyring = keyring
        self._clock = clock
        self._open_bucket = open_bucket or (lambda: open_service(where))
        self._loop = LoopThread("gg store")
        self._lock = threading.Lock()
        self.catalog = Catalog(catalog, clock=clock)
        self._bucket: BucketService | None = None
        self._closed = False

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` in the loop, with the bucket open."""
        self.open()

        async def started() -> T:
            return await work()

        return self._loop.run(started())

    def open(self) -> None:
        """Open the bucket. SetupError when the set-up is wrong."""
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if self._bucket is None:
                self._bucket = self._open_bucket()
                self.journal = Journal(self._bucket, self.catalog, self.keyring, clock=self._clock)
                self.reader = Reader(self._bucket, self.catalog)
                self._sending: dict[Key, asyncio.Future[None]] = {}
                self._pending: dict[Key, LooseObject] = {}

    @property
    def bucket(self) -> BucketService:
        self.open()
        assert self._bucket is not None
        return self._bucket

    @property
    def requests(self) -> int:
        """Requests made so far."""
        return sum(self._bucket.calls.values()) if self._bucket is not None else 0

    @property
    def traffic(self) -> tuple[Mapping[str, int], int]:
        """Requests made so far by kind, LIST among them, and the bytes that they have brought."""
        bucket = self._bucket
        return (dict(bucket.calls), bucket.received) if bucket is not None else ({}, 0)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            bucket = self._bucket
        if bucket is not None:
            self._loop.run(bucket.close())
        self._loop.close()
        self.catalog.close()

    # Reading; all from here on runs in the loop

    def is_current(self, asked: int) -> bool:
        """Whether the catalog is new enough for a question about `asked` objects. This needs no bucket.

        For a few objects it may be older: to ask the log what others have made takes as long as many a compile.
        """
        return self.catalog.is_as_of(_patience(asked))

    async def sync(self, asked: int = _MANY) -> None:
        """Bring the catalog up to date: to at most half a minute ago when many objects are asked for."""
        await self.journal.sync(older_s=_patience(asked))

    async def known(self, keys: Collection[Key]) -> set[Key]:
        """Those of these content-addressed objects that are there."""
        found = self.catalog.has(keys)
        if len(found) < len(set(keys)):
            await self.sync(len(keys))
            found = self.catalog.has(keys)
        return found

    async def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """The content-addressed objects that are there and sound."""
        if len(self.catalog.places(keys)) < len(set(keys)):
            await self.sync(len(keys))
        return await self.reader.get(keys)

    # Writing

    async def put(
        self,
        groups: Mapping[str, Sequence[ObjectToPack]],
        source: PackSource,
        *,
        records: Records = (),
        gone: Iterable[Key] = (),
    ) -> None:
        """Put these objects, then these records. Objects that are there already are not sent; old ones are renewed."""
        await self.journal.sync(older_s=float("inf"))
        entry = LogEntry(0, gone=tuple(gone), records=tuple(records))
        sent, claimed = await self._send(groups, source)
        try:
            entry = entry._replace(packs=tuple(sent), alone=tuple(self._pending.values()))
            if entry != LogEntry(0):
                self._pending = {}
                await self.journal.publish(entry)
        finally:
            for key in claimed:
                done = self._sending.pop(key)
                if not done.done():
                    done.set_result(None)

    def learn(self, blobs: Iterable[BlobId]) -> None:
        """Note where blobs are that workers say they have put."""
        from gg.share.s3.log import Signed

        entry = LogEntry(int(self._clock() * 1e6), alone=tuple(self._loose(blobs)))
        self.catalog.apply([([], Signed(entry, b""))], {b""})

    def vouch_for(self, blobs: Iterable[BlobId]) -> None:
        """These blobs were seen in the bucket. The next entry tells others."""
        self._pending.update((each.key, each) for each in self._loose(blobs))

    def _loose(self, blobs: Iterable[BlobId]) -> list[LooseObject]:
        expires = int(self._clock() + self.where.expire_s)
        return [LooseObject(blob_key(blob), blob.size, expires) for blob in blobs]

    async def _send(
        self, groups: Mapping[str, Sequence[ObjectToPack]], source: PackSource
    ) -> tuple[list[PackNote], list[Key]]:
        """Send the missing objects as packs. The answer is the packs, and the keys that nobody else is sending meanwhile."""
        renewed = await self._renew([item.key for items in groups.values() for item in items])
        claimed: list[Key] = []
        loop = asyncio.get_running_loop()
        try:
            while True:
                missing = self._missing(groups)
                others = [self._sending[key] for key in missing if key in self._sending and key not in claimed]
                mine = [key for key in missing if key not in self._sending]
                done = loop.create_future()
                self._sending.update(dict.fromkeys(mine, done))
                claimed += mine
                if not others:
                    break
                await asyncio.wait(others)
            wanted = set(claimed)
            chosen = {name: [item for item in items if item.key in wanted] for name, items in groups.items()}
            return renewed + await self._upload(plan(chosen), source), claimed
        except BaseException:
            for key in claimed:
                future = self._sending.pop(key)
                if not future.done():
                    future.set_result(None)
            raise

    def _missing(self, groups: Mapping[str, Sequence[ObjectToPack]]) -> list[Key]:
        keys = {item.key for items in groups.values() for item in items}
        there = self.catalog.has(keys)
        return [key for key in keys if key not in there]

    async def _renew(self, keys: Collection[Key]) -> list[PackNote]:
        """Give old objects that are wanted a new life: each pack is copied onto itself, by one request that sends no bytes."""
        places = self.catalog.places(self.catalog.stale(keys))
        notes: list[PackNote] = []
        expires = int(self._clock() + self.where.expire_s)
        for place in {place for place in places.values() if place.pack}:
            pack = self.catalog.pack(place.number)
            if pack is not None and await self.bucket.touch(pack_name(place.pack)):
                notes.append(PackNote(place.pack, pack.size, expires, pack.contents))
            else:
                self.catalog.forget_pack(place)
        for key, place in places.items():
            if not place.pack:
                if await self.bucket.touch(blob_name(key.digest)):
                    self._pending[key] = LooseObject(key, place.size, expires)
                else:
                    self.catalog.forget([key])
        return notes

    async def _upload(self, packs: list[list[ObjectToPack]], source: PackSource) -> list[PackNote]:
        """Pack and send, a few at a time: while one is sent the next is compressed."""
        gate = asyncio.Semaphore(_PACKS_AT_ONCE)

        async def one(items: list[ObjectToPack]) -> PackNote:
            async with gate:
                packed = await asyncio.to_thread(source.pack, items)
                try:
                    return await self._upload_pack(packed)
                finally:
                    packed.file.close()

        jobs = [asyncio.ensure_future(one(items)) for items in packs]
        try:
            return list(await asyncio.gather(*jobs))
        except BaseException:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            raise

    async def _upload_pack(self, packed: Packed) -> PackNote:
        digest, contents = packed.sealed
        name = pack_name(digest)
        unique = not self.catalog.is_suspect(digest)
        if contents.size <= _SINGLE:
            packed.file.seek(0)
            expires = await self.bucket.put(name, packed.file.read(), unique=unique)
        else:
            fd = packed.file.fileno()
            expires = await self.bucket.put_large(name, lambda at, size: os.pread(fd, size, at), contents.size)
        end = int(expires or self._clock() + self.where.expire_s)
        return PackNote(digest, contents.size, end, contents.encoded)


def _patience(asked: int) -> float:
    return _RESYNC_S if asked >= _MANY else _RESYNC_FEW_S
