"""The log at work: reading what is new into the catalog, writing what was put, and bundling entries when they are many.

Readers list the log from an hour before the last name that they know, for entries of several writers do not come in order.
(S3 refuses clocks that are off by more than 15 minutes.) If an entry is bundled and deleted just before it is read, the reader
finds it in the bundle. The bytes of entries that were written or read here are kept until they are in a bundle, so that
bundling costs two requests and not one for each entry.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gg.errors import FormatError, GGError, StoreError
from gg.share.bucket_service import BucketService, ListedObject
from gg.share.keys import Keyring, valid
from gg.share.s3 import log
from gg.share.s3.catalog import Catalog

_MARGIN_US = 3_600_000_000
_AHEAD_US = 900_000_000  # S3 refuses clocks that are off by more
_TAKEN_AT_ONCE = 256  # objects of the log, and their bytes, that are held in memory at once
_HELD = 2 * log.MOST_OBJECT
_MANY = 48
_LARGE_BUNDLE = 8 << 20
_MOST_BUNDLE = 16 << 20
_MOST_OPENED, _MOST_GROWTH = 16 << 20, 8
"""Limits for unpacking one object of the log: this many bytes, and this many times its own size."""


@dataclass(slots=True)
class Counts:
    """What the log's reader has met. `wrong`: entries with a wrong signature. `damaged`: entries whose bytes or time are not
    those of their name, or whose time is impossible.
    """

    read: int = 0
    written: int = 0
    wrong: int = 0
    damaged: int = 0


class Journal:
    """The log of one store. All methods run in one event loop. `clock` gives seconds since the epoch."""

    def __init__(
        self, bucket: BucketService, catalog: Catalog, keyring: Keyring, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._bucket = bucket
        self._catalog = catalog
        self._keyring = keyring
        self._clock = clock
        self._lock = asyncio.Lock()
        self._stamp = 0
        self._loose: dict[str, int] = {}  # names and sizes
        self.counts = Counts()

    async def sync(self, *, older_s: float = 0.0) -> bool:
        """Take in what others have written, unless that was done within `older_s` seconds. True if it was done now."""
        async with self._lock:
            if self._catalog.is_as_of(older_s):
                return False
            for _ in range(3):
                if await self._read_new():
                    break
            self._catalog.synced()
            return True

    async def publish(self, entry: log.LogEntry) -> None:
        """Write an entry, or several if it is large, with the present time, and take it into the catalog."""
        if entry.records and self._keyring.own is None:
            raise StoreError("there is no key to sign results with", hint="make one with: gg key new")
        for part in log.split(entry):
            await self._publish(part)
        if len(self._loose) > _MANY:
            await self._bundle()

    async def _publish(self, entry: log.LogEntry) -> None:
        self._stamp = max(int(self._clock() * 1e6), self._stamp + 1)
        entry = entry._replace(stamp=self._stamp)
        own = self._keyring.own
        signer = own.public.raw if own is not None else b""
        data = log.encode(entry, None if own is None else lambda text: (signer, own.sign(text)))
        name = log.entry_name(entry.stamp, data)
        await self._bucket.put(name, data)
        self._catalog.apply([([name], log.Signed(entry, signer))], {signer})
        self.counts.written += 1
        self._keep(name, data)

    # Reading

    async def _read_new(self) -> bool:
        """One round; False if an object went away between listing and reading."""
        last = log.stamp_of(self._catalog.last_seen())
        oldest = int((self._clock() - self._bucket.where.expire_s) * 1e6)
        after = max(last - _MARGIN_US, oldest) if last else oldest
        listed = [one for one in await self._bucket.list(log.PREFIX, log.stamp_name(after)) if self._may_be_ours(one)]
        known = self._catalog.seen([one.name for one in listed])
        fresh = [one for one in listed if one.name not in known]
        bundles = [one for one in fresh if log.is_bundle(one.name)]
        complete = await self._take(bundles)
        known = self._catalog.seen([one.name for one in fresh])
        complete &= await self._take([one for one in fresh if one.name not in known])
        self._loose = {one.name: one.size for one in listed if one.size < _LARGE_BUNDLE}
        self._catalog.keep_only(self._loose)
        return complete

    def _may_be_ours(self, one: ListedObject) -> bool:
        """Whether a listed object may be an entry. One without a time is not. Nor is one with a future time: once taken in, it
        would hide every entry up to that time.
        """
        return 0 < log.stamp_of(one.name) <= self._latest() and one.size <= log.MOST_OBJECT

    def _latest(self) -> int:
        """The latest time, in microseconds, that an entry can have, by the server's clock or else by ours."""
        there = self._bucket.server_time
        return int((self._clock() if there is None else there) * 1e6) + _AHEAD_US

    def _keep(self, name: str, data: bytes) -> None:
        if self._bucket.where.writable and len(data) < _LARGE_BUNDLE:
            self._loose[name] = len(data)
            self._catalog.keep(name, data)

    async def _take(self, listed: list[ListedObject]) -> bool:
        """Take all of these into the catalog, a few at a time. False if one was not there any more."""
        complete, batch, size = True, list[ListedObject](), 0
        for one in listed:
            if batch and (len(batch) >= _TAKEN_AT_ONCE or size + one.size > _HELD):
                complete &= await self._take_batch(batch)
                batch, size = [], 0
            batch.append(one)
            size += one.size
        return complete & await self._take_batch(batch)

    async def _take_batch(self, listed: list[ListedObject]) -> bool:
        found = await asyncio.gather(*[self._bucket.get(one.name, most=log.MOST_OBJECT) for one in listed])
        complete = True
        for one, data in zip(listed, found, strict=True):
            if data is None:
                complete = False
            elif not log.is_named(one.name, data):
                self.counts.damaged += 1
            else:
                self.counts.read += 1
                self._keep(one.name, data)
                for opened in self._opened(one.name, data):  # one at a time, to hold one in memory
                    self.counts.wrong += self._catalog.apply([opened], self._keyring.trusted)
        return complete

    def _opened(self, name: str, data: bytes) -> Iterator[tuple[list[str], log.Signed]]:
        """The entries in an object of the log. One that cannot be decoded is of a newer version or no entry; it is passed over."""
        pairs = _entries(name, data)
        known = self._catalog.seen([inner for inner, _ in pairs])
        self._catalog.mark_seen([name])
        latest = self._latest()
        left = _MOST_OPENED + _MOST_GROWTH * len(data)
        for inner, bytes_ in pairs:
            if inner in known or not 0 < log.stamp_of(inner) <= latest:
                continue
            try:
                signed = log.decode(bytes_, valid, left)
            except FormatError:
                self._catalog.mark_seen([inner])
                continue
            left -= signed.size
            if signed.entry.stamp == log.stamp_of(inner):
                yield [inner], signed
            else:
                self.counts.damaged += 1
                self._catalog.mark_seen([inner])

    # Bundling

    async def _bundle(self) -> None:
        """Put the loose entries into one object. Trouble is not reported: the log is whole without the bundle."""
        names, self._loose = _first(self._loose), {}
        try:
            kept = self._catalog.kept(names)
            others = [name for name in names if name not in kept]
            found = dict(zip(others, await asyncio.gather(*[self._bucket.get(n) for n in others]), strict=True))
            pairs: dict[str, bytes] = {}
            bundled: list[str] = []
            for name in names:
                data = kept.get(name) or found.get(name)
                inner = _entries(name, data) if data and log.is_named(name, data) else []
                if inner:
                    pairs.update(inner)
                    bundled.append(name)
            if len(bundled) < 2:
                return
            bundle = log.encode_bundle(sorted(pairs.items()))
            name = log.entry_name(max(map(log.stamp_of, pairs)), bundle) + "-b"
            await self._bucket.put(name, bundle)
            self._catalog.mark_seen([name])
            await self._bucket.delete(bundled)
            self._catalog.keep_only(())
        except (GGError, ValueError):
            return


def _first(sizes: Mapping[str, int]) -> list[str]:
    """The first names, as many as one bundle may hold."""
    names: list[str] = []
    size = 0
    for name in sorted(sizes):
        size += sizes[name]
        if names and size > _MOST_BUNDLE:
            break
        names.append(name)
    return names


def _entries(name: str, data: bytes) -> list[tuple[str, bytes]]:
    """The entries in an object of the log, undecoded; none if it cannot be read."""
    try:
        return log.decode_bundle(data) if log.is_bundle(name) else [(name, data)]
    except FormatError:
        return []
