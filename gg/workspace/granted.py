"""Which files may be read or written here because a worker's reply, or a result from the team's store, asks for it.

Both are data from elsewhere. A reply may say of any path that it was looked for, and of any path that it was written. It gets
the bytes of a file, or has a file written, only where that gives away or changes nothing but the build:

  written   below the workspace, where no link leads out of it, and not what is git's, gg's or the settings'
  read      the same, and what belongs to the system: a file of root's that everybody may read, in directories that
            nobody but root can write to; and what lies beside the tool that is run, if that is not the user's own home;
            and what the user has granted by the setting `readable`

A build's own sources may name any file too (`.incbin`, `#include`, `@file`, a linker script). By the same rule a file that a
command reads, and what the command makes of it, may leave this machine or not (`first_kept`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gg.workspace.settings import Settings

_NOT_THE_BUILDS = frozenset(
    {".git", ".gg", ".hg", ".svn", ".bzr", ".jj", ".ssh", ".gnupg", ".aws", "gg.toml", "git~1", "gg~1"}
)
_STORES = (b"/nix/store/", b"/gnu/store/")  # whoever owns them: their files are for everybody, and never change
_KERNELS = (b"/proc", b"/sys", b"/dev", b"/run")  # which tell of the machine and of who uses it


class Granted:
    """The rule for the workspace at `root`, a path free of links. `home`: the user's home, in which no directory counts as a
    tool's or the system's. `readable`: files and directories that may be given away all the same.
    """

    def __init__(self, root: bytes, home: bytes = b"", readable: Sequence[bytes] = ()) -> None:
        self._root = root.rstrip(b"/")
        self._home = os.path.realpath(home) if home.strip(b"/") else b""
        self._readable = tuple([os.path.realpath(path) for path in readable])
        self._known: dict[tuple[bytes, bytes], bool] = {}

    def may_write(self, path: bytes) -> bool:
        """Whether a result may have a file written at `path`, as it is on this machine."""
        if not _is_plain(path) or _is_odd(path):
            return False
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        return self._is_the_builds(path) and self._is_the_builds(real)

    def may_read(self, path: bytes, tool: bytes = b"") -> bool:
        """Whether a worker may be given the bytes at `path`, for a command of the program `tool`."""
        if not _is_plain(path):
            return False
        real = os.path.realpath(path)
        return (
            self._is_the_builds(real)
            or _is_below(real, self._readable)
            or (_is_the_systems(real) and not (self._home and _is_below(real, (self._home,))))
            or self._is_the_tools(real, tool)
        )

    def is_outside(self, path: bytes) -> bool:
        """Whether `path` is not in the workspace."""
        return not os.path.realpath(path).startswith(self._root + b"/")

    def first_kept(self, paths: Iterable[bytes], tool: bytes = b"") -> bytes:
        """The first of `paths` that must stay on this machine; empty if none must. Answers are kept for this object's lifetime."""
        known = self._known
        for path in paths:
            may = known.get((path, tool))
            if may is None:
                may = known[path, tool] = self.may_read(path, tool)
            if not may:
                return path
        return b""

    def _is_the_builds(self, path: bytes) -> bool:
        if not path.startswith(self._root + b"/"):
            return False
        names = path[len(self._root) + 1 :].split(b"/")
        return _NOT_THE_BUILDS.isdisjoint([name if name.isalnum() else _meant(name) for name in names])

    def _is_the_tools(self, path: bytes, tool: bytes) -> bool:
        """Whether `path` is in the tool's installation: below `/home/ann/opt/gcc/` for `/home/ann/opt/gcc/bin/gcc`."""
        directory = os.path.dirname(os.path.realpath(tool)) if tool else b""
        if os.path.basename(directory) not in (b"bin", b"libexec"):
            return False
        top = os.path.dirname(directory)
        above_home = (self._home + b"/").startswith(top.rstrip(b"/") + b"/") if self._home else top.count(b"/") < 3
        return top.count(b"/") >= 2 and not above_home and path.startswith(top + b"/")


def granted_in(root: str, settings: Settings) -> Granted:
    """The rule for the workspace at `root`."""
    readable = [os.fsencode(os.path.expanduser(path)) for path in settings.readable]
    return Granted(os.fsencode(root), os.fsencode(os.path.expanduser("~")), readable)


def _is_plain(path: bytes) -> bool:
    """Whether a path is absolute and means the same however it is read."""
    return path.startswith(b"/") and b"\0" not in path and not {b"", b".", b".."} & set(path.split(b"/")[1:])


def _is_odd(path: bytes) -> bool:
    """Whether a name has a character that no build uses, and that would mislead a terminal or a line of text."""
    return any(c < 0x20 or c == 0x7F for c in path)


def _meant(name: bytes) -> str:
    """The name as a file system takes it that ignores case, marks without width, or dots and blanks at the end."""
    text = name.decode("utf-8", "surrogateescape")
    if not text.isascii():
        import unicodedata

        text = unicodedata.normalize("NFKC", text)
        text = "".join([c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Mn")])
    return text.partition(":")[0].rstrip(". ").casefold()


def _is_below(path: bytes, tops: Sequence[bytes]) -> bool:
    return any(path == top or path.startswith(top.rstrip(b"/") + b"/") for top in tops)


def _is_the_systems(path: bytes) -> bool:
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or not info.st_mode & stat.S_IROTH or _is_below(path, _KERNELS):
            return False
        if path.startswith(_STORES):
            return True
        if info.st_uid != 0:
            return False
        while path != b"/":
            path = os.path.dirname(path)
            info = os.stat(path)
            if info.st_uid != 0 or info.st_mode & stat.S_IWOTH or not info.st_mode & stat.S_IXOTH:
                return False
    except OSError:
        return False
    return True
