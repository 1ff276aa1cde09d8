"""Gives slots the objects that they lack, from the bucket that their requests name. There is one cache on disk for all slots,
and only this side has the credentials, where no command finds them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from gg.aws.sign import Credentials
from gg.core.ids import BlobId
from gg.host.trees import hash_file
from gg.share.s3.pack import blob_name
from gg.store.base import KINDS, Key, Kind, blob_key
from gg.wire import frames
from gg.wire.letters import StoredBody
from gg.wire.partial_outputs import PartialOutputs
from gg.wire.peers import Holding
from gg.wire.request import BucketLocation, PackReference
from gg.worker.disk_cache import Cache
from gg.worker.exchange import Exchange
from gg.worker.exchange_server import ExchangeServer, Served
from gg.worker.fetching import S3, Objects


class SharedObjects:
    """The objects of this machine's slots, up to `cache` bytes; 0 for most of the room there is. `serve_at`: the address and the
    port at which other workers may ask for the objects; then this worker asks others, too. UsageError.
    """

    def __init__(
        self,
        directory: str,
        credentials: Callable[[], Credentials],
        endpoint: str = "",
        cache: int = 0,
        serve_at: tuple[str, int] | None = None,
    ) -> None:
        self.cache = Cache(os.path.join(directory, "bucket"), cache)
        self.lock = threading.Lock()
        self.tmp = directory
        self._s3 = S3(credentials, endpoint, only_there=True)
        served = Served(self.cache.opened, self.cache.holds)
        self.server = ExchangeServer(*serve_at, served) if serve_at else None
        self.exchange = Exchange(self.server.peer) if self.server else None

    def relay(self, place: BucketLocation, packs: tuple[PackReference, ...], held: Sequence[Holding] = ()) -> S3Relay:
        """The relay for one request. `held`: which workers have which of its inputs."""
        return S3Relay(self, self._s3.connect(place, packs), held)

    def read_body(self, body: StoredBody) -> bytes | None:
        """A body that was too big for its message; None if the store has no such bytes. OSError."""
        data = self._s3.get(body.place, blob_name(body.digest), most=body.size)
        return data if data is not None and BlobId.of(data).digest == body.digest else None

    def store_body(self, place: BucketLocation, data: bytes) -> StoredBody:
        """Put a body that is too big for a message into the store. OSError."""
        blob = BlobId.of(data)
        self._s3.put(place, blob_name(blob.digest), data)
        return StoredBody(blob.digest, blob.size, place)

    def keep(self, outputs: Iterable[bytes]) -> list[bytes]:
        """Keep these blobs for other workers, too. Returns their digests."""
        digests = []
        for data in outputs:
            blob = BlobId.of(data)
            with suppress(OSError):
                self.cache.put(blob_key(blob), data)
                digests.append(blob.digest)
        return digests

    def close(self) -> None:
        if self.server and self.exchange:
            self.server.close()
            self.exchange.close()
        self._s3.close()


class S3Relay:
    """The relay to S3, for one slot at a time. `put`: digests of the blobs that it has put there and keeps for other workers."""

    def __init__(self, bucket: SharedObjects, objects: Objects, held: Sequence[Holding] = ()) -> None:
        self.put: list[bytes] = []
        self._bucket = bucket
        self._objects = objects
        self._held = held
        self._outputs = PartialOutputs(bucket.tmp, self._put)

    def lend(self, need: bytes) -> Iterator[bytes]:
        """The parts of the objects that a question asks for. OSError."""
        keys = [Key(KINDS[kind], digest) if kind in KINDS else None for kind, digest in frames.decode_need(need)]
        cache = self._bucket.cache
        wanted = [key for key in keys if key is not None]
        if self._held and self._bucket.exchange:
            with self._bucket.lock:
                lacking = [key for key in dict.fromkeys(wanted) if not cache.have(key)]
            # Without the lock: the other worker may be asking this one.
            self._bucket.exchange.fetch(lacking, self._held, cache)
        with self._bucket.lock:
            cache.trim(wanted)
            lacking = [key for key in dict.fromkeys(wanted) if not cache.have(key)]
            if lacking:
                self._objects.fetch(lacking, cache)
            found = [cache.get(key) if key is not None and cache.have(key) else None for key in keys]
        for index, data in enumerate(found):
            size = len(data) if data is not None else 0
            for at in range(0, max(size, 1), frames.PART):
                part = data[at : at + frames.PART] if data is not None else None
                yield frames.encode_object(index, part, at + frames.PART >= size)

    def put_part(self, output: bytes, *, last: bool) -> None:
        """Take a part of a blob, and put the blob into the bucket once it is whole. OSError."""
        self._outputs.take(output, last=last)

    def end(self) -> None:
        self._outputs.drop()

    def _put(self, digest: bytes, path: str) -> None:
        if hash_file(path).digest == digest:
            self._objects.put_file(Key(Kind.BLOB, digest), path)
            self._keep(digest, path)

    def _keep(self, digest: bytes, path: str) -> None:
        if self._bucket.exchange is None:
            return
        with suppress(OSError):
            self._bucket.cache.adopt(Key(Kind.BLOB, digest), path)
            self.put.append(digest)
