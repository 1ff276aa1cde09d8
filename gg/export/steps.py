"""What a few targets are made of, done and resolved as far as other programs need it: the input of every export.

Targets are forced first: so each step's undeclared reads are known, and an export has all that its steps read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.reached import reached
from gg.core.thunk import Entry, File, OutputOf, Reduction, Thunk
from gg.errors import GGError
from gg.force.cached_results import CachedResults
from gg.light.slotted import slotted
from gg.observe.build_events import label
from gg.run.expand import ExpandedGroup, Groups

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.force.composition import Composition
    from gg.force.outcome import Settled
    from gg.store.base import Store
    from gg.workspace.workspace import Workspace


_Made = dict[tuple[SandboxPath, BlobId], tuple[ThunkId, int]]


class CannotExport(GGError):
    """A graph that the format cannot say."""

    exit_code = 65


@slotted()
class Step:
    """One thunk. `entries` are its own, with what it read undeclared; `name` is its first output, from the workspace."""

    id: ThunkId
    name: str
    thunk: Thunk
    entries: tuple[Entry, ...]
    reduction: Reduction

    @property
    def needs(self) -> tuple[ThunkId, ...]:
        """The steps whose outputs it reads, each once."""
        return tuple(dict.fromkeys(entry.thunk for entry in self.entries if isinstance(entry, OutputOf)))

    @property
    def seconds(self) -> float:
        """What its command took."""
        return self.reduction.usage.wall_ns / 1e9


@slotted()
class StepGraph:
    """Steps in an order in which they can run, and the targets: path here, step, number of its output."""

    root: bytes
    steps: Mapping[ThunkId, Step]
    targets: Sequence[tuple[bytes, ThunkId, int]]
    store: Store
    groups: Groups

    def shown(self, path: bytes) -> str:
        """A path as a person writes it: from the workspace, if it is in there."""
        return os.fsdecode(path.removeprefix(self.root + b"/"))

    def nodes(self, step: Step) -> tuple[ExpandedGroup, ...]:
        return self.groups.below(step.thunk.groups)


def load(
    workspace: Workspace,
    composition: Composition,
    targets: Sequence[tuple[bytes, ThunkId, int]],
    renaming: Renaming | None,
) -> tuple[StepGraph, int]:
    """Force the targets' thunks, and what they came from; the graph, and the exit status of what failed (then it is empty)."""
    if renaming is not None and renaming.known_as:
        raise CannotExport(
            "thunks of this workspace call it by a fixed path", hint="record it without known_as to export it"
        )
    done: dict[ThunkId, Settled] = {}

    def finished(settled: Sequence[Settled]) -> None:
        done.update((each.name, each) for each in settled)

    forcer = composition.forcer
    status = forcer.evaluate([thunk for _, thunk, _ in targets], finished).status
    root, groups = os.fsencode(workspace.root), Groups(composition.store)
    if status:
        return StepGraph(root, {}, (), composition.store, groups), status
    _add_makers(composition, done, finished, root)
    made = _made(done)
    steps = {each.name: _step(each, done, made, root) for each in done.values()}
    return StepGraph(root, _in_order(steps, [thunk for _, thunk, _ in targets]), targets, composition.store, groups), 0


def _add_makers(
    composition: Composition,
    done: dict[ThunkId, Settled],
    finished: Callable[[Sequence[Settled]], None],
    root: bytes,
) -> None:
    """What made files that were real when they were read (a generated source) is part of the graph."""
    from gg.compare.makers import makers

    forcer = composition.forcer

    def is_there(path: bytes, blob: BlobId) -> bool:
        try:
            return forcer.files().digest(path).blob == blob
        except OSError:
            return False

    asked: set[SandboxPath] = set()
    while True:
        read = {e.path for each in done.values() for e in each.thunk.entries if isinstance(e, File)}
        paths = {path for path in read if path.startswith(root + b"/")} - asked
        asked |= paths
        known = CachedResults(
            composition.store, {n for names in makers(composition.store, paths).values() for n in names}, is_there
        )
        for _ in known.find():
            pass
        more = [name for name in known.values if name not in done]
        if not more:
            return
        forcer.evaluate(more, finished)


def _step(settled: Settled, done: Mapping[ThunkId, Settled], made: _Made, root: bytes) -> Step:
    """With outputs of other steps in the places of files that have their very bytes.

    A thunk may be known twice, as it was recorded and with the bytes that it read: all who read what it makes read the same one.
    """
    declared = {entry.path for entry in settled.thunk.entries}
    seen = [(path, blob) for path, blob in settled.reduction.extra_inputs if path not in declared]
    extra = [File(path, blob, os.access(path, os.X_OK)) for path, blob in seen]
    entries: list[Entry] = []
    for entry in (*settled.thunk.entries, *extra):
        own = None
        if isinstance(entry, File):
            own = made.get((entry.path, entry.blob))
        elif isinstance(entry, OutputOf) and (value := done[entry.thunk].values[entry.index]):
            own = made.get((done[entry.thunk].thunk.outputs[entry.index].path, value.blob))
        usable = own is not None and settled.name not in _below(own[0], done)
        entries.append(OutputOf(entry.path, *own) if own is not None and usable else entry)
    name = label(settled.thunk.outputs, root + b"/")
    return Step(settled.name, name, settled.thunk, tuple(entries), settled.reduction)


def _made(done: Mapping[ThunkId, Settled]) -> _Made:
    from gg.compare.makers import leaves_as_it_is

    made: _Made = {}
    values = {name: each.values for name, each in done.items()}
    for name, each in done.items():
        for at, (output, value) in enumerate(zip(each.thunk.outputs, each.values, strict=True)):
            if value and not leaves_as_it_is(each, at, values):
                made.setdefault((output.path, value.blob), (name, at))
    return made


def _below(name: ThunkId, done: Mapping[ThunkId, Settled]) -> set[ThunkId]:
    return set(reached([name], lambda each: [below for below in done[each].thunk.dependencies() if below in done]))


def _in_order(steps: Mapping[ThunkId, Step], roots: Sequence[ThunkId]) -> dict[ThunkId, Step]:
    """What the roots need, each step after those that it reads from."""
    order: dict[ThunkId, Step] = {}
    entered: set[ThunkId] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        name, left = stack.pop()
        if left:
            order[name] = steps[name]
        elif name not in entered:
            entered.add(name)
            stack.append((name, True))
            stack += [(need, False) for need in reversed(steps[name].needs)]
    return order
