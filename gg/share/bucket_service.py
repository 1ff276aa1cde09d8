"""The interface of a service that keeps the team's objects: eight operations, and five facts.

Another service is one module that implements `BucketService` and one line in `gg.share.services`. Packs, the log, signatures and
the catalog are above this interface, so they are the same in every service.

The rules for an implementation:

- Names are below the store's prefix. An object appears whole or not at all, to every reader.
- It repeats an operation for as long as the trouble may pass, and paces requests.
- An operation ends with its result, or with SetupError (set-up is wrong), Unreachable (nobody has ever answered),
  TransientStoreError (the trouble did not pass after all tries) or StoreError.
- All methods run in one event loop. The caller compares bytes with their name; an implementation never does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gg.light.named import NamedTuple
from gg.share.s3.uri import StoreUri

PART = 16 << 20
"""bytes of an object that one request reads or writes, where a large object goes in parts."""

MOST_OBJECT = 64 << 20
"""bytes that one request reads at the most: a pack has 32 MiB, or is read in ranges."""


class ListedObject(NamedTuple):
    """An object as a listing has it."""

    name: str
    size: int


class BucketService(Protocol):
    """The objects of one store."""

    where: StoreUri
    region: str
    """The region of the objects, for prices; empty if there is no price table for it."""
    calls: dict[str, int]
    """Requests made so far by kind: GET, HEAD, PUT, POST, LIST, DELETE."""
    received: int
    """Bytes of objects that were read so far."""
    server_time: float | None
    """The service's time, in seconds since the epoch, when it last listed; None if it did not tell."""

    def owner(self) -> str:
        """The account that each request says it must belong to; empty where the service knows of none."""
        ...

    async def get(self, name: str, span: tuple[int, int] | None = None, *, most: int = MOST_OBJECT) -> bytes | None:
        """The object, or its bytes from `span[0]` up to `span[1]`; None if it is not there, is shorter than the span, has more
        than `most` bytes, or cannot be read though others can.
        """
        ...

    async def whole(self, name: str, *, most: int) -> bytes | None:
        """An object whose size only the service knows, in parts if it is large; None if it is not there, or has more than
        `most` bytes.
        """
        ...

    async def put(self, name: str, body: bytes | Sequence[bytes], *, unique: bool = True) -> float | None:
        """Write an object whole. The answer is when its life ends, in seconds since the epoch, if the service tells.

        `unique`: the name is a digest of the bytes. An object that is there already is left as it is, if it has these bytes
        as far as the service tells.
        """
        ...

    async def put_large(self, name: str, read: Callable[[int, int], bytes], size: int) -> float | None:
        """Write an object in parts. `read(offset, length)` gives its bytes."""
        ...

    async def touch(self, name: str) -> bool:
        """Begin the object's life anew, without sending it. False if it is not there."""
        ...

    async def list(self, prefix: str, after: str = "") -> list[ListedObject]:
        """The objects whose names begin with `prefix` (a directory's, with its slash) and come after `after`, in order."""
        ...

    async def delete(self, names: Sequence[str]) -> None:
        """Take objects away; those that are not there are no error."""
        ...

    async def close(self) -> None: ...
