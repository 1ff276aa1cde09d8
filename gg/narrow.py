"""Finding a reduction by what a command really read.

A thunk declares a superset of what it may read, so an edit of a header that it includes under an `#if` gives it a new
id though its result cannot differ. For each *shape* (the thunk without the bytes of its inputs) the store keeps the
last few thunks that ran. A new thunk takes the reduction of an old one when

  - both declare the same paths,
  - every file that the old one opened has the same bytes in the new one, and
  - so has every program and shared library, for those are loaded by the system and not seen being opened.

The first makes the second enough: in its sandbox a command sees declared paths only, so what the old command looked
for and did not find was not declared then, is not declared now, and will not be found either.
"""

from __future__ import annotations

from blake3 import blake3

from gg.core.codec import decode_reduction, decode_thunk
from gg.core.ids import ThunkId
from gg.core.thunk import Directory, File, OutputOf, Reduction, Symlink, Thunk
from gg.execute.expand import Groups
from gg.store.base import Key, Kind, Store, get_one

_KEEP = 6


def shape(thunk: Thunk) -> bytes:
    """32 bytes that name the command without the bytes of its inputs."""
    hasher = blake3(b"shape\0")
    for part in (
        thunk.model.encode(),
        thunk.program,
        thunk.cwd,
        *thunk.argv,
        b"\1",
        *(piece for pair in thunk.env for piece in pair),
        b"\1",
        *(output.path for output in thunk.outputs),
        b"\1",
        *(e.path + b"\0" + e.target for e in thunk.entries if isinstance(e, Symlink)),
    ):
        hasher.update(part + b"\0")
    return hasher.digest()


def remember(store: Store, name: ThunkId, thunk: Thunk) -> dict[Key, bytes]:
    """The records to put, so that `find` meets this thunk: itself, resolved, and the list of its shape."""
    from gg.core.codec import encode_thunk

    key = Key(Kind.ALIAS, shape(thunk))
    known = get_one(store, key) or b""
    ids = [known[i : i + 32] for i in range(0, len(known), 32)]
    ids = [name, *(i for i in ids if i != name)][:_KEEP]
    return {key: b"".join(ids), Key(Kind.THUNK, name): encode_thunk(thunk)}


def find(store: Store, groups: Groups, name: ThunkId, thunk: Thunk) -> Reduction | None:
    """A reduction that holds for this resolved thunk too; None when there is none."""
    known = get_one(store, Key(Kind.ALIAS, shape(thunk)))
    if not known:
        return None
    ids = [ThunkId(known[i : i + 32]) for i in range(0, len(known), 32)]
    ids = [i for i in ids if i != name]
    thunks = store.get([Key(Kind.THUNK, i) for i in ids])
    reductions = store.get([Key(Kind.REDUCTION, i) for i in ids])
    new_files = groups.files(thunk)
    new_rest = _links_and_directories(groups, thunk)
    for each in ids:
        old_data, data = thunks.get(Key(Kind.THUNK, each)), reductions.get(Key(Kind.REDUCTION, each))
        if old_data is None or data is None:
            continue
        old = decode_thunk(old_data)
        if any(isinstance(e, OutputOf) for e in old.entries):
            continue
        old_files = groups.files(old)
        if new_files.keys() != old_files.keys() or _links_and_directories(groups, old) != new_rest:
            continue
        reduction = decode_reduction(data, groups.universe(old))
        if reduction.reads is None:
            continue
        reads = set(reduction.reads)
        if all(new_files[path] == file for path, file in old_files.items() if path in reads or _is_loaded(file)):
            return reduction
    return None


def _is_loaded(file: File) -> bool:
    return file.executable or b".so" in bytes(file.path)


def _links_and_directories(groups: Groups, thunk: Thunk) -> set[Symlink | Directory]:
    found = {e for e in thunk.entries if isinstance(e, (Symlink, Directory))}
    for node in groups.below(thunk.groups):
        found.update([e for e in node.entries if isinstance(e, (Symlink, Directory))])
    return found
