"""The thunks of a force in memory: what they depend on, what they have become, and which results are known.

A thunk is *resolved* once every output of another thunk among its inputs is a blob; it is looked up under the id that
it has then, so it is found again whenever its inputs come out equal (cutoff). Failing that it is looked up by what
earlier runs of it really read (`gg.run.narrow`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from gg.core import placeholder
from gg.core.codec import decode_thunk
from gg.core.ids import SandboxPath, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.reduction import decode_reduction, encode_reduction
from gg.core.resolve import Resolved, Values, resolve, value_of
from gg.core.thunk import File, Made, OutputOf, Reduction, Thunk
from gg.errors import MissingObject
from gg.run.expand import Groups
from gg.run.narrow import Narrow
from gg.store.base import Key, Kind, Store, blob_key
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.force.staying import Staying
    from gg.host.filedb import FileDB
    from gg.workspace.later import Later


class LookupResult(Enum):
    """What a lookup found. GREW: an earlier run read placeholders undeclared; their values must be known before we can tell."""

    HIT = "hit"
    MISS = "miss"
    BECAME = "became"
    GREW = "grew"


class Cone:
    """Everything that is known of the thunks being forced. No engine, no scheduling: only the store is asked."""

    def __init__(
        self,
        store: Store,
        groups: Groups,
        files: Callable[[], FileDB],
        real_path: Callable[[bytes], bytes] = bytes,
        later: Later | None = None,
        staying: Staying | None = None,
        root: bytes = b"",
    ) -> None:
        """`real_path` maps a path inside a thunk to the real path on this machine. `later`: what came after a thunk was recorded.
        `staying`: what may not leave this machine. `root`: the workspace.
        """
        self._staying = staying
        self._store = store
        self._groups = groups
        self._files = files
        self._real_path = real_path
        self._later = later
        self.thunks: dict[ThunkId, Thunk] = {}
        self.values: dict[ThunkId, Values] = {}
        self.reductions: dict[ThunkId, Reduction] = {}
        self.grown: dict[ThunkId, tuple[OutputOf, ...]] = {}
        self.became: dict[ThunkId, ThunkId] = {}
        self.read: Mapping[ThunkId, bytes] = {}  # thunks that somebody else has read from the store
        self._encoded: dict[ThunkId, bytes] = {}
        self._resolved: dict[ThunkId, Resolved] = {}
        self._narrow = Narrow(store, groups, root)

    # The graph

    def load(self, ids: Iterable[ThunkId]) -> list[ThunkId]:
        """Load the thunks of these ids, and all below them. The answer is the newly loaded ones, dependencies first.

        A thunk below that has a value already is left out, and so is what is below it.
        """
        order: list[ThunkId] = []
        wanted = [i for i in dict.fromkeys(ids) if i not in self.thunks]
        while wanted:
            found = self._store.get([Key(Kind.THUNK, i) for i in wanted if i not in self.read])
            below: dict[ThunkId, None] = {}
            for each in wanted:
                data = self.read.get(each) or found.get(Key(Kind.THUNK, each))
                if data is None:
                    raise MissingObject(
                        f"thunk {each.hex()} is not in the store",
                        hint="its placeholder was made elsewhere or its record is lost: run gg-infer again, or remove it first",
                    )
                thunk = self.thunks[each] = decode_thunk(data)
                self._encoded[each] = data
                order.append(each)
                below.update(dict.fromkeys(thunk.dependencies()))
            wanted = [i for i in below if i not in self.thunks and i not in self.values]
        order.reverse()
        return order

    def resolve(self, name: ThunkId) -> Resolved:
        """The thunk with every output of another thunk replaced by its blob."""
        known = self._resolved.get(name)
        if known:
            return known
        more = self.grown.get(name, ())
        resolved = resolve(name, self.thunks[name], self._encoded[name], self.values, more)
        self._resolved[name] = resolved
        return resolved

    def grow(self, name: ThunkId, entries: Sequence[OutputOf]) -> tuple[ThunkId, ...]:
        """Add inputs: `name` turned out to read these outputs of other thunks. The answer is the thunks that it now waits for."""
        known = {e.path: e for e in self.grown.get(name, ())}
        known.update({e.path: e for e in entries})
        self.grown[name] = tuple(known.values())
        self._resolved.pop(name, None)
        return tuple(dict.fromkeys(e.thunk for e in entries))

    def below(self, name: ThunkId) -> list[ThunkId]:
        """The thunks whose outputs it reads, and the one that it became."""
        found = [*self.thunks[name].dependencies(), *(entry.thunk for entry in self.grown.get(name, ()))]
        return [*found, self.became[name]] if name in self.became else found

    def forget_resolved(self) -> None:
        """Forget what thunks were resolved to: outputs are made again and may come out otherwise."""
        self._resolved.clear()

    def before(self, name: ThunkId) -> dict[SandboxPath, Made]:
        """For each output that the thunk changes in place: what was there before, as far as that is known."""
        thunk = self.thunks[name]
        paths = {output.path for output in thunk.outputs}
        found: dict[SandboxPath, Made] = {}
        for entry in thunk.entries:
            if entry.path in paths and isinstance(entry, File):
                found[entry.path] = Made(entry.blob, entry.executable)
            elif entry.path in paths and isinstance(entry, OutputOf) and entry.thunk in self.values:
                made = value_of(self.values, entry.thunk, entry.index)
                if made is not None:
                    found[entry.path] = made
        return found

    # Results

    def lookup(self, names: Sequence[ThunkId]) -> list[tuple[ThunkId, LookupResult, tuple[ThunkId, ...]]]:
        """Whether each of these thunks, whose inputs are known, has a known result; and the other thunks that this depends on."""
        candidates = self._candidates(names)
        answers: list[tuple[ThunkId, LookupResult, tuple[ThunkId, ...]]] = []
        for name in names:
            reduction = candidates.get(name)
            if reduction is None:
                answers.append((name, LookupResult.MISS, ()))
            elif new := self._extra_placeholders(name, reduction):
                answers.append((name, LookupResult.GREW, self.grow(name, new)))
            elif not self._extra_hold(name, reduction):
                answers.append((name, LookupResult.MISS, ()))
            else:
                other = self.remember(name, reduction)
                answers.append((name, LookupResult.BECAME, (other,)) if other else (name, LookupResult.HIT, ()))
        return answers

    def _candidates(self, names: Sequence[ThunkId]) -> dict[ThunkId, Reduction]:
        """Reductions under the thunks' resolved ids, or found by narrowing, whose blobs are in the store."""
        keys = {n: Key(Kind.REDUCTION, self.resolve(n).id) for n in names}
        found = self._store.get(list(keys.values()))
        candidates: dict[ThunkId, Reduction] = {}
        for name in names:
            if data := found.get(keys[name]):
                candidates[name] = decode_reduction(data, None)
        candidates |= self._narrowed([name for name in names if name not in candidates])
        blobs = {blob_key(m.blob) for r in candidates.values() for m in r.outputs if m}
        there = self._store.has(list(blobs)) if blobs else set()
        return {n: r for n, r in candidates.items() if all(m is None or blob_key(m.blob) in there for m in r.outputs)}

    def _narrowed(self, names: Sequence[ThunkId]) -> dict[ThunkId, Reduction]:
        """Reductions that hold though the thunks' ids are new. This machine records them under those ids too; it does not sign
        and share them, for it has run nothing, and some may have to stay here.
        """
        resolved = {name: self.resolve(name) for name in names}
        thunks = {each.id: each.thunk for each in resolved.values()}
        found = self._narrow.find(thunks) if thunks else {}
        if found:
            here = self._staying.here if self._staying else self._store.put
            here(self._reductions({name: (thunks[name], known) for name, known in found.items()}))
        return {name: found[each.id] for name, each in resolved.items() if each.id in found}

    def _extra_placeholders(self, name: ThunkId, reduction: Reduction) -> tuple[OutputOf, ...]:
        """Files that an earlier run read undeclared and that are placeholders now: they must be forced before we can tell."""
        have = {e.path for e in self.grown.get(name, ())}
        found: list[OutputOf] = []
        for path, _ in reduction.extra_inputs:
            if path not in have and not self._is_late(name, path):
                known = read_placeholder(self._real_path(path))
                if known:
                    found.append(OutputOf(path, known.thunk, known.index))
        return tuple(found)

    def _extra_hold(self, name: ThunkId, reduction: Reduction) -> bool:
        """Whether what was read undeclared still has the same bytes."""
        if not reduction.extra_inputs:
            return True
        forced = {e.path: value_of(self.values, e.thunk, e.index) for e in self.grown.get(name, ())}
        for path, blob in reduction.extra_inputs:
            if path in forced:
                made = forced[path]
                if made is None or made.blob != blob:
                    return False
                continue
            try:
                if self._is_late(name, path) or self._files().digest(self._real_path(path)).blob != blob:
                    return False
            except OSError:
                return False
        return True

    def _is_late(self, name: ThunkId, path: SandboxPath) -> bool:
        """Whether a file that an earlier run read undeclared has come since `name` was recorded."""
        if self._later is None:
            return False
        thunk = self.thunks[name]
        return self._later.late(name, thunk, path, partial(self._groups.directories, thunk)) is not None

    def remember(self, name: ThunkId, reduction: Reduction) -> ThunkId | None:
        """Remember a reduction. The answer is the thunk that a dynamic thunk turned into, if it did."""
        self.reductions[name] = reduction
        self.values[name] = reduction.outputs
        if not self.thunks[name].dynamic:
            return None
        first = self._placeholders_of(reduction.outputs[:1]).get(0)
        if first is None:
            return None
        other = first.thunk
        self.became[name] = other
        return other

    def follow(self, name: ThunkId) -> Values:
        """The value of a thunk that became others: each output that stands for another thunk's output is replaced by that one's."""
        own = self.values[name]
        known = {i: p for i, p in self._placeholders_of(own).items() if p.thunk in self.values}
        self.values[name] = tuple(
            value_of(self.values, known[i].thunk, known[i].index) if i in known else made for i, made in enumerate(own)
        )
        return self.values[name]

    def lost(self, name: ThunkId) -> list[ThunkId]:
        """The thunks whose outputs `name` reads and the store has lost; they are forgotten, to be forced again."""
        lost: list[ThunkId] = []
        for dep in (*self.thunks[name].dependencies(), *(e.thunk for e in self.grown.get(name, ()))):
            blobs = [blob_key(m.blob) for m in self.values.get(dep, ()) if m]
            if len(self._store.has(blobs)) == len(set(blobs)):
                continue
            lost.append(dep)
            while dep in self.became:  # the one that it became at last has made the bytes
                dep = self.became.pop(dep)
                lost.append(dep)
        if lost:
            self.forget(lost)
        return lost

    def forget(self, names: Sequence[ThunkId]) -> None:
        """Delete the reductions of these thunks, whose bytes are nowhere any more."""
        self._store.delete([Key(Kind.REDUCTION, self.resolve(name).id) for name in names])
        self.forget_resolved()

    def record(self, ran: Sequence[tuple[Resolved, Reduction, bytes]]) -> None:
        """Write reductions under the resolved thunks that the attempts were given, whatever those thunks' inputs are by now.
        The thunks' encodings go with them where they are known.
        """
        if ran and (staying := self._staying):
            here = [each for each in ran if staying.made(each[0].thunk, each[1])]
            if here:
                staying.here(self._records(here))
                kept = {id(each) for each in here}
                ran = [each for each in ran if id(each) not in kept]
        if ran:
            self._store.put(self._records(ran))

    def _records(self, ran: Sequence[tuple[Resolved, Reduction, bytes]]) -> dict[Key, bytes]:
        items = self._narrow.remember(
            {given.id: (given.thunk, given.encoded) for given, _, _ in ran}, {given.id: each for given, each, _ in ran}
        )
        items |= self._reductions({given.id: (given.thunk, each) for given, each, encoded in ran if not encoded})
        items.update((Key(Kind.REDUCTION, given.id), encoded) for given, _, encoded in ran if encoded)
        return items

    def _reductions(self, found: Mapping[ThunkId, tuple[Thunk, Reduction]]) -> dict[Key, bytes]:
        universe = self._groups.universe
        return {
            Key(Kind.REDUCTION, name): encode_reduction(reduction, universe(thunk))
            for name, (thunk, reduction) in found.items()
        }

    def _placeholders_of(self, outputs: Values) -> dict[int, Placeholder]:
        found: dict[int, Placeholder] = {}
        for index, made in enumerate(outputs):
            if made and made.blob.size == placeholder.SIZE:
                data = self._store.get([blob_key(made.blob)]).get(blob_key(made.blob))
                known = placeholder.parse(data) if data else None
                if known:
                    found[index] = known
        return found
