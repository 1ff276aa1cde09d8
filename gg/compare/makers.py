"""Which recorded thunk makes a file: for what was read when it was real already, so that no thunk depends on its maker.

A source that the build generates is forced when it is scanned for its includes, and is a plain input from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gg.core.codec import decode_thunk
from gg.core.ids import ThunkId
from gg.store.base import Kind

if TYPE_CHECKING:
    from gg.store.base import Store

_BATCH = 256
_LATEST = 8  # thunks of one path that are looked into; there is one for each edit of what it is made of


def makers(store: Store, paths: Iterable[bytes]) -> dict[bytes, list[ThunkId]]:
    """For each path, as thunks call it, the thunks of the store that have it among their outputs, the latest used first."""
    found: dict[bytes, list[ThunkId]] = {path: [] for path in paths}
    if not found:
        return found
    stored = sorted(store.keys(Kind.THUNK), key=lambda each: each.used, reverse=True)
    for start in range(0, len(stored), _BATCH):
        keys = [each.key for each in stored[start : start + _BATCH]]
        data = store.get(keys)
        for key in keys:
            for output in decode_thunk(data[key]).outputs if key in data else ():
                names = found.get(output.path)
                if names is not None and len(names) < _LATEST:
                    names.append(ThunkId(key.digest))
    return found
