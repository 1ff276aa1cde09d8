"""Looks up the paths that a worker reported missing.

For each path that exists here it answers: a file to declare, a placeholder to wait for, or a directory. A compiler looks
for each header in every directory of its search path, so a worker reports many paths of few directories. One look at each
directory answers them all, until that directory's time of change differs (`gg.core.ticks` says when that time can be believed).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Set
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath
from gg.core.placeholder import Placeholder
from gg.core.thunk import File
from gg.core.ticks import time_settled
from gg.light.named import NamedTuple
from gg.workspace.granted import Granted
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.host.filedb import FileDB


_MOST_BELOW = 64


class FoundPaths(NamedTuple):
    """What stands at the paths. `files` can be declared; `needs` are placeholders; `directories` are new to the worker;
    `kept` are files that gg gives to no other machine.
    """

    files: tuple[File, ...] = ()
    needs: tuple[tuple[SandboxPath, Placeholder], ...] = ()
    directories: tuple[SandboxPath, ...] = ()
    kept: tuple[SandboxPath, ...] = ()


class Home:
    """Looks paths up on this machine. For one thread."""

    def __init__(
        self,
        files: Callable[[], FileDB],
        real_path: Callable[[bytes], bytes] = bytes,
        granted: Granted = Granted(b"/"),  # noqa: B008 (it has no state)
    ) -> None:
        """`real_path` maps a path inside a thunk to the real path on this machine."""
        self._granted = granted
        self._files = files
        self.real_path = real_path
        self._listed: dict[bytes, tuple[tuple[int, int, int], frozenset[bytes]]] = {}
        self._directories: dict[SandboxPath, None] = {}

    @property
    def directories(self) -> tuple[SandboxPath, ...]:
        """The directories here that any worker has looked for."""
        return tuple(self._directories)

    def look(self, paths: Iterable[SandboxPath], known: Set[bytes], told: Set[bytes], tool: bytes = b"") -> FoundPaths:
        """Which of `paths` are here. `known`: what the thunk declares; `told`: directories that the worker was told of;
        `tool`: the program of the thunk, as it is on this machine.
        """
        files: list[File] = []
        needs: list[tuple[SandboxPath, Placeholder]] = []
        directories: list[SandboxPath] = []
        kept: list[SandboxPath] = []
        for path in self.there(paths, known):
            here = self.real_path(path)
            if os.path.isdir(here):
                self._directories[path] = None
                if path not in told:
                    directories.append(path)
                    if self._granted.is_outside(here):
                        self._directories.update(dict.fromkeys(_below(path, here)))
            elif os.path.isfile(here):
                placeholder = read_placeholder(here)
                if not self._granted.may_read(here, tool):
                    kept.append(path)
                elif placeholder:
                    needs.append((path, placeholder))
                elif (file := self._file(path, here)) is not None:
                    files.append(file)
        return FoundPaths(tuple(files), tuple(needs), tuple(directories), tuple(kept))

    def there(self, paths: Iterable[SandboxPath], known: Set[bytes]) -> list[SandboxPath]:
        """The paths that exist here and are not `known`. A compile looks for hundreds that do not exist."""
        return [path for path in paths if path not in known and self._there(self.real_path(path))]

    def _file(self, path: SandboxPath, here: bytes) -> File | None:
        try:
            info = self._files().digest(here)
        except OSError:
            return None
        return File(path, info.blob, info.executable)

    def _there(self, path: bytes) -> bool:
        directory, _, name = path.rpartition(b"/")
        now = time.time_ns()
        try:
            info = os.stat(directory or b"/")
        except OSError:
            return False
        stamp = (info.st_dev, info.st_ino, info.st_ctime_ns)
        known = self._listed.get(directory)
        if known is None or known[0] != stamp:
            if not time_settled(info.st_ctime_ns, now):
                return os.path.lexists(path)
            try:
                names = frozenset(os.listdir(directory or b"/"))
            except OSError:
                return os.path.lexists(path)
            known = self._listed[directory] = (stamp, names)
        return name in known[1]


def _below(path: SandboxPath, here: bytes) -> list[SandboxPath]:
    """Directories in `path`, and in these: whoever has found a directory of the system asks next for one in it."""
    found: list[SandboxPath] = []
    places = [(path, here)]
    for _ in range(2):
        inner: list[tuple[SandboxPath, bytes]] = []
        for top, directory in places:
            try:
                with os.scandir(directory) as entries:
                    inner += [(SandboxPath(top + b"/" + e.name), e.path) for e in entries if e.is_dir()]
            except OSError:
                pass
            if len(found) + len(inner) > _MOST_BELOW:
                return found
        found += [name for name, _ in inner]
        places = inner
    return found
