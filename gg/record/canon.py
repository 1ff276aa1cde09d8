"""Where a path really leads: the name free of symbolic links, and what was passed on the way.

A thunk declares files at their real names, each link that was followed, and each directory that `..` leaves again, for
`src/../x.c` is nowhere where there is no `src`: so a worker can rebuild just what the command will look at.

Directories are remembered, and believed while nothing on the way has become another thing: each component is still no
link, or a link with the same target (a *trail*, `gg.record.many_looks`). One system call a component tells that, as no
signature could: a link that is made anew in the same tick may have the inode and the times of the one before. What lies
below a stable prefix is not looked at again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath
from gg.core.thunk import Directory, Symlink

if TYPE_CHECKING:
    from gg.record.many_looks import Trail

_MAX_LINKS = 40  # Linux follows as many before ELOOP (path_resolution(7))

LinksOnTheWay = tuple[Symlink | Directory, ...]
"""The links that a path leads through, and the directories that it leaves by `..`, but for those that stay as they are."""


class Canon:
    """Resolves paths. Absolute paths in; OSError for loops and for a directory that is not there."""

    def __init__(self, stable: Callable[[bytes], bool] | None = None) -> None:
        """`stable`: whether what is at a path stays as it is for as long as this object lives."""
        self._stable = stable or (lambda path: False)
        self._known: dict[bytes, tuple[bytes, LinksOnTheWay, Trail]] = {}
        self._sure: dict[bytes, tuple[bytes, LinksOnTheWay]] = {}
        self.moved = 0
        """How often a directory was found to be called otherwise than before."""

    def begin(self) -> None:
        """A new call of a tool: the build may have changed what directories are called."""
        self._sure.clear()

    def directory(self, path: bytes) -> tuple[bytes, LinksOnTheWay]:
        """The real name of an existing directory, and the way to it. Looked at once a call."""
        sure = self._sure.get(path)
        if sure is None:
            known = self._known.get(path)
            if known is None or not self.stands(known[2]):
                known = self._known[path] = self._find(path)
            sure = self._sure[path] = known[:2]
        return sure

    def name(self, path: bytes) -> tuple[SandboxPath, LinksOnTheWay]:
        """`path` with its directory resolved and its last component left alone."""
        head, _, tail = path.rpartition(b"/")
        if tail in (b"", b".", b".."):
            real, way = self.directory(path)
            return SandboxPath(real), way
        real, way = self.directory(head)
        return SandboxPath(real + b"/" + tail if real != b"/" else b"/" + tail), way

    def file(self, path: bytes) -> tuple[SandboxPath, LinksOnTheWay]:
        """The real name of a file that need not exist, and the way to it, its own link included."""
        name, way = self.name(path)
        try:
            os.readlink(name)
        except OSError:
            return name, way
        found = {entry.path: entry for entry in way}
        real = _walk(b"/", name, found, {})
        return SandboxPath(real), self._way(found)

    def trail(self, paths: Iterable[bytes]) -> Trail:
        """What the ways to these directories look like, or that they are not there."""
        from gg.record.many_looks import MISSING, Trail

        steps: dict[bytes, bytes] = {}
        for path in paths:
            try:
                self.directory(path)
            except OSError:
                steps[path] = MISSING
            else:
                steps.update(self._known[path][2].steps)
        return Trail(steps)

    def stands(self, trail: Trail) -> bool:
        """Whether nothing on these ways has changed; counted in `moved` if it has."""
        if trail.stands():
            return True
        self.moved += 1
        return False

    def _find(self, path: bytes) -> tuple[bytes, LinksOnTheWay, Trail]:
        from gg.record.many_looks import Trail

        passed: _Passed = {}
        steps: dict[bytes, bytes] = {}
        real = _walk(b"/", path, passed, steps)
        if not os.path.isdir(real):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return real, self._way(passed), Trail({p: target for p, target in steps.items() if not self._stable(p)})

    def _way(self, passed: _Passed) -> LinksOnTheWay:
        return tuple([entry for entry in passed.values() if isinstance(entry, Symlink) or not self._stable(entry.path)])


_Passed = dict[SandboxPath, Symlink | Directory]


def _walk(base: bytes, path: bytes, passed: _Passed, steps: dict[bytes, bytes], depth: int = 0) -> bytes:
    """Follow `path`. `passed` gets links, and what `..` leaves; `steps` each component: a link's target, or nothing."""
    current = b"/" if path.startswith(b"/") else base
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if current != b"/":
                _leave(current, passed, steps)
            current = os.path.dirname(current)
            continue
        step = current + b"/" + part if current != b"/" else b"/" + part
        if current == b"/proc":
            raise OSError(errno.ENXIO, "a name in /proc leads each process elsewhere", path)
        try:
            target = steps[step] = os.readlink(step)
        except OSError:
            steps[step] = b""
            current = step
            continue
        if depth >= _MAX_LINKS or sum(isinstance(entry, Symlink) for entry in passed.values()) >= _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        passed[SandboxPath(step)] = Symlink(SandboxPath(step), target)
        current = _walk(current, target, passed, steps, depth + 1)
    return current


def _leave(directory: bytes, passed: _Passed, steps: dict[bytes, bytes]) -> None:
    """Note a directory that `..` leads out of. OSError if it is none: the kernel goes through directories only."""
    itself = directory + b"/."
    try:
        os.readlink(itself)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    steps[itself] = b""
    passed[SandboxPath(directory)] = Directory(SandboxPath(directory))
