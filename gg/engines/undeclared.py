"""What a command has read, or looked for in vain, without declaring it: to be declared, waited for, or hidden from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING

from gg.core.ids import SandboxPath, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.thunk import Directory, File, Thunk
from gg.errors import InputChanged
from gg.run.expand import Groups
from gg.run.job import RunResult
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.later import Late, Later


class Undeclared:
    """Of one attempt, run after run. `extra` and `hidden` are for its next run.

    `directories`: those that exist under names that are not their own, kept for all attempts.
    """

    def __init__(
        self,
        name: ThunkId,
        thunk: Thunk,
        extra: Iterable[File],
        *,
        store: Store,
        groups: Groups,
        files: Callable[[], FileDB],
        here: Callable[[SandboxPath], bytes],
        later: Later | None,
        directories: dict[SandboxPath, Directory],
    ) -> None:
        self.extra = {file.path: file for file in extra}
        self.hidden: dict[SandboxPath, bool] = {}  # and whether that is sure
        self.needs: list[tuple[SandboxPath, Placeholder]] = []
        self._shown: set[SandboxPath] = set()
        self._own = {output.path for output in thunk.outputs}
        self._name = name
        self._thunk = thunk
        self._store = store
        self._files = files
        self._here = here
        self._later = later
        self._known = cache(partial(groups.directories, thunk))
        self._directories = directories

    def look(self, ran: RunResult) -> bool:
        """Look at what it has asked for; whether it must run again, to be shown it or not to be. InputChanged."""
        again = False
        self.needs = []
        for path in (*ran.undeclared, *ran.missing):
            if path in self.extra or path in self._own:
                continue
            late = self._late(path)
            if late is not None:
                again = self._hide(late) or again
            elif os.path.isdir(self._here(path)):
                again = self._directory(path) or again
            else:
                again = self._file(path, ran) or again
        for path in ran.directories:
            late = self._late(path)
            again = (self._hide_listed(path) if late is None else self._hide(late)) or again
        return again

    def show_again(self) -> bool:
        """It has failed: show it what may have been there. Whether there is any."""
        unsure = [path for path, sure in self.hidden.items() if not sure]
        for path in unsure:
            del self.hidden[path]
            self._shown.add(path)
        return bool(unsure)

    def _late(self, path: SandboxPath) -> Late | None:
        if self._later is None:
            return None
        late = self._later.late(self._name, self._thunk, path, self._known)
        if late is not None and late.changed:
            raise InputChanged(os.fsdecode(self._here(path)), hint="record again, or declare that the command reads it")
        return None if late is None or late.path in self._shown else late

    def _hide(self, late: Late) -> bool:
        """Hide it, and what came into the same directory, which would be met next."""
        if late.path in self.hidden:
            return False
        self.hidden[late.path] = late.sure
        self._hide_listed(SandboxPath(os.path.dirname(late.path)))
        return True

    def _hide_listed(self, directory: SandboxPath) -> bool:
        count = len(self.hidden)
        if self._later is not None:
            for each in self._later.listed(self._name, self._thunk, directory, self._known):
                if each.path not in self._own and each.path not in self._shown:
                    self.hidden.setdefault(each.path, each.sure)
        return len(self.hidden) > count

    def _directory(self, path: SandboxPath) -> bool:
        again = self._hide_listed(path)
        if self._here(path) != path and path not in self._directories:
            self._directories[path] = Directory(path)
            again = True
        return again

    def _file(self, path: SandboxPath, ran: RunResult) -> bool:
        here = self._here(path)
        if not os.path.isfile(here):
            return False
        placeholder = read_placeholder(here)
        if placeholder:
            self.needs.append((path, placeholder))
            return False
        try:
            info = self._files().digest(here)
            changed_at = os.stat(here).st_ctime
            if here != path:
                self._store.put_files({info.blob: here})
        except OSError:
            return False
        self.extra[path] = File(path, info.blob, info.executable)
        return changed_at > ran.started - 0.1 or path in ran.missing
