"""The permissions of a file that a tool made beside its outputs, where no placeholder stood for it."""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress

_DEFAULT_ACL = "system.posix_acl_default"
_VERSION = 4  # bytes, before the entries
_ENTRY = struct.Struct("<HHI")  # tag, permissions, user or group
_OWNER, _GROUP, _MASK, _OTHERS = 0x01, 0x04, 0x10, 0x20


def mode_beside(path: bytes, umask: int, *, executable: bool) -> int:
    """The mode for such a file. A file that is there keeps its mode, for tools open what they write. A new one gets what tools
    ask for, less what the directory's access list takes away, or else the umask.
    """
    with suppress(OSError):
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            return mode & 0o777
    wanted = 0o777 if executable else 0o666
    given = _by_access_list(os.path.dirname(path))
    return wanted & (~umask if given is None else given)


def _by_access_list(directory: bytes) -> int | None:
    """The most that the directory's default access list gives to a new file; None if it has no such list."""
    try:
        entries = os.getxattr(directory, _DEFAULT_ACL)[_VERSION:]
    except OSError:
        return None
    given: dict[int, int] = {tag: allowed for tag, allowed, _ in _ENTRY.iter_unpack(entries)}
    return given[_OWNER] << 6 | given.get(_MASK, given[_GROUP]) << 3 | given[_OTHERS]
