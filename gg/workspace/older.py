"""The files that placeholders replaced, kept until their commands have ended.

A tool that fails may leave its older output as it is (gcc, when cc1 finds an error; collect2 is never begun) or may remove it
(gas, ld, clang). A command that never starts, because what it needs has failed, touches nothing. So the older file is kept
among the records, by a hard link, or as a copy where the records are on another file system:

older/<thunk>-<index>    the file that stood at that output of that thunk; also the placeholder of an earlier call

A placeholder that is put back stands for what the earlier call makes, and is forced like any other.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from gg.core.ids import ThunkId
from gg.core.placeholder import SIZE, Placeholder
from gg.host.files import aside, discard
from gg.workspace.workspace import read_placeholder

_MOST_OUTPUTS = 8
_MOST = 256 << 20  # bytes of a file that is copied


class Older:
    """The older files of the workspace whose records are in `dot`."""

    def __init__(self, dot: str) -> None:
        self._directory = os.path.join(os.fsencode(dot), b"older")

    def keep(self, path: bytes, of: Placeholder) -> None:
        """Keep the file at `path`, which is about to be replaced by this placeholder. If that cannot be done, it is not kept."""
        try:
            info = os.lstat(path)
        except OSError:
            return
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or of.index >= _MOST_OUTPUTS:
            return
        standing = read_placeholder(path) if info.st_size == SIZE else None
        if standing is not None and standing.thunk == of.thunk:
            return
        kept = self.of(of)
        with suppress(OSError):
            try:
                self._link(path, kept)
            except OSError as error:
                if error.errno != errno.EXDEV or info.st_size > _MOST:
                    raise
                _copy(path, kept)

    def _link(self, path: bytes, kept: bytes) -> None:
        try:
            os.link(path, kept)
        except FileNotFoundError:
            os.makedirs(self._directory, exist_ok=True)
            os.link(path, kept)
        except FileExistsError:
            os.unlink(kept)
            os.link(path, kept)

    def of(self, placeholder: Placeholder) -> bytes:
        """The path of the file that stood in the placeholder's place before it, if one is kept."""
        return os.path.join(self._directory, b"%s-%d" % (placeholder.thunk.hex().encode(), placeholder.index))

    def put_back(self, path: bytes, placeholder: Placeholder) -> bool:
        """Put the older file back where the placeholder still stands, as it was. True if it is there now."""
        kept = self.of(placeholder)
        if not os.path.lexists(kept) or os.path.islink(path) or read_placeholder(path) != placeholder:
            return False
        try:
            os.rename(kept, path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                return False
            beside = aside(os.path.dirname(path))  # nobody can guess it, and so put a link there
            try:
                _copy(kept, beside)
                os.rename(beside, path)
            except OSError:
                discard(beside)
                return False
        return True

    def drop(self, thunks: Iterable[ThunkId]) -> None:
        """Remove the older files of these thunks, which have succeeded or whose failure was told."""
        if not os.path.isdir(self._directory):
            return
        for thunk in thunks:
            for index in range(_MOST_OUTPUTS):
                try:
                    os.unlink(self.of(Placeholder(thunk, index)))
                except OSError:
                    if index:  # an older file may have stood at the second output only
                        break


def _copy(path: bytes, to: bytes) -> None:
    import shutil

    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copy2(path, to)
