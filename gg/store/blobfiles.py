"""The blobs of a directory store: one file each, `blobs/ab/<64 digits>`, and `<64 digits>.x` to execute.

A blob is written aside in `tmp/` and renamed, so it is whole whenever it has its name, whoever is killed. There is no
fsync: after a power cut a file may have the right name and size and zeros inside. That must not yield a wrong blob, so
nothing is believed because of its name (`gg.store.verified_blobs`). The price is one hash of each blob that is used after a
restart, instead of an fsync for each that is written.

Every blob file has the same modification time, one second after the epoch, set before it is renamed. Any later write
to it, even in the same tick of the kernel's clock, then shows, and a blob just written need not be hashed again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from blake3 import blake3

from gg.core.ids import BlobId
from gg.core.ticks import time_settled
from gg.host.files import (
    Signature,
    aside,
    copy_fd,
    create,
    discard,
    hash_fd,
    make_whole,
    read_fd,
    trouble,
    write_fd,
)
from gg.host.scratch import Scratch, left, remove_left
from gg.store import growth
from gg.store.base import Key, Kind, SourceChanged, Stored
from gg.store.metadata import FRESH_S, Metadata
from gg.store.verified_blobs import EXECUTABLE, VerifiedBlob, VerifiedBlobs, open_blob

MTIME_NS = 1_000_000_000
_HEX = frozenset(b"0123456789abcdef")
_SMALL = 1 << 20
_TRIES = 3
_WRITER_PAUSES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)  # seconds; forking to executing takes less


class BlobFiles:
    """The blobs under `directory`. `notes` remembers what was verified. Thread-safe."""

    def __init__(self, directory: bytes, notes: Metadata, *, writable: bool) -> None:
        self._blobs = directory + b"/blobs"
        self._tmp = directory + b"/tmp"
        self._scratch = Scratch(self._tmp)
        self.verified = VerifiedBlobs(self._blobs, notes)
        self._writable = writable
        self._directory = directory
        self._added = 0  # bytes

    def get(self, digest: bytes) -> bytes | None:
        """The blob's bytes; None if the blob is missing or damaged."""
        path = self.verified.file(digest)
        fd = open_blob(path)
        if fd is None:
            return None
        try:
            now = time.time_ns()
            before = Signature.of(os.fstat(fd))
            data = read_fd(fd, before.size)
            unchanged = len(data) == before.size and Signature.of(os.fstat(fd)) == before
            if unchanged and self.verified.recalled(digest) == (path, before):
                return data
            if blake3(data).digest() != digest:
                return None
            if unchanged and time_settled(before.mtime_ns, now):
                self.verified.learn(digest, path, before)
            return data
        finally:
            os.close(fd)

    def has(self, digest: bytes) -> bool:
        """Whether the blob is there, and will be for the next hour at least."""
        known = self.verified.get(digest)
        return known is not None and (not self._writable or self._use(digest, known))

    def path(self, blob: BlobId, *, executable: bool) -> bytes | None:
        known = self.verified.get(blob.digest + EXECUTABLE if executable else blob.digest)
        if known is None and executable and self._writable:
            plain = self.verified.get(blob.digest)
            known = None if plain is None else self._make_executable(blob.digest, plain)
        return known.path if known is not None and known.signature.size == blob.size else None

    def paths(self, blobs: Sequence[BlobId]) -> dict[BlobId, bytes]:
        self.verified.prefetch([blob.digest for blob in blobs])
        found: dict[BlobId, bytes] = {}
        for blob in blobs:
            known = self.verified.get(blob.digest)
            if known is not None and known.signature.size == blob.size:
                found[blob] = known.path
        return found

    def put(self, digest: bytes, data: bytes) -> None:
        """`data` must have been checked."""
        known = self.verified.get(digest)
        if known is None or not self._use(digest, known):
            self._store(digest, lambda fd: write_fd(fd, data))

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool) -> None:
        changed = [path for blob, path in files.items() if not self._put_file(blob, path, consume)]
        if changed:
            raise SourceChanged(changed)

    def fetch(self, blob: BlobId, target: bytes) -> bool:
        """Copy the blob to `target`; False if it is missing."""
        for _ in range(_TRIES):
            known = self.verified.get(blob.digest)
            if known is None or known.signature.size != blob.size:
                return False
            source = open_blob(known.path)
            if source is None:
                continue
            try:
                if self._export(source, known.signature, target):
                    return True
            finally:
                os.close(source)
        return False

    def delete(self, digest: bytes) -> None:
        for name in (digest, digest + EXECUTABLE):
            self.verified.forget(name)
            try:
                os.unlink(self.verified.file(name))
            except FileNotFoundError:
                pass
            except OSError as error:
                raise trouble("remove", self.verified.file(name), error) from error

    def drop_unused(self, digests: Sequence[bytes], before: float) -> set[bytes]:
        """Delete blobs, except those that were put (`_use`) or read at `before` or later. The answer is the deleted ones."""
        used: set[bytes] = set()
        with self._gate(fcntl.LOCK_EX):
            for digest in digests:
                try:
                    if os.stat(self.verified.file(digest)).st_atime >= before:
                        used.add(digest)
                        continue
                except FileNotFoundError:
                    pass
                except OSError as error:
                    raise trouble("read", self.verified.file(digest), error) from error
                self.delete(digest)
        return used

    @contextmanager
    def _gate(self, how: int) -> Iterator[None]:
        fd = os.open(self._directory + b"/gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

    def _use(self, name: bytes, known: VerifiedBlob) -> bool:
        """Whether a blob that is put again is there. If so, its access time is renewed, so that it stays for an hour at least.

        Setting the access time changes the signature. If the modification time is still ours, nobody has written to the file.
        """
        try:
            if os.stat(known.path).st_atime >= time.time() - FRESH_S:
                return True
            with self._gate(fcntl.LOCK_SH):
                os.utime(known.path, ns=(time.time_ns(), MTIME_NS))
                found = Signature.of(os.stat(known.path))
        except FileNotFoundError:
            return False
        except OSError:  # the file cannot be changed: it is read-only, or another user's
            return True
        if found.size == known.signature.size and found.ino == known.signature.ino:
            self.verified.learn(name, known.path, found)
        return True

    def keys(self) -> Iterator[Stored]:
        """All blobs. The size counts an executable copy; last use is the file's access time (see `relatime`). Other files in the
        directory are not the store's.
        """
        for fan in _listed(self._blobs):
            if not fan.is_dir(follow_symlinks=False):
                continue
            found: dict[bytes, os.stat_result] = {}
            for entry in _listed(fan.path):
                with suppress(FileNotFoundError):
                    found[entry.name] = entry.stat(follow_symlinks=False)
            for name, st in found.items():
                if len(name) == 64 and _HEX.issuperset(name) and stat.S_ISREG(st.st_mode):
                    copy = found.get(name + b".x")
                    size = st.st_size + (copy.st_size if copy is not None else 0)
                    used = max(st.st_atime, copy.st_atime if copy is not None else 0.0)
                    yield Stored(Key(Kind.BLOB, bytes.fromhex(name.decode())), size, used)

    def close(self) -> None:
        added, self._added = self._added, 0
        if added:
            growth.note(self._directory, added)
        self._scratch.close()

    def tidy(self, older_than_s: float) -> int:
        """Remove files in `tmp/` that were begun before that many seconds; the answer is the bytes freed."""
        freed = 0
        for entry in (e for each in (self._tmp, *left(self._tmp)) for e in _listed(each)):
            st = entry.stat(follow_symlinks=False)
            if not stat.S_ISDIR(st.st_mode) and st.st_ctime <= time.time() - older_than_s:
                discard(entry.path)
                freed += st.st_size
        if not older_than_s:  # nobody else is using the store
            self._scratch.close()
            remove_left(self._tmp)
        return freed

    # Writing

    def _store(self, name: bytes, fill: Callable[[int], bool], mode: int = 0o444) -> bool:
        """Make the file of that name from what `fill` writes. False, and no file, if `fill` returns False."""
        temporary = aside(self._scratch.path())
        try:
            fd = create(temporary, mode)
            try:
                good = fill(fd)
                os.utime(fd, ns=(time.time_ns(), MTIME_NS))
                size = os.fstat(fd).st_size
            finally:
                os.close(fd)
            if good:
                if mode & 0o111:
                    _wait_for_writers(temporary)
                self._adopt(temporary, name, size)
            else:
                discard(temporary)
            return good
        except OSError as error:
            discard(temporary)
            raise trouble("write", self.verified.file(name), error) from error
        except BaseException:
            discard(temporary)
            raise

    def _adopt(self, temporary: bytes, name: bytes, size: int) -> None:
        """Give a finished file its name. Any write to the file from here on changes its mtime, and so is seen."""
        path = self.verified.file(name)
        try:
            os.rename(temporary, path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(temporary, path)
        self._added += size
        signature = Signature.of(os.stat(path))
        if signature.size == size and signature.mtime_ns == MTIME_NS:
            self.verified.learn(name, path, signature)

    def _put_file(self, blob: BlobId, path: bytes, consume: bool) -> bool:
        """Store one file; False if it does not have the blob's bytes."""
        known = self.verified.get(blob.digest)
        if known is not None and known.signature.size == blob.size and self._use(blob.digest, known):
            if consume:
                discard(path)
            return True
        try:
            if consume and (answer := self._take(blob, path)) is not None:
                return answer
            source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise trouble("read", path, error) from error
        try:
            good = self._store(blob.digest, lambda target: _copy_checked(source, target, blob))
        finally:
            os.close(source)
        if good and consume:
            discard(path)
        return good

    def _take(self, blob: BlobId, path: bytes) -> bool | None:
        """Rename the file into the store; None if it has to be copied, False if it has other bytes (and stays)."""
        st = os.lstat(path)
        if not stat.S_ISREG(st.st_mode) or st.st_nlink != 1 or st.st_dev != os.stat(self._tmp).st_dev:
            return None
        temporary = aside(self._tmp)
        try:
            os.rename(path, temporary)
        except OSError as error:
            if error.errno == errno.EXDEV:  # one file system, mounted at two places
                return None
            raise
        fd = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if hash_fd(fd) != blob:
                os.rename(temporary, path)
                return False
            os.fchmod(fd, 0o444)
            os.utime(fd, ns=(time.time_ns(), MTIME_NS))
        finally:
            os.close(fd)
        self._adopt(temporary, blob.digest, blob.size)
        return True

    def _make_executable(self, digest: bytes, plain: VerifiedBlob) -> VerifiedBlob | None:
        source = open_blob(plain.path)
        if source is None:
            return None
        try:
            self._store(digest + EXECUTABLE, lambda target: _copy_known(source, target, plain.signature), 0o555)
        finally:
            os.close(source)
        return self.verified.get(digest + EXECUTABLE)

    def _export(self, source: int, signature: Signature, target: bytes) -> bool:
        scratch = self._tmp if self._writable else os.path.dirname(target) or b"."

        def fill(fd: int) -> None:
            if not _copy_known(source, fd, signature):
                raise _Changed

        try:
            make_whole(target, fill, scratch)
        except _Changed:
            return False
        return True


class _Changed(Exception):
    """A blob's file was changed while it was being copied."""


def _wait_for_writers(path: bytes) -> None:
    """Wait until nobody has the file open for writing: till then it cannot be executed (ETXTBSY).

    This process has closed it. But a child that another thread forked meanwhile holds a copy of the descriptor until it
    executes something. The kernel gives a read lease only on a file without writers (fcntl(2)); without leases we do not wait.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for pause in _WRITER_PAUSES:
            try:
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    return
                time.sleep(pause)
            else:
                fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
                return
    finally:
        os.close(fd)


def _copy_known(source: int, target: int, signature: Signature) -> bool:
    """Copy a verified file; False if it is not the file that was verified, or was changed meanwhile."""
    os.lseek(source, 0, os.SEEK_SET)
    copy_fd(source, target, signature.size)
    return Signature.of(os.fstat(source)) == signature


def _copy_checked(source: int, target: int, blob: BlobId) -> bool:
    """Copy a file; False if what was copied is not `blob`."""
    if blob.size <= _SMALL:
        data = read_fd(source, blob.size)
        write_fd(target, data)
        return BlobId.of(data) == blob
    copy_fd(source, target, blob.size)
    os.lseek(target, 0, os.SEEK_SET)
    return hash_fd(target) == blob


def _listed(directory: bytes) -> list[os.DirEntry[bytes]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise trouble("read", directory, error) from error
