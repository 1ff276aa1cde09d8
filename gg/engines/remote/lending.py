"""The objects that a worker may have from this machine: those of the attempts that it was given, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gg.core.ids import GroupId
from gg.core.thunk import File
from gg.engines.engine import Submission
from gg.engines.nothing_between import NothingBetween
from gg.engines.system_file import read_system_file
from gg.errors import GGError, InputChanged
from gg.run.expand import Groups
from gg.store.base import Key, Kind, Store, blob_key
from gg.wire.request import PackReference


class Lending:
    """The objects that one worker may ask for. `real_path` maps a path inside a thunk to the real path on this machine."""

    def __init__(self, store: Store, groups: Groups, real_path: Callable[[bytes], bytes] = bytes) -> None:
        self._store = store
        self._groups = groups
        self._real_path = real_path
        self._granted: dict[Key, File | None] = {}
        self._known: set[tuple[GroupId, ...]] = set()

    def grant(self, submission: Submission) -> None:
        """Let the worker have all that the attempt declares."""
        thunk = submission.thunk
        own = [e for e in (*thunk.entries, *submission.extra) if isinstance(e, File)]
        self._granted.update((blob_key(file.blob), file) for file in own)
        if thunk.groups not in self._known:
            self._known.add(thunk.groups)
            self._granted.update((Key(Kind.GROUP, each), None) for each in self._groups.ids_below(thunk.groups))
            for node in self._groups.below(thunk.groups):
                files = [e for e in node.entries if isinstance(e, File)]
                self._granted.update((blob_key(file.blob), file) for file in files)

    def read(self, kind: int, digest: bytes) -> bytes | None:
        """An object. None if it is nowhere, or was not granted. May block."""
        granted = [key for key in (Key(each, digest) for each in Kind if each == kind) if key in self._granted]
        if not granted:
            return None
        key = granted[0]
        try:
            data = self._store.get([key]).get(key)
        except GGError:
            data = None
        return data if data is not None else self._from_place(self._granted[key])

    def _from_place(self, file: File | None) -> bytes | None:
        """A file of the system; None if it is gone or has other bytes."""
        try:
            return read_system_file(file, self._real_path(file.path)) if file is not None else None
        except InputChanged:
            return None


class Directly(NothingBetween):
    """Workers ask this machine for what they lack, and send outputs here before they answer."""

    def send(self, files: Sequence[File], groups: Sequence[GroupId]) -> set[PackReference]:
        return set()

    def gone(self, keys: Sequence[Key]) -> None:
        """Do nothing: a worker asks for what it lacks."""
