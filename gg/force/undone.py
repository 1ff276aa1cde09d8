"""Removes the outputs of thunks that have no value, as if the command had failed when it was called.

Its placeholder is removed, as compilers remove a file that they had begun to write. The placeholders of thunks that need it
are removed too: those commands would not have been started. If they stayed, make would take them for done, and no other
flag, mended source or compiler would ever have them made. Placeholders of gg-create-thunk stay, for no build makes them
again. A file that was to be changed in place is again what it was before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.codec import decode_thunk, outline_thunk
from gg.core.ids import BlobId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import File, Made, OutputOf
from gg.force.outcome import Broken
from gg.force.placing import Item
from gg.host import native_programs as native
from gg.store.base import Key, Kind
from gg.workspace.stamps import Stamps
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.core.ids import SandboxPath, ThunkId
    from gg.core.thunk import Thunk
    from gg.force.placing import Placer
    from gg.store.base import Store
    from gg.workspace.ledger import Ledger
    from gg.workspace.older import Older
    from gg.workspace.workspace import Workspace

_BATCH = 256


class Undone:
    """Removes placeholders. `real_path` maps a path inside a thunk to the real path on this machine."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        placer: Placer,
        real_path: Callable[[bytes], bytes],
        older: Older,
        workspace: Workspace,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._placer = placer
        self._real_path = real_path
        self._older = older
        self._stamps = Stamps(workspace.dot, workspace.root)
        self._root, self._tmp = os.fsencode(workspace.root), os.fsencode(workspace.tmp)
        self.standing: dict[bytes, Placeholder] = {}  # of earlier calls, put back: to be forced
        self._aside: list[bytes] = []
        self._unmade: set[bytes] = set()  # of which ninja's logs are to be told

    def take(
        self, broken: Sequence[Broken], elsewhere: Mapping[ThunkId, Sequence[tuple[bytes, Placeholder]]]
    ) -> list[ThunkId]:
        """Remove the placeholders of these thunks and of all recorded calls that need them. The answer is all these thunks.

        `elsewhere`: placeholders that were found, wherever they are by now. If gg is killed halfway, some placeholders are
        left, and so are the calls in the ledger: the next force meets the failure again.
        """
        every = [*broken, *self._users({each.name for each in broken})]
        failed = [each.name for each in broken if each.failure and not each.thunk.by_name]
        if failed:
            matters = any(self._ledger.is_recorded_now(each.name) for each in every)
            self._ledger.failed(failed, matters=matters)
        bad = {each.name: each.thunk for each in every}
        items = [(each.name, item) for each in every for item in self._items(each, elsewhere.get(each.name, ()), bad)]
        self._placer.put([item for _, item in items])
        self._remove_written()
        counts = [each for each in every if not self._ledger.is_excused(each.name)]
        self._ledger.unmade(
            path for each in counts if self._ledger.is_recorded_now(each.name) for path in self._made_by(each)
        )
        self._unmade.update(path for each in counts for path in self._made_by(each))
        self._unmade.update(item.path for name, item in items if not self._ledger.is_excused(name))
        names = [each.name for each in every]
        self._remove_rules(names)
        for path in self._stamps.undo((each.name for each in counts), self._ledger.since):
            earlier = read_placeholder(path)
            if earlier is not None and earlier.thunk not in bad:
                self.standing[path] = earlier
        return names

    def _made_by(self, broken: Broken) -> Iterator[bytes]:
        return (self._real_path(output.path) for output in broken.thunk.outputs)

    def tell_ninja(self, ending: int = 0) -> None:
        """Take what was not made out of ninja's logs, once ninja has ended, or process `ending` is about to end."""
        if not self._unmade:
            return
        from gg.formats import ninja_build_log, ninja_log

        logs: dict[bytes, list[bytes]] = {}
        for path in self._unmade:
            directory = ninja_log.directory_of(path, self._root, ninja_build_log.NAME)
            if directory is not None:
                logs.setdefault(directory, []).append(path)
        for directory, paths in logs.items():
            ninja_build_log.forget(directory, paths, ending)
        self._unmade.clear()

    def _users(self, bad: set[ThunkId]) -> Iterator[Broken]:
        """Those recorded calls that the ledger owes and that need a broken thunk, in their order."""
        owed = [name for name in self._ledger.owed() if name not in bad]
        for start in range(0, len(owed), _BATCH):
            keys = [Key(Kind.THUNK, name) for name in owed[start : start + _BATCH]]
            found = self._store.get(keys)
            for name, key in zip(owed[start:], keys, strict=False):
                if key in found and not bad.isdisjoint(outline_thunk(found[key]).dependencies):
                    bad.add(name)
                    yield Broken(name, decode_thunk(found[key]), None, {})

    def _items(
        self, broken: Broken, elsewhere: Iterable[tuple[bytes, Placeholder]], bad: Mapping[ThunkId, Thunk]
    ) -> list[Item]:
        """What to place over the thunk's placeholders. Nothing for a thunk of gg-create-thunk: nobody records it again."""
        if broken.thunk.by_name:
            return []
        where = dict(elsewhere)
        for index, output in enumerate(broken.thunk.outputs):
            path = self._real_path(output.path)
            if self._put_back(broken, index, path):
                where.pop(path, None)
                earlier = read_placeholder(path)
                if earlier is not None:
                    self.standing[path] = earlier
            elif not output.soft and read_placeholder(path) == (broken.name, index):
                where[path] = Placeholder(broken.name, index)
        found: list[Item] = []
        for path, known in where.items():
            if known.index >= len(broken.thunk.outputs):
                continue
            before = self._before(broken, broken.thunk.outputs[known.index].path, bad)
            if isinstance(before, Placeholder):
                found.append(self._written(path, before, known))
                continue
            source = self._store.path(before.blob) if before else None
            found.append(Item(path, source or b"", before if source else None, known))
        return found

    def _before(self, broken: Broken, path: SandboxPath, bad: Mapping[ThunkId, Thunk]) -> Made | Placeholder | None:
        """What an edited file was before: its bytes or, where an earlier call is to make them, the placeholder of that call."""
        if path in broken.before:
            return broken.before[path]
        thunk: Thunk | None = broken.thunk
        while thunk is not None:
            entry = next((each for each in thunk.entries if each.path == path), None)
            if isinstance(entry, File):
                return Made(entry.blob, entry.executable)
            if not isinstance(entry, OutputOf):
                return None
            if entry.thunk not in bad:
                return Placeholder(entry.thunk, entry.index)
            thunk, path = bad[entry.thunk], bad[entry.thunk].outputs[entry.index].path
        return None

    def _written(self, path: bytes, placeholder: Placeholder, over: Placeholder) -> Item:
        """The placeholder, to be put there again."""
        data = PlaceholderWriter(os.fsencode(native.shim())).encode(placeholder.thunk, placeholder.index)
        aside = os.path.join(self._tmp, b"u%d-%d" % (os.getpid(), len(self._aside)))
        self._aside.append(aside)
        with open(aside, "wb") as file:
            file.write(data)
        self.standing[path] = placeholder
        executable = bool(os.stat(path).st_mode & 0o111) if os.path.exists(path) else False
        return Item(path, aside, Made(BlobId.of(data), executable), over)

    def _remove_written(self) -> None:
        while self._aside:
            os.unlink(self._aside.pop())

    def _put_back(self, broken: Broken, index: int, path: bytes) -> bool:
        """Put back the file that stood at an output, if the command leaves it as it is when it fails, or was not started."""
        output = broken.thunk.outputs[index].path
        if output in broken.before or (broken.failure and output not in broken.failure.leaves):
            return False
        return self._older.put_back(path, Placeholder(broken.name, index))

    def _remove_rules(self, thunks: Sequence[ThunkId]) -> None:
        """Remove the dependency files that were written for make when these were recorded, if they are still there."""
        from gg.record.depfiles.softfiles import SoftFiles

        for soft in SoftFiles(self._store).of(thunks).values():
            path = soft.find()
            if path is not None:
                with suppress(OSError):
                    os.unlink(path)
