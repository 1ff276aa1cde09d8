"""Buckets of Google (`gs://`) and containers of Azure (`az://`), through the library `obstore`.

obstore repeats requests and reads the usual configuration: GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and
AZURE_STORAGE_ACCOUNT_KEY, or the credentials that the cloud gives to its machines. Its errors have few classes, so
an error without a class of its own counts as trouble that may pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import obstore
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, ObjectStore

from gg.errors import AccessError, GGError, SetupError, StoreError, Unreachable
from gg.share.bucket_service import MOST_OBJECT, PART, ListedObject
from gg.share.s3.uri import StoreUri
from gg.store.base import TransientStoreError

T = TypeVar("T")

_RETRY = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=5), "base": 2},
}
_RENEWING = ".renewing"  # the suffix of a temporary copy
_WIDTH = 32  # requests under way at once
_KEYS = {
    "gs": "see GOOGLE_APPLICATION_CREDENTIALS, or: gcloud auth application-default login",
    "az": "see AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}


class ObstoreBucket:
    """The objects of one store, reached through `inside`. See `gg.share.bucket_service`."""

    region = ""
    server_time: float | None = None

    def __init__(self, where: StoreUri, inside: ObjectStore) -> None:
        """`inside` begins at the store's prefix."""
        self.where = where
        self.calls: dict[str, int] = {}
        self.received = 0
        self._inside = inside
        self._gate = asyncio.Semaphore(_WIDTH)
        self._reached = False

    @classmethod
    def open(cls, where: StoreUri) -> ObstoreBucket:
        kind = GCSStore if where.scheme == "gs" else AzureStore
        try:
            return cls(where, kind(where.bucket, prefix=where.prefix or None, retry_config=_RETRY))
        except exceptions.BaseError as error:
            raise SetupError(f"cannot use {where}: {_first_line(error)}", hint=_KEYS[where.scheme]) from error

    async def close(self) -> None:
        return None

    def owner(self) -> str:
        """Neither service knows accounts by numbers."""
        return ""

    async def get(self, name: str, span: tuple[int, int] | None = None, *, most: int = MOST_OBJECT) -> bytes | None:
        if span is None:
            return await self._read(name, None, most)
        try:
            data = await self._read(name, span, most)
        except TransientStoreError:  # obstore has no class for a span that begins after the end
            if await self._size(name) > span[0]:
                raise
            return None
        return data if data is not None and len(data) == span[1] - span[0] else None

    async def whole(self, name: str, *, most: int) -> bytes | None:
        return await self._read(name, None, most)

    async def put(self, name: str, body: bytes | Sequence[bytes], *, unique: bool = True) -> float | None:
        data = body if isinstance(body, bytes) else b"".join(body)
        if unique and (await self._put_new(name, data) or await self._has_bytes(name, data)):
            return None
        async with self._asking("PUT", "write"):
            await obstore.put_async(self._inside, name, data, mode="overwrite", use_multipart=False)
        return None

    async def put_large(self, name: str, read: Callable[[int, int], bytes], size: int) -> float | None:
        async def parts() -> AsyncIterator[bytes]:
            for at in range(0, size, PART):
                yield await asyncio.to_thread(read, at, min(PART, size - at))

        async with self._asking("PUT", "write"):
            await obstore.put_async(self._inside, name, parts(), use_multipart=True, chunk_size=PART, max_concurrency=4)
        return None

    async def touch(self, name: str) -> bool:
        """Copy the object to another name and back: not every service lets an object be copied onto itself."""
        there = await self._copy(name, name + _RENEWING) and await self._copy(name + _RENEWING, name)
        if there:
            await self._delete(name + _RENEWING)
        return there

    async def list(self, prefix: str, after: str = "") -> list[ListedObject]:
        found: list[ListedObject] = []
        async with self._asking("LIST", "read"):
            async for page in obstore.list(self._inside, prefix=prefix, offset=after or None):
                found += [ListedObject(one["path"], one["size"]) for one in page]
        return sorted(one for one in found if one.name.startswith(prefix) and one.name > after)

    async def delete(self, names: Sequence[str]) -> None:
        await asyncio.gather(*[self._delete(name) for name in names])

    # Requests

    async def _copy(self, source: str, target: str) -> bool:
        """False if there is no `source`."""
        async with self._asking("PUT", "write"):
            try:
                await obstore.copy_async(self._inside, source, target, overwrite=True)
            except FileNotFoundError:
                return False
            return True

    async def _delete(self, name: str) -> None:
        async with self._asking("DELETE", "delete in"):
            await _unless_absent(obstore.delete_async(self._inside, name), None)

    async def _put_new(self, name: str, data: bytes) -> bool:
        """Write the object unless there is one already. False if there is."""
        async with self._asking("PUT", "write"):
            try:
                await obstore.put_async(self._inside, name, data, mode="create", use_multipart=False)
            except exceptions.AlreadyExistsError:
                return False
            return True

    async def _has_bytes(self, name: str, data: bytes) -> bool:
        """Whether the object that is there has these bytes. Read whole: services' tags are digests of many kinds."""
        return await self._size(name) == len(data) and await self._read(name, None, len(data)) == data

    async def _size(self, name: str) -> int:
        """-1 if the object is not there."""
        async with self._asking("HEAD", "read"):
            head = await _unless_absent(obstore.head_async(self._inside, name), {"size": -1})
            return int(head["size"])

    async def _read(self, name: str, span: tuple[int, int] | None, most: int) -> bytes | None:
        async with self._asking("GET", "read"):
            options = {} if span is None else {"range": span}
            reply = await _unless_absent(obstore.get_async(self._inside, name, options=options), None)
            if reply is None or reply.range[1] - reply.range[0] > most:
                return None
            data = bytes(await reply.bytes_async())
        self.received += len(data)
        return data

    @asynccontextmanager
    async def _asking(self, kind: str, verb: str) -> AsyncIterator[None]:
        """One request, counted; obstore's errors become gg's."""
        async with self._gate:
            self.calls[kind] = self.calls.get(kind, 0) + 1
            try:
                yield
            except (exceptions.BaseError, OSError, ValueError) as error:
                raise self._trouble(error, f"cannot {verb} {self.where}: {_first_line(error)}") from error
            self._reached = True

    def _trouble(self, error: Exception, what: str) -> GGError:
        keys = _KEYS.get(self.where.scheme, "")
        if isinstance(error, (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)):
            return AccessError(what, hint=keys)
        if isinstance(error, FileNotFoundError):
            return SetupError(what, hint=f"is there a bucket {self.where.bucket}?")
        if not isinstance(error, exceptions.GenericError):
            return StoreError(what)
        if not self._reached:
            return Unreachable(what, hint=keys)
        return TransientStoreError(what, hint="try again later")


async def _unless_absent(asked: Awaitable[T], otherwise: T) -> T:
    """The result of `asked`; `otherwise` if the object is not there."""
    try:
        return await asked
    except FileNotFoundError:
        return otherwise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
