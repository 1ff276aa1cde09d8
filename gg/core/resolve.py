"""A thunk with every output of another replaced by the blob that it is. Its id then is the one that results are under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import ThunkId
from gg.core.thunk import Entry, File, Made, OutputOf, Thunk
from gg.errors import FormatError
from gg.light.named import NamedTuple

Values = tuple[Made | None, ...]


class Resolved(NamedTuple):
    """A resolved thunk, its id and its encoding."""

    id: ThunkId
    thunk: Thunk
    encoded: bytes


def value_of(values: Mapping[ThunkId, Values], thunk: ThunkId, index: int) -> Made | None:
    """What an output came to, of a thunk that has a value; FormatError for one that it has not."""
    of = values[thunk]
    if index >= len(of):
        raise no_such_output(thunk, index)
    return of[index]


def no_such_output(thunk: ThunkId, index: int) -> FormatError:
    """What to tell of an output that a placeholder names, and that its thunk has not."""
    return FormatError(
        f"thunk {thunk.hex()} has no output {index}",
        hint="its placeholder is damaged, or was made elsewhere: remove it and make it again",
    )


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
            made = value_of(values, entry.thunk, entry.index)
            if made is not None:
                entries.append(File(entry.path, made.blob, made.executable))
        else:
            entries.append(entry)
    plain = thunk._replace(entries=tuple(sorted(entries, key=_by_path)))
    encoded = encode_thunk(plain)
    return Resolved(thunk_id(encoded), plain, encoded)


def _by_path(entry: Entry) -> bytes:
    return entry.path
