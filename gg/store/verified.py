"""Digests and sizes checked in both directions, for stores whose medium is not to be trusted.

What comes back wrong is treated as missing and told to `damaged`, so that the driver sends or forces it again. Records
pass unchecked: what they claim is judged by who signed them. A store with local paths vouches for those itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from gg.core.ids import BlobId
from gg.host.files import aside, discard, hash_file, trouble
from gg.store.base import Key, SourceChanged, Store, blob_key, check_put, matches
from gg.store.wrapper import Wrapper


class Verify(Wrapper):
    """`inner`, believed in nothing that a digest can tell. `damaged(key)` is called for what was dropped."""

    def __init__(self, inner: Store, damaged: Callable[[Key], None] | None = None) -> None:
        super().__init__(inner)
        self._damaged = damaged

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = self.inner.get(keys)
        bad = [key for key, data in found.items() if not matches(key, data)]
        for key in bad:
            del found[key]
            self._report(key)
        return found

    def put(self, items: Mapping[Key, bytes]) -> None:
        check_put(items, self.caps)
        self.inner.put(items)

    def put_files(self, files: Mapping[BlobId, bytes], *, consume: bool = False) -> None:
        good = {blob: path for blob, path in files.items() if _is(path, blob)}
        self.inner.put_files(good, consume=consume)
        if len(good) != len(files):
            raise SourceChanged([path for blob, path in files.items() if blob not in good])

    def fetch_files(self, files: Mapping[bytes, BlobId]) -> set[bytes]:
        """Fetched beside their destinations, and renamed only when they were found to be right."""
        pending = {aside(os.path.dirname(path) or b"."): path for path in files}
        written: set[bytes] = set()
        try:
            for temporary in self.inner.fetch_files({temporary: files[path] for temporary, path in pending.items()}):
                path = pending[temporary]
                if _is(temporary, files[path]):
                    _rename(temporary, path)
                    written.add(path)
                else:
                    discard(temporary)
                    self._report(blob_key(files[path]))
        except BaseException:
            for temporary in pending:
                discard(temporary)
            raise
        return written

    def _report(self, key: Key) -> None:
        if self._damaged is not None:
            self._damaged(key)


def _is(path: bytes, blob: BlobId) -> bool:
    try:
        found, _, _ = hash_file(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise trouble("read", path, error) from error
    return found == blob


def _rename(source: bytes, target: bytes) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        raise trouble("write", target, error) from error
