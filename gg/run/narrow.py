"""Finds a reduction by what a command really read.

A thunk declares a superset of what it may read, so an edit of a header that it includes under an `#if` gives it a new
id though its result cannot differ. For each *shape* (the thunk without the bytes of its inputs) the store keeps the
last few thunks that ran. A new thunk takes the reduction of an old one when

  - both declare the same paths,
    - every file that the old one opened has the same bytes in the new one, and
    - every program and shared library has the same bytes, for the system loads these and nobody sees them being opened.

  The first condition is why opened files are enough: in its sandbox a command sees declared paths only, so a path that the
  old command looked for and did not find was not declared then, is not declared now, and will not be found either.

  A shared library that a link reads may also have changed, as long as its interface has not (`gg.run.interface_cutoff`).

  Words of a compile that reach no byte of its result are no part of its shape; `inert` proves that they do not, case by case.

  A thunk for which no reduction is found in this way may take that of its twin in another directory (`placeless`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from blake3 import blake3

from gg.core.codec import decode_thunk
from gg.core.ids import ThunkId
from gg.core.reduction import decode_reduction
from gg.core.thunk import Directory, File, OutputOf, Reduction, Symlink, Thunk, Work
from gg.errors import MissingObject
from gg.run import inert
from gg.run.expand import Groups
from gg.run.placeless import Placeless
from gg.store.base import Key, Kind, Store

if TYPE_CHECKING:
    from gg.run.interface_cutoff import Interfaces

_KEEP = 6


def shape(thunk: Thunk) -> bytes:
    """32 bytes that name the command without the bytes of its inputs."""
    argv, env = inert.without(thunk) if inert.is_seeded(thunk) else (thunk.argv, thunk.env)
    parts = (
        b"shape",
        thunk.model.encode(),
        thunk.program,
        thunk.cwd,
        *argv,
        b"\1",
        *(piece for pair in env for piece in pair),
        b"\1",
        *(output.path for output in thunk.outputs),
        b"\1",
        *(e.path + b"\0" + e.target for e in thunk.entries if isinstance(e, Symlink)),
        b"",
    )
    return blake3(b"\0".join(parts)).digest()


class Narrow:
    """Finds reductions in a store, and remembers there what has run. Each shape is looked up once."""

    def __init__(self, store: Store, groups: Groups, root: bytes = b"") -> None:
        """`root`: the workspace. Without it no thunk is found by its twin in another workspace."""
        self._placeless = Placeless(groups, root)
        self._twins: dict[ThunkId, tuple[Key, bytes] | None] = {}  # of thunks that were looked up
        self._store = store
        self._groups = groups
        self._interfaces: Interfaces | None = None
        self._inert = inert.Inert()
        self._lists: dict[ThunkId, tuple[Key, bytes]] = {}  # of thunks that were looked up, and have not run since

    def find(self, wanted: Mapping[ThunkId, Thunk]) -> dict[ThunkId, Reduction]:
        """Reductions of other thunks that hold for these resolved ones too."""
        self._look(wanted)
        found: dict[ThunkId, Reduction] = {}
        for name, thunk in wanted.items():
            ids = [each for each in _ids(self._lists[name][1]) if each != name]
            known = self._match(thunk, ids) if ids else None
            if known is None:
                known = self._twin(name, thunk)
            if known is not None:
                found[name] = known
        return found

    def _twin(self, name: ThunkId, thunk: Thunk) -> Reduction | None:
        """The reduction of the same command in another directory."""
        twins = self._twins[name]
        for each in _ids(twins[1]) if twins else ():
            thunks, key = self._store.get([Key(Kind.THUNK, each)]), Key(Kind.REDUCTION, each)
            data = self._store.get([key]).get(key) if thunks else None
            if data is not None:
                old = decode_thunk(thunks[Key(Kind.THUNK, each)])
                with suppress(MissingObject):
                    return self._placeless.moved(decode_reduction(data, self._groups.universe(old)), old, thunk)
        return None

    def remember(
        self, ran: Mapping[ThunkId, tuple[Thunk, bytes]], came_to: Mapping[ThunkId, Reduction] | None = None
    ) -> dict[Key, bytes]:
        """The records to put so that `find` meets these resolved thunks, given with their encodings: the thunks, the lists of
        their shapes and, for those in `came_to`, whose results are known, the names that they share with their twins.
        """
        self._look({name: thunk for name, (thunk, _) in ran.items()})
        items: dict[Key, bytes] = {}
        for name, (_, encoded) in ran.items():
            key, known = self._lists.pop(name)
            ids = [name, *(each for each in _ids(items.get(key, known)) if each != name)]
            items[key] = b"".join(ids[:_KEEP])
            items[Key(Kind.THUNK, name)] = encoded
        return items | self._shared(came_to or {})

    def _shared(self, came_to: Mapping[ThunkId, Reduction]) -> dict[Key, bytes]:
        """The shared names of the thunks that may have twins and whose result does not show this directory."""
        may = [(twins[0], name) for name in came_to if (twins := self._twins.pop(name, None)) is not None]
        blobs = [made.blob for _, name in may for made in came_to[name].outputs if made is not None]
        paths = self._store.paths(blobs) if blobs else {}
        return {key: bytes(name) for key, name in may if not self._placeless.is_shown(came_to[name], paths)}

    def _look(self, thunks: Mapping[ThunkId, Thunk]) -> None:
        keys = {name: Key(Kind.ALIAS, shape(t)) for name, t in thunks.items() if name not in self._lists}
        names = {name: self._placeless.name(t) for name, t in thunks.items() if name not in self._twins}
        twins = {name: Key(Kind.ALIAS, shared) for name, shared in names.items() if shared is not None}
        found = self._store.get([*keys.values(), *twins.values()]) if keys or twins else {}
        self._lists.update((name, (key, found.get(key, b""))) for name, key in keys.items())
        self._twins.update(dict.fromkeys(names))
        self._twins.update((name, (key, found.get(key, b""))) for name, key in twins.items())

    def _match(self, thunk: Thunk, ids: Sequence[ThunkId]) -> Reduction | None:
        thunks = self._store.get([Key(Kind.THUNK, each) for each in ids])
        named = {_last(word) for word in thunk.argv}
        changes: dict[Key, list[File]] = {}
        others: dict[Key, Thunk] = {}
        for each in ids:
            data = thunks.get(Key(Kind.THUNK, each))
            old = decode_thunk(data) if data is not None else None
            changed = self._changed(thunk, old) if old is not None else None
            if changed and thunk.work is Work.LINK:
                changed = self._beyond_interfaces(thunk, changed)
            # Files that the command line names are read, and so are files that are loaded: the reduction would only say so.
            if changed is not None and not any(_is_loaded(file) or _last(file.path) in named for file in changed):
                assert old is not None
                changes[Key(Kind.REDUCTION, each)] = changed
                others[Key(Kind.REDUCTION, each)] = old
        reductions = self._store.get(list(changes)) if changes else {}
        for key, changed in changes.items():
            if key in reductions:
                reduction = decode_reduction(reductions[key], self._groups.universe(thunk))
                unread = reduction.reads is not None and not {f.path for f in changed}.intersection(reduction.reads)
                if (unread or not changed) and self._is_free_of(thunk, others[key], reduction):
                    return reduction
        return None

    def _is_free_of(self, thunk: Thunk, old: Thunk, reduction: Reduction) -> bool:
        """Whether the result shows none of the words in which the two commands differ."""
        if thunk.argv == old.argv and thunk.env == old.env:
            return True
        made = [*(m for m in reduction.outputs if m is not None), *(m for _, m in reduction.extra_outputs)]
        keys = [Key(Kind.BLOB, m.blob.digest) for m in made]
        found = self._store.get(keys)
        if len(found) < len(set(keys)):
            return False
        texts = (reduction.stdout, reduction.stderr, *found.values())
        return not inert.shows_seed(old, texts) and self._inert.may_share(thunk, old)

    def _beyond_interfaces(self, thunk: Thunk, changed: Sequence[File]) -> list[File]:
        """Those of the changed files of which a link may read more than the interface that has stayed the same."""
        if not any(b".so" in bytes(file.path) for file in changed):
            return list(changed)
        if self._interfaces is None:
            from gg.run.interface_cutoff import Interfaces

            self._interfaces = Interfaces(self._store)
        files = self._groups.files(thunk)
        return [old for old in changed if not self._interfaces.same(thunk, old, files[old.path], files)]

    def _changed(self, thunk: Thunk, old: Thunk) -> list[File] | None:
        """The files of `old` that have other bytes in `thunk`; None when the two do not declare the same."""
        if any(isinstance(e, OutputOf) for e in old.entries):
            return None
        if thunk.groups == old.groups and (own := _own_changed(thunk, old)) is not None:
            return own
        groups = self._groups
        new_files, old_files = groups.files(thunk), groups.files(old)
        if new_files.keys() != old_files.keys():
            return None
        if _links_and_directories(groups, old) != _links_and_directories(groups, thunk):
            return None
        return [file for path, file in old_files.items() if new_files[path] != file]


def _own_changed(thunk: Thunk, old: Thunk) -> list[File] | None:
    """As `_changed`, for two thunks with the same groups, which need no look then; None when that is not enough to tell."""
    new_entries, old_entries = ({e.path: e for e in each.entries} for each in (thunk, old))
    if new_entries.keys() != old_entries.keys():
        return None
    changed = [e for path, e in old_entries.items() if new_entries[path] != e]
    if not all(isinstance(e, File) and isinstance(new_entries[e.path], File) for e in changed):
        return None
    return [e for e in changed if isinstance(e, File)]


def _ids(joined: bytes) -> list[ThunkId]:
    return [ThunkId(joined[i : i + 32]) for i in range(0, len(joined), 32)]


def _last(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _is_loaded(file: File) -> bool:
    return file.executable or b".so" in bytes(file.path)


def _links_and_directories(groups: Groups, thunk: Thunk) -> set[Symlink | Directory]:
    found = {e for e in thunk.entries if isinstance(e, (Symlink, Directory))}
    for node in groups.below(thunk.groups):
        found.update([e for e in node.entries if isinstance(e, (Symlink, Directory))])
    return found
