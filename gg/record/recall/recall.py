"""Drafts of earlier sessions: which thunk each came to, given again while all that led there stands.

To find a compile's inputs is to scan. What was found is kept under the *draft*: all that the model made of the call, with
the groups of its tools, which this session has looked at itself. Beside the thunk are kept the facts that it rests on:

- what no build changes (system headers, their directories): by signature, looked at once a session, like all else there;
- where the directories' names lead: at each call, one system call for each component (`gg.record.canon`);
- that search directories are the same ones, and that the names which were looked for in them in vain are still not
  there: at each call, the names only where the directory has changed since they were last looked at;
- the bytes of each file of the workspace: at each call, by signature; a file with another signature is hashed.

One that differs, and the call goes the long way. What is kept is written by `gg.record.recall.notes`, when a session ends.
"""

from __future__ import annotations

import marshal
import os
import stat
import time
import zlib
from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgpack
from blake3 import blake3

from gg.core.ids import GroupId, ThunkId
from gg.core.ticks import time_settled
from gg.host.files import PACKED_SIZE, Signature
from gg.light.slotted import field, slotted

if TYPE_CHECKING:
    from gg.core.thunk import Entry, Output
    from gg.models.drafts import Draft
    from gg.record.canon import Canon
    from gg.record.many_looks import Paths, Trail
    from gg.record.world import World

VERSION = 1
_NOTHING, _NOT_YET = bytes(PACKED_SIZE), b"\xff" * PACKED_SIZE
_CODE = ("core", "formats", "host", "models/includes", "record")


@slotted(frozen=False)
class KeptRecall:
    """All that is kept, as it is written.

    `stable`: a path to its packed signature, zeros if nothing is there. `files`: path, digest and whether it can be
    executed, with the packed signature in `signatures` at the same place. `texts`: names. `contexts`: [directories,
    leads], of which the first are [path, device, inode, missed names] (0, 0: not there), the second [path, real name,
    links]. `notes`: by key, [thunk, context, files, texts of absent files, texts for the dependency file], the last three
    as arrays of places.
    """

    stable: dict[bytes, bytes] = field(default_factory=dict)
    files: list[list[object]] = field(default_factory=list)
    signatures: list[bytes] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    contexts: list[list[list[list[object]]] | None] = field(default_factory=list)
    notes: dict[bytes, list[object]] = field(default_factory=dict)


class Recalled(NamedTuple):
    """The thunk, and what its dependency file lists besides the sources."""

    thunk: ThunkId
    headers: tuple[bytes, ...]


class Recall:
    """What is kept in the file `path`, for sessions that are alike in `about`. One object serves one session."""

    def __init__(self, path: bytes, about: Sequence[bytes], world: World, canon: Canon) -> None:
        self.path = path
        self._world = world
        self._canon = canon
        self._about = b"\0".join((b"%d" % VERSION, *about, _fingerprint()))
        self._kept: KeptRecall | None = None
        self._contexts: dict[int, _Context | None] = {}

    @property
    def kept(self) -> KeptRecall:
        """What is kept and still stands, as far as all of it rests on the same."""
        if self._kept is None:
            kept = self._load()
            self._kept = kept if _unchanged(kept.stable) else KeptRecall()
        return self._kept

    def thunks(self) -> list[bytes]:
        """Those that may be found, in the order in which they were recorded."""
        return [cast("bytes", note[0]) for note in self.kept.notes.values()]

    @staticmethod
    def key(
        draft: Draft, cwd: bytes, links: Sequence[Entry], outputs: Sequence[Output], tools: Sequence[GroupId]
    ) -> bytes:
        """The name of a draft in the directory `cwd`. `links` are those on the ways to it and to its outputs."""
        parts: Any = (
            (draft.model, draft.work.value, draft.argv, draft.program, tuple(sorted(draft.env.items())), draft.inputs),
            (cwd, tuple(map(tuple, links)), tuple(map(tuple, outputs)), tuple(tools), draft.directories),
            tuple((s.lexer.value, s.sources, tuple(s.search), s.forced, s.defines, s.fallback) for s in draft.scans),
            tuple(draft.depfile) if draft.depfile else (),
        )
        return blake3(marshal.dumps(parts, 2)).digest()  # version 2: equal values, equal bytes

    def find(self, key: bytes) -> Recalled | None:
        """What the draft came to, if that still holds."""
        kept = self.kept
        note = kept.notes.get(key)
        if note is None:
            return None
        thunk, context, files, absent, headers = cast("tuple[ThunkId, int, bytes, bytes, bytes]", note)
        if not self._context_stands(context) or self._texts.any_there(absent):
            return None
        if not all(map(self._still, self._files.differ(files, follow=False))):
            return None
        return Recalled(thunk, tuple(map(kept.texts.__getitem__, array("I", headers))))

    @cached_property
    def _files(self) -> Paths:
        from gg.record.many_looks import Paths

        return Paths([cast("bytes", row[0]) for row in self.kept.files], b"".join(self.kept.signatures))

    @cached_property
    def _texts(self) -> Paths:
        from gg.record.many_looks import Paths

        return Paths(self.kept.texts)

    def _context_stands(self, number: int) -> bool:
        if number not in self._contexts:
            raw = self.kept.contexts[number]
            self._contexts[number] = _Context(raw[0], self._trail(raw[1])) if raw and self._lead_there(raw[1]) else None
        context = self._contexts[number]
        if context is not None and self._canon.stands(context.trail) and context.stands():
            return True
        self._contexts[number] = None
        return False

    def _lead_there(self, leads: list[list[object]]) -> bool:
        return all(where_to(self._canon, cast("bytes", path)) == was for path, was in leads)

    def _trail(self, leads: list[list[object]]) -> Trail:
        return self._canon.trail([cast("bytes", path) for path, _ in leads])

    def _still(self, number: int) -> bool:
        """Whether a file that has another signature holds the same bytes."""
        path, digest, executable = cast("tuple[bytes, bytes, bool]", self.kept.files[number])
        if not os.path.isfile(path) or os.path.islink(path) or self._world.is_placeholder(path):
            return False
        found = self._world.files.digest(path)
        if (found.blob.digest, found.executable) != (digest, executable):
            return False
        if self._world.files.remembered(path) == found:
            self._files.set(number, found.signature.pack())
        return True

    def _load(self) -> KeptRecall:
        try:
            with open(self.path, "rb") as file:
                about, *parts = msgpack.unpackb(zlib.decompress(file.read()), strict_map_key=False, max_ext_len=0)
            if about == self._about:
                return KeptRecall(*parts)
        except (OSError, ValueError, TypeError, zlib.error):  # not there, or damaged
            pass
        return KeptRecall()

    def pack(self, kept: KeptRecall) -> bytes:
        """As `_load` reads it."""
        parts = [kept.stable, kept.files, kept.signatures, kept.texts, kept.contexts, kept.notes]
        return zlib.compress(cast("bytes", msgpack.packb([self._about, *parts])), 1)


class _Context:
    """The directories in which names were looked for in vain, and the ways to all directories."""

    def __init__(self, directories: list[list[object]], trail: Trail) -> None:
        from gg.record.many_looks import Paths

        rows = cast("list[tuple[bytes, int, int, list[bytes]]]", directories)
        self._identities = [(device, inode) for _, device, inode, _ in rows]
        self._paths = [path for path, *_ in rows]
        # With the signature that each had when its names were last looked for.
        self._directories = Paths(
            self._paths, b"".join(_NOT_YET if inode else _NOTHING for _, inode in self._identities)
        )
        self._missed = [Paths(missed) for *_, missed in rows]
        self.trail = trail

    def stands(self) -> bool:
        return all(map(self._looked_at, self._directories.differ(self._directories.all, follow=True)))

    def _looked_at(self, place: int) -> bool:
        """Whether a directory that has changed is the same one, still without the names."""
        now = time.time_ns()
        try:
            info = os.stat(self._paths[place])
        except OSError:
            return not self._identities[place][1]
        if not stat.S_ISDIR(info.st_mode) or (info.st_dev, info.st_ino) != self._identities[place]:
            return False
        missed = self._missed[place]
        if missed.any_there(missed.all):
            return False
        if time_settled(info.st_ctime_ns, now):
            self._directories.set(place, Signature.of(info).pack())
        return True


def where_to(canon: Canon, path: bytes) -> list[object] | None:
    """Where a directory's name leads; None if there is none."""
    try:
        real, way = canon.directory(path)
    except OSError:
        return None
    return [real, [[entry.path, getattr(entry, "target", b"")] for entry in way]]


def _unchanged(stable: dict[bytes, bytes]) -> bool:
    if not stable:
        return True
    from gg.record.many_looks import Paths

    paths = Paths(list(stable), b"".join(stable.values()))
    return not paths.differ(paths.all, follow=True)


def signature(path: bytes) -> bytes:
    """The packed signature of what `path` leads to; zeros if nothing is there."""
    try:
        return Signature.of(os.stat(path)).pack()
    except (OSError, ValueError):
        return _NOTHING


def _fingerprint() -> bytes:
    """Which code found out what is kept."""
    from gg import __version__

    found = [__version__.encode()]
    top = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
    for room in _CODE:
        for directory, _, names in os.walk(os.path.join(top, room)):
            for name in sorted(names):
                if name.endswith(".py"):
                    info = os.stat(os.path.join(directory, name))
                    found.append(f"{name} {info.st_mtime_ns} {info.st_size}".encode())
    return blake3(b"\0".join(found)).digest()
