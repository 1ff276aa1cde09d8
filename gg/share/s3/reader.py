"""Fetching objects: by ranges of packs, many at once, each compared with its key.

An object that is gone or damaged is forgotten in the catalog. It counts as missing from then on, and the next machine that
has it sends it again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from functools import partial

from blake3 import blake3

from gg.core.ids import BlobId
from gg.errors import FormatError
from gg.share.bucket_service import PART, BucketService
from gg.share.s3 import pack
from gg.share.s3.catalog import Catalog, ObjectLocation
from gg.share.s3.pack import blob_name, pack_name
from gg.store.base import Key, matches

_INDEXES = 64
_PLACES = 3
"""The most places that are tried for one object: anybody who writes to the bucket can name any number."""
_MOST_ALONE = 1 << 30


class Reader:
    """Reads objects from the places that the catalog gives. All methods run in one event loop."""

    def __init__(self, bucket: BucketService, catalog: Catalog) -> None:
        self._bucket = bucket
        self._catalog = catalog
        self._indexes: dict[int, pack.Index] = {}

    async def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Those of `keys` that are there and sound."""
        found: dict[Key, bytes] = {}
        left = list(keys)
        for _ in range(_PLACES):
            places = self._catalog.places(left)
            if not places:
                break
            found.update(await self._get(places))
            left = [key for key in places if key not in found]
            if not left:
                break
        return found

    async def _get(self, places: Mapping[Key, ObjectLocation]) -> dict[Key, bytes]:
        """The objects that are at these places; the catalog forgets the places of the others."""
        by_pack: dict[ObjectLocation, list[Key]] = {}
        alone: list[tuple[Key, ObjectLocation]] = []
        for key, place in places.items():
            if place.pack:
                by_pack.setdefault(place, []).append(key)
            else:
                alone.append((key, place))
        found = await asyncio.gather(
            *[self._from_pack(place, members) for place, members in by_pack.items()],
            *[self._alone(key, place) for key, place in alone],
        )
        return {key: data for part in found for key, data in part.items()}

    def index(self, place: ObjectLocation) -> pack.Index | None:
        """The index of a pack. If the catalog's bytes are no index, None, and the pack is forgotten."""
        known = self._indexes.get(place.number)
        if known is None:
            row = self._catalog.pack(place.number)
            try:
                known = pack.decode_index(row.contents, row.size) if row is not None else None
            except FormatError:
                pass
            if known is None:
                self._catalog.forget_pack(place)
                return None
            while len(self._indexes) >= _INDEXES:
                del self._indexes[next(iter(self._indexes))]
            self._indexes[place.number] = known
        return known

    async def span(self, place: ObjectLocation, start: int, end: int) -> bytes | None:
        """A range of a pack. If the pack is not there or is shorter, None, and the pack is forgotten."""
        data = await self._bucket.get(pack_name(place.pack), (start, end))
        if data is None:
            self._catalog.forget_pack(place)
        return data

    def spoiled(self, place: ObjectLocation, keys: Collection[Key]) -> None:
        """Forget members of a pack that were read and were not sound."""
        self._catalog.suspect(place.pack)
        self._catalog.misplaced(keys, place)

    async def _from_pack(self, place: ObjectLocation, keys: list[Key]) -> dict[Key, bytes]:
        index = self.index(place)
        if index is None:
            return {}
        found: dict[Key, bytes] = {}
        for _ in range(2):  # a second time: a proxy may have garbled the first
            left = [key for key in keys if key not in found]
            spans = index.spans(left)
            parts = await asyncio.gather(*[self.span(place, start, end) for start, end in spans])
            fetched = {start: part for (start, _), part in zip(spans, parts, strict=True) if part is not None}
            found.update(await asyncio.to_thread(pack.extract, index, left, fetched))
            if len(found) == len(keys) or len(fetched) < len(spans):
                return found
        self.spoiled(place, [key for key in keys if key not in found])
        return found

    async def _alone(self, key: Key, place: ObjectLocation) -> dict[Key, bytes]:
        data = None
        for _ in range(2):
            data = await self._bucket.whole(blob_name(key.digest), most=_MOST_ALONE)
            if data is None:
                break
            if matches(key, data):
                return {key: data}
        if data is not None:
            self._catalog.suspect(key.digest)
        self._catalog.misplaced([key], place)
        return {}

    async def write_to(self, blob: BlobId, key: Key, fd: int) -> bool:
        """Write a large blob to a file without holding it in memory; False if it is missing or not sound."""
        for _ in range(_PLACES):
            place = self._catalog.places([key]).get(key)
            if place is None:
                return False
            if await self._write_from(place, blob, key, fd):
                return True
            if place.pack:
                self.spoiled(place, [key])
            else:
                self._catalog.misplaced([key], place)
        return False

    async def _write_from(self, place: ObjectLocation, blob: BlobId, key: Key, fd: int) -> bool:
        index = self.index(place) if place.pack else None
        if index is None and place.pack:
            return False
        hasher = blake3()
        size = 0
        async for part in self._parts(blob, key, place, index):
            await asyncio.to_thread(hasher.update, part)
            await asyncio.to_thread(os.pwrite, fd, part, size)
            size += len(part)
        return hasher.digest() == blob.digest and size == blob.size

    async def _parts(
        self, blob: BlobId, key: Key, place: ObjectLocation, index: pack.Index | None
    ) -> AsyncIterator[bytes]:
        """The blob's bytes in order, while the next few are fetched. It ends where something is missing, and never gives more
        bytes than the blob has.
        """
        jobs: list[Callable[[], Coroutine[None, None, bytes | None]]]
        if index is not None:
            member = index.members.get(key)
            blocks = index.blocks_of([key]) if member and member.size == blob.size else []
            jobs = [partial(self._block, place, block, member) for block in blocks if member]
        else:
            name = blob_name(key.digest)
            spans = [(start, min(start + PART, blob.size)) for start in range(0, blob.size, PART)]
            jobs = [partial(self._bucket.get, name, span) for span in spans]
        ahead: list[asyncio.Task[bytes | None]] = []
        try:
            for job in jobs:
                ahead.append(asyncio.create_task(job()))
                if len(ahead) >= 4:
                    part = await ahead.pop(0)
                    if part is None:
                        return
                    yield part
            while ahead:
                part = await ahead.pop(0)
                if part is None:
                    return
                yield part
        finally:
            for task in ahead:
                task.cancel()

    async def _block(self, place: ObjectLocation, block: pack.Block, member: pack.Member) -> bytes | None:
        data = await self.span(place, block.start, block.start + block.length)
        raw = None if data is None else await asyncio.to_thread(pack.open_block, block, data)
        if raw is None:
            return None
        return raw[max(member.start - block.raw_start, 0) : member.start + member.size - block.raw_start]
