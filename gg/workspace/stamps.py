"""What a recipe changes by hand behind commands that were deferred: `$(MAKE) -C sub && touch stamp`, `gcc …; echo built > log`.

If one of these commands fails after all, plain make would not have come so far. So each such file is again what it was before the
command was called; a stamp would count as made for ever. What a person has changed since the recording ended is left alone. The
records are

stamps               a record for each call: 32 bytes for its thunk, u16 for the length of the path, and the file's path
stamped/<hash>       the file or link that was there when such a call was first recorded by the last recording
stamped/<hash>.there nothing could be kept: the file is large, or a directory
stamped/<hash>.now   what was there when that recording ended: kind and time of change, or nothing
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
_MOST = 4 << 20  # bytes of a file that is kept
_MANY = 4 << 20  # bytes of the file; beyond that the older half is forgotten
_LONG_AGO = (1, 1)


class Stamps:
    """The files of the workspace whose records are in `dot`."""

    def __init__(self, dot: str) -> None:
        self._path = os.path.join(dot, "stamps")
        self._before = os.path.join(dot, "stamped")
        self._noted: set[tuple[ThunkId, bytes]] = set()
        self._kept: set[bytes] = set()

    def note(self, thunk: ThunkId, paths: Sequence[bytes]) -> None:
        """Note that a call of `thunk` is being deferred, and that the recipe will change these files by hand behind it."""
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

    def end(self) -> None:
        """The recording is over: what is there now is what it has left."""
        for path in self._kept:
            with suppress(OSError), open(self._kept_at(path) + b".now", "wb") as file:
                file.write(_look(path))

    def undo(self, thunks: Iterable[ThunkId], since: Callable[[ThunkId], int]) -> list[bytes]:
        """Undo what was changed behind these thunks, which have failed. `since` tells when one was called, in nanoseconds.
        The answer is what was looked at.
        """
        wanted = set(thunks)
        behind = [(path, thunk) for thunk, path in self._read() if thunk in wanted] if wanted else []
        for path, thunk in sorted(behind, reverse=True):  # what is in a directory before the directory
            if since(thunk) > 0:
                with suppress(OSError):
                    self._undo(path, since(thunk))
        return [path for path, _ in behind]

    def _undo(self, path: bytes, since: int) -> None:
        kept = self._kept_at(path)
        with suppress(FileNotFoundError), open(kept + b".now", "rb") as file:
            if file.read() != _look(path):
                return
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            self._put_back(path)
            return
        if max(info.st_mtime_ns, info.st_ctime_ns) < since or _is_the_same(info, kept):
            return
        if os.path.lexists(kept + b".there"):
            if stat.S_ISREG(info.st_mode):  # so that make comes back to it
                os.utime(path, _LONG_AGO)
        elif stat.S_ISDIR(info.st_mode):
            os.rmdir(path)
        elif stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
            os.unlink(path)
            self._put_back(path)

    def _kept_at(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self._before), str(blake3(path).hexdigest()).encode())

    def _keep(self, path: bytes) -> None:
        """Keep what is there, by a copy: `touch` and redirections change the file itself."""
        kept = self._kept_at(path)
        for end in (b"", b".there", b".now"):
            with suppress(OSError):
                os.unlink(kept + end)
        try:
            info = os.lstat(path)
        except OSError:
            return
        os.makedirs(self._before, exist_ok=True)
        try:
            if stat.S_ISLNK(info.st_mode) or (stat.S_ISREG(info.st_mode) and info.st_size <= _MOST):
                import shutil

                shutil.copy2(path, kept, follow_symlinks=False)
                return
        except OSError:
            pass
        with suppress(OSError), open(kept + b".there", "wb"):
            pass

    def _put_back(self, path: bytes) -> None:
        import shutil

        with suppress(OSError):
            shutil.copy2(self._kept_at(path), path, follow_symlinks=False)

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


def _look(path: bytes) -> bytes:
    """What is there, so that another thing is told from it. A file that is forced keeps its placeholder's time, and is the same."""
    try:
        info = os.lstat(path)
    except OSError:
        return b"nothing"
    return b"%o %d" % (stat.S_IFMT(info.st_mode), 0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns)


def _is_the_same(info: os.stat_result, kept: bytes) -> bool:
    """Whether a file is as the kept one: nobody has changed it."""
    try:
        old = os.lstat(kept)
    except OSError:
        return False
    mine, its = (info.st_mode, info.st_size, info.st_mtime_ns), (old.st_mode, old.st_size, old.st_mtime_ns)
    return mine == its
