"""A thunk with every output of another replaced by the blob that it is. Its id then is the one that results are under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import ThunkId
from gg.core.thunk import Entry, File, Made, OutputOf, Thunk

Values = tuple[Made | None, ...]


def resolve(
    name: ThunkId, thunk: Thunk, values: Mapping[ThunkId, Values], more: Sequence[OutputOf] = ()
) -> tuple[ThunkId, Thunk]:
    """The thunk resolved, and its id. `more`: what it reads of other thunks besides. All that it reads has a value."""
    if not more and not any(isinstance(e, OutputOf) for e in thunk.entries):
        return name, thunk
    entries: list[Entry] = []
    for entry in (*thunk.entries, *more):
        if isinstance(entry, OutputOf):
            made = values[entry.thunk][entry.index]
            if made is not None:
                entries.append(File(entry.path, made.blob, made.executable))
        else:
            entries.append(entry)
    plain = thunk._replace(entries=tuple(sorted(entries, key=_by_path)))
    return thunk_id(encode_thunk(plain)), plain


def _by_path(entry: Entry) -> bytes:
    return entry.path
