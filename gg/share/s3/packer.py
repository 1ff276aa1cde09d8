"""Plans packs for the objects to send: which objects go together, and where their bytes are read.

Objects come in *groups* by affinity (the toolchain, system headers, the project): a worker that wants one of a group wants
most of it. A pack holds up to 32 MiB of raw bytes of one group; small remains of several share one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO

from blake3 import blake3

from gg.core.ids import BlobId
from gg.errors import MissingObject
from gg.host.files import read_at_rest
from gg.light.named import NamedTuple
from gg.share.s3.pack import MOST_MEMBERS, Sealed, Writer
from gg.store.base import Key, Kind, SourceChanged, Store

TARGET = 32 << 20
_REMAINS = 4 << 20
_LARGE = 8 << 20
_CHUNK = 4 << 20
_IN_MEMORY = 48 << 20


class ObjectToPack(NamedTuple):
    """An object to send. `path`: a file that has its bytes, for what the local store does not hold (system headers)."""

    key: Key
    size: int
    path: bytes = b""


class Packed(NamedTuple):
    """A pack that is ready to be sent, in an open file, wherever its position is."""

    sealed: Sealed
    file: BinaryIO


def plan(groups: Mapping[str, Iterable[ObjectToPack]]) -> list[list[ObjectToPack]]:
    """The objects for each pack. An object that is in two groups goes with the first."""
    packs: list[list[ObjectToPack]] = []
    remains: list[ObjectToPack] = []
    done: set[Key] = set()
    for items in groups.values():
        pack: list[ObjectToPack] = []
        size = 0
        for item in items:
            if item.key in done:
                continue
            done.add(item.key)
            if size and (size + item.size > TARGET or len(pack) >= MOST_MEMBERS):
                packs.append(pack)
                pack, size = [], 0
            pack.append(item)
            size += item.size
        if size > _REMAINS:
            packs.append(pack)
        else:
            remains += pack
    return packs + _split(remains)


def _split(items: list[ObjectToPack]) -> list[list[ObjectToPack]]:
    packs: list[list[ObjectToPack]] = []
    size = TARGET + 1
    for item in items:
        if size + item.size > TARGET or len(packs[-1]) >= MOST_MEMBERS:
            packs.append([])
            size = 0
        packs[-1].append(item)
        size += item.size
    return packs


class PackSource:
    """The sources of bytes, in order: `data` in memory, `store`, the items' files. All bytes are compared with their keys."""

    def __init__(self, store: Store | None = None, data: Mapping[Key, bytes] | None = None) -> None:
        self._store = store
        self._data = data or {}

    def pack(self, items: Sequence[ObjectToPack]) -> Packed:
        """One pack of all `items`. SourceChanged names files with other bytes, MissingObject an object that has no source."""
        size = sum(item.size for item in items)
        file: BinaryIO = tempfile.TemporaryFile() if size > _IN_MEMORY else tempfile.SpooledTemporaryFile(_IN_MEMORY)  # type: ignore[assignment]  # noqa: SIM115
        try:
            writer = Writer(file)
            for batch in _batches(items):
                if batch[0].size >= _LARGE:
                    writer.add_stream(batch[0].key, batch[0].size, self._stream(batch[0]))
                else:
                    for key, data in self._read(batch).items():
                        writer.add(key, data)
            return Packed(writer.seal(), file)
        except BaseException:
            file.close()
            raise

    def _read(self, items: Sequence[ObjectToPack]) -> dict[Key, bytes]:
        found = {item.key: self._data[item.key] for item in items if item.key in self._data}
        rest = [item for item in items if item.key not in found]
        if rest and self._store is not None:
            found.update(self._store.get([item.key for item in rest]))
        changed: list[bytes] = []
        for item in rest:
            if item.key not in found:
                data = _from_file(item)
                if data is None:
                    changed.append(item.path)
                else:
                    found[item.key] = data
        if changed:
            raise SourceChanged(changed)
        return found

    def _stream(self, item: ObjectToPack) -> Iterator[bytes]:
        data = self._data.get(item.key)
        path = item.path
        if data is None and self._store is not None and item.key.kind is Kind.BLOB:
            path = self._store.path(BlobId(item.key.digest, item.size)) or path
        if data is None and not path:
            data = self._read([item])[item.key]
        if data is not None:
            yield data
            return
        yield from _stream_file(item, path)


def _from_file(item: ObjectToPack) -> bytes | None:
    if not item.path:
        name = item.key.kind.name.lower()
        raise MissingObject(f"the {name} {item.key.digest.hex()} is in no store", hint="record again with gg-infer")
    try:
        data, _, _ = read_at_rest(item.path)
    except OSError:
        return None
    return data if blake3(data).digest() == item.key.digest else None


def _stream_file(item: ObjectToPack, path: bytes) -> Iterator[bytes]:
    hasher = blake3()
    left = item.size
    try:
        with open(path, "rb", buffering=0) as file:
            while left and (part := file.read(min(left, _CHUNK))):
                hasher.update(part)
                left -= len(part)
                yield part
            longer = os.fstat(file.fileno()).st_size != item.size
    except OSError:
        raise SourceChanged([path]) from None
    if left or longer or hasher.digest() != item.key.digest:
        raise SourceChanged([path])


def _batches(items: Sequence[ObjectToPack]) -> Iterator[list[ObjectToPack]]:
    """Small items by up to 8 MiB, large ones alone, in order."""
    batch: list[ObjectToPack] = []
    size = 0
    for item in items:
        if item.size >= _LARGE or size + item.size > _LARGE:
            if batch:
                yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.size
        if item.size >= _LARGE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
