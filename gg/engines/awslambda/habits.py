"""What a program looks for outside of the workspace though no thunk of it declares that: the next thunk is shown it at once.

Elsewhere than here a file that was not declared costs another attempt: a clang that looks for CUDA asks for one directory after the
other, so each of its thunks was run seven times. What one thunk of a program has asked for, others of that program will ask for. So
that is remembered in this machine's store, under the program and the kind of work.

Invariant: a path is shown only if it is here now, may be given away, and has not come since the thunk was recorded: so a thunk sees
nothing that its command would not see. What is shown counts as read: the reduction holds only while it stays as it is. A worker may
say that a program looks for anything, and nobody unlearns it, so no large file is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING

import msgpack
from blake3 import blake3

from gg.core.bounded import BoundedReader
from gg.core.ids import SandboxPath, sandbox_path
from gg.core.thunk import Thunk
from gg.engines.awslambda.home import Home
from gg.engines.engine import Submission
from gg.errors import FormatError, GGError, InputChanged
from gg.run.expand import Groups
from gg.store.base import Key, Kind, Store, get_one
from gg.workspace.granted import Granted

if TYPE_CHECKING:
    from gg.workspace.later import Later

_KEY = Key(Kind.ALIAS, blake3(b"habits\0").digest())
_VERSION = 1
_MOST_PATHS = 64  # of one program
_MOST_PROGRAMS = 64
_MOST_NAME = 8192
_MOST_FILE = 4 << 20  # bytes: whoever looks for more has it with the next attempt


class Habits:
    """The habits of all programs. For one thread."""

    def __init__(self, store: Store, groups: Groups, home: Home, granted: Granted, later: Later | None) -> None:
        self._store = store
        self._groups = groups
        self._home = home
        self._granted = granted
        self._later = later
        self._real_path = home.real_path
        self._table: dict[bytes, dict[SandboxPath, None]] | None = None
        self._learned = False

    def shown(self, submission: Submission) -> Submission:
        """The attempt with the files that its program is used to look for. Directories of that kind are told by `home`."""
        thunk = submission.thunk
        usual = self._all().get(_name(thunk))
        if not usual:
            return submission
        known = {file.path for file in submission.extra} | {output.path for output in thunk.outputs}
        known.update(entry.path for entry in thunk.entries)
        wanted = [path for path in usual if path not in known and not self._groups.declares(thunk.groups, path)]
        if not wanted:
            return submission
        declared = cache(partial(self._groups.directories, thunk))
        try:
            wanted = [
                path
                for path in wanted
                if self._later is None or self._later.late(submission.id, thunk, path, declared) is None
            ]
        except InputChanged:
            return submission
        found = self._home.look(wanted, known, set(), self._real_path(thunk.program))
        files = [file for file in found.files if file.blob.size <= _MOST_FILE]
        return submission._replace(extra=(*submission.extra, *files)) if files else submission

    def learn(self, thunk: Thunk, paths: Iterable[SandboxPath]) -> None:
        """A thunk has looked for these, which are here."""
        outside = [path for path in paths if self._granted.is_outside(self._real_path(path))]
        if not outside:
            return
        table = self._all()
        usual = table.pop(_name(thunk), {})
        table[_name(thunk)] = usual
        for path in outside:
            if path not in usual and len(usual) < _MOST_PATHS:
                usual[path] = None
                self._learned = True

    def keep(self) -> None:
        """Remember them."""
        if self._learned and self._table:
            last = list(self._table.items())[-_MOST_PROGRAMS:]
            data = msgpack.packb([_VERSION, {name: list(paths) for name, paths in last}])
            with suppress(GGError):  # they are learned anew
                self._store.put({_KEY: data})

    def _all(self) -> dict[bytes, dict[SandboxPath, None]]:
        if self._table is None:
            try:
                data = get_one(self._store, _KEY)
                self._table = _decoded(data) if data is not None else {}
            except GGError:
                self._table = {}
        return self._table


def _decoded(data: bytes) -> dict[bytes, dict[SandboxPath, None]]:
    reader = BoundedReader(data, "memory of habits")
    reader.array(2, 2)
    if reader.number() != _VERSION:
        raise reader.damaged()
    table: dict[bytes, dict[SandboxPath, None]] = {}
    for _ in range(reader.map(_MOST_PROGRAMS)):
        name = reader.octets()
        table[name] = {_path(reader.octets()): None for _ in range(reader.array(0, _MOST_PATHS))}
    reader.end()
    return table


def _path(raw: bytes) -> SandboxPath:
    """FormatError for what is no such path."""
    if b"\0" in raw or len(raw) > _MOST_NAME or sandbox_path(raw) != raw:
        raise FormatError("memory of habits: no path")
    return SandboxPath(raw)


def _name(thunk: Thunk) -> bytes:
    return thunk.work.value.encode() + b"\0" + thunk.program
