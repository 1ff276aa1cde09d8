"""The store in an S3 bucket, behind the protocol that every store keeps.

  packs/ab/…   packs: all that the coordinator puts (`gg.share.s3.pack`)
  blobs/ab/…   blobs that stand alone: what workers put
  log/…        entries: what is in the packs, and the records, signed (`gg.share.s3.log`)

Everything content-addressed is compared with its key on every read. Records are signed by whoever puts them, and only those
of trusted keys are given out. What this machine knows of the bucket is in a catalog, re-checked when a read finds it wrong.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from gg.core.ids import BlobId
from gg.host.files import make_whole, write_whole
from gg.share.s3.pack import blob_name
from gg.share.s3.packer import ObjectToPack, PackSource
from gg.share.s3.remote import Remote
from gg.store.base import CONTENT_ADDRESSED, Key, Kind, SourceChanged, StoreCaps, Stored, blob_key, check_put
from gg.store.without_files import WithoutFiles

_BATCH = 64 << 20
_LARGE = 32 << 20


class S3Store(WithoutFiles):
    """The store that `remote` reaches. `report(text)` is called once for each key whose records are not trusted."""

    def __init__(self, remote: Remote, *, report: Callable[[str], None] = lambda text: None) -> None:
        self.remote = remote
        self.refused: Counter[bytes] = Counter()
        self._report = report

    @property
    def caps(self) -> StoreCaps:
        return StoreCaps(persistent=True, writable=self.remote.where.writable)

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        content, records = _apart(keys)
        found = self._records(records) if records else {}
        if content:
            found.update(self.remote.run(lambda: self.remote.get(content)))
        return found

    def put(self, items: Mapping[Key, bytes]) -> None:
        check_put(items, self.caps)
        content, records = _apart(items)
        if not items:
            return
        groups = {"": [ObjectToPack(key, len(items[key])) for key in content]}
        source = PackSource(data={key: items[key] for key in content})
        pairs = [(key, items[key]) for key in records]
        self.remote.run(lambda: self.remote.put(groups, source, records=pairs))

    def has(self, keys: Sequence[Key]) -> set[Key]:
        content, records = _apart(keys)
        found = set(self._records(records)) if records else set()
        if content:
            found |= self.remote.run(lambda: self.remote.known(content))
        return found

    def delete(self, keys: Sequence[Key]) -> None:
        """Delete objects. Members of packs are only noted as gone; the bucket's lifecycle removes the packs."""
        check_put({}, self.caps)
        content, records = _apart(self.has(list(keys)))
        if not content and not records:
            return
        alone = [key for key, place in self.remote.catalog.places(content).items() if not place.pack]
        tombs = [(key, None) for key in records]

        async def work() -> None:
            await self.remote.put({}, PackSource(), records=tombs, gone=content)
            if alone:
                await self.remote.bucket.delete([blob_name(key.digest) for key in alone])

        self.remote.run(work)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        self.remote.run(self.remote.sync)
        yield from self.remote.catalog.keys(kind, self.remote.keyring.trusted)

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        check_put({}, self.caps)
        changed: list[bytes] = []
        left = dict(files)
        while left:
            groups = {"": [ObjectToPack(blob_key(blob), blob.size, path) for blob, path in left.items()]}
            try:
                self.remote.run(lambda groups=groups: self.remote.put(groups, PackSource()))  # type: ignore[misc]
                break
            except SourceChanged as error:
                changed += error.paths
                left = {blob: path for blob, path in left.items() if path not in error.paths}
        if changed:
            raise SourceChanged(changed)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        written: set[bytes] = set()
        batch: dict[bytes, BlobId] = {}
        size = 0
        for path, blob in files.items():
            if blob.size > _LARGE:
                if self._fetch_large(path, blob):
                    written.add(path)
                continue
            if size + blob.size > _BATCH:
                written |= self._fetch_small(batch)
                batch, size = {}, 0
            batch[path] = blob
            size += blob.size
        return written | self._fetch_small(batch)

    def flush(self) -> None:
        """Publish the blobs that workers have put."""
        if self.remote.requests and self.caps.writable:
            self.remote.run(lambda: self.remote.put({}, PackSource()))

    def close(self) -> None:
        self.remote.close()

    def _fetch_small(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        found = self.get([blob_key(blob) for blob in files.values()]) if files else {}
        written: set[bytes] = set()
        for path, blob in files.items():
            data = found.get(blob_key(blob))
            if data is not None and len(data) == blob.size:
                write_whole(path, data)
                written.add(path)
        return written

    def _fetch_large(self, path: bytes, blob: BlobId) -> bool:
        if not self.has([blob_key(blob)]):
            return False

        def fill(fd: int) -> None:
            if not self.remote.run(lambda: self.remote.reader.write_to(blob, blob_key(blob), fd)):
                raise _Missing

        try:
            make_whole(path, fill, os.path.dirname(path) or b".")
        except _Missing:
            return False
        return True

    def _records(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        if not self.remote.is_current(len(keys)):
            self.remote.run(lambda: self.remote.sync(len(keys)))
        trusted = self.remote.keyring.trusted
        found, others = self.remote.catalog.records(keys, trusted)
        for signer in others.values():
            if not self.refused[signer]:
                self._report(_untrusted(signer))
            self.refused[signer] += 1
        return found


class _Missing(Exception):
    """A blob is missing or not whole."""


def _untrusted(signer: bytes) -> str:
    from gg.share.keys import PublicKey

    return f"results signed by a key that is not trusted are left alone; to use them: gg key trust {PublicKey('them', signer)}"


def _apart(keys: Sequence[Key] | Mapping[Key, bytes] | set[Key]) -> tuple[list[Key], list[Key]]:
    content: list[Key] = []
    records: list[Key] = []
    for key in keys:
        (content if key.kind in CONTENT_ADDRESSED else records).append(key)
    return content, records
