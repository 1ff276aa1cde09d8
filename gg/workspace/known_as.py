"""The fixed path by which thunks name the workspace (`known_as`), and the fixed paths that earlier recordings used.

The file `known-as`, among the workspace's records, has a line for each fixed path that was ever used, the latest first.
Placeholders outlive a change of the setting, and a gg-force may run in another environment than the recording did.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gg.core.renaming import Renaming
from gg.errors import UsageError
from gg.workspace.workspace import Workspace


def renaming(workspace: Workspace) -> Renaming | None:
    """How paths of the workspace are renamed in its thunks; None if they are not, as by default."""
    return _renaming(workspace, None, _used(workspace))


def recording(workspace: Workspace, known_as: str, logical: str = "") -> Renaming | None:
    """As `renaming`, for a session that records. `known_as` is the setting; its value is remembered.

    `logical`: the current directory as the shell calls it. UsageError for a name that something else has on this machine.
    """
    used = _used(workspace)
    new = bool(known_as) and used[:1] != [known_as]
    if new:
        used = [known_as, *(name for name in used if name != known_as)]
    renamed = _renaming(workspace, known_as or None, used, _alias(workspace.root, logical))
    if new:
        _remember(workspace, used)
    return renamed


def _renaming(
    workspace: Workspace, known_as: str | None, used: Sequence[str], aliases: Sequence[bytes] = ()
) -> Renaming | None:
    names = [name for name in used if name != workspace.root]
    if not names:
        return None
    for name in names:
        if os.path.lexists(name):
            raise UsageError(
                f"thunks of this workspace know it as {name}, and that is another thing on this machine",
                hint="choose another path for known_as, record again, or move that away",
            )
    now = os.fsencode(known_as) if known_as and known_as != workspace.root else None
    return Renaming(os.fsencode(workspace.root), now, [os.fsencode(name) for name in names], aliases)


def _path(workspace: Workspace) -> str:
    return os.path.join(workspace.dot, "known-as")


def _used(workspace: Workspace) -> list[str]:
    try:
        with open(_path(workspace), encoding="utf-8") as file:
            return file.read().split()
    except FileNotFoundError:
        return []


def _remember(workspace: Workspace, names: Sequence[str]) -> None:
    aside = os.path.join(workspace.tmp, f"names{os.getpid()}")
    with open(aside, "w", encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in names))
    os.replace(aside, _path(workspace))


def _alias(root: str, logical: str) -> list[bytes]:
    """The workspace's name as the shell's name for the current directory gives it, if that name leads here by links."""
    path = logical if os.path.isabs(logical) else root
    while path != os.path.dirname(path):
        if os.path.realpath(path) == root:
            return [os.fsencode(path)] if path != root else []
        path = os.path.dirname(path)
    return []
