"""Where a caller stands: as which user, and whether what it calls by a path is the same file to the recorder."""

from __future__ import annotations

import os
import stat

from gg.record.hearers.processes import parent_of
from gg.record.protocol import RecorderRequest

MOUNTS = "it sees other files by its paths (another mount namespace, or root)"
USER = "another user runs it"
GROUP = "another group runs it"
HIDDEN = "its umask hides what it makes from its owner"


def room() -> str:
    """The root directory of this process, by which others know whether they have the same: its mount, and its inode. A word
    that nobody can guess goes with it, by which the processes of this build and the recorder know each other, and its user.
    """
    fd = os.open("/", os.O_PATH)
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
            mount = next((line.split()[1] for line in file if line.startswith("mnt_id:")), "0")
        return f"{mount}:{os.fstat(fd).st_ino}:{os.urandom(12).hex()}:{os.geteuid()}"
    finally:
        os.close(fd)


def why_real(request: RecorderRequest) -> str:
    """Why no call of this caller, of whatever tool, may leave a placeholder; empty when it may.

    A placeholder would be the recorder's file, at the recorder's path.
    """
    if request.away:
        return MOUNTS
    if request.uid not in (-1, os.geteuid()):
        return USER
    if request.gid not in (-1, os.getegid()):
        return GROUP
    return HIDDEN if request.umask & stat.S_IRUSR else ""


def here(request: RecorderRequest, path: bytes) -> bytes:
    """The path in this process of the file that the caller calls `path`. The caller waits meanwhile, so its root can be entered."""
    if not request.away:
        return path
    there = b"/proc/%d/root%s" % (request.pid, path)
    try:
        return path if os.path.samefile(path, there) else there
    except OSError:
        return there if os.path.lexists(there) else path


def belongs(pid: int, room: str) -> bool:
    """Whether process `pid` belongs to this build: it is below this process, or has its `room` in the environment."""
    own, at = os.getpid(), pid
    try:
        with open(b"/proc/%d/environ" % pid, "rb") as file:
            if b"GG_ROOM=" + room.encode() in file.read().split(b"\0"):
                return True
        while at > 1 and at != own:
            at = parent_of(at)
    except (OSError, ValueError, IndexError):
        return False
    return at == own
