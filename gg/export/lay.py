"""Files laid out for another builder: a group of inputs is a directory tree, in which each stands at its own path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from blake3 import blake3

from gg.core.ids import BlobId
from gg.core.thunk import Directory, Entry, File, Symlink
from gg.errors import MissingObject
from gg.formats import nar
from gg.light.named import NamedTuple
from gg.store.base import Store


class ArchivedTree(NamedTuple):
    """A directory below `trees/`, with the SHA-256 of its archive: nix need not read what it has."""

    name: str
    sha256: str


class Trees:
    """The trees of one export. What an earlier one has laid out is used again."""

    def __init__(self, directory: str, store: Store, known: dict[str, str]) -> None:
        """`known`: the digests of trees that are there."""
        self._directory = directory
        self._store = store
        self._known = known
        self._made: dict[str, ArchivedTree] = {}

    def add(self, entries: Iterable[Entry]) -> ArchivedTree | None:
        """The tree of these files, links and directories; None when there are none."""
        plain = sorted((e for e in entries if isinstance(e, (File, Symlink, Directory))), key=lambda e: e.path)
        if not plain:
            return None
        name = _name(plain)
        tree = self._made.get(name)
        if tree is None:
            directory = os.path.join(self._directory, name)
            sha256 = self._known.get(name) if os.path.isdir(directory) else None
            if sha256 is None:
                self._lay(directory, plain)
                sha256 = nar.digest(os.fsencode(directory)).hex()
            tree = self._made[name] = ArchivedTree(name, sha256)
        return tree

    def remove_others(self) -> None:
        """Remove what no step of this export needs."""
        for name in os.listdir(self._directory):
            if name not in self._made:
                shutil.rmtree(os.path.join(self._directory, name))

    def _lay(self, directory: str, entries: Iterable[Entry]) -> None:
        aside = directory + ".new"
        shutil.rmtree(aside, ignore_errors=True)
        os.makedirs(aside)
        for entry in entries:
            path = aside + os.fsdecode(entry.path)
            if isinstance(entry, Directory):
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(entry, Symlink):
                os.symlink(entry.target, path)
            elif isinstance(entry, File):
                self._file(entry.path, entry.blob, path, executable=entry.executable)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(aside, directory)

    def _file(self, inside: bytes, blob: BlobId, path: str, *, executable: bool) -> None:
        """From the store, or for a file of the system from its own place if it has these bytes still."""
        kept = self._store.path(blob, executable=executable)
        source = kept if kept is not None else bytes(inside)
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            raise MissingObject(f"{os.fsdecode(inside)} cannot be read: {error.strerror}") from error
        if kept is None:
            from gg.host.trees import hash_file

            if hash_file(os.fsencode(path)) != blob:
                raise MissingObject(
                    f"{os.fsdecode(inside)} has changed since it was recorded", hint="record again with gg-infer"
                )
        os.chmod(path, 0o755 if executable else 0o644)


def _name(entries: Iterable[Entry]) -> str:
    hashed = blake3()
    for entry in entries:
        what = (
            entry.blob.digest + (b"x" if entry.executable else b"-")
            if isinstance(entry, File)
            else b"l" + entry.target
            if isinstance(entry, Symlink)
            else b"d"
        )
        hashed.update(b"%d:%s%d:%s" % (len(entry.path), entry.path, len(what), what))
    return hashed.hexdigest(length=16)
