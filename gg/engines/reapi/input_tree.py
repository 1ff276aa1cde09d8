"""The input root of an action: a tree of directories, each named by the SHA-256 of its list, and made once.

Many thunks have the same groups, so the tree of a thunk's groups is kept. A thunk's own inputs go into copies of the directories on
their way; all other directories keep their digests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from gg.core.ids import GroupId
from gg.core.thunk import Directory, Entry, File, Symlink
from gg.engines.reapi.cas import Source, digest_of
from gg.engines.reapi.messages import Digest, DirectoryMessage, DirectoryNode, FileNode, SymlinkNode, encode
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.run.expand import Groups

_MOST_TREES = 256


class Leaf(NamedTuple):
    """A file in a tree."""

    digest: Digest
    executable: bool


class Folder:
    """A directory. `shared`: other trees have it too, so nobody may change it any more."""

    __slots__ = ("data", "digest", "inside", "shared")

    def __init__(self, inside: Mapping[bytes, Folder | Leaf | bytes] | None = None) -> None:
        self.inside: dict[bytes, Folder | Leaf | bytes] = dict(inside or {})
        self.shared = False
        self.digest: Digest | None = None
        self.data = b""


class InputTrees:
    """Makes input roots. `named` gives the digest of a file by SHA-256; it may block, and raise InputChanged."""

    def __init__(self, groups: Groups, named: Callable[[File], Digest]) -> None:
        self._groups = groups
        self._named = named
        self._shared: dict[tuple[GroupId, ...], Folder] = {}

    def tree(self, groups: tuple[GroupId, ...], own: Iterable[Entry]) -> Folder:
        """The tree of these groups and of `own`, which counts where both have a path. FormatError for impossible names."""
        base = self._shared.get(groups)
        if base is None:
            base = Folder()
            for node in self._groups.below(groups):
                for entry in node.entries:
                    self._put(base, entry, first=True)
            _share(base)
            if len(self._shared) >= _MOST_TREES:
                self._shared = {}
            self._shared[groups] = base
        top = Folder(base.inside)
        given: set[bytes] = set()
        for each in own:
            if each.path not in given:
                given.add(each.path)
                self._put(top, each)
        return top

    def _put(self, top: Folder, entry: Entry, *, first: bool = False) -> None:
        if isinstance(entry, Directory):
            make_folder(top, entry.path)
        elif isinstance(entry, Symlink):
            put(top, entry.path, entry.target, first=first)
        elif isinstance(entry, File):
            put(top, entry.path, Leaf(self._named(entry), entry.executable), first=first)


def put(top: Folder, path: bytes, what: Leaf | bytes, *, first: bool = False) -> None:
    """Put a file or a link at a path. `first`: what is there already stays."""
    directory, _, name = path.rpartition(b"/")
    folder = make_folder(top, directory)
    if not first or name not in folder.inside:
        folder.inside[name] = what


def make_folder(top: Folder, path: bytes) -> Folder:
    """The directory at a path, as a copy that may be changed."""
    folder = top
    for name in path.split(b"/"):
        if not name:
            continue
        inside = folder.inside.get(name)
        if inside is None:
            inside = Folder()
        elif not isinstance(inside, Folder):
            raise FormatError(f"{os.fsdecode(path)} is no directory, and has something in it")
        elif inside.shared:
            inside = Folder(inside.inside)
        folder.inside[name] = inside
        folder = inside
    return folder


def settle(folder: Folder, blobs: dict[Digest, Source]) -> Digest:
    """The digest of a tree; `blobs` gets the directories' own bytes. FormatError for a name that is no text."""
    inner = {name: settle(each, blobs) for name, each in folder.inside.items() if isinstance(each, Folder)}
    if folder.digest is None or not folder.shared:
        folder.data = encode(_message(folder, inner))
        folder.digest = digest_of(folder.data)
    data = folder.data
    blobs[folder.digest] = lambda: data
    return folder.digest


def _message(folder: Folder, inner: Mapping[bytes, Digest]) -> DirectoryMessage:
    found = sorted(folder.inside.items())
    return DirectoryMessage(
        tuple([FileNode(_text(name), e.digest, e.executable) for name, e in found if isinstance(e, Leaf)]),
        tuple([DirectoryNode(_text(name), inner[name]) for name, _ in found if name in inner]),
        tuple([SymlinkNode(_text(name), _text(e)) for name, e in found if isinstance(e, bytes)]),
    )


def _share(folder: Folder) -> None:
    folder.shared = True
    for each in folder.inside.values():
        if isinstance(each, Folder):
            _share(each)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{os.fsdecode(name)!r} is no UTF-8, which names in a cluster are") from None
