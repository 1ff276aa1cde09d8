"""Stages the inputs of requests: sends groups ahead in packs, and puts a thunk's own small files into the request.

Many thunks share a group, so all groups that are known go ahead together, in few packs; each combination of groups is worked out
once. A thunk's own files ride in the request, unless they are large or in the store already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from gg.core.ids import GroupId
from gg.core.thunk import File, Thunk
from gg.engines.system_file import read_system_file
from gg.errors import GGError, SetupError
from gg.light.named import NamedTuple
from gg.run.expand import Groups
from gg.store.base import Key, Kind, Store, blob_key
from gg.wire.request import PackReference

AHEAD = 64 << 10  # bytes: files up to this size are read together with others
SMALL = 256 << 10  # bytes of one file in a request
MOST = 3 << 20  # bytes of all files in a request


_Ids = tuple[GroupId, ...]
_Bundle = asyncio.Future[frozenset[PackReference]]


class Shipping(Protocol):
    """The store between, as inputs are sent to it. All calls may block."""

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        """Send objects to where workers read. Returns the packs that hold them; workers find single objects by name."""
        ...

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        """The packs of those `keys` that are known to be there, and the other keys. Makes no request."""
        ...


class Own(NamedTuple):
    """A thunk's own files: `objects` to send along, packs that hold others."""

    objects: list[tuple[int, bytes]]
    packs: set[PackReference]


class InputStager:
    """Works in one event loop, and in threads of its own where something may block."""

    def __init__(self, store: Store, groups: Groups, shipping: Shipping | None, most: int = MOST) -> None:
        """`most`: bytes of own files that go along with a request."""
        self._most = most
        self._small = min(SMALL, most)
        self._store = store
        self._groups = groups
        self._shipping = shipping
        self._pool = ThreadPoolExecutor(4, "ship")
        self._bundles: dict[_Ids, _Bundle] = {}
        self._waiting: dict[_Ids, _Bundle] = {}  # to be sent in the loop's next turn

    def expect(self, thunks: Iterable[Thunk]) -> None:
        """Begin to send the groups of these thunks."""
        for thunk in thunks:
            self.bundle(thunk.groups)

    def bundle(self, ids: _Ids) -> _Bundle:
        """The packs that hold these groups and all that is in them, once they are sent. Many may wait for one bundle: shield it."""
        known = self._bundles.get(ids)
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            loop = asyncio.get_running_loop()
            known = self._bundles[ids] = loop.create_future()
            if not ids:
                known.set_result(frozenset())
                return known
            if not self._waiting:
                loop.call_soon(lambda: loop.create_task(self._send()))
            self._waiting[ids] = known
        return known

    def forget(self) -> None:
        """Work all bundles out anew: an object that was there is gone. Whoever waits for a bundle now still gets it."""
        self._bundles = dict(self._waiting)

    def read_ahead(self, thunks: Sequence[Thunk]) -> Mapping[Key, bytes]:
        """The small files of these thunks that the store has. One read for all is cheaper."""
        files = (e.blob for thunk in thunks for e in thunk.entries if isinstance(e, File))
        keys = dict.fromkeys([blob_key(blob) for blob in files if blob.size <= AHEAD])
        try:
            return self._store.get(list(keys)) if len(keys) > 1 else {}
        except GGError:
            return {}  # each attempt will meet the trouble and tell of it

    async def own(self, thunk: Thunk, extra: Sequence[File], ahead: Mapping[Key, bytes]) -> Own:
        """The thunk's own files and `extra`. `ahead`: files that were read already. MissingObject."""
        files = {blob_key(f.blob): f for f in (*thunk.entries, *extra) if isinstance(f, File)}
        if all(key in ahead for key in files) and sum(len(ahead[key]) for key in files) <= self._most:
            return Own([(int(Kind.BLOB), ahead[key]) for key in files], set())
        if sum(f.blob.size for f in files.values()) <= self._most and all(
            f.blob.size <= self._small for f in files.values()
        ):
            return Own(self._read(files), set())
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._large, files)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _large(self, files: dict[Key, File]) -> Own:
        shipping = self._need()
        packs, absent = shipping.packs(list(files))
        room, along, sent = self._most, {}, []
        for key in sorted(absent, key=lambda k: files[k].blob.size):
            file = files[key]
            if file.blob.size <= min(room, self._small):
                room -= file.blob.size
                along[key] = file
            else:
                sent.append(file)
        if sent:
            packs = packs | shipping.send(sent, ())
        return Own(self._read(along), packs)

    def _read(self, files: dict[Key, File]) -> list[tuple[int, bytes]]:
        found = self._store.get(list(files))
        objects: list[tuple[int, bytes]] = []
        for key, file in files.items():
            data = found.get(key)
            objects.append((int(Kind.BLOB), data if data is not None else read_system_file(file, file.path)))
        return objects

    async def _send(self) -> None:
        """Send all that waits, in one go: what several combinations share is sent once, and packed by its kind."""
        waiting, self._waiting = self._waiting, {}
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._pool, self._ship, list(waiting))
        except Exception as error:
            for future in waiting.values():
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # asyncio complains if nobody looks at it
            return
        for ids, future in waiting.items():
            if not future.done():
                future.set_result(found[ids])

    def _ship(self, combinations: Sequence[_Ids]) -> dict[_Ids, frozenset[PackReference]]:
        shipping = self._need()
        keys: dict[_Ids, list[Key]] = {}
        files: dict[Key, File] = {}
        groups: dict[GroupId, None] = {}
        for ids in combinations:
            below = self._groups.ids_below(ids)
            groups.update(dict.fromkeys(below))
            own = [e for node in self._groups.below(ids) for e in node.entries if isinstance(e, File)]
            files.update((blob_key(f.blob), f) for f in own)
            keys[ids] = [*(Key(Kind.GROUP, each) for each in below), *(blob_key(f.blob) for f in own)]
        shipping.send(list(files.values()), list(groups))
        return {ids: frozenset(shipping.packs(wanted)[0]) for ids, wanted in keys.items()}

    def _need(self) -> Shipping:
        if self._shipping is None:
            raise no_store()
        return self._shipping


def no_store() -> SetupError:
    return SetupError(
        "the lambda engine needs a store",
        hint="set one up with: gg deploy lambda; or set GG_STORAGE_URI=s3://BUCKET/PREFIX?region=R",
    )
