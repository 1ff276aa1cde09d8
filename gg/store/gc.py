"""Collection: drop what nobody needs, oldest use first, until the store is young and small enough.

*Needed* is what can be reached from the roots. The caller names them: the thunks of the placeholders in the workspace,
the reductions found for these, whatever else it wants kept. `references` says what an object leads to; the default
one knows thunks (their groups, input blobs and the thunks they depend on), groups and reductions (their blobs). What
is reached is never dropped, whatever its age and size. Nor is what was used within `grace_s`, for a build that runs
at this moment may have put it and not named it yet; a directory store opened with `exclusive` has no such build, and
can do with 0.

Reductions and aliases go before thunks and groups, and blobs last, so that a collection that is killed leaves no
record that leads to nothing. A reduction that was kept, one of whose blobs had to go, goes too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gg.core.codec import decode_group, decode_thunk
from gg.core.reduction import decode_reduction
from gg.core.thunk import File, Made, OutputOf
from gg.errors import FormatError
from gg.store.base import Key, Kind, Store, Stored, blob_key

References = Callable[[Key, bytes], Iterable[Key]]

_BATCH = 500
_ORDER = (Kind.REDUCTION, Kind.ALIAS, Kind.THUNK, Kind.GROUP, Kind.BLOB)


@dataclass(slots=True)
class Report:
    """What a collection found and did. Sizes in bytes. With `dry_run`, what it would have done."""

    dry_run: bool
    objects: int = 0
    size: int = 0
    needed: int = 0
    needed_size: int = 0
    dropped: dict[Kind, int] = field(default_factory=dict)
    dropped_size: int = 0
    leftovers_size: int = 0
    missing: tuple[Key, ...] = ()


def references(key: Key, data: bytes) -> list[Key]:
    """What an object leads to. What cannot be decoded leads nowhere: it is damaged, or made by a newer gg."""
    try:
        match key.kind:
            case Kind.THUNK:
                thunk = decode_thunk(data)
                found = [Key(Kind.GROUP, group) for group in thunk.groups]
                found += [blob_key(entry.blob) for entry in thunk.entries if isinstance(entry, File)]
                return found + [Key(Kind.THUNK, e.thunk) for e in thunk.entries if isinstance(e, OutputOf)]
            case Kind.GROUP:
                group = decode_group(data)
                return [
                    *(Key(Kind.GROUP, inner) for inner in group.groups),
                    *(blob_key(entry.blob) for entry in group.entries if isinstance(entry, File)),
                ]
            case Kind.REDUCTION:
                reduction = decode_reduction(data, None)
                made: list[Made] = [one for one in reduction.outputs if one is not None]
                made += [one for _, one in reduction.extra_outputs]
                return [blob_key(one.blob) for one in made]
    except FormatError:
        pass
    return []


def collect(
    store: Store,
    roots: Iterable[Key],
    *,
    max_age_s: float | None = None,
    max_bytes: int | None = None,
    grace_s: float = 3600.0,
    references: References = references,
    dry_run: bool = False,
    now: float | None = None,
) -> Report:
    """Drop what `roots` do not need: all that was last used more than `max_age_s` seconds ago, then the oldest until
    the whole store takes at most `max_bytes` (each None: no such limit). See the head of this module.
    """
    now = time.time() if now is None else now
    report = Report(dry_run)
    needed, report.missing = reach(store, roots, references)
    stored = [one for kind in _ORDER for one in store.keys(kind)]
    report.objects, report.size = len(stored), sum(one.size for one in stored)
    kept = [one for one in stored if one.key in needed]
    report.needed, report.needed_size = len(kept), sum(one.size for one in kept)
    loose = sorted((one for one in stored if one.key not in needed), key=_last_use)
    condemned = _condemned(loose, report.size, now, max_age_s, max_bytes, grace_s)
    condemned.update(_dangling(store, loose, condemned, references))
    for kind in _ORDER:
        keys = [key for key in condemned if key.kind is kind]
        if keys:
            report.dropped[kind] = len(keys)
            report.dropped_size += sum(condemned[key] for key in keys)
            if not dry_run:
                for start in range(0, len(keys), _BATCH):
                    store.delete(keys[start : start + _BATCH])
    if not dry_run:
        report.leftovers_size = store.tidy()
    return report


def reach(store: Store, roots: Iterable[Key], references: References = references) -> tuple[set[Key], tuple[Key, ...]]:
    """All that the roots lead to, themselves included, and those of it (blobs aside) that the store does not hold."""
    reached = set(roots)
    missing: list[Key] = []
    # Blobs lead nowhere, and so are not read.
    frontier = [key for key in reached if key.kind is not Kind.BLOB]
    while frontier:
        batch, frontier = frontier[:_BATCH], frontier[_BATCH:]
        found = store.get(batch)
        missing += [key for key in batch if key not in found]
        for key, data in found.items():
            for target in references(key, data):
                if target not in reached:
                    reached.add(target)
                    if target.kind is not Kind.BLOB:
                        frontier.append(target)
    return reached, tuple(missing)


def _last_use(one: Stored) -> float:
    return one.used


def _condemned(
    loose: list[Stored], size: int, now: float, max_age_s: float | None, max_bytes: int | None, grace_s: float
) -> dict[Key, int]:
    """Keys and sizes of what has to go, of objects that are not needed, oldest first."""
    condemned: dict[Key, int] = {}
    for one in loose:
        age = now - one.used
        if age < grace_s:
            break
        if (max_age_s is not None and age > max_age_s) or (max_bytes is not None and size > max_bytes):
            condemned[one.key] = one.size
            size -= one.size
    return condemned


def _dangling(store: Store, loose: list[Stored], condemned: dict[Key, int], references: References) -> dict[Key, int]:
    """Reductions that would be left without one of their blobs."""
    if not any(key.kind is Kind.BLOB for key in condemned):
        return {}
    sizes = {one.key: one.size for one in loose if one.key.kind is Kind.REDUCTION and one.key not in condemned}
    keys = list(sizes)
    dangling: dict[Key, int] = {}
    for start in range(0, len(keys), _BATCH):
        for key, data in store.get(keys[start : start + _BATCH]).items():
            if any(target in condemned for target in references(key, data)):
                dangling[key] = sizes[key]
    return dangling
