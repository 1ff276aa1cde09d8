"""Small graphs of thunks in a store, for tests of what runs them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gg.core.codec import encode_thunk, thunk_id
from gg.core.ids import SandboxPath, ThunkId
from gg.core.thunk import Entry, File, Output, OutputOf, Thunk, Work
from gg.store.base import Key, Kind, Store, put_blobs


class Graph:
    """Makes thunks of fake or real commands; every thunk of a name writes `/w/NAME`."""

    def __init__(self, store: Store, top: str = "/w") -> None:
        self._store = store
        self._top = os.fsencode(top)
        self.thunks: dict[ThunkId, Thunk] = {}

    def path(self, name: str) -> SandboxPath:
        return SandboxPath(self._top + b"/" + name.encode())

    def file(self, name: str, data: bytes) -> File:
        return File(self.path(name), put_blobs(self._store, [data])[0])

    def thunk(
        self,
        name: str,
        argv: Sequence[str | bytes],
        *needs: ThunkId | File,
        program: str = "/fake",
        dynamic: bool = False,
    ) -> ThunkId:
        """One thunk that reads files, and the first outputs of other thunks."""
        entries: list[Entry] = []
        for need in needs:
            if isinstance(need, File):
                entries.append(need)
            else:
                entries.append(OutputOf(self.thunks[need].outputs[0].path, need, 0))
        thunk = Thunk(
            argv=tuple(os.fsencode(a) for a in argv),
            program=SandboxPath(program.encode()),
            cwd=SandboxPath(self._top),
            env=((b"LC_ALL", b"C"), (b"PATH", b"/usr/bin:/bin")),
            entries=tuple(sorted(entries, key=lambda e: e.path)),
            groups=(),
            outputs=(Output(self.path(name)),),
            work=Work.OTHER,
            model="test/1",
            dynamic=dynamic,
        )
        encoded = encode_thunk(thunk)
        made = thunk_id(encoded)
        self._store.put({Key(Kind.THUNK, made): encoded})
        self.thunks[made] = thunk
        return made
