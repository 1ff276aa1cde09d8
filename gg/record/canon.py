"""Where a path really leads: the name free of symbolic links, and the links passed on the way.

A thunk declares files at their real names and declares each link that was followed, so that a worker can rebuild just
what the command will look at. Directories are remembered for as long as the object lives; files are not.
"""

from __future__ import annotations

import errno
import os

from gg.core.ids import SandboxPath
from gg.core.thunk import Symlink

_MAX_LINKS = 40  # Linux follows as many before ELOOP (path_resolution(7))

Links = tuple[Symlink, ...]


class Canon:
    """Resolves paths. Absolute paths in; OSError for loops and for a directory that is not there."""

    def __init__(self) -> None:
        self._directories: dict[bytes, tuple[bytes, Links]] = {b"/": (b"/", ()), b"": (b"/", ())}

    def directory(self, path: bytes) -> tuple[bytes, Links]:
        """The real name of an existing directory, and the links on the way to it."""
        known = self._directories.get(path)
        if known is None:
            links: dict[bytes, Symlink] = {}
            real = self._walk(b"/", path, links)
            if not os.path.isdir(real):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            known = self._directories[path] = (real, tuple(links.values()))
        return known

    def name(self, path: bytes) -> tuple[SandboxPath, Links]:
        """`path` with its directory resolved and its last component left alone."""
        head, _, tail = path.rpartition(b"/")
        if tail in (b"", b".", b".."):
            real, links = self.directory(path)
            return SandboxPath(real), links
        real, links = self.directory(head)
        return SandboxPath(real + b"/" + tail if real != b"/" else b"/" + tail), links

    def file(self, path: bytes) -> tuple[SandboxPath, Links]:
        """The real name of a file that need not exist, and every link on the way to it, its own included."""
        name, links = self.name(path)
        try:
            os.readlink(name)
        except OSError:
            return name, links
        found: dict[bytes, Symlink] = {link.path: link for link in links}
        return SandboxPath(self._walk(b"/", name, found)), tuple(found.values())

    def _walk(self, base: bytes, path: bytes, links: dict[bytes, Symlink], depth: int = 0) -> bytes:
        current = b"/" if path.startswith(b"/") else base
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                current = os.path.dirname(current)
                continue
            step = current + b"/" + part if current != b"/" else b"/" + part
            try:
                target = os.readlink(step)
            except OSError:
                current = step
                continue
            if depth >= _MAX_LINKS or len(links) >= _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            links[step] = Symlink(SandboxPath(step), target)
            current = self._walk(current, target, links, depth + 1)
        return current
