"""Input groups expanded to their entries, each group loaded and encoded once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from gg.core.codec import decode_group
from gg.core.ids import GroupId, SandboxPath
from gg.core.thunk import Directory, Entry, File, Group, OutputOf, Symlink, Thunk
from gg.errors import MissingObject
from gg.light.slotted import slotted
from gg.run.pathmap import record
from gg.store.base import Key, Kind


class Reads(Protocol):
    """What is asked of a store here."""

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]: ...


@slotted(eq=False)
class ExpandedGroup:
    """One group: its own entries, the groups below it, and its records for the path map."""

    entries: tuple[File | Symlink | Directory, ...]
    groups: tuple[GroupId, ...]
    records: bytes


class Groups:
    """The groups of a store, in memory once used. MissingObject when the store lacks one."""

    def __init__(self, store: Reads) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._nodes: dict[GroupId, ExpandedGroup] = {}
        self._orders: dict[tuple[GroupId, ...], tuple[ExpandedGroup, ...]] = {}
        self._paths: dict[tuple[GroupId, ...], tuple[tuple[SandboxPath, ...], frozenset[SandboxPath]]] = {}

    def known(self, id: GroupId) -> bool:
        """Whether this group is in memory, and with it all groups below."""
        return id in self._nodes

    def load(self, ids: Iterable[GroupId]) -> None:
        """Load these groups and all below them into memory. From any thread."""
        with self._lock:
            loaded: dict[GroupId, ExpandedGroup] = {}
            self._load(ids, loaded)
            self._nodes.update(loaded)  # at the end: a group that is in memory has all below it there too

    def _load(self, ids: Iterable[GroupId], loaded: dict[GroupId, ExpandedGroup]) -> None:
        wanted = [i for i in dict.fromkeys(ids) if i not in self._nodes]
        while wanted:
            found = self._store.get([Key(Kind.GROUP, i) for i in wanted])
            below: dict[GroupId, None] = {}
            for each in wanted:
                data = found.get(Key(Kind.GROUP, each))
                if data is None:
                    raise MissingObject(
                        f"input group {each.hex()} is not in the store", hint="run gg-infer again to record it"
                    )
                group = decode_group(data)
                loaded[each] = ExpandedGroup(group.entries, group.groups, self._records(group))
                below.update(dict.fromkeys(group.groups))
            wanted = [i for i in below if i not in self._nodes and i not in loaded]

    def _records(self, group: Group) -> bytes:
        return b"".join([record(entry) for entry in group.entries])

    def node(self, id: GroupId) -> ExpandedGroup:
        """One group."""
        if id not in self._nodes:
            self.load((id,))
        return self._nodes[id]

    def below(self, ids: tuple[GroupId, ...]) -> tuple[ExpandedGroup, ...]:
        """Every group reachable from `ids`, each once, in a fixed order."""
        known = self._orders.get(ids)
        if known is not None:
            return known
        order = tuple([self._nodes[i] for i in self.ids_below(ids)])
        if len(self._orders) < 4096:
            self._orders[ids] = order
        return order

    def ids_below(self, ids: tuple[GroupId, ...]) -> tuple[GroupId, ...]:
        """The groups of `below`, by name."""
        self.load(ids)
        nodes = self._nodes
        seen: dict[GroupId, None] = {}
        stack = list(reversed(ids))
        while stack:
            top = stack.pop()
            if top not in seen:
                seen[top] = None
                stack.extend(nodes[top].groups)
        return tuple(seen)

    def entries(self, ids: tuple[GroupId, ...]) -> dict[SandboxPath, Entry]:
        """What these groups declare, by path; of several entries of one path the first."""
        found: dict[SandboxPath, Entry] = {}
        for node in self.below(ids):
            for entry in node.entries:
                found.setdefault(entry.path, entry)
        return found

    def files(self, thunk: Thunk) -> dict[SandboxPath, File]:
        """Every declared file of a resolved thunk, by path."""
        found: dict[SandboxPath, File] = {}
        for entry in thunk.entries:
            if isinstance(entry, File):
                found[entry.path] = entry
        for node in self.below(thunk.groups):
            for each in node.entries:
                if isinstance(each, File):
                    found.setdefault(each.path, each)
        return found

    def directories(self, thunk: Thunk) -> set[SandboxPath]:
        """Every directory that a thunk declares or in which it declares something, and the directories above."""
        found: set[SandboxPath] = set()
        for entry in all_entries(thunk, self.below(thunk.groups)):
            path = entry.path if isinstance(entry, Directory) else SandboxPath(os.path.dirname(entry.path))
            while path not in found and path != b"/":
                found.add(path)
                path = SandboxPath(os.path.dirname(path))
        return found

    def universe(self, thunk: Thunk) -> tuple[SandboxPath, ...]:
        """The sorted paths of all declared files: what a reduction's `reads` are counted over."""
        shared, there = self._shared(thunk.groups)
        own = {e.path for e in thunk.entries if isinstance(e, (File, OutputOf)) and e.path not in there}
        return tuple(sorted([*shared, *sorted(own)]))  # two runs in order: merged in one pass

    def declares(self, ids: tuple[GroupId, ...], path: SandboxPath) -> bool:
        """Whether these groups declare a file at `path`."""
        return path in self._shared(ids)[1]

    def _shared(self, ids: tuple[GroupId, ...]) -> tuple[tuple[SandboxPath, ...], frozenset[SandboxPath]]:
        """The sorted paths of all files in these groups. Kept for a while, because they are asked for again and again."""
        known = self._paths.get(ids)
        if known is None:
            there = frozenset([e.path for node in self.below(ids) for e in node.entries if isinstance(e, File)])
            if len(self._paths) >= 256:
                self._paths = {}
            known = self._paths[ids] = (tuple(sorted(there)), there)
        return known


def all_entries(thunk: Thunk, nodes: Sequence[ExpandedGroup]) -> list[Entry]:
    """The thunk's own entries, then those of its groups."""
    entries: list[Entry] = list(thunk.entries)
    for node in nodes:
        entries.extend(node.entries)
    return entries
