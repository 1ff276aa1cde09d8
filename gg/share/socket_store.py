"""A store on this machine that is reached by a Unix socket: `unix:/run/gg/store`. `gg.share.socket_server` serves it.

It is for builds that see nothing else of the machine, as in nix's sandbox. Whoever may write to the socket is believed: records
have no signatures there.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, cast

from gg.core.ids import BlobId
from gg.errors import FormatError, StoreError
from gg.host.files import read_at_rest, write_whole
from gg.share.socket_frames import MOST_BYTES, MOST_FRAMES, USED, StoreFrame, StoreOp, plain, read, write
from gg.store.base import Key, Kind, SourceChanged, StoreCaps, Stored, blob_key, check_put, matches
from gg.store.without_files import WithoutFiles

_BATCH = 16 << 20
_SECONDS = 60.0


class SocketStore(WithoutFiles):
    """One connection, made when it is first needed. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stream: BinaryIO | None = None

    @property
    def caps(self) -> StoreCaps:
        return StoreCaps(persistent=True)

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = {frame.key: frame.data for frame in self._of(StoreOp.GET, keys)}
        return {key: data for key, data in found.items() if matches(key, data)}

    def has(self, keys: Sequence[Key]) -> set[Key]:
        return {frame.key for frame in self._of(StoreOp.HAS, keys)}

    def delete(self, keys: Sequence[Key]) -> None:
        self._of(StoreOp.DELETE, keys)

    def keys(self, kind: Kind) -> Iterator[Stored]:
        for frame in self._ask([plain(StoreOp.KEYS, kind=kind)]):
            yield Stored(frame.key, *USED.unpack(frame.data))

    def put(self, items: Mapping[Key, bytes]) -> None:
        check_put(items, self.caps)
        batch: list[StoreFrame] = []
        size = 0
        for key, data in items.items():
            if batch and (size + len(data) > _BATCH or len(batch) == MOST_FRAMES):
                self._ask(batch)
                batch, size = [], 0
            if len(data) > MOST_BYTES:
                raise StoreError(f"an object of {len(data)} bytes is too large for the store at {self._path}")
            batch.append(StoreFrame(StoreOp.PUT, key, data))
            size += len(data)
        if batch:
            self._ask(batch)

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        changed: list[bytes] = []
        for blob, path in files.items():
            try:
                data = read_at_rest(path)[0]
            except (OSError, StoreError):
                data = None
            if data is None or BlobId.of(data) != blob:
                changed.append(path)
            else:
                self.put({blob_key(blob): data})
        if changed:
            raise SourceChanged(changed)

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        written: set[bytes] = set()
        for path, blob in files.items():
            data = self.get([blob_key(blob)]).get(blob_key(blob))
            if data is not None and len(data) == blob.size:
                write_whole(path, data)
                written.add(path)
        return written

    def flush(self) -> None:
        pass

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _of(self, op: StoreOp, keys: Sequence[Key]) -> list[StoreFrame]:
        wanted = list(dict.fromkeys(keys))
        found: list[StoreFrame] = []
        for start in range(0, len(wanted), MOST_FRAMES):
            found += self._ask([StoreFrame(op, key) for key in wanted[start : start + MOST_FRAMES]])
        return found

    def _ask(self, frames: Sequence[StoreFrame]) -> list[StoreFrame]:
        """Ask, and return the answer. StoreError when there is none."""
        with self._lock:
            try:
                stream = self._stream = self._stream or _connected(self._path)
                for frame in (*frames, plain(StoreOp.END)):
                    write(stream, frame)
                stream.flush()
                found: list[StoreFrame] = []
                while (frame := read(stream)).op is StoreOp.OBJECT:
                    found.append(frame)
            except (OSError, EOFError, FormatError) as error:
                self._drop()
                why = str(error) or "the connection was closed"
                raise StoreError(
                    f"the store at {self._path}: {why}", hint="does gg nix store run, and is its socket shown here?"
                ) from error
        if frame.op is StoreOp.ERROR:
            raise StoreError(f"the store at {self._path}: {frame.data.decode(errors='replace')}")
        return found

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _connected(path: str) -> BinaryIO:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(_SECONDS)
        opened.connect(path)
        return cast("BinaryIO", opened.makefile("rwb"))
