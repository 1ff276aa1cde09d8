"""State inside a tree, in `.gg/NAME`. It counts only if this user has put it there or has allowed it.

A `.gg` may have come with a clone, or with the next pull. So NAME is drawn at random, and a note outside of the tree
(`gg.workspace.allowed`) says which NAME counts in the `.gg` with which inode. So files that somebody else has put into a tree
are never taken for state. If there is no home to write the note to, the directory itself holds the nanosecond at which it was
made, which nobody can know who made it elsewhere.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress

from gg.errors import StoreError
from gg.workspace import allowed, roots
from gg.workspace.allowed import Allowance
from gg.workspace.state_directory import begin, is_own, is_state, remove_own

DOT = ".gg"
_NAME = re.compile(r"state-[0-9a-f]{16}")


def find(root: str, home: str) -> str | None:
    """The state in the directory `root`, None if there is none that counts.

    `home`: of the user's configuration, empty where nothing can be kept in it.
    """
    dot = os.path.join(root, DOT)
    inode = _inode(dot)
    if inode is None:
        return None
    names = _names(dot)
    noted = {each.name for each in allowed.listed(home) if each.kind == "state"} if names else set()
    for name in names:
        path = os.path.join(dot, name)
        if f"{name}-{inode}" in noted or (not home and _says_when_it_was_made(path)):
            return path
    return None


def is_strange(root: str) -> bool:
    """Whether there is state in the directory `root` that does not count. Ask this where `find` has found none."""
    dot = os.path.join(root, DOT)
    if _inode(dot) is None:
        return os.path.islink(dot)
    return bool(_names(dot)) or os.path.isfile(os.path.join(dot, "version"))


def make(root: str, home: str) -> str:
    """Put state into the directory `root`, and return its path. StoreError."""
    dot = os.path.join(root, DOT)
    try:
        with suppress(FileExistsError):
            os.mkdir(dot, 0o700)
        inode = _inode(dot)
        if inode is None:
            raise StoreError(f"{dot!r} is no directory", hint="gg keeps no state in the tree there: move it away")
        begin(dot, in_tree=True)
        name = f"state-{os.urandom(8).hex()}"
        path = os.path.join(dot, name)
        os.mkdir(path, 0o700)
    except OSError as error:
        raise StoreError(f"cannot make {dot}: {error.strerror}") from error
    if home:
        allowed.allow(home, Allowance("state", f"{name}-{inode}", path))
    else:
        roots.note(path, path)
    return path


def allow(root: str, home: str) -> str:
    """Let the state in the directory `root` count, whoever put it there, and return its path. StoreError."""
    dot = os.path.join(root, DOT)
    inode = _inode(dot)
    names = [name for name in _names(dot) if is_state(os.path.join(dot, name))] if inode is not None else []
    if len(names) != 1:
        raise StoreError(
            f"there is {'no' if not names else 'more than one'} state in {dot!r}", hint="gg init --in-tree"
        )
    path = os.path.join(dot, names[0])
    allowed.allow(home, Allowance("state", f"{names[0]}-{inode}", path))
    return path


def remove(path: str, home: str) -> None:
    """Remove state, and `.gg` if nothing else is in it. OSError."""
    dot = os.path.dirname(path)
    inode = _inode(dot)
    remove_own(path)
    with suppress(StoreError):
        allowed.remove(home, f"{os.path.basename(path)}-{inode}")
    if all(map(is_own, os.listdir(dot))):
        remove_own(dot)


def _names(dot: str) -> list[str]:
    """The names in `.gg` that may be state's. Links are left out."""
    with suppress(OSError), os.scandir(dot) as entries:
        return sorted(e.name for e in entries if _NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False))
    return []


def _inode(dot: str) -> int | None:
    """The inode of a directory; None for anything else, links included."""
    try:
        info = os.lstat(dot)
    except OSError:
        return None
    return info.st_ino if stat.S_ISDIR(info.st_mode) else None


def _says_when_it_was_made(path: str) -> bool:
    return os.lstat(path).st_uid == os.geteuid() and roots.is_noted(path)
