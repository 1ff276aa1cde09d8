"""Requests and replies that are too big for a message of SQS, in the team's store."""

from __future__ import annotations

import asyncio

from gg.core.ids import BlobId
from gg.share.s3.pack import blob_name
from gg.share.s3.remote import Remote
from gg.wire.letters import StoredBody
from gg.wire.request import BucketLocation


class StoredBodies:
    """Keeps them as blobs, for the store's collection to remove. For any event loop. `place`: the store's, for workers."""

    def __init__(self, remote: Remote, place: BucketLocation) -> None:
        self._remote = remote
        self._place = place

    async def put(self, data: bytes) -> StoredBody:
        """Store the bytes. GGError."""
        blob = BlobId.of(data)
        put = self._remote.bucket.put
        await asyncio.to_thread(self._remote.run, lambda: put(blob_name(blob.digest), data))
        return StoredBody(blob.digest, blob.size, self._place)

    async def get(self, body: StoredBody) -> bytes | None:
        """The bytes; None if the store has none such. GGError."""
        get = self._remote.bucket.get
        data = await asyncio.to_thread(self._remote.run, lambda: get(blob_name(body.digest), most=body.size))
        return data if data is not None and BlobId.of(data).digest == body.digest else None
