"""Which recorded thunk makes a file: for what was read when it was real already, so that no thunk depends on its maker.

A source that the build generates is forced when it is scanned for its includes, and is a plain input from then on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gg.core.codec import decode_thunk
from gg.core.ids import ThunkId
from gg.core.reached import reached
from gg.core.thunk import File, OutputOf
from gg.force.cached_results import CachedResults
from gg.store.base import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gg.core.ids import BlobId, SandboxPath
    from gg.core.resolve import Values
    from gg.core.thunk import Thunk
    from gg.force.outcome import Settled
    from gg.store.base import Store

_BATCH = 256
_LATEST = 64  # thunks of one path that are looked into; there is one for each edit of what it is made of


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


def maker_of(
    store: Store, path: bytes, blob: BlobId, holds: Callable[[SandboxPath, BlobId], bool]
) -> tuple[ThunkId, int] | None:
    """The thunk that is known to have made these bytes there, and which of its outputs they are. `holds`: as of `CachedResults`.

    Where several have come to the same bytes it is the one whose sources are most like those that are there now.
    """
    names = makers(store, [path])[path]
    known = CachedResults(store, names, holds)
    for _ in known.find():
        pass
    thunks = {name: decode_thunk(data) for name, data in known.encoded.items()}
    found = [
        (name, at)
        for name in names
        for at, made in enumerate(known.values.get(name, ()))
        if made and made.blob == blob and thunks[name].outputs[at].path == path
    ]
    return min(found, key=lambda each: _changed(each[0], thunks, holds)) if len(found) > 1 else next(iter(found), None)


def _changed(root: ThunkId, thunks: Mapping[ThunkId, Thunk], holds: Callable[[SandboxPath, BlobId], bool]) -> int:
    """How many of the files that a thunk and those below it list themselves are not there, or have other bytes."""
    files: set[tuple[SandboxPath, BlobId]] = set()
    for name in reached([root], lambda name: [each for each in thunks[name].dependencies() if each in thunks]):
        files.update((entry.path, entry.blob) for entry in thunks[name].entries if isinstance(entry, File))
    return sum(not holds(path, blob) for path, blob in files)


def leaves_as_it_is(settled: Settled, at: int, values: Mapping[ThunkId, Values]) -> bool:
    """Whether a thunk has read its output's very bytes at the same path, as ranlib does of what has an index: it did not make them.

    `values`: of the thunks that it reads from.
    """
    output, made = settled.thunk.outputs[at], settled.values[at]
    for entry in settled.thunk.entries:
        if entry.path == output.path and isinstance(entry, File):
            return made is not None and entry.blob == made.blob
        if entry.path == output.path and isinstance(entry, OutputOf):
            before = values[entry.thunk][entry.index] if entry.thunk in values else None
            return before is not None and made is not None and before.blob == made.blob
    return False
