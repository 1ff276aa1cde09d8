"""Files that appeared in the tree after a command was recorded. The command must not see them: under make it ran before they came.

A plain command sees the tree as it is at that moment. When its thunk runs, later commands may have put files, links or directories
where it looks: before a header on its search path, beside a library. A declared file has its bytes from then. An undeclared one
is judged by its times and by those in the ledger:

  - an output of a recorded call is there from that call on, whenever it was forced;
    - a link, or a file, is there from its change on (ctime, which a rename or a link into place sets too);
    - a directory is there from its birth on. One that was moved into place shows no time. So a directory below the workspace in
      which nothing is declared, though the recorded search leaves nothing out, counts as later if it has changed since.

  gg's own models declare all that a command can read, so an undeclared file was not there. A tool that the user has declared
  may read more. If such a file was there and has other bytes by now, its old bytes cannot be had (`changed`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress

from gg.core.ids import SandboxPath, ThunkId
from gg.core.thunk import Thunk
from gg.light.named import NamedTuple

_MAY_LEAVE_OUT = frozenset({"custom", "declared"})
_LINKS = 40
_SECOND = 1_000_000_000
_MOST_LISTED = 20_000


class Late(NamedTuple):
    """What came late and hides a path: itself or a directory above. Not `sure`: nothing on the way to the path surely came late,
    and a command that fails without it is shown it.
    """

    path: SandboxPath
    sure: bool
    changed: bool = False


class Later:
    """Judges paths of one workspace, whose directory is `root`. Any thread may ask.

    `since`: when a thunk was last recorded, in ns, 0 if nobody knows. `made`: when the calls that make a file were recorded.
    `real_path` maps a path inside a thunk to the real path on this machine.
    """

    def __init__(
        self,
        since: Callable[[ThunkId], int],
        made: Callable[[bytes], Sequence[int]],
        root: bytes,
        real_path: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._since = since
        self._made = made
        self._below = root.rstrip(b"/") + b"/"
        self._real_path = real_path

    def late(
        self, name: ThunkId, thunk: Thunk, path: SandboxPath, directories: Callable[[], Set[bytes]]
    ) -> Late | None:
        """Why this thunk must not see the undeclared `path`; None if it may. `directories`: those that the thunk declares, or in
        which it declares something.
        """
        since = self._since(name)
        if not since:
            return None
        complete = not thunk.dynamic and thunk.model.partition("/")[0] not in _MAY_LEAVE_OUT
        walk = _Walk(since, complete, self._made, self._below, directories, self._real_path)
        return walk.judge(path)

    def listed(
        self, name: ThunkId, thunk: Thunk, directory: SandboxPath, directories: Callable[[], Set[bytes]]
    ) -> list[Late]:
        """Everything in a directory that this thunk must not see."""
        found: list[Late] = []
        real, since = self._real_path(directory), self._since(name)
        try:
            if not since or _ends(os.stat(real).st_ctime_ns) < since:
                return found
        except OSError:
            return found
        with suppress(OSError), os.scandir(real) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST_LISTED:
                    break
                late = self.late(name, thunk, SandboxPath(directory.rstrip(b"/") + b"/" + entry.name), directories)
                if late is not None and not late.changed:
                    found.append(late)
        return found


class _Walk:
    """One judgement."""

    def __init__(
        self,
        since: int,
        complete: bool,
        made: Callable[[bytes], Sequence[int]],
        below: bytes,
        directories: Callable[[], Set[bytes]],
        real_path: Callable[[bytes], bytes],
    ) -> None:
        self._since_ns = since
        self._complete = complete
        self._made = made
        self._below = below
        self._directories = directories
        self._real_path = real_path

    def judge(self, path: SandboxPath) -> Late | None:
        """Look at each component of the path, following links, until one is surely late. So what may have been there hides no
        file in it that surely was not.
        """
        real = self._real_path(path)
        names = real.split(b"/")[1:]
        rest = [
            (part, len(names) - number) for number, part in enumerate(names, 1)
        ]  # how many components of the path itself follow
        rest.reverse()
        at, links, unsure = b"", 0, None
        while rest:
            part, after = rest.pop()
            if part in (b"", b".", b".."):
                at = os.path.dirname(at).rstrip(b"/") if part == b".." else at
                continue
            full = at + b"/" + part
            try:
                info = os.lstat(full)
            except OSError:
                return unsure
            late = self._late(full, info)
            if late is not None:
                late = late._replace(path=_shortened(path, after))
                if late.sure:
                    return late
                unsure = unsure or late
            if not stat.S_ISLNK(info.st_mode):
                at = full
                continue
            links += 1
            target = os.readlink(full)
            if links > _LINKS:
                return unsure
            at = b"" if target.startswith(b"/") else at
            rest += [(each, after) for each in reversed(target.split(b"/"))]
        return unsure

    def _late(self, path: bytes, info: os.stat_result) -> Late | None:
        """Judge one component that is there. The path in the answer means nothing."""
        if _ends(info.st_ctime_ns) < self._since_ns:
            return None
        if stat.S_ISDIR(info.st_mode):
            return self._late_directory(path)
        times = self._made(path)
        if times:
            return None if min(times) <= self._since_ns else _SURE
        if stat.S_ISLNK(info.st_mode):
            return self._by_time(info.st_ctime_ns)
        if not self._complete:
            return self._late_file(path, info)
        late = self._by_time(info.st_ctime_ns)
        return late and late._replace(sure=late.sure and info.st_mtime_ns > self._since_ns)

    def _by_time(self, time: int) -> Late | None:
        """Judge by a time. In the tick of the recording itself nobody can tell; then the model, which saw no file, is right."""
        if time > self._since_ns:
            return _SURE
        return _UNSURE if self._complete else None

    def _late_file(self, path: bytes, info: os.stat_result) -> Late | None:
        """Judge a file for a tool that may read more than was declared. One that gg placed and somebody moved has true times."""
        if info.st_mtime_ns <= self._since_ns:
            return None
        return _SURE if _born(path) > self._since_ns else _CHANGED

    def _late_directory(self, path: bytes) -> Late | None:
        if path + b"/" == self._below or self._below.startswith(path + b"/"):
            return None
        if _born(path) > self._since_ns:
            return None if path in self._known() else _SURE
        if self._complete and path.startswith(self._below):
            return None if path in self._known() else _UNSURE
        return None

    def _known(self) -> Set[bytes]:
        return {self._real_path(path) for path in self._directories()}


_SURE = Late(SandboxPath(b""), sure=True)
_UNSURE = Late(SandboxPath(b""), sure=False)
_CHANGED = Late(SandboxPath(b""), sure=True, changed=True)


def _born(path: bytes) -> int:
    from gg.workspace.roots import born

    return born(path)


def _ends(time: int) -> int:
    """The end of the tick in which a change has this time: a second where the file system keeps no more."""
    return time if time % _SECOND else time + _SECOND


def _shortened(path: SandboxPath, names: int) -> SandboxPath:
    for _ in range(names):
        path = SandboxPath(os.path.dirname(path))
    return path


def paths(late: Iterable[Late]) -> list[SandboxPath]:
    return [each.path for each in late]
