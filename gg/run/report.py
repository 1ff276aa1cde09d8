"""What the path map reported about one command, and where a link that the command made leads."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from gg.core.ids import SandboxPath, sandbox_path
from gg.light.regex import regex
from gg.light.slotted import slotted

_LINKS = 40  # as Linux follows at most
_MOST = 16 << 20  # bytes
_LINE = regex(rb"(?<=\0)[UMSD]/[^\0]*")


@slotted()
class Reported:
    """Paths. `undeclared` were asked for and exist; `directories` too, but were only looked at as directories; `missing` were
    asked for and do not exist; `static` are programs that nobody can see into.
    """

    undeclared: tuple[SandboxPath, ...] = ()
    missing: tuple[SandboxPath, ...] = ()
    static: tuple[SandboxPath, ...] = ()
    directories: tuple[SandboxPath, ...] = ()


class ReportFile:
    """The report file of one slot."""

    def __init__(self, path: bytes) -> None:
        self.path = path

    def clear(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def make(self) -> None:
        """Make it, empty: a jail binds it, so it must exist."""
        with open(self.path, "wb"):
            pass

    def read(self) -> Reported:
        """What is in it."""
        return reported_in(read_scratch(self.path, _MOST))


def reported_in(text: bytes) -> Reported:
    """What a report says, whoever wrote it: a command may have put there whatever it likes."""
    kinds: dict[bytes, list[SandboxPath]] = {b"U": [], b"M": [], b"S": [], b"D": []}
    for line in dict.fromkeys(_LINE.findall(b"\0" + text[:_MOST])):
        kinds[line[:1]].append(SandboxPath(line[1:]))
    return Reported(tuple(kinds[b"U"]), tuple(kinds[b"M"]), tuple(kinds[b"S"]), tuple(kinds[b"D"]))


def read_scratch(path: bytes | str, most: int) -> bytes:
    """At most `most` bytes of a file in a scratch directory; none if it is not there, or is no regular file of its own."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with open(fd, "rb", buffering=0) as file:
        info = os.fstat(fd)
        return file.read(min(info.st_size, most)) if stat.S_ISREG(info.st_mode) else b""


def link_inside(root: bytes, path: bytes) -> bytes | None:
    """The regular file below `root` that a link at `path` leads to, its target read as the command saw it.

    None if it leads to anything else: a link as such is no output, and a file outside is not the command's. None too if the
    way goes through a directory that is a link itself: the kernel would follow that out of `root`.
    """
    for turn in range(_LINKS):
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        if turn and os.path.realpath(os.path.dirname(path)) != _plain(root, path):
            return None
        if stat.S_ISREG(mode):
            return path
        if not stat.S_ISLNK(mode):
            return None
        path = root + sandbox_path(os.readlink(path), os.path.dirname(path[len(root) :]))
    return None


def _plain(root: bytes, path: bytes) -> bytes:
    """The directory of `path` below `root`, reached without following a link."""
    return os.path.realpath(root) + os.path.dirname(path[len(root) :]).rstrip(b"/")
