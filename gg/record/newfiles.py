"""New files where a tool would make them: whole or not at all, and with all that they have from their directory.

A directory gives its new files a group (set-group-id), an access list, a label, a quota's project and flags; but only to
those that begin in it. So a file is begun there, without a name (`O_TMPFILE`). In a directory that gives nothing, which
is nearly any, it may as well begin in a quiet part of the same disk (`gg.host.scratch`) and be moved, which saves ext4
from passing over the inodes that a `make clean` has just freed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import suppress

_GET_FLAGS, _GET_PROJECT = 0x80086601, 0x801C581F  # FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR of <linux/fs.h>
_GIVEN = 0x2280CCCF  # those of chattr(1) that new files get from their directory: s u c S d A X E j t C x P
_DEFAULT_ACL = "system.posix_acl_default"
_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


class NewFiles:
    """Writes files of one session. Not for several threads.

    `tmp` is where the workspace's commands look for what was left by a kill, `quiet` a directory for files under way.
    """

    def __init__(self, tmp: bytes, quiet: bytes) -> None:
        own = b"p%d-0" % os.getpid()
        self._near = b".gg-" + own
        self._note = os.path.join(tmp, own + b".in")
        self._noted = b""
        self._aside = os.path.join(quiet, own)
        self._quiet = os.stat(quiet)
        self._given = _given(quiet)
        self._plain: dict[tuple[int, int], bool] = {}  # directories by device and inode

    def has_access_list(self, directory: bytes) -> bool:
        """Whether new files in the directory have an access list of its, which takes the place of the umask."""
        return _DEFAULT_ACL in attribute_names(directory)

    def begin(self, path: bytes, *, wanted: int, umask: int, mode: int | None, more: int = 0) -> NewFile:
        """A file that is to be at `path`, with the permissions that `umask`, or else the directory, leaves of those
        wanted, or with `mode`. In a directory with an access list it has those of `more` besides that the umask leaves.

        OSError where none can be made.
        """
        directory = os.path.dirname(path)
        info, names = os.stat(directory), attribute_names(directory)
        if not names and self._is_plain(directory, info):
            fd = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, wanted)
            name = self._aside
        else:
            fd, name = self._in(directory, wanted)
        try:
            if mode is not None or _DEFAULT_ACL not in names:
                os.fchmod(fd, (wanted | more) & ~umask if mode is None else mode)
            elif more:
                os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) | more & ~umask)
        except BaseException:
            os.close(fd)
            raise
        return NewFile(self, path, fd, name, info.st_dev)

    def _is_plain(self, directory: bytes, info: os.stat_result) -> bool:
        """Whether a new file has nothing from this directory that it has not from the quiet one."""
        if info.st_dev != self._quiet.st_dev or (info.st_mode & stat.S_ISGID and info.st_gid != os.getegid()):
            return False
        key = info.st_dev, info.st_ino
        if key not in self._plain:
            self._plain[key] = _given(directory) == self._given
        return self._plain[key]

    def _in(self, directory: bytes, mode: int) -> tuple[int, bytes]:
        try:
            return os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode), b""
        except OSError as error:
            if error.errno not in _NO_UNNAMED:
                raise
        near = self.near(directory)
        return os.open(near, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), near

    def near(self, directory: bytes) -> bytes:
        """A free name in the directory, which the next command removes if we are killed."""
        if directory != self._noted:
            with open(self._note, "wb") as file:
                file.write(directory)
            self._noted = directory
        near = os.path.join(directory, self._near)
        with suppress(FileNotFoundError):
            os.unlink(near)
        return near

    def is_elsewhere(self, directory: bytes) -> None:
        """The directory turned out to be on another mount than the quiet one."""
        info = os.stat(directory)
        self._plain[info.st_dev, info.st_ino] = False

    def close(self) -> None:
        for path in (self._note, self._aside):
            with suppress(OSError):
                os.unlink(path)


class NewFile:
    """A file that has no name yet, or one that nobody looks for. To be `put` or `dropped`, once."""

    def __init__(self, files: NewFiles, path: bytes, fd: int, name: bytes, device: int) -> None:
        self._files = files
        self._path = path
        self.fd = fd
        self._name = name
        self.device = device

    def put(self) -> None:
        """Have it at its path. OSError, with errno EXDEV if it must be begun anew."""
        directory = os.path.dirname(self._path)
        if not self._name:
            unnamed = b"/proc/self/fd/%d" % self.fd
            with suppress(FileExistsError):
                os.link(unnamed, self._path, src_dir_fd=self.fd)  # given a descriptor, it follows links
                return
            self._name = self._files.near(directory)
            os.link(unnamed, self._name, src_dir_fd=self.fd)
        try:
            os.rename(self._name, self._path)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._files.is_elsewhere(directory)
            raise

    def close(self, *, drop: bool = False) -> None:
        os.close(self.fd)
        if drop and self._name:
            with suppress(OSError):
                os.unlink(self._name)


def attribute_names(file: bytes | int) -> list[str]:
    """Names of its attributes; links are not followed. None where there can be none."""
    try:
        return os.listxattr(file) if isinstance(file, int) else os.listxattr(file, follow_symlinks=False)
    except OSError:
        return []


def _given(directory: bytes) -> tuple[int, int]:
    """Flags and quota's project that its new files get."""
    flags = bytearray(8)
    project = bytearray(28)
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):
                fcntl.ioctl(fd, _GET_FLAGS, flags)
            with suppress(OSError):
                fcntl.ioctl(fd, _GET_PROJECT, project)
        finally:
            os.close(fd)
    return struct.unpack_from("<I", flags)[0] & _GIVEN, struct.unpack_from("<I", project, 12)[0]
