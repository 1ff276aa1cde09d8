"""What the path map reported of one command, and where a link that a command made leads."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from gg.core.ids import SandboxPath, sandbox_path
from gg.light.slotted import slotted

_LINKS = 40  # as Linux follows at most


@slotted()
class Reported:
    """Paths: `undeclared` were asked for and are there, `missing` are not, `static` are programs nobody sees into."""

    undeclared: tuple[SandboxPath, ...] = ()
    missing: tuple[SandboxPath, ...] = ()
    static: tuple[SandboxPath, ...] = ()


class Report:
    """The report file of one slot."""

    def __init__(self, path: bytes) -> None:
        self.path = path

    def clear(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def make(self) -> None:
        """Have it there, empty: in a jail it is a file that is bound."""
        with open(self.path, "wb"):
            pass

    def read(self) -> Reported:
        try:
            with open(self.path, "rb") as file:
                lines = dict.fromkeys(file.read().split(b"\0"))
        except FileNotFoundError:
            return Reported()
        kinds: dict[bytes, list[SandboxPath]] = {b"U": [], b"M": [], b"S": []}
        for line in lines:
            if line:
                kinds[line[:1]].append(SandboxPath(line[1:]))
        return Reported(tuple(kinds[b"U"]), tuple(kinds[b"M"]), tuple(kinds[b"S"]))


def link_inside(root: bytes, path: bytes) -> bytes | None:
    """The regular file that a link at `path` leads to below `root`, its target taken as the command saw it.

    None for one that leads to anything else: a link as such is no output, and what is outside is not the command's.
    """
    for _ in range(_LINKS):
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return None
        if stat.S_ISREG(mode):
            return path
        if not stat.S_ISLNK(mode):
            return None
        path = root + sandbox_path(os.readlink(path), os.path.dirname(path[len(root) :]))
    return None
