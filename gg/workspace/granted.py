"""What may be touched here on the word of somebody else: a worker's reply, a result from the team's store.

Both are data. A reply may name any path as one that was looked for, and any path as one that was written; it gets the bytes
of a file, or has one written, only where that gives away or changes nothing but the build:

  written   below the workspace, where no link leads out of it, and not what is git's, gg's or the settings'
  read      the same, and what belongs to the system: a file of root's that everybody may read, in directories that
            nobody but root can write to; and what lies beside the tool that is run, if that is not the user's own home
"""

from __future__ import annotations

import os
import stat

_NOT_THE_BUILDS = frozenset({b".git", b".gg", b".hg", b".svn", b".ssh", b".gnupg", b".aws"})
_SETTINGS = b"gg.toml"


class Granted:
    """For the workspace at `root`, free of links. `home`: the user's, in which no directory counts as a tool's."""

    def __init__(self, root: bytes, home: bytes = b"") -> None:
        self._root = root.rstrip(b"/")
        self._home = os.path.realpath(home) if home else b""

    def may_write(self, path: bytes) -> bool:
        """Whether a result may have a file written at `path`, as it is on this machine."""
        if not _is_plain(path):
            return False
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        return self._is_the_builds(path) and self._is_the_builds(real)

    def may_read(self, path: bytes, tool: bytes = b"") -> bool:
        """Whether a worker may be given the bytes at `path`, for a command of the program `tool`."""
        if not _is_plain(path):
            return False
        real = os.path.realpath(path)
        return self._is_the_builds(real) or _is_the_systems(real) or self._is_the_tools(real, tool)

    def _is_the_builds(self, path: bytes) -> bool:
        if not path.startswith(self._root + b"/"):
            return False
        parts = path[len(self._root) + 1 :].split(b"/")
        return _NOT_THE_BUILDS.isdisjoint(parts) and parts[-1] != _SETTINGS

    def _is_the_tools(self, path: bytes, tool: bytes) -> bool:
        """Below the directory that `bin/`, with the tool in it, is in: `/home/ann/opt/gcc/` for `/home/ann/opt/gcc/bin/gcc`."""
        directory = os.path.dirname(os.path.realpath(tool)) if tool else b""
        if os.path.basename(directory) not in (b"bin", b"libexec"):
            return False
        top = os.path.dirname(directory)
        above_home = (self._home + b"/").startswith(top.rstrip(b"/") + b"/") if self._home else top.count(b"/") < 3
        return top.count(b"/") >= 2 and not above_home and path.startswith(top + b"/")


def _is_plain(path: bytes) -> bool:
    """Absolute, and the same however it is read."""
    return path.startswith(b"/") and b"\0" not in path and not {b"", b".", b".."} & set(path.split(b"/")[1:])


def _is_the_systems(path: bytes) -> bool:
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != 0 or not info.st_mode & stat.S_IROTH:
            return False
        while path != b"/":
            path = os.path.dirname(path)
            info = os.stat(path)
            if info.st_uid != 0 or info.st_mode & stat.S_IWOTH or not info.st_mode & stat.S_IXOTH:
                return False
    except OSError:
        return False
    return True
