"""What a recipe changes by hand behind commands that were deferred: `$(MAKE) -C sub && touch stamp`, `gcc …; echo built > log`.

If one of these commands fails after all, plain make would not have come so far. So each such file is again what it was when the
command was called; a stamp would count as made for ever. What a person has changed since the recording ended is left alone. So
is what lies outside of the workspace: that the build has changed it is only what the text of a makefile says. The records are

stamped/calls           a record for each call: 32 bytes for its thunk, u16 for the path's length, u16 for the state, the path
stamped/<hash>-N        state N of a file or link: 0 when such a call was first recorded by the last recording, and so on
stamped/<hash>-N.there  nothing could be kept: the file is large, or a directory
stamped/<hash>.now      what was there when that recording ended: kind and time of change, or nothing
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from blake3 import blake3

from gg.core.ids import DIGEST_SIZE, ThunkId
from gg.host.files import aside, discard

_LENGTHS = struct.Struct("<HH")
_HEAD = DIGEST_SIZE + _LENGTHS.size
_MOST = 4 << 20  # bytes of a file that is kept
_MANY = 4 << 20  # bytes of the records; beyond that the older half is forgotten
_STATES = 16  # of one file
_LONG_AGO = (1, 1)


class Stamps:
    """The files of the workspace in the directory `root`, whose records are in `dot`."""

    def __init__(self, dot: str, root: str) -> None:
        self._root = os.fsencode(root)
        self._directory = os.path.join(dot, "stamped")
        self._path = os.path.join(self._directory, "calls")
        self._noted: set[tuple[ThunkId, bytes]] = set()
        self._states: dict[bytes, tuple[bytes, int]] = {}  # the last state that was kept of each file

    def note(self, thunk: ThunkId, paths: Sequence[bytes]) -> None:
        """Note that a call of `thunk` is being deferred, and that the recipe will change these files by hand behind it."""
        new = [path for path in paths if (thunk, path) not in self._noted and len(path) < 1 << 16]
        if not new:
            return
        if not self._noted:
            os.makedirs(self._directory, exist_ok=True)
            self._halve()
        self._noted.update((thunk, path) for path in new)
        records = [_record(thunk, path, self._state(path)) for path in new]
        with open(self._path, "ab", buffering=0) as file:
            file.write(b"".join(records))

    def end(self) -> None:
        """The recording is over: what is there now is what it has left."""
        for path in self._states:
            with suppress(OSError), open(self._kept_at(path) + b".now", "wb") as file:
                file.write(_look(path))

    def undo(self, thunks: Iterable[ThunkId], since: Callable[[ThunkId], int]) -> list[bytes]:
        """Undo what was changed behind these thunks, which have failed. `since` tells when one was called, in nanoseconds.
        The answer is what was looked at.
        """
        wanted = set(thunks)
        first: dict[bytes, tuple[int, int]] = {}  # of all states, and all calls, the first
        for thunk, path, state in self._read() if wanted else ():
            if thunk in wanted and since(thunk) > 0:
                first[path] = min(first.get(path, (state, since(thunk))), (state, since(thunk)))
        for path in sorted(first, reverse=True):  # what is in a directory before the directory
            from gg.light.plain_files import is_within  # seldom

            state, called = first[path]
            if not is_within(self._root, os.path.dirname(path)):  # a link may lead out since it was noted
                continue
            with suppress(OSError):
                self._undo(path, b"%s-%d" % (self._kept_at(path), state), called)
        return list(first)

    def _undo(self, path: bytes, kept: bytes, since: int) -> None:
        """Put the state that is kept as `kept` back. `since`: when the call was recorded."""
        with suppress(FileNotFoundError), open(self._kept_at(path) + b".now", "rb") as file:
            if file.read() != _look(path):
                return
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            _put_back(kept, path)
            return
        if max(info.st_mtime_ns, info.st_ctime_ns) < since or _look(path) == _look(kept):
            return
        if os.path.lexists(kept + b".there"):
            if stat.S_ISREG(info.st_mode):  # so that make comes back to it
                os.utime(path, _LONG_AGO)
        elif stat.S_ISDIR(info.st_mode):
            os.rmdir(path)
        elif stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
            _put_back(kept, path)

    def _kept_at(self, path: bytes) -> bytes:
        return os.path.join(os.fsencode(self._directory), str(blake3(path).hexdigest()).encode())

    def _state(self, path: bytes) -> int:
        """The number of the state that the file is in. It is kept by a copy: `touch` and redirections change the file itself."""
        look, (last, number) = _look(path), self._states.get(path, (b"", -1))
        if look == last or number == _STATES - 1:
            return number
        if number < 0:
            self._forget(path)
        self._states[path] = look, number + 1
        _keep(path, b"%s-%d" % (self._kept_at(path), number + 1))
        return number + 1

    def _forget(self, path: bytes) -> None:
        """Remove what an earlier recording has kept of a file."""
        kept = self._kept_at(path)
        for end in (b".now", *(b"-%d%s" % (number, end) for number in range(_STATES) for end in (b"", b".there"))):
            with suppress(OSError):
                os.unlink(kept + end)

    def _read(self) -> list[tuple[ThunkId, bytes, int]]:
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except OSError:
            return []
        found, at = [], 0
        while at + _HEAD <= len(data):
            length, state = _LENGTHS.unpack_from(data, at + DIGEST_SIZE)
            path = data[at + _HEAD : at + _HEAD + length]
            if len(path) == length:
                found.append((ThunkId(data[at : at + DIGEST_SIZE]), path, state))
            at += _HEAD + length
        return found

    def _halve(self) -> None:
        with suppress(OSError):
            if os.stat(self._path).st_size > _MANY:
                records = self._read()
                aside = f"{self._path}.{os.getpid()}"
                with open(aside, "wb") as file:
                    file.write(b"".join(_record(*each) for each in records[len(records) // 2 :]))
                os.rename(aside, self._path)


def _record(thunk: ThunkId, path: bytes, state: int) -> bytes:
    return thunk + _LENGTHS.pack(len(path), state) + path


def _look(path: bytes) -> bytes:
    """What is there, so that another thing is told from it. A file that is forced keeps its placeholder's time, and is the same."""
    try:
        info = os.lstat(path)
    except OSError:
        return b"nothing"
    return b"%o %d" % (stat.S_IFMT(info.st_mode), 0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns)


def _keep(path: bytes, kept: bytes) -> None:
    try:
        info = os.lstat(path)
    except OSError:
        return
    if stat.S_ISLNK(info.st_mode) or (stat.S_ISREG(info.st_mode) and info.st_size <= _MOST):
        _copy(path, kept)
    if not os.path.lexists(kept):
        with suppress(OSError), open(kept + b".there", "wb"):
            pass


def _put_back(kept: bytes, path: bytes) -> None:
    """Have what is kept at `path`, or nothing if nothing is kept, in one step: no link that is put there is followed."""
    beside = aside(os.path.dirname(path))
    _copy(kept, beside)
    try:
        if os.path.lexists(beside):
            os.rename(beside, path)
        elif not os.path.lexists(kept):
            os.unlink(path)
    except OSError:
        discard(beside)
        raise


def _copy(path: bytes, to: bytes) -> None:
    import shutil

    with suppress(OSError):
        shutil.copy2(path, to, follow_symlinks=False)
