"""Fetches objects from S3 for a worker: packs and blobs, by ranged, concurrent, signed requests of the standard library alone.

If a pack's index is not known yet, the worker reads the pack's tail, or the whole pack if it is small. Then it fetches the wanted
members in ranges, several at once; if these are most of the pack, it fetches and keeps the whole pack. Objects that are in no pack
are objects of the bucket.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

from gg.aws.sign import EMPTY_SHA256, Credentials, Scope, payload_hash, quote_path, sign
from gg.errors import FormatError
from gg.share.s3.pack import Index, blob_name, extract_each, open_block, pack_name, read_tail
from gg.store.base import Key, Kind
from gg.wire.request import BucketLocation, PackReference
from gg.worker.disk_cache import Cache

T = TypeVar("T")

_AT_ONCE = 8
_UNPACKING = threading.Semaphore(2)  # a function has a processor or two, and memory for a few blocks
_BATCH = 8 << 20
_SMALL_PACK = 2 << 20
_MOST = 0.6  # if more than this share of a pack is wanted, all of it is fetched
_SPAN = 4 << 20
_LARGE = 8 << 20  # bytes; a larger member is written as it comes, a range at a time
_LARGE_SPAN = 16 << 20
_TRIES = 4
_PAUSE_S = 0.1
_TIMEOUT_S = 30.0
_PART = 1 << 20
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_REGION = re.compile(r"[A-Za-z0-9-]{0,64}")
_MOST_OBJECT = 1 << 30  # bytes; a request names only the digest, and somebody else may have put an object of any size


class S3:
    """One environment's view of S3: connections and indexes of packs are kept between requests. Thread-safe.

    `credentials` is asked before each request. `endpoint` is where S3 is if a request does not say; empty: AWS's own. With
    `only_there` no request says: else who sends jobs could have the worker ask any service of its network.
    """

    def __init__(self, credentials: Callable[[], Credentials], endpoint: str = "", *, only_there: bool = False) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._only_there = only_there
        self._pool = ThreadPoolExecutor(_AT_ONCE, "fetch")
        self._local = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._indexes: dict[bytes, Index] = {}
        self._context: ssl.SSLContext | None = None
        self.requests = self.puts = 0

    def connect(self, place: BucketLocation, packs: tuple[PackReference, ...]) -> Objects:
        """The source of objects for one request of a coordinator."""
        return Objects(self, place, packs)

    def each(self, work: Callable[[T], None], items: Collection[T]) -> None:
        """Do `work` for all, several at once. Raises the first exception when all are over."""
        futures: list[Future[None]] = [self._pool.submit(work, item) for item in items]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]

    def index(self, digest: bytes) -> Index | None:
        return self._indexes.get(digest)

    def learn(self, digest: bytes, index: Index) -> None:
        self._indexes[digest] = index

    def get(
        self, place: BucketLocation, name: str, span: tuple[int, int] | None = None, most: int = _MOST_OBJECT
    ) -> bytes | None:
        """An object or a range of it; None if it is not there, or has more than `most` bytes. OSError after several tries."""
        headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
        status, data = self._patiently(place, "GET", name, headers, b"", most if span is None else span[1])
        if len(data) > most:
            return None
        if status in (200, 206):
            if span is not None and status == 200:
                data = data[span[0] : span[1]]
            return data
        if status in (403, 404, 416):  # S3 answers 403 for a missing object if the asker may not list
            return None
        raise OSError(f"S3 answers {status} for {name}")

    def put(self, place: BucketLocation, name: str, data: bytes) -> None:
        """Put an object unless it is there with these bytes. OSError after several tries."""
        headers = {"Content-Length": str(len(data))}
        status, _ = self._patiently(place, "PUT", name, {"If-None-Match": "*", **headers}, data)
        if status in (409, 412) and not self._has_bytes(place, name, data):
            status, _ = self._patiently(place, "PUT", name, headers, data)
        if status not in (200, 409, 412):
            raise OSError(f"S3 answers {status} when {name} is put")

    def _has_bytes(self, place: BucketLocation, name: str, data: bytes) -> bool:
        """Whether the object that is there has exactly these bytes: somebody may have put others under this name."""
        for start in range(0, len(data) + 1, _LARGE_SPAN):
            part = data[start : start + _LARGE_SPAN]
            if (self.get(place, name, (start, start + _LARGE_SPAN)) or b"") != part:
                return False
        return True

    def _patiently(
        self, place: BucketLocation, method: str, name: str, headers: dict[str, str], body: bytes, most: int = _PART
    ) -> tuple[int, bytes]:
        for left in reversed(range(_TRIES)):
            try:
                status, data = self._once(place, method, name, headers, body, most)
                if status < 500 and status != 429:
                    return status, data
                trouble = f"S3 answers {status}"
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                trouble = f"{type(error).__name__}: {error}"
            except ValueError as error:
                raise OSError(f"the place of the store is none: {error}") from error
            if left:
                time.sleep(_PAUSE_S * 2 ** (_TRIES - left))
        raise OSError(f"{method} {name}: {trouble}")

    def _once(
        self, place: BucketLocation, method: str, name: str, headers: dict[str, str], body: bytes, most: int
    ) -> tuple[int, bytes]:
        """Status and body. Of the body at most one byte more than `most` is read."""
        url, path = self._where(place, name)
        connection = self._connection(url)
        sent = {"Host": urlsplit(url).netloc, **headers}
        if place.owner:
            sent["x-amz-expected-bucket-owner"] = place.owner
        payload = payload_hash([body]) if body else EMPTY_SHA256
        scope = Scope(place.region, "s3")
        sent |= sign(self._credentials(), scope, method=method, path=path, headers=sent, payload=payload)
        self.requests += 1
        self.puts += method == "PUT"
        connection.request(method, path, body or None, sent)
        answer = connection.getresponse()
        data = answer.read(most + 1)
        if len(data) > most:
            self._drop()  # nobody wants the rest of the body
        return answer.status, data

    def _where(self, place: BucketLocation, name: str) -> tuple[str, str]:
        if not _BUCKET.fullmatch(place.bucket) or not _REGION.fullmatch(place.region):
            raise ValueError("its bucket or region has no such name")
        if self._only_there and place.endpoint.rstrip("/") not in ("", self._endpoint.rstrip("/")):
            raise ValueError(f"{place.endpoint[:100]!r} is not this worker's; AWS_ENDPOINT_URL_S3 says where that is")
        key = f"{place.prefix}/{name}" if place.prefix else name
        endpoint = place.endpoint or self._endpoint
        if endpoint:
            return endpoint, quote_path(f"{urlsplit(endpoint).path.rstrip('/')}/{place.bucket}/{key}")
        if "." in place.bucket:  # no certificate covers it
            return f"https://s3.{place.region}.amazonaws.com", quote_path(f"/{place.bucket}/{key}")
        return f"https://{place.bucket}.s3.{place.region}.amazonaws.com", quote_path(f"/{key}")

    def _connection(self, url: str) -> http.client.HTTPConnection:
        known: tuple[str, http.client.HTTPConnection] | None = getattr(self._local, "connection", None)
        if known is None or known[0] != url:
            self._drop()
            known = self._local.connection = (url, self._opened(url))
            self._all.append(known[1])
        return known[1]

    def _opened(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("it has no host")
        if parts.scheme != "https":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
        if self._context is None:
            self._context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S, context=self._context)

    def _drop(self) -> None:
        known = getattr(self._local, "connection", None)
        if known is not None:
            known[1].close()
            self._all.remove(known[1])
            self._local.connection = None

    def close(self) -> None:
        self._pool.shutdown()
        for connection in self._all:
            connection.close()


class Objects:
    """The source of objects for one request."""

    def __init__(self, s3: S3, place: BucketLocation, packs: tuple[PackReference, ...]) -> None:
        self._s3 = s3
        self._place = place
        self._packs = packs
        self._begun = s3.requests, s3.puts

    @property
    def requests(self) -> int:
        return self._s3.requests - self._begun[0]

    @property
    def puts(self) -> int:
        return self._s3.puts - self._begun[1]

    def fetch(self, keys: Sequence[Key], cache: Cache) -> None:
        """Put the objects of `keys` that the store has into the cache, and all that their packs bring along. OSError."""
        wanted = set(keys)
        left = self._open_all(wanted, cache)
        parts: list[Callable[[], None]] = []
        for pack in self._packs:
            index = self._s3.index(pack.digest)
            here = left & index.members.keys() if index else set()
            if index and here:
                left -= here
                parts += self._parts(pack, index, self._chosen(pack, index, here, cache), cache)
        self._s3.each(lambda part: part(), parts)
        alone = [key for key in wanted if key.kind is Kind.BLOB and not cache.have(key)]
        self._s3.each(lambda key: self._fetch_alone(key, cache), alone)

    def _open_all(self, wanted: set[Key], cache: Cache) -> set[Key]:
        """Read the packs' indexes, and return the keys of `wanted` that are not here yet. Small packs come first and are fetched
        whole. Where a layer has the toolchain, they mostly hold all the rest, and then the other indexes are not read."""
        unknown = [pack for pack in self._packs if self._s3.index(pack.digest) is None]
        small = [pack for pack in unknown if pack.size <= _SMALL_PACK] if cache.layered else []
        self._s3.each(lambda pack: self._open(pack, cache), small)
        left = {key for key in wanted if not cache.have(key)}
        if left:
            self._s3.each(lambda pack: self._open(pack, cache), [pack for pack in unknown if pack not in small])
            left = {key for key in left if not cache.have(key)}
        return left

    def _open(self, pack: PackReference, cache: Cache) -> None:
        """Read a pack's index; a small pack is fetched whole. One that is gone or damaged is left out."""
        name = pack_name(pack.digest)
        whole = pack.size <= _SMALL_PACK
        span = None if whole else (pack.size - pack.tail, pack.size)
        data = self._s3.get(self._place, name, span, _SMALL_PACK if whole else _MOST_OBJECT)
        try:
            index = read_tail(data, pack.size) if data is not None else None
            if not isinstance(index, Index):
                return
            if whole and data is not None and _size(index) <= cache.room:
                self._keep(index, list(index.members), {0: data}, cache)
        except FormatError:
            return
        self._s3.learn(pack.digest, index)

    @staticmethod
    def _chosen(pack: PackReference, index: Index, wanted: set[Key], cache: Cache) -> list[Key]:
        """The members to fetch: those wanted, or the whole pack if most of it is wanted and there is room."""
        size = sum(block.length for block in index.blocks_of(wanted))
        whole = size >= _MOST * pack.size and _size(index) <= cache.room
        return [key for key in index.members if not cache.have(key)] if whole else list(wanted)

    def _parts(
        self, pack: PackReference, index: Index, keys: Collection[Key], cache: Cache
    ) -> Iterator[Callable[[], None]]:
        """The jobs that fetch these members, large members first."""
        small = [key for key in keys if index.members[key].size < _LARGE]
        for key in sorted(set(keys) - set(small), key=lambda k: -index.members[k].size):
            yield partial(self._fetch_large, pack, index, key, cache)
        for span, found in _ranges(index, small):
            yield partial(self._fetch_range, pack, index, span, found, cache)

    def _fetch_large(self, pack: PackReference, index: Index, key: Key, cache: Cache) -> None:
        """Fetch one member without holding it in memory. A damaged one is left out."""
        try:
            cache.put_parts(key, self._opened(pack, index, key))
        except FormatError:
            pass

    def _opened(self, pack: PackReference, index: Index, key: Key) -> Iterator[bytes]:
        """A member's bytes, a block at a time. FormatError if a block is damaged or gone."""
        member = index.members[key]
        for start, end in index.spans([key], most=_LARGE_SPAN):
            data = self._s3.get(self._place, pack_name(pack.digest), (start, end)) or b""
            for block in index.blocks_of([key]):
                if start <= block.start < end:
                    raw = open_block(block, data[block.start - start : block.start - start + block.length])
                    if raw is None:
                        raise FormatError("a block is damaged")
                    begin = max(member.start - block.raw_start, 0)
                    yield raw[begin : member.start + member.size - block.raw_start]

    def _fetch_range(
        self, pack: PackReference, index: Index, span: tuple[int, int], keys: Collection[Key], cache: Cache
    ) -> None:
        data = self._s3.get(self._place, pack_name(pack.digest), span)
        if data is not None:
            self._keep(index, keys, {span[0]: data}, cache)

    def _fetch_alone(self, key: Key, cache: Cache) -> None:
        data = self._s3.get(self._place, blob_name(key.digest))
        if data is not None:
            try:
                cache.put(key, data)
            except FormatError:  # damaged: it counts as missing
                pass

    @staticmethod
    def _keep(index: Index, keys: Collection[Key], fetched: dict[int, bytes], cache: Cache) -> None:
        with _UNPACKING:
            for batch in _batches(index, keys):
                for key, data in extract_each(index, batch, fetched):
                    cache.put(key, data)

    def put_file(self, key: Key, path: str) -> None:
        """Put a blob from a file; it is there when this returns. OSError."""
        with open(path, "rb") as file:
            data = file.read()
        self._s3.put(self._place, blob_name(key.digest), data)


def _size(index: Index) -> int:
    return sum(member.size for member in index.members.values())


def _ranges(index: Index, keys: Collection[Key]) -> list[tuple[tuple[int, int], Collection[Key]]]:
    """The ranges to fetch, each with the members to take out of it."""
    spans = index.spans(keys, most=_SPAN)
    if len(spans) == 1:
        return [(spans[0], keys)]
    by_span: list[list[Key]] = [[] for _ in spans]
    for key in keys:  # a member that crosses the end of a range is fetched by itself
        blocks = index.blocks_of([key])
        for span, found in zip(spans, by_span, strict=True):
            if blocks and span[0] <= blocks[0].start < span[1]:
                found.append(key)
    whole = [
        (span[0], max([span[1], *(b.start + b.length for key in found for b in index.blocks_of([key]))]))
        for span, found in zip(spans, by_span, strict=True)
    ]
    return [(span, found) for span, found in zip(whole, by_span, strict=True) if found]


def _batches(index: Index, keys: Collection[Key]) -> Iterator[list[Key]]:
    """Members in the order of the stream, in batches of a few megabytes of blocks: memory is scarce here."""
    batch: list[Key] = []
    size = 0
    for key in sorted(keys, key=lambda k: index.members[k].start):
        if batch and size + index.members[key].size > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += index.members[key].size
    if batch:
        yield batch
