"""A thunk with every output of another replaced by the blob that it is. Its id then is the one that results are under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import ThunkId
from gg.core.thunk import Entry, File, Made, OutputOf, Thunk
from gg.light.named import NamedTuple

Values = tuple[Made | None, ...]


class Resolved(NamedTuple):
    """A resolved thunk, its id and its encoding."""

    id: ThunkId
    thunk: Thunk
    encoded: bytes


def resolve(
    name: ThunkId, thunk: Thunk, encoded: bytes, values: Mapping[ThunkId, Values], more: Sequence[OutputOf] = ()
) -> Resolved:
    """`thunk`, whose id and encoding are given, resolved. `more`: what it reads of other thunks besides. All that it
    reads has a value.
    """
    if not more and not any(isinstance(e, OutputOf) for e in thunk.entries):
        return Resolved(name, thunk, encoded)
    entries: list[Entry] = []
    for entry in (*thunk.entries, *more):
        if isinstance(entry, OutputOf):
            made = values[entry.thunk][entry.index]
            if made is not None:
                entries.append(File(entry.path, made.blob, made.executable))
        else:
            entries.append(entry)
    plain = thunk._replace(entries=tuple(sorted(entries, key=_by_path)))
    encoded = encode_thunk(plain)
    return Resolved(thunk_id(encoded), plain, encoded)


def _by_path(entry: Entry) -> bytes:
    return entry.path
