"""Declared files that commands read in place: their paths here, and whether they still have the bytes that were hashed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath
from gg.core.thunk import File, Thunk
from gg.errors import InputChanged
from gg.run.expand import Groups
from gg.run.job import RunResult

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.host.filedb import FileDB
    from gg.store.base import Store

_TICK_NS = 10_000_000  # times of files come from the kernel's coarse clock, which is behind by at most this (HZ=100)


class DeclaredFiles:
    """Of one engine. `renaming`: how thunks call the workspace, if not by its own path. Of such a file the blob is read."""

    def __init__(
        self, store: Store, files: Callable[[], FileDB], groups: Groups, renaming: Renaming | None = None
    ) -> None:
        self._store = store
        self._files = files
        self._groups = groups
        self.renaming = renaming

    def here(self, path: SandboxPath) -> bytes:
        """Where on this machine a file is that the thunk calls so."""
        return self.renaming.real_path(path) if self.renaming else path

    def renamed(self, thunk: Thunk) -> dict[SandboxPath, str]:
        """Where the files of its groups are that have another path here."""
        names = self.renaming
        if names is None:
            return {}
        nodes = self._groups.below(thunk.groups)
        files = [e for node in nodes for e in node.entries if isinstance(e, File) and names.renames(e.path)]
        return {file.path: self.blob(file) for file in files}

    def place(self, file: File) -> str | None:
        """A file of the workspace is read in place while it has the bytes that were recorded.

        Not if it was changed just now: it could then not be told from one that is changed while the command runs.
        """
        if self.here(file.path) != file.path:
            return self.blob(file)
        try:
            info = self._files().digest(file.path)
        except OSError:
            return self.blob(file)
        if info.blob != file.blob:
            return self.blob(file)
        if info.signature.ctime_ns < time.time_ns() - 2 * _TICK_NS:
            return None
        path = self._store.path(file.blob, executable=file.executable)
        return None if path is None else os.fsdecode(path)

    def blob(self, file: File) -> str:
        """Where the store has its bytes. InputChanged."""
        path = self._store.path(file.blob, executable=file.executable)
        if path is None:
            raise InputChanged(os.fsdecode(self.here(file.path)))
        return os.fsdecode(path)

    def changed(self, thunk: Thunk, ran: RunResult) -> list[File]:
        """What was read in place and may not have been what was hashed. Blobs in the store do not change.

        Right bytes afterwards do not tell what was read, if the file was touched since the command began. Where reading
        was not observed, all that was declared may have been read.
        """
        changed: list[File] = []
        digest = self._files().digest
        begun = int(ran.started * 1e9) - 2 * _TICK_NS
        reads = self._groups.files(thunk).values() if ran.reads is None else ran.reads
        for file in reads:
            if file.path in ran.mapped:
                continue
            try:
                info = digest(self.here(file.path))
                if info.blob == file.blob:
                    if info.signature.ctime_ns < begun:
                        continue
                    self._store.put_files({file.blob: self.here(file.path)})  # the next try reads it there
            except OSError:
                pass
            changed.append(file)
        return changed

    def gone(self, thunk: Thunk, mapped: Container[SandboxPath]) -> list[File]:
        """Declared files that are not where they were, or have other bytes, `mapped` aside. A command that fails may not have
        come to open them.
        """
        gone: list[File] = []
        for file in self._groups.files(thunk).values():
            if file.path in mapped:
                continue
            try:
                if self._files().digest(self.here(file.path)).blob == file.blob:
                    continue
            except OSError:
                pass
            gone.append(file)
        return gone
