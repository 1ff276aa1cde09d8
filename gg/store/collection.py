"""Collection: drops objects that nobody needs, the longest unused first, until the store is young and small enough.

An object is *needed* if it can be reached from the roots. The caller names the roots: the thunks of the placeholders in all
workspaces, the reductions found for these, whatever else it wants kept. `references` says what an object leads to; the default
one knows thunks (their groups, input blobs and the thunks they depend on), groups and reductions (their blobs). A needed object
is never dropped, whatever its age and size. An object counts as being as young as the youngest object that leads to it, so
nothing is left behind that leads to a dropped object: whoever finds a thunk in the store may rely on all that it names.

Builds go on meanwhile. A session relies to its end on each object that it has put, got or asked for; the store notes that as a
use, at least once in `FRESH_S` seconds (`gg.store.metadata`). So objects that were used within `grace_s` before the oldest open
session began are spared, with all that they lead to. An object may be used after the collection has looked at it: the store
drops only objects that are still unused (`drop_unused`), and what the others lead to is spared too. New objects may name an
old blob: they are read before each batch of blobs is dropped.

An object is dropped some time before those that it leads to, and blobs last, so a killed collection leaves nothing that leads
nowhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gg.core.codec import decode_group, decode_thunk
from gg.core.reduction import decode_reduction
from gg.core.thunk import File, Made, OutputOf
from gg.errors import FormatError
from gg.store.base import Key, Kind, Stored, blob_key

FindReferences = Callable[[Key, bytes], Iterable[Key]]

GRACE_S = 7200.0
_BATCH = 500
_ORDER = (Kind.REDUCTION, Kind.ALIAS, Kind.THUNK, Kind.GROUP, Kind.BLOB)


class Collectable(Protocol):
    """What a collection asks of a store, beside what all stores do."""

    def keys(self, kind: Kind) -> Iterator[Stored]: ...

    def tidy(self) -> int: ...

    def peek(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """As `Store.get`, which does not count as a use."""
        ...

    def drop_unused(self, keys: Sequence[Key], before: float) -> set[Key]:
        """Delete objects, except those used at `before` (seconds since the epoch) or later. The answer is the deleted ones."""
        ...

    def news(self, mark: int) -> tuple[int, dict[Key, bytes]]:
        """The present mark, and the objects, blobs aside, that were put since `mark`; none for a mark below 0."""
        ...

    def opened(self) -> float:
        """When the oldest other session that uses the store began, in seconds since the epoch; infinity when there is none."""
        ...


@dataclass(slots=True)
class CollectionReport:
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
    """The objects that an object leads to. One that cannot be decoded leads nowhere: it is damaged, or made by a newer gg."""
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
    store: Collectable,
    roots: Iterable[Key],
    *,
    max_age_s: float | None = None,
    max_bytes: int | None = None,
    grace_s: float = GRACE_S,
    references: FindReferences = references,
    dry_run: bool = False,
    now: float | None = None,
) -> CollectionReport:
    """Drop objects that `roots` do not need: all that were last used more than `max_age_s` seconds ago, then the oldest until
    the whole store takes at most `max_bytes` (each None: no such limit). See the head of this module.
    """
    now = time.time() if now is None else now
    before = min(now, store.opened()) - grace_s
    report = CollectionReport(dry_run)
    mark, _ = store.news(-1)
    graph = _Graph(store, references)
    needed, report.missing = graph.reach(roots)
    report.objects, report.size = len(graph.stored), sum(one.size for one in graph.stored.values())
    report.needed = len(needed & graph.stored.keys())
    report.needed_size = sum(graph.stored[key].size for key in needed if key in graph.stored)
    graph.age()
    loose = [one for key, one in graph.stored.items() if key not in needed]
    condemned = _condemned(loose, report.size, now, max_age_s, max_bytes, before)
    dropped = condemned if dry_run else _drop(store, graph, condemned, before, mark)
    for key in dropped:
        report.dropped[key.kind] = report.dropped.get(key.kind, 0) + 1
        report.dropped_size += graph.stored[key].size
    if not dry_run:
        report.leftovers_size = store.tidy()
    return report


def reach(
    store: Collectable, roots: Iterable[Key], references: FindReferences = references
) -> tuple[set[Key], tuple[Key, ...]]:
    """All that the roots lead to, themselves included; and those objects among them, blobs aside, that the store does not hold."""
    return _Graph(store, references).reach(roots)


class _Graph:
    """What is in the store, and what leads where."""

    def __init__(self, store: Collectable, references: FindReferences) -> None:
        self.stored = {one.key: one for kind in _ORDER for one in store.keys(kind)}
        self._references = references
        self._targets: dict[Key, tuple[Key, ...]] = {}
        names = [key for key in self.stored if key.kind is not Kind.BLOB]
        for start in range(0, len(names), _BATCH):
            self.learn(store.peek(names[start : start + _BATCH]))

    def learn(self, objects: Mapping[Key, bytes]) -> None:
        for key, data in objects.items():
            self._targets[key] = tuple(self._references(key, data))

    def reach(self, roots: Iterable[Key]) -> tuple[set[Key], tuple[Key, ...]]:
        reached = set(roots)
        missing: list[Key] = []
        pending = list(reached)
        while pending:
            key = pending.pop()
            if key.kind is not Kind.BLOB and key not in self._targets:
                missing.append(key)
            for target in self._targets.get(key, ()):
                if target not in reached:
                    reached.add(target)
                    pending.append(target)
        return reached, tuple(missing)

    def age(self) -> None:
        """Make each object as young as the youngest object that leads to it."""
        for key in self.ordered(self.stored):
            used = self.stored[key].used
            for target in self._targets.get(key, ()):
                known = self.stored.get(target)
                if known is not None and known.used < used:
                    self.stored[target] = known._replace(used=used)

    def ordered(self, keys: Iterable[Key]) -> list[Key]:
        """`keys`, each before those that it leads to, and blobs last."""
        wanted, done = set(keys), dict[Key, None]()
        seen: set[Key] = set()
        for first in sorted(wanted, key=_by_kind, reverse=True):
            stack = [first]
            while stack:
                key = stack[-1]
                if key not in seen:
                    seen.add(key)
                    stack += [each for each in self._targets.get(key, ()) if each in wanted and each not in seen]
                else:
                    done[stack.pop()] = None
        return list(done)[::-1]

    def layers(self, keys: Iterable[Key]) -> list[list[Key]]:
        """`keys`, each in a later layer than all that lead to it, and blobs in the last. When one layer has been dropped, it is
        known which of its objects were in use, and what these lead to is still there.
        """
        order = self.ordered(keys)
        depth = dict.fromkeys(order, 0)
        for key in order:
            for target in self._targets.get(key, ()):
                if target in depth:
                    depth[target] = max(depth[target], depth[key] + 1)
        found: dict[int, list[Key]] = {}
        for key in order:
            if key.kind is not Kind.BLOB:
                found.setdefault(depth[key], []).append(key)
        return [*(found[each] for each in sorted(found)), [key for key in order if key.kind is Kind.BLOB]]


def _by_kind(key: Key) -> int:
    return _ORDER.index(key.kind)


def _last_use(one: Stored) -> float:
    return one.used


def _condemned(
    loose: list[Stored], size: int, now: float, max_age_s: float | None, max_bytes: int | None, before: float
) -> set[Key]:
    """The unneeded objects that must go, chosen oldest first; of objects of one age all or none."""
    condemned: set[Key] = set()
    last = None
    for one in sorted(loose, key=_last_use):
        if one.used > before:
            break
        old = max_age_s is not None and now - one.used > max_age_s
        if old or (max_bytes is not None and size > max_bytes) or one.used == last:
            condemned.add(one.key)
            size -= one.size
            last = one.used
    return condemned


def _drop(store: Collectable, graph: _Graph, condemned: set[Key], before: float, mark: int) -> set[Key]:
    """Drop the condemned objects that are still unused. The answer is those that were dropped."""
    dropped: set[Key] = set()
    for keys in graph.layers(condemned):
        for start in range(0, len(keys), _BATCH):
            mark, news = store.news(mark)
            graph.learn(news)
            condemned -= graph.reach(news)[0]
            batch = [key for key in keys[start : start + _BATCH] if key in condemned]
            used = store.drop_unused(batch, before)
            condemned -= graph.reach(used)[0]
            dropped.update(key for key in batch if key not in used)
    return dropped
