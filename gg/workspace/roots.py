"""Which directories are workspaces, and where the records of each are kept in a state home (`gg.workspace.homes.state_homes`).

  workspaces/<id>/          the records of one workspace
  workspaces/<id>/root      its directory: device, inode and time of birth (0: not told), then its path
  roots/p<digest>           leads to the records of the workspace at the path with this digest
  roots/i<device>-<inode>   leads to those of the workspace whose directory has these numbers

A directory is known by its path: one that was removed and made anew (`git clone`, a CI's checkout) has its old records. It is
known by its numbers too, when it was moved or is mounted at a second place. Numbers are given again to other files, so the
time of birth must be the same; and a directory that still is where it was has not been moved. A copy has other numbers, and so
gets records of its own.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

from blake3 import blake3

from gg.light.named import NamedTuple

_ID_SIZE = 8
_MOST = 1 << 16  # bytes: a path and three numbers


class Root(NamedTuple):
    """The directory of a workspace, as it was when its records were last found. `born` in nanoseconds; 0: not known."""

    path: str
    device: int
    inode: int
    born: int


def find(home: str, path: str) -> str | None:
    """The records of the workspace whose directory `path` is, in the state home `home`. `path` is free of symbolic links."""
    records = _led(home, _by_path(path))
    if records and (root := read(records)) and (root.path == path or _is(root, path)):
        return records
    try:
        info = os.stat(path)
    except OSError:
        return None
    records = _led(home, _by_inode(info.st_dev, info.st_ino))
    root = read(records) if records else None
    if records is None or root is None or not _is(root, path):
        return None
    if not _is_there(root):  # it was moved; otherwise it is mounted at both places
        with suppress(OSError):
            _write(home, records, path, info)
    return records


def register(home: str, path: str) -> str:
    """The records of the workspace at `path`. They are made if there are none, and noted anew if the directory is another one.
    OSError."""
    records = find(home, path) or _make(home, path)
    info, root = os.stat(path), read(records)
    if root is None or (root.path == path and (root.device, root.inode) != (info.st_dev, info.st_ino)):
        _write(home, records, path, info)
    return records


def is_made_anew(records: str, path: str, *, closely: bool) -> bool:
    """Whether the directory `path` was removed and made again since its records were noted.

    `closely`: compare the time of birth too, for numbers are given again at once; that loads ctypes.
    """
    root = read(records)
    if root is None or root.path != path:
        return False
    info = os.stat(path)
    if (info.st_dev, info.st_ino) != (root.device, root.inode):
        return True
    return closely and root.born != 0 and born(path) != root.born


def renew(home: str, records: str, path: str) -> None:
    """Note that the records are of the directory that is at `path` now. OSError."""
    _write(home, records, path, os.stat(path))


def forget(home: str, records: str) -> None:
    """Remove the records of a workspace. OSError."""
    from gg.host.emptying import remove

    root = read(records)
    remove(records)
    for name in (_by_path(root.path), _by_inode(root.device, root.inode)) if root else ():
        if _target(home, name) == os.path.basename(records):
            with suppress(OSError):
                os.unlink(os.path.join(home, "roots", name))


def every(home: str) -> Iterator[tuple[str, Root]]:
    """All workspaces: their records, and their directories, which may be gone."""
    top = os.path.join(home, "workspaces")
    with suppress(OSError):
        for name in sorted(os.listdir(top)):
            root = read(os.path.join(top, name))
            if root is not None:
                yield os.path.join(top, name), root


def may_be_anothers(path: str, named: str = "") -> bool:
    """Whether somebody else may have put the directory there or may write to it, for all may write to the one above.

    `named`: a directory above, which the user has named (a home). Then the same is asked of all between, and each must belong
    to this user, to root, or to whom the named one belongs to. What is not there is nobody's.
    """
    try:
        owners = {0, os.geteuid(), os.stat(named).st_uid} if named else None
    except OSError:
        return False
    while len(path) > len(named):
        above = os.path.dirname(path)
        with suppress(OSError):
            if os.stat(above).st_mode & stat.S_IWOTH and not is_private(path, 0o22):
                return True
            if owners and os.lstat(path).st_uid not in owners:
                return True
        if owners is None:
            break
        path = above
    return False


def is_private(path: str, others: int = 0o77) -> bool:
    """Whether it is a directory of this user's, and closed to others: none of these bits is set. OSError."""
    info = os.lstat(path)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & others


def read(records: str) -> Root | None:
    """What is noted of the directory; None if there is nothing that can be read."""
    try:
        fd = os.open(os.path.join(records, "root"), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb", buffering=0) as file:
            numbers, _, path = (file.read(_MOST) or b"").partition(b"\n")
        device, inode, born = map(int, numbers.split())
    except (OSError, ValueError):
        return None
    return Root(os.fsdecode(path), device, inode, born)


def is_noted(records: str) -> bool:
    """Whether a directory holds the time at which it was made itself, so that it is no copy."""
    root = read(records)
    return root is not None and _is(root, records)


def note(records: str, path: str) -> None:
    """Note that `records` are those of the directory `path`, so that `read` tells. OSError."""
    info = os.stat(path)
    aside = os.path.join(records, f"root.{os.getpid()}")
    with open(aside, "wb") as file:
        file.write(b"%d %d %d\n%s" % (info.st_dev, info.st_ino, born(path), os.fsencode(path)))
    os.replace(aside, os.path.join(records, "root"))


def _make(home: str, path: str) -> str:
    name = blake3(os.fsencode(path)).hexdigest(length=_ID_SIZE)
    for number in count():
        records = os.path.join(home, "workspaces", f"{name}-{number}" if number else name)
        os.makedirs(records, exist_ok=True)
        root = read(records)
        if root is None or root.path == path:
            return records
    raise AssertionError("unreachable")


def _write(home: str, records: str, path: str, info: os.stat_result) -> None:
    note(records, path)
    os.makedirs(os.path.join(home, "roots"), exist_ok=True)
    for name in (_by_path(path), _by_inode(info.st_dev, info.st_ino)):
        link = os.path.join(home, "roots", name)
        aside = f"{link}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(aside)
        os.symlink(f"../workspaces/{os.path.basename(records)}", aside)
        os.replace(aside, link)


def _led(home: str, name: str) -> str | None:
    target = _target(home, name)
    return os.path.join(home, "workspaces", target) if target else None


def _target(home: str, name: str) -> str:
    try:
        return os.path.basename(os.readlink(f"{home}/roots/{name}"))
    except OSError:
        return ""


def _by_path(path: str) -> str:
    return "p" + blake3(os.fsencode(path)).hexdigest(length=16)


def _by_inode(device: int, inode: int) -> str:
    return f"i{device}-{inode}"


def _is(root: Root, path: str) -> bool:
    """Whether the directory at `path` is the very one that `root` is about."""
    try:
        info = os.stat(path)
    except OSError:
        return False
    same = (info.st_dev, info.st_ino) == (root.device, root.inode) and stat.S_ISDIR(info.st_mode)
    return same and root.born != 0 and born(path) == root.born


def _is_there(root: Root) -> bool:
    return _is(root, root.path)


def born(path: str | bytes) -> int:
    """When the file or directory was made, in nanoseconds since the epoch, by statx(2); 0 where that is not told."""
    import ctypes

    fields = ctypes.create_string_buffer(256)
    here, wanted = -100, 0x800  # AT_FDCWD, STATX_BTIME
    try:
        if ctypes.CDLL(None).statx(here, os.fsencode(path), 0, wanted, fields) != 0:
            return 0
    except AttributeError:  # a C library without it
        return 0
    raw = fields.raw
    seconds, rest = int.from_bytes(raw[80:88], "little", signed=True), int.from_bytes(raw[88:92], "little")
    return seconds * 1_000_000_000 + rest if int.from_bytes(raw[:4], "little") & wanted else 0
