"""A recorded build as a small file: what depends on what, what each thunk took, how much it reads. No names, no contents.

    python -m benchmarks.virtual.graph WORKSPACE FILE

takes the state of a workspace in which all was recorded and forced. A thunk's seconds are its command's CPU time when it ran
here, its wall time being the load's of that day as much as its own; a compile waits for nothing but its processor.
"""

from __future__ import annotations

import argparse
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgpack

from gg.core.ids import ThunkId
from gg.core.thunk import File, OutputOf, Reduction, Thunk, Work
from gg.cost.forecast import WeightedGraph, known_or_guessed
from gg.cost.models import OUTPUT
from gg.estimate.weighted_graph import Sizes
from gg.force.cached_results import CachedResults
from gg.force.cone import Cone
from gg.run.expand import Groups
from gg.schedule.events import NodeSpec
from gg.store.base import Kind
from gg.store.directory import DirectoryStore
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.host.filedb import FileDB

_WORKS = tuple(Work)
_VERSION = 1


class Recorded(NamedTuple):
    """A build. `milliseconds`: None for a thunk that was never seen to run. Nodes come after what they depend on."""

    name: str
    works: tuple[Work, ...]
    milliseconds: tuple[int | None, ...]
    memory_mb: tuple[int, ...]
    kilobytes: tuple[int, ...]
    deps: tuple[tuple[int, ...], ...]
    cold_bytes: int
    first: int
    to_send: int

    def graph(self) -> WeightedGraph:
        specs = [
            NodeSpec(
                id=n,
                deps=self.deps[n],
                work=self.works[n],
                seconds=None if took is None else took / 1000,
                memory=self.memory_mb[n] << 20,
                input_size=self.kilobytes[n] * 1000,
            )
            for n, took in enumerate(self.milliseconds)
        ]
        nodes, guessed = known_or_guessed(specs)
        used = {dep for deps in self.deps for dep in deps}
        roots = tuple(n for n in range(len(specs)) if n not in used)
        return WeightedGraph(nodes, roots, guessed, self.cold_bytes, self.to_send, self.first)


def encode(recorded: Recorded) -> bytes:
    """Dependencies as steps back, which are small numbers."""
    steps = [[n - dep for dep in deps] for n, deps in enumerate(recorded.deps)]
    works = [_WORKS.index(work) for work in recorded.works]
    data: bytes = msgpack.packb([_VERSION, *recorded._replace(works=(), deps=()), works, steps])
    return data


def decode(data: bytes) -> Recorded:
    version, name, _, milliseconds, memory, kilobytes, _, cold, first, to_send, works, steps = msgpack.unpackb(data)
    assert version == _VERSION, f"version {version}"
    return Recorded(
        name=name,
        works=tuple(_WORKS[n] for n in works),
        milliseconds=tuple(milliseconds),
        memory_mb=tuple(memory),
        kilobytes=tuple(kilobytes),
        deps=tuple(tuple(n - step for step in each) for n, each in enumerate(steps)),
        cold_bytes=cold,
        first=first,
        to_send=to_send,
    )


def read(workspace: Workspace, name: str) -> Recorded:
    """All that was ever recorded there."""
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        return _read(workspace, store, name)
    finally:
        store.close()


def _read(workspace: Workspace, store: DirectoryStore, name: str) -> Recorded:
    roots = [ThunkId(stored.key.digest) for stored in store.keys(Kind.THUNK)]
    ran = {each.name: each.reduction for batch in CachedResults(store, roots).find() for each in batch}
    groups = Groups(store)
    cone = Cone(store, groups, _no_files)
    order = cone.load(roots)
    place = {thunk: n for n, thunk in enumerate(order)}
    thunks = [cone.thunks[each] for each in order]
    every, first = Sizes(groups), Sizes(groups)
    cold = every.mean(thunks)
    first.mean([thunk for thunk in thunks if not thunk.dependencies()])
    return Recorded(
        name=name,
        works=tuple(thunk.work for thunk in thunks),
        milliseconds=tuple(_milliseconds(ran.get(each)) for each in order),
        memory_mb=tuple(ran[each].usage.memory >> 20 if each in ran else 0 for each in order),
        kilobytes=tuple(_own(thunk, ran) // 1000 for thunk in thunks),
        deps=tuple(tuple(place[dep] for dep in thunk.dependencies()) for thunk in thunks),
        cold_bytes=cold,
        first=sum(blob.size for blob in first.files),
        to_send=sum(blob.size for blob in every.files),
    )


def _milliseconds(reduction: Reduction | None) -> int | None:
    return None if reduction is None else max(1, reduction.usage.cpu_ns // 1_000_000)


def _own(thunk: Thunk, ran: Mapping[ThunkId, Reduction]) -> int:
    """Bytes of a thunk's own inputs, others' outputs among them as they came out."""
    size = 0
    for entry in thunk.entries:
        if isinstance(entry, File):
            size += entry.blob.size
        elif isinstance(entry, OutputOf):
            made = ran[entry.thunk].outputs[entry.index] if entry.thunk in ran else None
            size += made.blob.size if made else OUTPUT
    return size


def _no_files() -> FileDB:
    raise AssertionError("a graph reads no file")


def main() -> None:
    parser = argparse.ArgumentParser(description="keep the graph of a recorded and forced build")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--name", help="what the build is called (default: the workspace's)")
    options = parser.parse_args()
    recorded = read(Workspace.need(str(options.workspace)), options.name or options.workspace.resolve().name)
    options.file.write_bytes(zlib.compress(encode(recorded), 9))
    seen = sum(each is not None for each in recorded.milliseconds)
    print(f"{len(recorded.works)} thunks, {seen} of them with a duration")


if __name__ == "__main__":
    main()
