"""What stands for a worker's shared objects where nothing goes by a bucket."""

from __future__ import annotations

from collections.abc import Iterator

from gg.core.ids import BlobId
from gg.wire import frames
from gg.wire.letters import StoredBody
from gg.wire.peers import Holding
from gg.wire.request import BucketLocation, PackReference


class Bodies:
    """What both sides of a queue keep in one store."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def keep(self, data: bytes) -> StoredBody:
        blob = BlobId.of(data)
        self.kept[blob.digest] = data
        return StoredBody(blob.digest, blob.size, BucketLocation())

    async def put(self, data: bytes) -> StoredBody:
        return self.keep(data)

    async def get(self, body: StoredBody) -> bytes | None:
        return self.kept.get(body.digest)


class NoBucket:
    """All inputs come with the request, and all outputs with the reply. `bodies`: those that a message has no room for."""

    server = exchange = None

    def __init__(self, bodies: Bodies | None = None) -> None:
        self._bodies = bodies or Bodies()

    def relay(
        self, place: BucketLocation, packs: tuple[PackReference, ...], held: tuple[Holding, ...] = ()
    ) -> NoBucket:
        return self

    def read_body(self, body: StoredBody) -> bytes | None:
        return self._bodies.kept.get(body.digest)

    def store_body(self, place: BucketLocation, data: bytes) -> StoredBody:
        return self._bodies.keep(data)

    def close(self) -> None:
        pass

    def lend(self, need: bytes) -> Iterator[bytes]:
        for index, _ in enumerate(frames.decode_need(need)):
            yield frames.encode_object(index, None)

    def put_part(self, output: bytes, *, last: bool) -> None:
        raise OSError("there is no bucket")

    def end(self) -> None:
        pass
