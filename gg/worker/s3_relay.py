"""Gives slots the objects that they lack, from the bucket that their requests name. There is one cache on disk for all slots,
and only this side has the credentials, where no command finds them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from gg.aws.sign import Credentials
from gg.host.trees import hash_file
from gg.store.base import Key, Kind
from gg.wire import frames
from gg.wire.request import BucketLocation, PackReference
from gg.worker.disk_cache import Cache
from gg.worker.fetching import S3, Objects

_KINDS = {int(kind): kind for kind in Kind}


class SharedObjects:
    """The objects of this machine's slots, up to `cache` bytes; 0 for most of the room there is."""

    def __init__(
        self, directory: str, credentials: Callable[[], Credentials], endpoint: str = "", cache: int = 0
    ) -> None:
        self.cache = Cache(os.path.join(directory, "bucket"), cache)
        self.lock = threading.Lock()
        self.tmp = directory
        self._s3 = S3(credentials, endpoint)

    def relay(self, place: BucketLocation, packs: tuple[PackReference, ...]) -> S3Relay:
        """The relay for one request."""
        return S3Relay(self, self._s3.connect(place, packs))

    def close(self) -> None:
        self._s3.close()


class S3Relay:
    """The relay to S3, for one slot at a time."""

    def __init__(self, bucket: SharedObjects, objects: Objects) -> None:
        self._bucket = bucket
        self._objects = objects
        self._writing: dict[bytes, str] = {}

    def lend(self, need: bytes) -> Iterator[bytes]:
        """The parts of the objects that a question asks for. OSError."""
        keys = [Key(_KINDS[kind], digest) if kind in _KINDS else None for kind, digest in frames.decode_need(need)]
        cache = self._bucket.cache
        with self._bucket.lock:
            wanted = [key for key in keys if key is not None]
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
        """Write a part of a blob aside, and put it into the bucket once it is whole. OSError."""
        digest, part = frames.decode_output(output)
        path = self._writing.setdefault(digest, os.path.join(self._bucket.tmp, f"out-{id(self):x}-{digest.hex()}"))
        try:
            with open(path, "ab") as file:
                file.write(part)
            if last and hash_file(path).digest == digest:
                self._objects.put_file(Key(Kind.BLOB, digest), path)
        finally:
            if last:
                del self._writing[digest]
                with suppress(OSError):
                    os.unlink(path)
