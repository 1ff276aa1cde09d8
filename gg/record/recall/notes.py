"""What a session found out about its drafts, written down for `gg.record.recall.recall` when it ends.

A draft is noted when it has been captured, and kept only if its answer still holds at the end of the session, which the
scanner tells (`Validity.answers`): the names that were missed are taken from the scanner then. Facts are taken then too.
A file's bytes are those that were captured, for the scanner has seen no change of its signature, and that of its digest is
the same. What has changed just now is left out: its signature could not tell the next change.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.ids import ThunkId
from gg.core.ticks import time_settled
from gg.errors import StoreError
from gg.host.files import Signature, write_whole
from gg.light.slotted import slotted
from gg.record.recall.recall import KeptRecall, Recall, signature, where_to

if TYPE_CHECKING:
    from gg.models.includes import Closure, Scanner
    from gg.models.includes.standing import Basis
    from gg.models.includes.validity import Validity
    from gg.record.canon import Canon
    from gg.record.world import World

_MOST_NOTES = 20_000
_MOST_FILES = 100_000


@slotted()
class _Note:
    thunk: ThunkId
    basis: Basis
    headers: tuple[bytes, ...]
    directories: tuple[bytes, ...]


class RecallNotes:
    """The notes of one session."""

    def __init__(
        self, recall: Recall, world: World, canon: Canon, scanner: Callable[[], Scanner], started: int
    ) -> None:
        """`scanner`: the session's. `started`: when the session did, in nanoseconds."""
        self.recall = recall
        self._world = world
        self._canon = canon
        self._scanner = scanner
        self._notes: dict[bytes, _Note] = {}
        self._started = started

    def note(self, key: bytes, thunk: ThunkId, closure: Closure, headers: tuple[bytes, ...]) -> None:
        """Note what a draft came to, if the scanner can tell what that rests on."""
        from gg.models.includes.standing import basis

        rests_on = basis(closure.unit)
        if rests_on is not None:
            closure.context.validity.answers[key] = closure.unit.mask
            self._notes[key] = _Note(thunk, rests_on, headers, closure.directories)

    def write(self) -> None:
        """Keep what still holds. Trouble is no error: this is a cache."""
        if not self._notes:
            return
        scanner = self._scanner()
        writer = _Writer(self.recall.kept, self._world, self._canon, scanner)
        for context in scanner.contexts():
            held = {key: self._notes[key] for key in context.validity.answers if key in self._notes}
            if held and not context.validity.has_unusable():
                writer.add(context.validity, held)
        if writer.finish(self._started):
            with suppress(StoreError):
                write_whole(self.recall.path, self.recall.pack(writer.kept))


class _Writer:
    """Adds one session's notes to what is kept."""

    def __init__(self, kept: KeptRecall, world: World, canon: Canon, scanner: Scanner) -> None:
        too_many = len(kept.notes) > _MOST_NOTES or len(kept.files) > _MOST_FILES
        self.kept = KeptRecall() if too_many else kept
        self._world = world
        self._canon = canon
        self._scanner = scanner
        self._files = {(row[0], row[1], row[2]): number for number, row in enumerate(self.kept.files)}
        self._texts = {text: number for number, text in enumerate(self.kept.texts)}
        self._numbers: dict[bytes, int | None] = {}

    def add(self, validity: Validity, notes: dict[bytes, _Note]) -> None:
        """Add what one context has found out."""
        from gg.models.includes.standing import missed

        number = len(self.kept.contexts)
        directories: dict[bytes, None] = {}
        for key, note in notes.items():
            files = [place for path in note.basis.files if (place := self._file(path)) is not None]
            if len(files) == len(note.basis.files):
                columns = (files, map(self._text, note.basis.absent), map(self._text, note.headers))
                packed = [array("I", column).tobytes() for column in columns]
                self.kept.notes[key] = [note.thunk, number, *packed]
                directories.update(dict.fromkeys(note.directories))
                directories.update(dict.fromkeys(path[: path.rfind(b"/")] or b"/" for path in note.basis.files))
        places = [
            [d.path, *(d.signature or (0, 0))[:2], [d.join(name) for name in names]] for d, names in missed(validity)
        ]
        destinations: list[list[object]] = [[path, where_to(self._canon, path)] for path in directories]
        self.kept.contexts.append([places, destinations])

    def _text(self, text: bytes) -> int:
        number = self._texts.get(text)
        if number is None:
            number = self._texts[text] = len(self.kept.texts)
            self.kept.texts.append(text)
        return number

    def _file(self, path: bytes) -> int | None:
        """The place of a file of the workspace; None if what was captured of it is not known for sure."""
        if path not in self._numbers:
            self._numbers[path] = self._known_file(path)
        return self._numbers[path]

    def _known_file(self, path: bytes) -> int | None:
        info = self._world.files.remembered(path)
        if info is None:
            return None
        known = info.signature
        scanned = self._scanner.signature(path)
        if scanned != (known.ctime_ns, known.ino, known.size) or not _is_at(path, known):
            return None
        row = (path, info.blob.digest, info.executable)
        number = self._files.get(row)
        if number is None:
            number = self._files[row] = len(self.kept.files)
            self.kept.files.append(list(row))
            self.kept.signatures.append(b"")
        self.kept.signatures[number] = known.pack()
        return number

    def finish(self, started: int) -> bool:
        """Add what no build changes, and forget what nothing rests on; False if some of it changed since `started`."""
        used = {note[1] for note in self.kept.notes.values()}
        for number in range(len(self.kept.contexts)):
            if number not in used:
                self.kept.contexts[number] = None
        for path in _with_directories(self._scanner.stable()):
            found = self.kept.stable[path] = signature(path)
            if any(found) and not time_settled(Signature.unpack(found).ctime_ns, started):
                return False
        return True


def _is_at(path: bytes, known: Signature) -> bool:
    """Whether the file itself, and not one that a link leads to, has this signature."""
    try:
        return known.is_of(os.lstat(path))
    except OSError:
        return False


def _with_directories(paths: Collection[bytes]) -> set[bytes]:
    """`paths`, and the directories above them, in which a link may come to lead elsewhere."""
    found = set(paths)
    for path in paths:
        while (path := path[: path.rfind(b"/")]) and path not in found:
            found.add(path)
    return found
