"""Which thunks and results must stay on this machine, because they read files that are nobody else's business.

A source may name any file that its user can read (`.incbin`, `#include`, `@file`, a linker script). gg records that as any
input. But a file that is neither the workspace's, the toolchain's, the system's nor granted goes into no request, and no
result made of it goes into a team's store. The same holds for what is made of such a result: `kept`, a file of 32 bytes a
blob beside the workspace's records, names what such commands have made, in this run or an earlier one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.ids import DIGEST_SIZE, GroupId
from gg.core.thunk import BY_HAND, File, Reduction, Thunk

if TYPE_CHECKING:
    from gg.run.expand import Groups
    from gg.store.base import Key
    from gg.workspace.granted import Granted


_BY_HAND = BY_HAND + b"/"


class Staying:
    """The judge for one workspace. For one thread."""

    def __init__(
        self,
        granted: Granted,
        groups: Groups,
        real_path: Callable[[bytes], bytes],
        here: Callable[[Mapping[Key, bytes]], None],
        report: Callable[[str], None],
        path: str,
    ) -> None:
        """`real_path` maps a path inside a thunk to the real path on this machine. `here` puts records into this machine's
        store alone. `report(text)` is called once for each file. `path`: the file of blobs.
        """
        self.here = here
        self._granted = granted
        self._groups = groups
        self._real_path = real_path
        self._report = report
        self._path = path
        self._in_groups: dict[tuple[tuple[GroupId, ...], bytes, int], bytes] = {}
        self._blobs = _read(path)
        self._told: set[bytes] = set()

    def why(self, thunk: Thunk, extra: Iterable[File] = ()) -> bytes:
        """The path on this machine of a file that keeps a resolved thunk here; empty if the thunk may leave."""
        tool = self._real_path(thunk.program)
        entries = (
            () if thunk.closed else thunk.entries
        )  # a closed thunk's own entries are texts of its derivation, not files of this machine
        own = [e for e in (*entries, *extra) if isinstance(e, File)]
        return self._kept(own, tool) or self._of_groups(thunk.groups, tool)

    def _of_groups(self, ids: tuple[GroupId, ...], tool: bytes) -> bytes:
        key = (ids, tool, len(self._blobs))
        known = self._in_groups.get(key)
        if known is None:
            files = [e for node in self._groups.below(ids) for e in node.entries if isinstance(e, File)]
            known = self._in_groups[key] = self._kept(files, tool)
        return known

    def _kept(self, files: Sequence[File], tool: bytes) -> bytes:
        if self._blobs:
            for file in files:
                if file.blob.digest in self._blobs:
                    return self._real_path(file.path)
        named = [self._real_path(file.path) for file in files if not file.path.startswith(_BY_HAND)]
        return self._granted.first_kept(named, tool)

    def made(self, thunk: Thunk, reduction: Reduction) -> bool:
        """Whether a result must stay here. If so, its blobs stay here too from now on."""
        why = self.why(thunk, [File(path, blob) for path, blob in reduction.extra_inputs])
        if not why:
            return False
        made = [m for m in (*reduction.outputs, *[m for _, m in reduction.extra_outputs]) if m]
        new = {m.blob.digest for m in made if m.blob.size} - self._blobs
        self._blobs |= new
        with suppress(OSError), open(self._path, "ab") as file:
            file.write(b"".join(new))
        if why not in self._told:
            self._told.add(why)
            self._report(f"what is made of {os.fsdecode(why)} is not shared: that file is not the build's own")
        return True


def _read(path: str) -> set[bytes]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return set()
    return {data[at : at + DIGEST_SIZE] for at in range(0, len(data), DIGEST_SIZE)}
