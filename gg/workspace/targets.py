"""What a person wants forced: files by name, or everything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gg.core.placeholder import Placeholder
from gg.errors import UnknownTarget
from gg.workspace.workspace import Workspace, read_placeholder, search

if TYPE_CHECKING:
    from gg.host.placeholders import Search


class Targets:
    """Placeholders by absolute path, and the files named that are real already.

    `everything`: all that is recorded in the workspace, so calls whose output nobody has kept are evaluated too.
    `out_of_reach`: paths at which placeholders are, or may be, but cannot be forced. `lost`: outputs of recorded calls whose
    thunks the store has lost.
    """

    __slots__ = ("everything", "lost", "out_of_reach", "placeholders", "real")

    def __init__(self, placeholders: dict[bytes, Placeholder] | None = None, *, everything: bool = False) -> None:
        self.everything = everything
        self.placeholders = placeholders if placeholders is not None else {}
        self.real: list[bytes] = []
        self.out_of_reach: list[bytes] = []
        self.lost: list[bytes] = []

    @classmethod
    def named(cls, names: Sequence[str], cwd: str) -> Targets:
        """These files, and all placeholders below these directories. UnknownTarget for a name that does not exist."""
        targets = cls()
        for name in names:
            path = _resolved(os.fsencode(os.path.join(cwd, name)))
            if os.path.isdir(path):
                targets.placeholders.update(search(os.fsdecode(path)).found())
                continue
            known = read_placeholder(path)
            if known:
                targets.placeholders[path] = known
            elif os.path.isfile(path):
                targets.real.append(path)
            else:
                raise UnknownTarget(
                    f"{name}: no such file",
                    hint="name a file that gg-infer has left a placeholder for, or none to force all of them",
                )
        return targets

    @classmethod
    def at(cls, paths: Sequence[bytes]) -> Targets:
        """The placeholders among these files and below these directories. Other files, and missing ones, need nothing."""
        targets = cls()
        for path in map(_resolved, paths):
            known = read_placeholder(path)
            if known:
                targets.placeholders[path] = known
            elif os.path.isdir(path):
                targets.placeholders.update(search(os.fsdecode(path)).found())
        return targets

    @classmethod
    def all(cls, workspace: Workspace, search: Search | None = None) -> Targets:
        """All placeholders that a build left, below the root and elsewhere. `search`: a search that has begun."""
        outside, lost = workspace.noted_outside()
        targets = cls({**(search or workspace.search()).found(), **outside}, everything=True)
        targets.out_of_reach += lost
        return targets


def _resolved(path: bytes) -> bytes:
    """The path without links. A path below another process's root stays as it is: a resolved one would leave that root."""
    return path if path.startswith(b"/proc/") else os.path.realpath(path)
