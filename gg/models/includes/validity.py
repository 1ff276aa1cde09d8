"""What the answers of one context rest on, and which of them no longer hold.

A context (`gg.models.includes.lookup`) has one `Validity` until it starts anew; all edges and nodes of that time are bound
to it. Directories that may change are watched by their signatures. A name that is there but cannot be used (a directory, a
link to nothing, an unreadable file) shows in no signature, so it is looked at in every scan.
"""

from __future__ import annotations

from gg.models.includes.disk import Disk
from gg.models.includes.tree import SearchedDirectory, SearchedTree, Watcher


class Validity:
    """`dead`: the bits of files whose clusters no longer hold. `unsure`: an answer was found wrong since the last look.

    `answers`: the answers that a caller keeps, by the caller's names for them, each with the bits of the files it rests on.
    """

    def __init__(self, disk: Disk, tree: SearchedTree) -> None:
        self._disk = disk
        self._tree = tree
        self._watched: dict[SearchedDirectory, None] = {}
        self._paths: list[bytes] = []
        self._signatures: list[object] = []
        self._unsettled = False
        self._unusable: dict[bytes, tuple[object, list[Watcher]]] = {}
        self._generation = tree.generation
        self._lost = False
        self.answers: dict[bytes, int] = {}
        self.dead = 0
        self.unsure = False

    def watch(self, directory: SearchedDirectory) -> None:
        if directory.volatile and directory not in self._watched:
            self._watched[directory] = None
            self._paths.append(directory.path)
            self._signatures.append(directory.signature)
            self._unsettled = self._unsettled or not directory.trusted

    def watch_unusable(self, path: bytes, watcher: Watcher) -> None:
        """Note that something is at `path` which `watcher` cannot use."""
        known = self._unusable.get(path)
        if known is None:
            known = self._unusable[path] = (self._what(path), [])
        known[1].append(watcher)

    def _what(self, path: bytes) -> tuple[bool, bool]:
        signature = self._disk.file_signatures([path])[0]
        directory = signature is None and self._disk.directory_signatures([path])[0] is not None
        return directory, signature is not None and self._disk.readable(path)

    def watched(self) -> list[SearchedDirectory]:
        """The directories that may change and whose names matter to an answer."""
        return list(self._watched)

    def count(self) -> int:
        """How many they are."""
        return len(self._paths)

    def has_unusable(self) -> bool:
        """Whether a name was found that cannot be used."""
        return bool(self._unusable)

    def refresh(self) -> None:
        """Look at all directories whose names mattered so far; what no longer holds is dropped."""
        signatures = self._disk.directory_signatures(self._paths)
        if self._unsettled or signatures != self._signatures:
            self._tree.refresh(list(self._watched), signatures)
            self._signatures = list(signatures)
            self._unsettled = any(not directory.trusted for directory in self._watched)
        for path, (what, watchers) in list(self._unusable.items()):
            if self._what(path) != what:
                del self._unusable[path]
                for watcher in watchers:
                    watcher.stale()

    def lose(self) -> None:
        """Nothing holds any more."""
        self._lost = self.unsure = True

    def is_lost(self) -> bool:
        """Whether the context must start anew, as it must when a directory that names were followed through has been replaced."""
        return self._lost or self._generation != self._tree.generation

    def bury(self) -> int:
        """The bits of files that no longer hold, each told once. The answers that rest on these files are forgotten."""
        dead, self.dead = self.dead, 0
        if dead:
            self.answers = {name: mask for name, mask in self.answers.items() if not mask & dead}
        return dead
