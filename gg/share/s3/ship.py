"""Sends a thunk's inputs to the bucket before it runs elsewhere: in few packs, by affinity, and only what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from gg.core.ids import BlobId
from gg.core.thunk import File
from gg.share.s3.catalog import ObjectLocation
from gg.share.s3.packer import ObjectToPack, PackSource
from gg.share.s3.remote import Remote
from gg.store.base import Key, Store, blob_key

_SYSTEM = (b"/usr/", b"/lib", b"/opt/", b"/nix/store/", b"/gnu/store/", b"/etc/")


class Shipper:
    """Sends objects of the local `store` (or files, for what it does not hold) to `remote`. Thread-safe."""

    def __init__(self, remote: Remote, store: Store | None) -> None:
        self._remote = remote
        self._source = PackSource(store)

    def ensure(self, groups: Mapping[str, Sequence[ObjectToPack]]) -> dict[Key, ObjectLocation]:
        """Send those objects of `groups` that are missing. The answer is where each object is.

        The groups' names mean nothing; their order and that of their objects is kept. MissingObject for an object that is
        neither in the store nor in its file, SourceChanged for a file with other bytes.
        """
        keys = {item.key for items in groups.values() for item in items}
        places = self._remote.catalog.fresh(keys)
        if len(places) < len(keys):
            self._remote.run(lambda: self._remote.put(groups, self._source))
            places = self.places(keys)
        return places

    def places(self, keys: Collection[Key]) -> dict[Key, ObjectLocation]:
        """Where the objects of `keys` are, as far as is remembered: no request is made."""
        return self._remote.catalog.places(self._remote.catalog.has(keys))

    def learn(self, blobs: Iterable[BlobId]) -> dict[Key, bytes]:
        """Note blobs that workers say they have put as single objects. Returns those that are there and sound: of these others are
        told.
        """
        said = list(blobs)

        async def work() -> dict[Key, bytes]:
            self._remote.learn(said)
            found = await self._remote.get([blob_key(blob) for blob in said])
            self._remote.vouch_for(sound(said, found))
            return found

        return self._remote.run(work)


def sound(blobs: Iterable[BlobId], found: Mapping[Key, bytes]) -> set[BlobId]:
    """The blobs that were found, and are as large as their names say."""
    return {blob for blob in blobs if (data := found.get(blob_key(blob))) is not None and len(data) == blob.size}


def affinity(file: File) -> str:
    """The group in which a file is best sent: what a worker wants together with it."""
    path = bytes(file.path)
    system = path.startswith(_SYSTEM)
    if system and (file.executable or b".so" in path or (b"/gcc/" in path and not path.endswith(b".h"))):
        return "toolchain"
    return "system" if system else "project"


def inputs(files: Iterable[File], root: bytes = b"") -> dict[str, list[ObjectToPack]]:
    """Files as groups to send. Each file has the path of its bytes, in case the store lacks them.

    Blobs of the workspace, below `root`, come from the store: their files may have been edited since.
    """
    groups: dict[str, list[ObjectToPack]] = {"toolchain": [], "system": [], "project": []}
    for file in files:
        kept = root and file.path.startswith(root + b"/")
        groups[affinity(file)].append(
            ObjectToPack(blob_key(file.blob), file.blob.size, b"" if kept else bytes(file.path))
        )
    return groups
