"""Files laid out for another builder: a group of inputs is a directory tree, in which each stands at its own path."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator

from blake3 import blake3

from gg.core.ids import BlobId
from gg.core.thunk import Directory, Entry, File, Symlink
from gg.errors import MissingObject
from gg.export.steps import CannotExport
from gg.formats import nar
from gg.host.emptying import remove
from gg.host.trees import walk
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
            sha256 = self._known.get(name) if _is_laid(directory, plain) else None
            if sha256 is None:
                self._lay(directory, plain)
                sha256 = nar.digest(os.fsencode(directory)).hex()
            tree = self._made[name] = ArchivedTree(name, sha256)
        return tree

    def remove_others(self) -> None:
        """Remove what no step of this export needs."""
        for name in os.listdir(self._directory):
            if name not in self._made:
                remove(os.path.join(self._directory, name))

    def _lay(self, directory: str, entries: Collection[Entry]) -> None:
        aside = directory + ".new"
        links = {entry.path for entry in entries if isinstance(entry, Symlink)}
        remove(aside)
        os.makedirs(aside)
        for entry in entries:
            if not links.isdisjoint(_above(entry.path)):
                raise CannotExport(f"{os.fsdecode(entry.path)!r} is below a symbolic link")
            path = aside + os.fsdecode(entry.path)
            if isinstance(entry, Directory):
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(entry, Symlink):
                os.symlink(entry.target, path)
            elif isinstance(entry, File):
                self._file(entry.path, entry.blob, path, executable=entry.executable)
        remove(directory)
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


def _above(path: bytes) -> Iterator[bytes]:
    """The directories that a path leads through."""
    while (path := os.path.dirname(path)) not in (b"/", b""):
        yield path


def _is_laid(directory: str, entries: Iterable[Entry]) -> bool:
    """Whether a directory that was there before, and may have come with a clone, holds just these."""
    wanted = {directory + os.fsdecode(entry.path): entry for entry in entries}
    if os.path.islink(directory) or not all(_is_as_laid(path, entry) for path, entry in wanted.items()):
        return False
    below = (os.path.join(top, name) for top, names, files in walk(directory) for name in (*files, *names))
    return all(path in wanted or (os.path.isdir(path) and not os.path.islink(path)) for path in below)


def _is_as_laid(path: str, entry: Entry) -> bool:
    try:
        mode = os.lstat(path).st_mode
        if isinstance(entry, File):
            from gg.host.trees import hash_file

            return mode == stat.S_IFREG | (0o755 if entry.executable else 0o644) and hash_file(path) == entry.blob
        return os.readlink(os.fsencode(path)) == entry.target if isinstance(entry, Symlink) else stat.S_ISDIR(mode)
    except OSError:
        return False


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
