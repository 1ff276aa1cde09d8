"""Where the user's own settings and gg's state are, by HOME and the variables of the XDG. Nothing is believed that another user may
have put there.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from gg.errors import AccessError

MOST_OF_A_PATH = 460
"""The most bytes for the path of a directory that holds state: SQLite opens no path of more than 512."""


def cache_home() -> str:
    """Where gg keeps what can be made again, the state of workspaces included: the first of `state_homes` that can be written.

    If none can, a path at which nothing can be made.
    """
    return next((path for path in state_homes() if _usable(path)), "/dev/null/gg")


def state_homes() -> tuple[str, ...]:
    """Where state may be: XDG_CACHE_HOME/gg or ~/.cache/gg; below TMPDIR for a user without a writable home."""
    spare = os.path.join(_absolute("TMPDIR") or "/tmp", f"gg-{os.geteuid()}")
    cache = _absolute("XDG_CACHE_HOME") or (os.path.join(top, ".cache") if (top := user_home()) else "")
    return (os.path.join(cache, "gg"), spare) if cache else (spare,)


def believed_homes() -> tuple[str, ...]:
    """Those of the state homes in which records may be looked for."""
    return tuple(path for path in state_homes() if not _may_be_anothers(path))


def _may_be_anothers(path: str) -> bool:
    """Whether another user may have put there what would be this user's settings or state: in a HOME where all may write."""
    from gg.workspace.roots import may_be_anothers

    named = (_absolute("XDG_CACHE_HOME"), _absolute("XDG_CONFIG_HOME"), user_home(), os.path.dirname(path))
    return may_be_anothers(path, next(top for top in named if top and path.startswith(top.rstrip("/") + "/")))


def user_home() -> str:
    """The user's home directory, absolute; empty when nobody tells."""
    named = os.environ.get("HOME", "") or os.path.expanduser("~")
    return named if os.path.isabs(named) else ""


def _absolute(name: str) -> str:
    value = os.environ.get(name, "")
    return value if os.path.isabs(value) else ""


def _usable(path: str) -> bool:
    """Whether state can be kept there: a directory of this user's, or a path at which one can be made."""
    from gg.workspace.roots import is_private

    if len(os.fsencode(path)) > MOST_OF_A_PATH:
        return False
    spare = path == state_homes()[-1]
    with suppress(OSError):
        if spare:  # before somebody else makes it: everybody may
            os.mkdir(path, 0o700)
    if not os.path.lexists(path):
        return _can_be_made(path)
    if _may_be_anothers(path) or (spare and not is_private(path)):
        return False
    return os.access(path, os.W_OK | os.X_OK)


def _can_be_made(path: str) -> bool:
    """Whether a path can be made. Not in a home that does not exist: it was set so that nothing is kept (/homeless-shelter)."""
    top = user_home()
    if os.path.lexists(path) or (top and path.startswith(top.rstrip("/") + "/") and not os.path.isdir(top)):
        return False
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)


def home() -> str:
    """Where the user's own `gg.toml` is looked for: XDG_CONFIG_HOME/gg, or ~/.config/gg. Never in the directory at hand, and a path
    at which nothing can be where another user may have put it."""
    path = os.path.join(_absolute("XDG_CONFIG_HOME") or os.path.join(user_home() or "/dev/null", ".config"), "gg")
    return "/dev/null/gg" if _may_be_anothers(path) else path


def make_closed(path: str) -> None:
    """Make a directory and those above it, as far as they are not there, open to this user alone, whatever the umask. OSError."""
    if not os.path.isdir(path):
        make_closed(os.path.dirname(path))
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)


def need_closed(path: str) -> None:
    """AccessError where a file that decides in the user's name, or the directory that it is in, can be written by everybody."""
    for each in (os.path.dirname(path), path):
        with suppress(OSError):
            if os.stat(each).st_mode & stat.S_IWOTH:
                raise AccessError(f"everybody may write {each}", hint=f"look what is in it, and then: chmod o-w {each}")


def kept_home() -> str:
    """`home`, if the user's answers can be kept there; else empty."""
    path = home()
    usable = os.access(path, os.W_OK | os.X_OK) if os.path.isdir(path) else os.path.isabs(path) and _can_be_made(path)
    return path if usable else ""
