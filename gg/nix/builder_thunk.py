"""Derivations as thunks: the builder is the command, and it sees the closure of its inputs and nothing else.

A thunk is made when everything that the derivation needs is in nix's store. It has a group of inputs for each store path, which
other derivations share. The files stay where they are: they are read there, or sent from there. `/bin/sh` is the bash of the
closure. The builder's environment says the same about every machine, so that a team's builders have equal thunks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from gg.core.codec import encode_group, encode_thunk, group_id, thunk_id
from gg.core.ids import BlobId, GroupId, SandboxPath, ThunkId
from gg.core.thunk import Directory, Entry, File, Group, Output, Symlink, Thunk, Work
from gg.host.filedb import FileDB
from gg.nix.derivation import Derivation, environment
from gg.nix.over import shell
from gg.nix.sandbox import BUILD, ETC
from gg.store.base import Key, Kind, Store, blob_key

_MODEL = "derivation/1"
_DIRECTORIES = (b"/tmp", b"/nix/store", os.fsencode(BUILD))


class BuilderThunks:
    """Makes thunks in `store`. `files` remembers the digests of nix's files. `cores`: the number that builders are told."""

    def __init__(self, store: Store, files: FileDB, cores: int) -> None:
        self._store = store
        self._files = files
        self._cores = cores
        self._groups: dict[str, GroupId] = {}

    def make(self, derivation: Derivation, closure: Sequence[str]) -> tuple[ThunkId, tuple[str, ...]]:
        """Make the thunk and store it. Returns its id and its outputs' paths. `closure`: store paths, all of which are there."""
        env, files = environment(derivation, build=BUILD, cores=self._cores)
        entries: dict[bytes, Entry] = {path: Directory(SandboxPath(path)) for path in _DIRECTORIES}
        texts = {f"{BUILD}/{name}": text for name, text in files.items()}
        for name, text in {**texts, **{f"/etc/{name}": text for name, text in ETC.items()}}.items():
            path = SandboxPath(os.fsencode(name))
            entries[path] = File(path, self._text(os.fsencode(text)))
        if bash := shell(derivation.builder, closure):
            path = SandboxPath(b"/bin/sh")
            entries[path] = Symlink(path, os.fsencode(bash))
        outputs = tuple(sorted(output.path for output in derivation.outputs.values()))
        thunk = Thunk(
            argv=tuple(os.fsencode(word) for word in (derivation.builder, *derivation.args)),
            program=SandboxPath(os.fsencode(derivation.builder)),
            cwd=SandboxPath(os.fsencode(BUILD)),
            env=tuple(sorted((os.fsencode(name), os.fsencode(value)) for name, value in env.items())),
            entries=tuple(entries[path] for path in sorted(entries)),
            groups=tuple(sorted({self._group(path) for path in closure})),
            outputs=tuple(Output(SandboxPath(os.fsencode(path))) for path in outputs),
            work=Work.OTHER,
            model=_MODEL,
        )
        encoded = encode_thunk(thunk)
        name_of_it = thunk_id(encoded)
        self._store.put({Key(Kind.THUNK, name_of_it): encoded})
        return name_of_it, outputs

    def _text(self, data: bytes) -> BlobId:
        blob = BlobId.of(data)
        self._store.put({blob_key(blob): data})
        return blob

    def _group(self, path: str) -> GroupId:
        known = self._groups.get(path)
        if known is None:
            entries = sorted(self._below(os.fsencode(path)), key=lambda entry: entry.path)
            encoded = encode_group(Group(tuple(entries)))
            known = self._groups[path] = group_id(encoded)
            self._store.put({Key(Kind.GROUP, known): encoded})
        return known

    def _below(self, path: bytes) -> Iterator[File | Symlink | Directory]:
        """The entries at and below `path`; only empty directories are listed."""
        name = SandboxPath(path)
        if os.path.islink(path):
            yield Symlink(name, os.readlink(path))
        elif os.path.isdir(path):
            names = os.listdir(path)
            if not names:
                yield Directory(name)
            for each in names:
                yield from self._below(os.path.join(path, each))
        else:
            info = self._files.digest(path)
            yield File(name, info.blob, info.executable)
