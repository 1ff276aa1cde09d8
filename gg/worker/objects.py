"""Brings the objects that a task reads: from the cache, from the request itself, else from the place that the request names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gg.core.codec import decode_group
from gg.core.ids import GroupId
from gg.core.thunk import File
from gg.run.expand import Groups
from gg.store.base import Key, Kind, blob_key
from gg.worker.disk_cache import Cache


class ObjectSource(Protocol):
    """The source of objects that are not here, and the destination of big outputs."""

    def fetch(self, keys: Sequence[Key], cache: Cache) -> None:
        """Put the objects of `keys` that it has into the cache, and others that come along. OSError for trouble."""
        ...

    def put_file(self, key: Key, path: str) -> None:
        """Put a blob from a file; it is there when this returns. OSError."""
        ...

    @property
    def requests(self) -> int:
        """How many requests it has made."""
        ...

    @property
    def puts(self) -> int:
        """How many of its requests put an object."""
        ...


class Nowhere:
    """The source of a request that names no store."""

    requests = puts = 0

    def fetch(self, keys: Sequence[Key], cache: Cache) -> None:
        pass

    def put_file(self, key: Key, path: str) -> None:
        raise OSError("the request names no store to put an output into")


class Absent(Exception):
    """Objects that are in no known place."""

    def __init__(self, keys: Collection[Key]) -> None:
        super().__init__(f"{len(keys)} of its inputs are nowhere to be found")
        self.keys = tuple(keys)


class GroupObjects:
    """The groups that are here, as the store that `Groups` reads: only `get` is ever called."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def get(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        found = {key: self._cache.get(key) for key in keys}
        return {key: data for key, data in found.items() if data is not None}


class InputFetcher:
    """Brings inputs into the cache. `groups` reads from `GroupObjects` over the same cache."""

    def __init__(self, cache: Cache, groups: Groups) -> None:
        self._cache = cache
        self._groups = groups
        self._files: dict[tuple[GroupId, ...], tuple[File, ...]] = {}
        self.here = 0

    def put(self, objects: Sequence[tuple[int, bytes]]) -> None:
        """Keep the objects that came with the request. Their digests are computed here, so their names are right."""
        from blake3 import blake3

        for kind, data in objects:
            self._cache.put(Key(Kind(kind), blake3(data).digest()), data)

    def bring(self, ids: tuple[GroupId, ...], own: Collection[File], source: ObjectSource) -> Collection[Key]:
        """Bring the groups, all files in them, and the task's own files; returns all keys. Absent for objects that are nowhere."""
        files = (*own, *self._grouped(ids, source))
        wanted = {(blob_key(f.blob), f.executable) for f in files}
        both = {key for key, executable in wanted if executable and (key, False) in wanted}
        lacking = [key for key, executable in wanted if not self._cache.ready(key, executable, key in both)]
        self.here = len(wanted) - len(lacking)
        needed = {key for key, _ in wanted}
        if lacking:
            fetched = dict.fromkeys(lacking)
            sizes = {blob_key(f.blob): f.blob.size for f in files}
            copies = sum(sizes[key] for key in both)
            self._cache.trim(needed, copies + sum(sizes[key] for key in fetched))
            self._fetch(list(fetched), source)
            for key, executable in wanted:
                self._cache.ready(key, executable, key in both)
        self._cache.trim(needed)
        return needed

    def _grouped(self, ids: tuple[GroupId, ...], source: ObjectSource) -> tuple[File, ...]:
        known = self._files.get(ids)
        if known is None:
            self._bring_groups(ids, source)
            nodes = self._groups.below(ids)
            known = tuple(dict.fromkeys(e for node in nodes for e in node.entries if isinstance(e, File)))
            if len(self._files) > 256:
                self._files.clear()
            self._files[ids] = known
        return known

    def _bring_groups(self, ids: Sequence[GroupId], source: ObjectSource) -> None:
        """Bring one level of the graph at a time. In practice all levels come in one pack with the first."""
        seen: set[GroupId] = set()
        wanted = list(dict.fromkeys(ids))
        while wanted:
            seen.update(wanted)
            keys = [Key(Kind.GROUP, each) for each in wanted if not self._groups.known(each)]
            lacking = [key for key in keys if not self._cache.have(key)]
            if lacking:
                self._fetch(lacking, source)
            below: dict[GroupId, None] = {}
            for key in keys:
                data = self._cache.get(key)
                assert data is not None
                below.update(dict.fromkeys(decode_group(data).groups))
            wanted = [each for each in below if each not in seen]

    def _fetch(self, keys: Sequence[Key], source: ObjectSource) -> None:
        source.fetch(keys, self._cache)
        absent = [key for key in keys if not self._cache.have(key)]
        if absent:
            raise Absent(absent)
