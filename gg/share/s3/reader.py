"""Fetching objects: by ranges of packs, many at once, each compared with its key.

What is found gone or damaged is forgotten in the catalog, so that it counts as missing from then on and is sent again by
whoever has it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from functools import partial

from blake3 import blake3

from gg.core.ids import BlobId
from gg.errors import FormatError
from gg.share.s3 import pack
from gg.share.s3.bucket import PART, Bucket
from gg.share.s3.catalog import Catalog, Place
from gg.share.s3.pack import blob_name, pack_name
from gg.store.base import Key, matches

_INDEXES = 64


class Reader:
    """Reads by what the catalog says. All methods run in one event loop."""

    def __init__(self, bucket: Bucket, catalog: Catalog) -> None:
        self._bucket = bucket
        self._catalog = catalog
        self._indexes: dict[bytes, pack.Index] = {}

    async def get(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Those of `keys` that are there and sound."""
        places = self._catalog.places(keys)
        by_pack: dict[bytes, list[Key]] = {}
        alone: list[tuple[Key, Place]] = []
        for key, place in places.items():
            if place.pack:
                by_pack.setdefault(place.pack, []).append(key)
            else:
                alone.append((key, place))
        found = await asyncio.gather(
            *[self._from_pack(digest, members) for digest, members in by_pack.items()],
            *[self._alone(key, place) for key, place in alone],
        )
        return {key: data for part in found for key, data in part.items()}

    def index(self, digest: bytes) -> pack.Index | None:
        """What is in a pack of the catalog."""
        known = self._indexes.get(digest)
        if known is None:
            row = self._catalog.pack(digest)
            if row is None:
                return None
            try:
                known = pack.decode_index(row.contents, row.size)
            except FormatError:
                self._catalog.forget_pack(digest)
                return None
            while len(self._indexes) >= _INDEXES:
                del self._indexes[next(iter(self._indexes))]
            self._indexes[digest] = known
        return known

    async def span(self, digest: bytes, start: int, end: int) -> bytes | None:
        """A range of a pack; None, and the pack is forgotten, if it is not there or is shorter."""
        data = await self._bucket.get(pack_name(digest), (start, end))
        if data is None:
            self._catalog.forget_pack(digest)
        return data

    def spoiled(self, digest: bytes, keys: Collection[Key]) -> None:
        """These members of a pack were read and were not sound."""
        self._catalog.suspect(digest)
        self._catalog.forget(keys)

    async def _from_pack(self, digest: bytes, keys: list[Key]) -> dict[Key, bytes]:
        index = self.index(digest)
        if index is None:
            return {}
        found: dict[Key, bytes] = {}
        for _ in range(2):  # once more: what a proxy garbled may come whole
            left = [key for key in keys if key not in found]
            spans = index.spans(left)
            parts = await asyncio.gather(*[self.span(digest, start, end) for start, end in spans])
            fetched = {start: part for (start, _), part in zip(spans, parts, strict=True) if part is not None}
            found.update(await asyncio.to_thread(pack.extract, index, left, fetched))
            if len(found) == len(keys) or len(fetched) < len(spans):
                return found
        self.spoiled(digest, [key for key in keys if key not in found])
        return found

    async def _alone(self, key: Key, place: Place) -> dict[Key, bytes]:
        name = blob_name(key.digest)
        starts = range(0, place.size, PART)
        for _ in range(2):
            if len(starts) > 1:
                spans = [(start, min(start + PART, place.size)) for start in starts]
                parts = await asyncio.gather(*[self._bucket.get(name, span) for span in spans])
                data = None if None in parts else b"".join([part for part in parts if part is not None])
            else:
                data = await self._bucket.get(name)
            if data is None:
                break
            if matches(key, data):
                return {key: data}
        if data is not None:
            self._catalog.suspect(key.digest)
        self._catalog.forget([key])
        return {}

    async def write_to(self, blob: BlobId, key: Key, fd: int) -> bool:
        """Write a large blob to a file without holding it in memory; False if it is missing or not sound."""
        place = self._catalog.places([key]).get(key)
        index = self.index(place.pack) if place is not None and place.pack else None
        if place is None or (index is None and place.pack):
            return False
        hasher = blake3()
        size = 0
        async for part in self._parts(key, place, index):
            await asyncio.to_thread(hasher.update, part)
            await asyncio.to_thread(os.pwrite, fd, part, size)
            size += len(part)
        if hasher.digest() == blob.digest and size == blob.size:
            return True
        if place.pack:
            self.spoiled(place.pack, [key])
        else:
            self._catalog.forget([key])
        return False

    async def _parts(self, key: Key, place: Place, index: pack.Index | None) -> AsyncIterator[bytes]:
        """The blob's bytes in order, the next few being fetched meanwhile. It ends where something is missing."""
        jobs: list[Callable[[], Coroutine[None, None, bytes | None]]]
        if index is not None:
            member = index.members.get(key)
            blocks = index.blocks_of([key]) if member else []
            jobs = [partial(self._block, place.pack, block, member) for block in blocks if member]
        else:
            name = blob_name(key.digest)
            spans = [(start, min(start + PART, place.size)) for start in range(0, place.size, PART)]
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

    async def _block(self, digest: bytes, block: pack.Block, member: pack.Member) -> bytes | None:
        data = await self.span(digest, block.start, block.start + block.length)
        raw = None if data is None else await asyncio.to_thread(pack.open_block, block, data)
        if raw is None:
            return None
        return raw[max(member.start - block.raw_start, 0) : member.start + member.size - block.raw_start]
