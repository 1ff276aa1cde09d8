"""The stamps that a recipe makes by hand (`touch $@`) behind commands that were deferred: `$(MAKE) -C sub && touch stamp`.

If one of these commands fails after all, plain make would not have come so far. So the stamp is removed, for it would count as
made for ever, or it is again what it was before the command was called. The records are

stamps           a record for each call: 32 bytes for its thunk, u16 for the length of the path, and the target's path
stamped/<hash>   the file that stood there when such a call was first recorded by the last recording
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from blake3 import blake3

from gg.core.ids import DIGEST_SIZE, ThunkId

_LENGTH = struct.Struct("<H")
_HEAD = DIGEST_SIZE + _LENGTH.size
_MOST = 1 << 20  # bytes of a file that is kept
_MANY = 4 << 20  # bytes of the file; beyond that the older half is forgotten


class Stamps:
    """The targets of the workspace whose records are in `dot`."""

    def __init__(self, dot: str) -> None:
        self._path = os.path.join(dot, "stamps")
        self._before = os.path.join(dot, "stamped")
        self._noted: set[tuple[ThunkId, bytes]] = set()
        self._kept: set[bytes] = set()

    def note(self, thunk: ThunkId, paths: Sequence[bytes]) -> None:
        """Note that a call of `thunk` is being deferred, and that the recipe will make these files by hand behind it."""
        new = [path for path in paths if (thunk, path) not in self._noted and len(path) < 1 << 16]
        if not new:
            return
        if not self._noted:
            self._halve()
        self._noted.update((thunk, path) for path in new)
        for path in new:
            if path not in self._kept:
                self._kept.add(path)
                self._keep(path)
        with open(self._path, "ab", buffering=0) as file:
            file.write(b"".join(thunk + _LENGTH.pack(len(path)) + path for path in new))

    def remove(self, thunks: Iterable[ThunkId], since: Callable[[ThunkId], int]) -> None:
        """Undo the stamps behind these thunks, which have failed. `since` tells when one was called, in nanoseconds."""
        wanted = set(thunks)
        for thunk, path in self._read() if wanted else ():
            if thunk in wanted:
                with suppress(OSError):
                    info = os.lstat(path)
                    if stat.S_ISREG(info.st_mode) and info.st_mtime_ns >= since(thunk) > 0:
                        os.unlink(path)
                        self._put_back(path)

    def _kept_at(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self._before), str(blake3(path).hexdigest()).encode())

    def _keep(self, path: bytes) -> None:
        """Keep the file that stands there, by a copy: `touch` and redirections change the file itself."""
        kept = self._kept_at(path)
        with suppress(OSError):
            os.unlink(kept)
        with suppress(OSError):
            info = os.lstat(path)
            if stat.S_ISREG(info.st_mode) and info.st_size <= _MOST:
                import shutil

                os.makedirs(self._before, exist_ok=True)
                shutil.copy2(path, kept)

    def _put_back(self, path: bytes) -> None:
        import shutil

        with suppress(OSError):
            shutil.copy2(self._kept_at(path), path)

    def _read(self) -> list[tuple[ThunkId, bytes]]:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except OSError:
            return []
        found, at = [], 0
        while at + _HEAD <= len(data):
            (length,) = _LENGTH.unpack_from(data, at + DIGEST_SIZE)
            path = data[at + _HEAD : at + _HEAD + length]
            if len(path) == length:
                found.append((ThunkId(data[at : at + DIGEST_SIZE]), path))
            at += _HEAD + length
        return found

    def _halve(self) -> None:
        with suppress(OSError):
            if os.stat(self._path).st_size > _MANY:
                kept = self._read()
                aside = f"{self._path}.{os.getpid()}"
                with open(aside, "wb") as file:
                    file.write(b"".join(t + _LENGTH.pack(len(p)) + p for t, p in kept[len(kept) // 2 :]))
                os.rename(aside, self._path)
