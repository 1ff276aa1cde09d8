"""What permissions a file gets that a tool made beside its outputs, where no placeholder stood for it."""

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
    """Those of a file that is there, for tools open what they write; of a new one, those that the directory's access list
    leaves of what a tool asks for, or else the umask.
    """
    with suppress(OSError):
        mode = os.lstat(path).st_mode
        if stat.S_ISREG(mode):
            return mode & 0o777
    wanted = 0o777 if executable else 0o666
    given = _by_access_list(os.path.dirname(path))
    return wanted & (~umask if given is None else given)


def _by_access_list(directory: bytes) -> int | None:
    """The most that its access list gives to a new file; None where it has none for those."""
    try:
        entries = os.getxattr(directory, _DEFAULT_ACL)[_VERSION:]
    except OSError:
        return None
    given: dict[int, int] = {tag: allowed for tag, allowed, _ in _ENTRY.iter_unpack(entries)}
    return given[_OWNER] << 6 | given.get(_MASK, given[_GROUP]) << 3 | given[_OTHERS]
