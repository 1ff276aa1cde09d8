"""Forcing placeholders of a workspace: find them, evaluate their thunks, put the results in their places."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gg.cone import Values
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.thunk import Made, Reduction, Thunk
from gg.driver import Driver, Finished, Outcome
from gg.errors import GGError, MissingObject
from gg.observe import events as seen
from gg.place import Item, Kept, Placer
from gg.record.softfiles import SoftFiles
from gg.targets import Targets
from gg.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from gg.config import Settings
    from gg.store.base import Store
    from gg.store.filedb import FileDB


class Forcer:
    """Forces in one workspace with one set of engines, as often as asked. Close it when done."""

    def __init__(
        self, workspace: Workspace, store: Store, settings: Settings, observe: Callable[[seen.Event], None]
    ) -> None:
        from gg.core.policy import Policy
        from gg.engines.registry import make_engines
        from gg.execute.expand import Groups

        workspace.need_writable()
        workspace.remove_scratch()
        self._store = store
        self._workspace = workspace
        self.sink = observe
        self.placed = 0
        self._soft = SoftFiles(store)
        self._files: FileDB | None = None
        self._opening = threading.Lock()
        groups = Groups(store)
        self._engines = make_engines(settings, store=store, groups=groups, files=self.files, dot=workspace.dot)
        self._driver = Driver(
            store=store,
            engines=self._engines,
            groups=groups,
            files=self.files,
            observe=self._observe,
            policy=Policy(
                keep_going=settings.keep_going,
                max_attempts=settings.retries,
                fallback=None if settings.fallback == "never" else settings.fallback,
            ),
            root=workspace.root,
        )
        self._placer = Placer(workspace.tmp)

    def files(self) -> FileDB:
        """The digest memory, opened when first needed: a force in which all is known never reads a source."""
        with self._opening:  # engines ask from their own threads
            if self._files is None:
                from gg.store.filedb import FileDB

                self._files = FileDB(os.fsencode(self._workspace.dot))
            return self._files

    def force(self, targets: Targets) -> Outcome:
        """Evaluate and place. What is done is placed at once, so an interrupted force loses nothing."""
        self._elsewhere: dict[ThunkId, list[tuple[bytes, Placeholder]]] = {}
        for path, known in targets.placeholders.items():
            self._elsewhere.setdefault(known.thunk, []).append((path, known))
        self._bad: GGError | None = None
        outcome = self._driver.force(self._elsewhere, self._finished)
        if self._bad:
            raise self._bad
        return outcome

    def evaluate(self, roots: Iterable[ThunkId], finished: Finished) -> Outcome:
        """Evaluate thunks, and place nothing; `finished` is called for each as it is done."""
        return self._driver.force(roots, finished)

    def want(self, root: ThunkId) -> int:
        """One more for an `evaluate` that runs in another thread: a ticket, that `took` tells about after its end."""
        return self._driver.want(root)

    def took(self, ticket: int) -> bool:
        return ticket in self._driver.taken

    def stop(self) -> None:
        self._driver.stop()

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        self._placer.close()
        if self._files is not None:
            self._files.flush()
            self._files.close()
        self._store.flush()

    def _observe(self, event: seen.Event) -> None:
        self.sink(event)

    # Placing

    def _finished(self, name: ThunkId, thunk: Thunk, values: Values, reduction: Reduction) -> None:
        try:
            self._place(name, thunk, values, reduction)
        except GGError as error:
            self._bad = self._bad or error
            self._driver.stop()

    def _place(self, name: ThunkId, thunk: Thunk, values: Values, reduction: Reduction) -> None:
        where = {(o.path, i): None for i, o in enumerate(thunk.outputs) if not o.soft and not o.optional}
        where.update({(SandboxPath(path), known.index): None for path, known in self._elsewhere.get(name, ())})
        items = [
            self._item(path, values[i], over=Placeholder(name, i))
            for path, i in where
            if read_placeholder(path) == (name, i)
        ]
        placed = [(item, kept) for item, kept in zip(items, self._placer.put(items), strict=True) if kept]
        for item, _ in placed:
            self.placed += 1
            self._observe(seen.Placed(os.fsdecode(item.path)))
        if not placed:
            return
        self._place_beside(name, thunk, values, reduction, placed[0][1])
        if reduction.stdout or reduction.stderr:
            label = self._driver.label(thunk)
            self._observe(seen.Diagnostics(label, reduction.stdout, reduction.stderr))

    def _place_beside(self, name: ThunkId, thunk: Thunk, values: Values, reduction: Reduction, kept: Kept) -> None:
        """Optional outputs, files nobody declared, and the compiler's own dependency file."""
        kept = kept._replace(mode=kept.mode & 0o666)
        items: list[Item] = []
        for index, output in enumerate(thunk.outputs):
            made = values[index]
            if output.optional and made is not None and os.path.isdir(os.path.dirname(output.path)):
                items.append(self._item(output.path, made, kept=kept))
            elif output.soft and made is not None:
                items += self._soft_item(name, made)
        for path, other in reduction.extra_outputs:
            if os.path.isdir(os.path.dirname(path)):
                items.append(self._item(path, other, kept=kept))
        self._placer.put(items)

    def _soft_item(self, name: ThunkId, made: Made) -> list[Item]:
        soft = self._soft.of([name]).get(name)
        path = soft.find() if soft else None
        if path is None:
            return []
        info = os.stat(path)
        return [self._item(path, made, kept=Kept(info.st_mode & 0o7777, info.st_atime_ns, info.st_mtime_ns))]

    def _item(
        self, path: bytes, made: Made | None, *, over: Placeholder | None = None, kept: Kept | None = None
    ) -> Item:
        source = self._blob_path(made.blob) if made else b""
        return Item(path, source, made, over, kept or Kept())

    def _blob_path(self, blob: BlobId) -> bytes:
        path = self._store.path(blob)
        if path is None:
            raise MissingObject(f"the blob {blob.hex} is in no store", hint="run gg-force again to make it anew")
        return path


def counts(outcome: Outcome) -> dict[str, object]:
    """What `RunFinished` says of an outcome, by field."""
    summary = outcome.summary
    return {
        "ran": summary.ran,
        "cached": summary.hits + summary.became,
        "failed": summary.failed,
        "skipped": summary.skipped + summary.dropped,
        "busy": summary.busy_seconds,
        "retries": {fault.value: n for fault, n in summary.retries.items()},
        "interrupted": outcome.interrupted,
    }
