"""Putting what was made in the place of its placeholder, so that the tree is an ordinary one afterwards.

A file appears whole or not at all: it is written aside and renamed. It keeps the placeholder's times, for make compares
those, and its mode, with what the tool itself decided about execution.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress

from gg.core.ids import BlobId
from gg.core.placeholder import Placeholder
from gg.core.thunk import Made
from gg.errors import StoreError
from gg.workspace import read_placeholder


class Placer:
    """Replaces files. `blob_path` gives a path to read a blob's bytes from."""

    def __init__(self, tmp: str, blob_path: Callable[[BlobId, bool], str]) -> None:
        self._aside = os.path.join(os.fsencode(tmp), b"o%d-" % os.getpid())
        self._blob_path = blob_path
        self._count = 0

    def replace(self, path: bytes, placeholder: Placeholder, made: Made | None) -> bool:
        """Put `made` where `placeholder` still is; with None the command left the file out, so it goes. False: not there."""
        try:
            before = os.stat(path)
        except FileNotFoundError:
            return False
        if read_placeholder(path, before.st_size) != placeholder:
            return False
        if made is None:
            with suppress(FileNotFoundError):
                os.unlink(path)
            return True
        self.write(path, made, mode=before.st_mode & 0o7777, times=(before.st_atime_ns, before.st_mtime_ns))
        return True

    def write(self, path: bytes, made: Made, *, mode: int, times: tuple[int, int]) -> None:
        """Write `made` to `path` with these permissions (execution follows the tool) and times in nanoseconds."""
        readable = mode & 0o444
        mode = mode | readable >> 2 if made.executable else mode & ~0o111
        source = os.open(self._blob_path(made.blob, made.executable), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._copy(source, made.blob.size, path, mode, times)
        except OSError as error:
            raise StoreError(
                f"cannot write {os.fsdecode(path)}: {error.strerror}",
                hint="what was forced is kept in the store: mend this and run gg-force again",
            ) from error
        finally:
            os.close(source)

    def _copy(self, source: int, size: int, path: bytes, mode: int, times: tuple[int, int]) -> None:
        self._count += 1
        aside = self._aside + b"%d" % self._count
        try:
            self._copy_to(source, size, aside, mode, times)
            os.rename(aside, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(aside)
            if error.errno != errno.EXDEV:
                raise
            near = os.path.join(os.path.dirname(path), b".gg-" + os.path.basename(aside))
            os.lseek(source, 0, os.SEEK_SET)
            self._copy_to(source, size, near, mode, times)
            os.rename(near, path)

    @staticmethod
    def _copy_to(source: int, size: int, path: bytes, mode: int, times: tuple[int, int]) -> None:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            left = size
            while left > 0:
                sent = os.sendfile(target, source, None, min(left, 1 << 30))
                if sent == 0:
                    raise OSError(errno.EIO, "a blob is shorter than its name says")
                left -= sent
            os.fchmod(target, mode)
            os.utime(target, ns=times)
        finally:
            os.close(target)
