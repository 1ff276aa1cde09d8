"""Names the files of thunks by SHA-256, as a cluster does, and reads their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from gg.core.ids import BlobId
from gg.core.thunk import File
from gg.engines.reapi.cas import Source, digest_of
from gg.engines.reapi.messages import Digest
from gg.engines.system_file import read_system_file
from gg.errors import InputChanged
from gg.store.base import Store, blob_key


class HashedBlobs:
    """Hashes each file once a run. `real_path` maps a path inside a thunk to the real path on this machine. For any thread."""

    def __init__(self, store: Store, real_path: Callable[[bytes], bytes] = bytes) -> None:
        self._store = store
        self._real_path = real_path
        self._known: dict[BlobId, Digest] = {}

    def digest(self, file: File) -> Digest:
        """The digest of a file. InputChanged if its bytes are nowhere."""
        known = self._known.get(file.blob)
        if known is None:
            known = self._known[file.blob] = digest_of(self.read(file))
        return known

    def sources(self, files: Iterable[File]) -> dict[Digest, Source]:
        """For each file its digest, and a function that reads it. InputChanged."""
        return {self.digest(file): lambda file=file: self.read(file) for file in files}  # type: ignore[misc]

    def read(self, file: File) -> bytes:
        """The bytes of a file, from the store or from its own path. InputChanged."""
        key = blob_key(file.blob)
        data = self._store.get([key]).get(key)
        return data if data is not None else read_system_file(file, self._real_path(file.path))

    def place(self, file: File) -> bytes:
        """A path on this machine at which the file's bytes are. InputChanged."""
        path = self._store.path(file.blob, executable=file.executable)
        if path is None:
            path = self._real_path(file.path)
            if not os.path.isfile(path):
                raise InputChanged(os.fsdecode(file.path))
        return path
