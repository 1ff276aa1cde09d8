"""Removes placeholders that nobody can force: no store has their thunks any more, as after `rm -rf ~/.cache` or in a tree from
another machine, or somebody has made them for outputs that their thunks do not have.

Make takes them for files that it made. So the first recording in a tree removes them, and the build makes the files again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.errors import GGError
from gg.store.base import Key, Kind
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gg.core.placeholder import Placeholder
    from gg.store.base import Store


def remove(workspace: Workspace, store: Store) -> list[bytes]:
    """Remove the placeholders of the workspace that no store knows; their paths. `store` is the workspace's."""
    found = workspace.placeholders()
    lost = _unknown(found, store)
    for directory in {os.path.dirname(path) for path in lost}:
        inner = Workspace.find(os.fsdecode(directory))
        if inner is not None and inner.store != workspace.store:  # a workspace of its own, with a store of its own
            inside = {path: known for path, known in lost.items() if os.path.dirname(path) == directory}
            lost = {path: known for path, known in lost.items() if path not in inside} | _unknown_there(inner, inside)
    removed = []
    for path in lost:
        with suppress(OSError):
            os.unlink(path)
            removed.append(path)
    return removed


def _unknown(found: Mapping[bytes, Placeholder], store: Store) -> dict[bytes, Placeholder]:
    keys = {Key(Kind.THUNK, known.thunk) for known in found.values()}
    missing = keys - store.has(list(keys)) if keys else keys
    lost = {path: known for path, known in found.items() if Key(Kind.THUNK, known.thunk) in missing}
    later = {path: known for path, known in found.items() if known.index and path not in lost}
    return lost | (_without_output(later, store) if later else {})


def _without_output(found: Mapping[bytes, Placeholder], store: Store) -> dict[bytes, Placeholder]:
    from gg.core.codec import outline_thunk

    thunks = store.get(list({Key(Kind.THUNK, known.thunk) for known in found.values()}))
    outputs = {key.digest: len(outline_thunk(data).outputs) for key, data in thunks.items()}
    return {path: known for path, known in found.items() if known.index >= outputs.get(known.thunk, 1)}


def _unknown_there(workspace: Workspace, found: Mapping[bytes, Placeholder]) -> dict[bytes, Placeholder]:
    from gg.store.directory import DirectoryStore

    try:
        with DirectoryStore(os.fsencode(workspace.store), read_only=True) as store:
            return _unknown(found, store)
    except GGError:  # the store cannot tell, so they stay
        return {}
