"""Dependency files: those that the compiler makes replace those that were written for make when the call was recorded."""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, ThunkId
from gg.core.thunk import Made
from gg.errors import MissingObject
from gg.force.placing import Item, Kept

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.store.base import Store
    from gg.workspace.workspace import Workspace


class RuleFiles:
    """The dependency files of one workspace. `renaming`: the names of files inside of thunks, where they differ from those here."""

    def __init__(self, workspace: Workspace, store: Store, renaming: Renaming | None) -> None:
        self._workspace = workspace
        self._store = store
        self._renaming = renaming
        self._written: list[bytes] = []
        self._serial = count()
        self._read_already: dict[bytes, BlobId] = {}  # rules whose file is gone, by the output that each is about

    def items(self, name: ThunkId, made: Made, first: bytes) -> list[Item]:
        """What to place where the thunk's dependency file is now. `first`: the thunk's first output.

        Nothing if somebody has removed the file or put another there. Ninja removes it; `tell_ninja` corrects ninja's log.
        """
        from gg.record.depfiles.softfiles import SoftFiles

        soft = SoftFiles(self._store).of([name]).get(name)
        path = soft.find() if soft else None
        if path is None:
            if soft:
                self._read_already[first] = made.blob
            return []
        if (soft and soft.open) or os.lstat(path).st_nlink > 1:
            self._write_over(path, self._rule(made.blob))
            return []
        return [self._item(path, made, kept_of(path, 0o7777))]

    def written(self) -> list[bytes]:
        """Files that were written for the items so far and are no blobs. The caller removes them once the items are placed."""
        written, self._written = self._written, []
        return written

    def tell_ninja(self) -> None:
        """Put the compiler's dependencies into ninja's log, in place of those that ninja has read."""
        if not self._read_already:
            return
        from gg.formats import ninja_log as ninja

        logs: dict[bytes, dict[bytes, bytes]] = {}
        for output, blob in self._read_already.items():
            directory = ninja.directory_of(output, os.fsencode(self._workspace.root))
            if directory is not None:
                logs.setdefault(directory, {})[output] = self._rule(blob)
        for directory, rules in logs.items():
            ninja.update(directory, rules)
        self._read_already.clear()

    def _item(self, path: bytes, made: Made, kept: Kept) -> Item:
        """A make rule, with the names that its files have on this machine."""
        if self._renaming is None:
            return Item(path, blob_path(self._store, made.blob), made, None, kept)
        text = self._rule(made.blob)
        aside = os.path.join(os.fsencode(self._workspace.tmp), b"d%d-%d" % (os.getpid(), next(self._serial)))
        self._written.append(aside)
        with open(aside, "wb") as file:
            file.write(text)
        return Item(path, aside, Made(BlobId.of(text), made.executable), None, kept)

    @staticmethod
    def _write_over(path: bytes, text: bytes) -> None:
        """Write into the file itself, so that all its names show the text. One write, as long as the old text; its times stay."""
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            there = os.fstat(fd)
            os.pwrite(fd, text.ljust(there.st_size, b"\n"), 0)
            os.ftruncate(fd, len(text))
            os.utime(fd, ns=(there.st_atime_ns, there.st_mtime_ns))
        finally:
            os.close(fd)

    def _rule(self, blob: BlobId) -> bytes:
        with open(blob_path(self._store, blob), "rb") as file:
            text = file.read()
        return self._renaming.real_text(text) if self._renaming else text


def blob_path(store: Store, blob: BlobId) -> bytes:
    """The path of the blob's file. MissingObject if there is none."""
    path = store.path(blob)
    if path is None:
        raise MissingObject(f"the blob {blob.hex} is in no store", hint="run gg-force again to make it anew")
    return path


def kept_of(path: bytes, mask: int) -> Kept:
    """The times and the mode, cut by `mask`, of the file that is there, for the file that takes its place."""
    try:
        info = os.stat(path)
    except OSError:  # gone since it was looked at
        return Kept(0o644 & mask)
    return Kept(info.st_mode & mask, info.st_atime_ns, info.st_mtime_ns)
