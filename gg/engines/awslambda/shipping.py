"""The team's store as the lambda engine uses it: inputs go there ahead of the functions that read them, outputs come back."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

from gg.core.ids import BlobId, GroupId
from gg.core.thunk import File
from gg.share.s3.catalog import ObjectLocation
from gg.share.s3.packer import ObjectToPack
from gg.share.s3.remote import Remote
from gg.share.s3.ship import Shipper, inputs, sound
from gg.store.base import Key, Kind, Store
from gg.wire.request import BucketLocation, PackReference


class S3Shipping:
    """Between the local store `near` and `remote`. Thread-safe. `root`: the workspace, whose files may be edited."""

    def __init__(self, remote: Remote, near: Store, root: str) -> None:
        self._remote = remote
        self._near = near
        self._shipper = Shipper(remote, near)
        self._root = os.fsencode(root)

    @property
    def place(self) -> BucketLocation:
        """The store's place, for workers. They know AWS's endpoint, and that of their own network, by themselves."""
        where = self._remote.where
        region = where.region or self._remote.bucket.region
        return BucketLocation(where.endpoint, where.bucket, where.prefix, region, self._remote.bucket.owner())

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        wanted = inputs(files, self._root)
        wanted["groups"] = [self._group(each) for each in groups]
        return _packs(self._shipper.ensure(wanted))

    def packs(self, keys: Sequence[Key]) -> tuple[set[PackReference], set[Key]]:
        places = self._shipper.places(keys)
        return _packs(places), set(keys) - places.keys()

    def bring(self, blobs: Collection[BlobId]) -> set[BlobId]:
        """Fetch blobs that workers have stored, into the local store. Returns the blobs that were there and sound."""
        found = self._shipper.learn(blobs)
        self._near.put(found)
        return sound(blobs, found)

    def gone(self, keys: Iterable[Key]) -> None:
        """Forget that these are there, for a worker has not found them."""
        self._remote.catalog.forget(list(keys))

    def _group(self, group: GroupId) -> ObjectToPack:
        key = Key(Kind.GROUP, group)
        data = self._near.get([key]).get(key, b"")
        return ObjectToPack(key, len(data))


def _packs(places: Mapping[Key, ObjectLocation]) -> set[PackReference]:
    return {PackReference(place.pack, place.size, place.tail) for place in places.values() if place.pack}
