"""Finds the thunks of files that a command names: those that made the very bytes that are there. Tells of failures on the way."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gg.cli.describe import find
from gg.compare.makers import maker_of
from gg.errors import UsageError
from gg.host.trees import hash_file
from gg.workspace.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from gg.core.ids import BlobId, ThunkId
    from gg.observe.build_events import ThunkFailed
    from gg.store.base import Store


def workspace_of(name: str) -> Workspace:
    """The workspace that a file named on the command line is in. UsageError for a directory."""
    path = os.path.abspath(name)
    if os.path.isdir(path):
        raise UsageError(f"{name} is a directory", hint="name files that the build has made")
    return Workspace.need(os.path.dirname(path))


def made_by(store: Store, workspace: Workspace, name: str) -> tuple[bytes, ThunkId, int]:
    """The file's path here, its thunk, and the number of the output. UnknownTarget when no thunk is known for it.

    If several thunks were to make a file that is real by now, the one whose bytes are there is meant, else the latest.
    """
    path = os.path.realpath(os.fsencode(name))
    if os.path.isdir(path):
        raise UsageError(f"{name} is a directory", hint="name files that the build has made")
    if os.path.isfile(path) and read_placeholder(path) is None:
        made = maker_of(store, _called(workspace, path), hash_file(path), _holds)
        if made is not None:
            return path, *made
    return path, *find(store, name, workspace)


def _called(workspace: Workspace, path: bytes) -> bytes:
    from gg.workspace import known_as as names

    renaming = names.renaming(workspace) if os.path.exists(os.path.join(workspace.dot, "known-as")) else None
    return renaming.thunk_text(path) if renaming and renaming.known_as else path


def _holds(path: bytes, blob: BlobId) -> bool:
    try:
        return hash_file(path) == blob
    except OSError:
        return False


def tell_failure(event: ThunkFailed) -> None:
    """Say that a command has failed on the way to such a file, and what it has said."""
    from gg.observe.sink import TextOutput

    TextOutput(sys.stderr.buffer).show(event.stderr)
    sys.stderr.write(f"gg: {event.label} failed with status {event.status}\n")
