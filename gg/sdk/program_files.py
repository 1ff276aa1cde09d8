"""Programs of this machine as inputs: the file, its loader, its libraries, and the links on the way to them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath
from gg.core.thunk import Entry, File
from gg.errors import ToolMissing
from gg.host.filedb import FileDB
from gg.models.toolchain import program_files
from gg.record.canon import Canon
from gg.record.world import World

if TYPE_CHECKING:
    from gg.store.base import Store
    from gg.workspace.workspace import Workspace


class ProgramFiles:
    """What was found of each program. Looked at again each time, as far as it is not the system's."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self._files = FileDB(os.fsencode(workspace.dot))
        self._store = store
        self._world = World(os.fsencode(workspace.root), self._files, store, _refuse)
        self._lock = Lock()

    def find(self, name: bytes, environment: Mapping[str, str]) -> tuple[SandboxPath, tuple[Entry, ...]]:
        """The program for a name on PATH, or a path; and the inputs that it is. ToolMissing when there is none."""
        found = shutil.which(os.fsdecode(name))
        if found is None:
            raise ToolMissing(f"{os.fsdecode(name)}: no such program", hint="a name on PATH, or the path of a program")
        env = {os.fsencode(key): os.fsencode(value) for key, value in environment.items()}
        with self._lock:
            return self._entries(os.fsencode(os.path.abspath(found)), env)

    def _entries(self, path: bytes, env: Mapping[bytes, bytes]) -> tuple[SandboxPath, tuple[Entry, ...]]:
        canon = Canon()
        entries: dict[bytes, Entry] = {}
        for each in program_files(self._world, path, env):
            real, links = canon.file(each)
            entries.update((link.path, link) for link in links)
            info = self._files.digest(real)
            entries[real] = File(real, info.blob, info.executable)
            if not self._world.stable(real):
                self._store.put_files({info.blob: real})
        return SandboxPath(path), tuple(entries.values())

    def close(self) -> None:
        self._files.flush()
        self._files.close()


def _refuse(paths: Sequence[bytes]) -> None:
    raise OSError(f"{os.fsdecode(paths[0])} is a placeholder: run gg-force first")
