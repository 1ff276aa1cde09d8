"""Directories as the scanner knows them, and who wants to hear of a name that appears in one.

A lookup that misses is an answer that the next `touch` can make wrong. Each miss in a directory that may change is
therefore registered there under its name, with the lookup (`Watcher`) that relied on it. Once a scan the signatures of all
watched directories are compared in one go; for a directory whose signature changed, only the names that were missed are
looked for again. That matters because the directories of a build change all the time: every object that is written
beside its source changes the signature, and relisting thousands of names for each unit would cost more than all the rest.

So a directory is listed when it is first used, and from its first change on each new name is asked for singly, unless
listing it is the cheaper way. What its signature cannot tell is also watched: a name that is there but is no file (a
directory, a link to nothing) is *unusable*, and is looked at in every scan.

A directory is known by its path with `..` resolved as the kernel does it, through symbolic links, and otherwise as
it was named. When what a known path stands for changes (it appears, vanishes, is replaced), the tree's `generation`
goes up: nothing that was found by walking holds any more. That is rare, so nobody is told singly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gg.core.ticks import time_settled
from gg.models.includes.disk import DirectorySignature, Disk


class Watcher(Protocol):
    """A lookup whose answer depends on a directory's names."""

    @property
    def validity(self) -> object:
        """The `Validity` of the context that the answer belongs to."""
        ...

    def stale(self) -> None:
        """Called when the answer may have changed, perhaps more than once."""
        ...

    def watch(self, directory: SearchedDirectory) -> None:
        """Called for each directory that the answer depends on and that may change."""
        ...

    def watch_unusable(self, path: bytes) -> None:
        """Called for each path that is there but is not what the lookup wants."""
        ...


class SearchedDirectory:
    """One directory, there or not."""

    __slots__ = (
        "_real",
        "absent",
        "checked",
        "names",
        "path",
        "plain",
        "signature",
        "size",
        "subs",
        "trusted",
        "volatile",
    )

    def __init__(self, path: bytes, volatile: bool) -> None:
        self.path = path
        self.volatile = volatile
        self.signature: DirectorySignature | None = None
        self.trusted = True
        self.checked = 0
        self.names: frozenset[bytes] | None = None  # None: ask for each name
        self.size = -1  # how many names it had when it was listed; -1: it never was
        self.absent: dict[bytes, list[Watcher]] = {}
        self.plain = False  # surely without precompiled headers
        self.subs: dict[bytes, SearchedDirectory] = {}
        self._real: bytes | None = None

    def join(self, name: bytes) -> bytes:
        return self.path + b"/" + name if self.path != b"/" else b"/" + name


class SearchedTree:
    """All directories of a session."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._known: dict[bytes, SearchedDirectory] = {}
        self.epoch = 0
        self.generation = 0

    def at(self, path: bytes) -> SearchedDirectory:
        """The directory at an absolute path without `.`, `..` or empty components, checked in this epoch."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = SearchedDirectory(path, not self._disk.stable(path + b"/"))
            known.signature = self._disk.directory_signatures([path])[0]
            known.checked = self.epoch
            known.trusted = known.signature is None or time_settled(known.signature[2], self._disk.now())
        elif known.volatile and known.checked != self.epoch:
            self.refresh([known], self._disk.directory_signatures([path]))
        return known

    def _list(self, directory: SearchedDirectory) -> frozenset[bytes]:
        directory.names = names = self._disk.names(directory.path)
        directory.size = len(names)
        directory.plain = b".gch\0" not in b"\0".join((*names, b""))
        return names

    def locate(self, path: bytes, through: list[bytes]) -> SearchedDirectory:
        """The directory that an absolute path names; `through` gets the directories that `..` leaves."""
        here = b""
        for part in path.split(b"/"):
            if part == b"..":
                through.append(here or b"/")
                here = self.parent(self.at(here or b"/")).path.rstrip(b"/")
            elif part not in (b"", b"."):
                here += b"/" + part
        return self.at(here or b"/")

    def parent(self, directory: SearchedDirectory) -> SearchedDirectory:
        """The directory that `..` leads to: the parent of the directory that symbolic links lead to."""
        return self.at(self.real(directory).rpartition(b"/")[0] or b"/")

    def real(self, directory: SearchedDirectory) -> bytes:
        """The directory's path without symbolic links."""
        if directory._real is None:
            directory._real = self._disk.realpath(directory.path)
        return directory._real

    def enter(
        self, start: SearchedDirectory, parts: Iterable[bytes], watcher: Watcher, through: list[bytes]
    ) -> SearchedDirectory | None:
        """Follow `parts` from `start`; None if that leads nowhere. `through` gets the directories that `..` leaves."""
        here = start
        for part in parts:
            if part in (b"", b"."):
                continue
            if part == b"..":
                through.append(here.path)
                here = self.parent(here)
                if here.volatile:
                    watcher.watch(here)
                continue
            if not self.has(here, part, watcher):
                return None
            sub = here.subs.get(part)
            if sub is None or sub.checked != self.epoch:
                sub = here.subs[part] = self.at(here.join(part))
            if sub.signature is None:
                if here.volatile:
                    watcher.watch_unusable(sub.path)
                return None
            if sub.volatile:
                watcher.watch(sub)
            here = sub
        return here

    def has(self, directory: SearchedDirectory, name: bytes, watcher: Watcher) -> bool:
        """Whether `name` is in there; a miss is registered for `watcher`."""
        if directory.signature is not None:
            names = directory.names
            if names is None and directory.size < 0:
                names = self._list(directory)
            if name in names if names is not None else self._disk.exists(directory.join(name)):
                return True
            if directory.volatile:
                directory.absent.setdefault(name, []).append(watcher)
        return False

    def lacks(self, directory: SearchedDirectory, names: frozenset[bytes], watcher: Watcher) -> bool:
        """Whether none of `names` is in there. If so, each is a miss that is registered for `watcher`."""
        if directory.signature is None:
            return True
        there = directory.names if directory.names is not None else self._list(directory)
        if not names.isdisjoint(there):
            return False
        if directory.volatile:
            for name in names:
                directory.absent.setdefault(name, []).append(watcher)
        return True

    def stable(self) -> list[bytes]:
        """The directories that stay as they are for the session, there or not."""
        return [path for path, directory in self._known.items() if not directory.volatile]

    def refresh(
        self, directories: Iterable[SearchedDirectory], signatures: Iterable[DirectorySignature | None]
    ) -> None:
        """Compare the directories with their present `signatures`, and tell the watchers what has changed."""
        for directory, signature in zip(directories, signatures, strict=True):
            same = directory.signature == signature
            if directory.checked == self.epoch or (same and directory.trusted):
                directory.checked = self.epoch
                continue
            before = directory.signature
            directory.checked = self.epoch
            directory.signature = signature
            directory.trusted = signature is None or time_settled(signature[2], self._disk.now())
            if before is not None and signature is not None and before[:2] == signature[:2]:
                self._recheck(directory)
            elif not same:
                self._moved(directory)

    def _moved(self, directory: SearchedDirectory) -> None:
        self.generation += 1
        for known in self._known.values():
            known._real = None
            known.absent.clear()
        directory.names = None
        directory.plain = False
        directory.size = -1

    def _recheck(self, directory: SearchedDirectory) -> None:
        """Names may have come or gone: tell the watchers who missed a name that is there now."""
        missed = directory.absent
        if len(missed) > 16 + directory.size // 2:
            names = self._list(directory)
            there = [name for name in missed if name in names]
        else:
            directory.names = None
            directory.plain = False
            there = [name for name in missed if self._disk.exists(directory.join(name))]
        for name in there:
            for watcher in missed.pop(name):
                watcher.stale()
