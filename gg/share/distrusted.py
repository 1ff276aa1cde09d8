"""Takes the results of a key that is trusted no more out of this machine's stores, where results stand without a signature.

What such a key has signed is in the catalogs that workspaces keep of their team's store. A result that was found by one of these
(`gg.run.narrow`) stands here under another name: it has the same outputs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from gg.core.reduction import outline_reduction
from gg.core.resolve import Values
from gg.errors import FormatError
from gg.share.s3.catalog import Catalog
from gg.store.base import Key, Kind
from gg.store.directory import DirectoryStore
from gg.workspace import homes, roots
from gg.workspace.workspace import Workspace

_BATCH = 500


def remove_results(signers: Collection[bytes]) -> int:
    """Remove what these public keys have signed from the stores of all of this user's workspaces, and of the one at hand. Returns
    how many results were removed.
    """
    signed: dict[str, dict[Key, bytes]] = {}
    for workspace in _workspaces():
        if os.path.isdir(workspace.store):
            signed.setdefault(os.path.realpath(workspace.store), {}).update(_signed(workspace, signers))
    return sum(_remove(path, records) for path, records in signed.items() if records)


def _workspaces() -> Iterator[Workspace]:
    """Also those whose directories are gone."""
    here = Workspace.find()
    if here:
        yield here
    for home in homes.believed_homes():
        yield from (Workspace.kept_in(home, root.path, records) for records, root in roots.every(home))


def _signed(workspace: Workspace, signers: Collection[bytes]) -> dict[Key, bytes]:
    found: dict[Key, bytes] = {}
    for name in sorted(os.listdir(workspace.dot)):
        if name.startswith("remote-") and name.endswith(".db"):
            catalog = Catalog(os.fsencode(os.path.join(workspace.dot, name)))
            try:
                for signer in signers:
                    found.update(catalog.signed_by(signer))
            finally:
                catalog.close()
    return found


def _remove(path: str, records: Mapping[Key, bytes]) -> int:
    with DirectoryStore(path) as store:
        known: dict[Key, bytes] = {}
        keys = list(records)
        for start in range(0, len(keys), _BATCH):
            known.update(store.peek(keys[start : start + _BATCH]))
        gone = {key: data for key, data in known.items() if data == records[key]}
        made = {outputs for key, data in gone.items() if (outputs := _outputs(key, data))}
        doomed = {*gone, *_with_outputs(store, made)}
        store.delete(list(doomed))
    return sum(key.kind is Kind.REDUCTION for key in doomed)


def _with_outputs(store: DirectoryStore, made: Collection[Values]) -> set[Key]:
    """The results in the store that came to these outputs."""
    keys = [each.key for each in store.keys(Kind.REDUCTION)] if made else []
    found: set[Key] = set()
    for start in range(0, len(keys), _BATCH):
        some = store.peek(keys[start : start + _BATCH])
        found.update(key for key, data in some.items() if _outputs(key, data) in made)
    return found


def _outputs(key: Key, data: bytes) -> Values:
    """What a result came to; nothing for other records, and for a result that has made no file."""
    if key.kind is not Kind.REDUCTION:
        return ()
    try:
        outputs = outline_reduction(data).outputs
    except FormatError:
        return ()
    return outputs if any(outputs) else ()
