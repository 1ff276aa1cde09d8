"""Which blob files of a directory store are known to have the right bytes.

A blob is used only when its bytes were hashed *since this machine was started* (the boot id is remembered with the
signature), and the file has had the same signature ever since.
"""

from __future__ import annotations

import os
import time

from gg.core.ids import DIGEST_SIZE
from gg.core.ticks import time_settled
from gg.host.files import Signature, hash_fd, trouble
from gg.light.named import NamedTuple
from gg.store.metadata import Metadata

EXECUTABLE = b"x"
"""The suffix of an executable variant's name. Without it the name is the blob's digest."""


class VerifiedBlob(NamedTuple):
    """A blob's file and its signature when its bytes were last known to be right."""

    path: bytes
    signature: Signature


class VerifiedBlobs:
    """The blob files below `directory`. `notes` remembers what was verified. Thread-safe."""

    def __init__(self, directory: bytes, notes: Metadata) -> None:
        self._directory = directory
        self._notes = notes
        self._known: dict[bytes, VerifiedBlob | None] = {}

    def file(self, name: bytes) -> bytes:
        """The path of the file of that name, whether or not it is there."""
        digits = name[:DIGEST_SIZE].hex().encode()
        return b"%s/%s/%s%s" % (self._directory, digits[:2], digits, b".x" if len(name) > DIGEST_SIZE else b"")

    def get(self, name: bytes) -> VerifiedBlob | None:
        """The file of that name, if its bytes are known to be right; None if it is missing or damaged.

        It takes one `stat` for a file that was verified before: the local engine asks for each input of each thunk.
        """
        known = self._known.get(name)
        path = self.file(name) if known is None else known.path
        try:
            st = os.stat(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise trouble("read", path, error) from error
        if known is None:
            known = self.recalled(name)
        if known is not None and known.signature.is_of(st):
            return known
        return self._verify(name, path)

    def prefetch(self, names: list[bytes]) -> None:
        """Load with one query what is remembered of these names, before many calls of `get`."""
        names = [name for name in names if name not in self._known]
        if len(names) > 1:
            recalled = self._notes.recall(names)
            for name in names:
                signature = recalled.get(name)
                self._known[name] = None if signature is None else VerifiedBlob(self.file(name), signature)

    def recalled(self, name: bytes) -> VerifiedBlob | None:
        """What was verified under that name, if anything; the file may have changed since."""
        if name not in self._known:
            signature = self._notes.recall([name]).get(name)
            self._known[name] = None if signature is None else VerifiedBlob(self.file(name), signature)
        return self._known[name]

    def learn(self, name: bytes, path: bytes, signature: Signature) -> VerifiedBlob:
        """Note that the file with this signature has the right bytes."""
        known = self._known[name] = VerifiedBlob(path, signature)
        self._notes.remember(name, signature)
        return known

    def forget(self, name: bytes) -> None:
        self._known[name] = None
        self._notes.remember(name, None)

    def _verify(self, name: bytes, path: bytes) -> VerifiedBlob | None:
        fd = open_blob(path)
        if fd is None:
            return None
        try:
            now = time.time_ns()
            before = Signature.of(os.fstat(fd))
            if hash_fd(fd) != (name[:DIGEST_SIZE], before.size) or Signature.of(os.fstat(fd)) != before:
                return None
        finally:
            os.close(fd)
        return self.learn(name, path, before) if time_settled(before.mtime_ns, now) else VerifiedBlob(path, before)


def open_blob(path: bytes) -> int | None:
    """The file, open for reading; None if there is none."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise trouble("read", path, error) from error
