"""The questions that the include scanner may ask about files, and their answers from a real file system.

Questions that come by the hundred are asked in batches: in a scan, one call for all files and one for all directories.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from stat import S_ISDIR, S_ISREG
from typing import Protocol

# A file's change time (ns; no program can set it), inode, size: equal signatures, equal bytes, once it is settled.
FileSignature = tuple[int, int, int]
# A directory's device, inode, and change time (ns): equal signatures, equal names, once the directory is settled.
DirectorySignature = tuple[int, int, int]

# Directories that no build writes to, so the scanner looks there once a session.
STABLE = (
    b"/usr/include/",
    b"/usr/lib/",
    b"/usr/lib64/",
    b"/usr/share/",
    b"/usr/libexec/",
    b"/nix/store/",
    b"/gnu/store/",
)


class Disk(Protocol):
    """All that the scanner asks. Paths are absolute; symbolic links are followed. Nothing raises but `read`."""

    def now(self) -> int:
        """The time in nanoseconds, by the clock of the files' change times."""
        ...

    def stable(self, path: bytes) -> bool:
        """Whether what is at `path` (a directory's ends with a slash) stays as it is for the whole session."""
        ...

    def directory_signatures(self, paths: Sequence[bytes]) -> list[DirectorySignature | None]:
        """The signature of each directory; None for what is not there or no directory."""
        ...

    def names(self, path: bytes) -> frozenset[bytes]:
        """The names in a directory; empty if it cannot be read."""
        ...

    def exists(self, path: bytes) -> bool: ...

    def file_signatures(self, paths: Sequence[bytes]) -> list[FileSignature | None]:
        """The signature of each file; None for what is not there or is a directory."""
        ...

    def readable(self, path: bytes) -> bool: ...

    def realpath(self, path: bytes) -> bytes: ...

    def read(self, path: bytes) -> bytes:
        """The whole content; OSError if it cannot be read."""
        ...

    def lexed(self, path: bytes, kind: str, signature: FileSignature) -> bytes | None:
        """What `keep` was last given for this path and kind, if the file had this signature then."""
        ...

    def keep(self, path: bytes, kind: str, signature: FileSignature, lexed: bytes) -> None:
        """Remember a result for later sessions. Called only for settled files, after their content was read."""
        ...


class LocalDisk:
    """The real file system. Keeps nothing between sessions: a subclass overrides `read`, `lexed` and `keep`."""

    def __init__(self, stable: tuple[bytes, ...] = STABLE) -> None:
        self._stable = stable

    def now(self) -> int:
        return time.time_ns()

    def stable(self, path: bytes) -> bool:
        return path.startswith(self._stable)

    def directory_signatures(self, paths: Sequence[bytes]) -> list[DirectorySignature | None]:
        return [_of_directory(_status(path)) for path in paths]

    def names(self, path: bytes) -> frozenset[bytes]:
        try:
            return frozenset(os.listdir(path))
        except OSError:
            return frozenset()

    def exists(self, path: bytes) -> bool:
        return os.access(path, os.F_OK)

    def file_signatures(self, paths: Sequence[bytes]) -> list[FileSignature | None]:
        return [_of_file(_status(path)) for path in paths]

    def readable(self, path: bytes) -> bool:
        return os.access(path, os.R_OK)

    def realpath(self, path: bytes) -> bytes:
        return os.path.realpath(path)

    def read(self, path: bytes) -> bytes:
        # A device has no end that is sure to come, and a pipe would be emptied: what they hold names no header.
        if not S_ISREG(os.stat(path).st_mode):
            return b""
        with open(path, "rb", buffering=0) as file:
            return file.readall()

    def lexed(self, path: bytes, kind: str, signature: FileSignature) -> bytes | None:
        return None

    def keep(self, path: bytes, kind: str, signature: FileSignature, lexed: bytes) -> None:
        return None


def _status(path: bytes) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _of_directory(info: os.stat_result | None) -> DirectorySignature | None:
    return (info.st_dev, info.st_ino, info.st_ctime_ns) if info is not None and S_ISDIR(info.st_mode) else None


def _of_file(info: os.stat_result | None) -> FileSignature | None:
    return None if info is None or S_ISDIR(info.st_mode) else (info.st_ctime_ns, info.st_ino, info.st_size)
