"""Files whose bytes must be known for certain: stat signatures, hashing, and writing that is whole or nothing.

When can a digest that was computed once be believed again? When the file's *signature* (device, inode, size, mtime,
ctime, mode) is the same and *no edit could have left it so*: its times were *settled* when hashing began
(`gg.core.ticks`).

What this cannot see: bytes changed through a shared writable mapping after the page was first dirtied and before it
is written back, for the kernel moves the times only at those two moments; and bytes that go bad on the disk itself.

Hashing reads with `read` and not through a mapping, since a file cut short by its editor would kill the process by
SIGBUS. BLAKE3 takes 2 to 4 GB/s of one core; several threads were no faster on two cores.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from blake3 import blake3

from gg.core.ids import BlobId
from gg.core.ticks import time_settled
from gg.errors import FREE_SOME, NoRoom, ScarceError, StoreError, machine_error
from gg.light.named import NamedTuple

T = TypeVar("T")

_HASHED_AT_ONCE = 1 << 18
_CHUNK = 1 << 20
_TRIES = 5

_PACKED = struct.Struct("<QQQqqI")
PACKED_SIZE = _PACKED.size

_serial = count()


class Signature(NamedTuple):
    """What `stat` says of a file's identity; times in nanoseconds since the epoch."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int

    @classmethod
    def of(cls, st: os.stat_result) -> Signature:
        return cls(st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode)

    def pack(self) -> bytes:
        """As 44 bytes, for a database."""
        return _PACKED.pack(*self)

    @classmethod
    def unpack(cls, packed: bytes) -> Signature:
        return cls._make(_PACKED.unpack(packed))

    def is_of(self, st: os.stat_result) -> bool:
        """Whether `st` has this signature; `of` without making one, for the hot path."""
        return (
            st.st_mtime_ns == self.mtime_ns
            and st.st_ctime_ns == self.ctime_ns
            and st.st_ino == self.ino
            and st.st_size == self.size
            and st.st_mode == self.mode
            and st.st_dev == self.dev
        )


def settled(signature: Signature, now_ns: int) -> bool:
    """Whether `signature`, of a file whose hashing began at `now_ns`, may be remembered: see the head of the module."""
    return time_settled(signature.mtime_ns, now_ns) and time_settled(signature.ctime_ns, now_ns)


def hash_fd(fd: int) -> BlobId:
    """Digest and size of the bytes from the position of `fd` to the end."""
    data = os.read(fd, _CHUNK)
    if len(data) < _CHUNK:
        # One more read tells the end of the file from a short read.
        more = os.read(fd, _CHUNK) if data else b""
        if not more:
            return BlobId.of(data)
        data += more
    hasher = blake3(data)
    size = len(data)
    room = memoryview(bytearray(_HASHED_AT_ONCE))  # filled again and again, so that it stays in the processor's cache
    while count := os.readv(fd, (room,)):
        hasher.update(room[:count])
        size += count
    return BlobId(hasher.digest(), size)


def read_fd(fd: int, size: int) -> bytes:
    """All bytes from the position of `fd`. `size`: how many to expect."""
    parts = [os.read(fd, size + 1)]
    while parts[-1]:
        parts.append(os.read(fd, _CHUNK))
    return parts[0] if len(parts) <= 2 else b"".join(parts)


def write_fd(fd: int, data: bytes) -> bool:
    """All of `data`, however many calls it takes; True, so that it can end a function that fills a file."""
    written = os.write(fd, data)
    if written != len(data):
        view = memoryview(data)[written:]
        while view:
            view = view[os.write(fd, view) :]
    return True


def copy_fd(source: int, target: int, size: int) -> None:
    """Copy from descriptor to descriptor: within the kernel, sharing extents, where the file systems can."""
    try:
        while size > 0 and (copied := os.copy_file_range(source, target, min(size, 1 << 30))):
            size -= copied
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF):
            raise
    while data := os.read(source, _CHUNK):
        write_fd(target, data)


def aside(directory: bytes) -> bytes:
    """A new name in `directory` for a file that is being written. Its beginning marks it as a file that a crash may leave."""
    return b"%s/.gg-%d-%d-%s" % (directory, os.getpid(), next(_serial), os.urandom(4).hex().encode())


def create(path: bytes, mode: int) -> int:
    """A descriptor to write (and read back) a new file; FileExistsError if it is there."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def write_whole(path: bytes, data: bytes, *, mode: int = 0o666) -> None:
    """Put `data` at `path` in one step: readers see the old file or the new one. StoreError if it cannot be done."""
    make_whole(path, lambda fd: write_fd(fd, data), os.path.dirname(path) or b".", mode)


def make_whole(path: bytes, fill: Callable[[int], object], scratch: bytes, mode: int = 0o666) -> None:
    """Have `fill` write a new file in the directory `scratch`, then rename it to `path`. StoreError on trouble.

    When `scratch` is on another file system than `path`, the file is written again beside `path`.
    """
    temporary = aside(scratch)
    try:
        fd = create(temporary, mode)
        try:
            fill(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except OSError as error:
        discard(temporary)
        beside = os.path.dirname(path) or b"."
        if error.errno == errno.EXDEV and beside != scratch:
            make_whole(path, fill, beside, mode)
            return
        raise trouble("write", path, error) from error
    except BaseException:
        discard(temporary)
        raise


def discard(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)


def trouble(action: str, path: bytes, error: OSError) -> StoreError:
    """The error for a person that says what an OSError means."""
    hint = ""
    known = machine_error(error, os.fsdecode(path))
    if isinstance(known, ScarceError):
        return known
    if error.errno in _NO_SPACE:
        return NoRoom(f"cannot {action} {os.fsdecode(path)}: {error.strerror}", hint=FREE_SOME)
    if error.errno in _NO_RIGHT:
        hint = "check who owns it and whether it is writable"
    return StoreError(f"cannot {action} {os.fsdecode(path)}: {error.strerror or error}", hint=hint)


def hash_at_rest(path: bytes) -> tuple[BlobId, Signature, bool]:
    """A file's digest, its signature, and whether that is settled. OSError if it cannot be read.

    A file that changes while it is read is read again, up to five times; StoreError then.
    """

    def read(fd: int, size: int) -> tuple[BlobId, int]:
        blob = hash_fd(fd)
        return blob, blob.size

    return _at_rest(path, read)


def read_at_rest(path: bytes) -> tuple[bytes, Signature, bool]:
    """As `hash_at_rest`, with the bytes themselves."""

    def read(fd: int, size: int) -> tuple[bytes, int]:
        data = read_fd(fd, size)
        return data, len(data)

    return _at_rest(path, read)


def _at_rest(path: bytes, read: Callable[[int, int], tuple[T, int]]) -> tuple[T, Signature, bool]:
    """`read` takes a descriptor and the number of bytes that are expected, and tells how many it has read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            now = time.time_ns()
            before = Signature.of(os.fstat(fd))
            made, size = read(fd, before.size)
            if size == before.size and Signature.of(os.fstat(fd)) == before:
                return made, before, settled(before, now)
            os.lseek(fd, 0, os.SEEK_SET)
    finally:
        os.close(fd)
    raise restless(path)


def restless(path: bytes) -> StoreError:
    return StoreError(f"{os.fsdecode(path)} keeps changing while it is read", hint="wait until it has been written")
