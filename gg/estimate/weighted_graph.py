"""The graph of a force, with remembered durations, for an estimate. Nothing is run, nothing is sent, nothing is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, GroupId, ThunkId
from gg.core.thunk import File, OutputOf, Thunk
from gg.cost.forecast import Resources, WeightedGraph, known_or_guessed
from gg.cost.models import OUTPUT
from gg.cost.prices import HOME, prices
from gg.errors import GGError
from gg.force.cached_results import CachedResults
from gg.force.cone import Cone
from gg.host.machine import memory_total, processors
from gg.run.expand import Groups
from gg.schedule.events import NodeSpec
from gg.store.base import Store, blob_key
from gg.store.directory import DirectoryStore
from gg.store.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gg.host.filedb import FileDB
    from gg.workspace.settings import Settings
    from gg.workspace.targets import Targets
    from gg.workspace.workspace import Workspace


def what_and_where(workspace: Workspace, settings: Settings, targets: Targets) -> tuple[WeightedGraph, Resources]:
    """Everything that an estimate of forcing `targets` needs: the graph, and where it would run."""
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        graph = _graph(workspace, settings, store, targets)
    finally:
        store.close()
    return graph, _place(workspace, settings)


def _graph(workspace: Workspace, settings: Settings, store: Store, targets: Targets) -> WeightedGraph:
    """The thunks that forcing `targets` has to run, as far as this workspace knows: the team's store itself is not asked."""
    roots = list(dict.fromkeys(known.thunk for known in targets.placeholders.values()))
    known = CachedResults(store, roots)
    for _ in known.find():
        pass
    wanted = [root for root in roots if root not in known.values]
    groups = Groups(store)
    cone = Cone(store, groups, _no_files)
    cone.values.update(known.values)
    order = cone.load(wanted)
    durations = Durations(store)
    nodes, guessed = known_or_guessed([_spec(name, cone, durations) for name in order])
    thunks = [cone.thunks[name] for name in order]
    every, first = Sizes(groups), Sizes(groups)
    cold = every.mean(thunks)
    first.mean([thunk for thunk, node in zip(thunks, nodes, strict=True) if not node.deps])
    unsent = _unsent(workspace, settings, every)
    sizes = [sum([unsent.get(blob, 0) for blob in part.files]) for part in (every, first)]
    return WeightedGraph(nodes, tuple(wanted), guessed, cold, *sizes)


def _no_files() -> FileDB:
    raise AssertionError("an estimate reads no file")


def _spec(name: ThunkId, cone: Cone, durations: Durations) -> NodeSpec:
    thunk = cone.thunks[name]
    known = durations.of(thunk)
    own = sum(
        OUTPUT if isinstance(e, OutputOf) else e.blob.size for e in thunk.entries if isinstance(e, File | OutputOf)
    )
    return NodeSpec(
        id=name,
        deps=tuple(dep for dep in thunk.dependencies() if dep in cone.thunks),
        work=thunk.work,
        seconds=known.seconds if known else None,
        memory=known.memory if known else 0,
        input_size=own,
    )


class Sizes:
    """The bytes of the files that thunks have in groups: tools and headers."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._by_combination: dict[tuple[GroupId, ...], int] = {}
        self.files: dict[BlobId, None] = {}

    def mean(self, thunks: Sequence[Thunk]) -> int:
        return sum(self._size(thunk.groups) for thunk in thunks) // max(1, len(thunks))

    def _size(self, ids: tuple[GroupId, ...]) -> int:
        size = self._by_combination.get(ids)
        if size is None:
            files = {e.blob for node in self._groups.below(ids) for e in node.entries if isinstance(e, File)}
            self.files.update(dict.fromkeys(files))
            size = self._by_combination[ids] = sum(blob.size for blob in files)
        return size


def _unsent(workspace: Workspace, settings: Settings, wanted: Sizes) -> dict[BlobId, int]:
    """The sizes of files that the team's store does not hold, as far as is remembered; of all files if there is no store yet."""
    keys = {blob_key(blob): blob for blob in wanted.files}
    if settings.store:
        from gg.share.command_store import open_remote

        remote = open_remote(workspace, settings)
        try:
            for key in remote.catalog.has(list(keys)):
                del keys[key]
        finally:
            remote.close()
    return {blob: blob.size for blob in keys.values()}


def _place(workspace: Workspace, settings: Settings) -> Resources:
    """Where Lambda's functions are, or would be by default, and this machine."""
    from gg.deploy.found import regions, remembered
    from gg.deploy.wanted import DEFAULT_MEMORY, DISK_MB

    machine = os.uname().machine
    architecture = "arm64" if machine == "aarch64" else machine
    home = HOME
    if settings.store:
        from gg.share.s3.uri import parse

        home = parse(settings.store).region or HOME
    try:
        names = regions(settings.regions, home, workspace.dot, architecture)
        deployed = [d for d in remembered(workspace.dot) if d.region == names[0]]
    except GGError:
        names, deployed = list(settings.regions) or [home], []
    memory = tuple(f.memory_mb for f in deployed[0].functions) if deployed else DEFAULT_MEMORY
    return Resources(
        prices=prices(names[0]),
        architecture=architecture,
        memory_mb=memory,
        disk_mb=DISK_MB,
        processors=processors(),
        memory=settings.memory or memory_total() or 0,
        more=tuple([prices(name) for name in names[1:]]),
    )
