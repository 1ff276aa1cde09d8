"""Forcing placeholders of a workspace: find them, evaluate their thunks, put the results in their places."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.thunk import Output, Reduction
from gg.errors import GGError, MissingObject
from gg.force.cached_results import CachedResult, CachedResults
from gg.force.placing import Placer
from gg.force.results import Ended, ResultFiles, Results
from gg.force.rule_files import RuleFiles
from gg.force.undone import Undone
from gg.force.words import Showing, Words
from gg.observe import build_events as seen
from gg.store.base import Key, Kind
from gg.workspace.ledger import Ledger
from gg.workspace.older import Older
from gg.workspace.targets import Targets
from gg.workspace.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.meter import Bill
    from gg.engines.engine import Engine, Printed
    from gg.force.driver import Driver
    from gg.force.mailbox import Mailbox
    from gg.force.outcome import Broken, Hearing, Outcome, Settled, TakeSettled
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.settings import Settings


class Forcer:
    """Forces in one workspace with one set of engines, as often as asked. Close it when done.

    What the engines spend goes on `bill`. `ledger`: the ledger of the recording, if this force is a part of one. `placed`: how
    many files were put in place. `lost`: outputs of recorded calls whose thunks the store has lost.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        settings: Settings,
        observe: Callable[[seen.BuildEvent], None],
        bill: Bill | None = None,
        ledger: Ledger | None = None,
        printed: Printed | None = None,
    ) -> None:
        _check(workspace, settings)
        self._store = store
        self._workspace, self._settings = workspace, settings
        self._bill, self._printed = bill, printed
        self._ledger = ledger or Ledger(workspace.dot)
        self._prefix = os.fsencode(workspace.root) + b"/"
        self._renaming = _renaming(workspace)
        self._real_path: Callable[[bytes], bytes] = self._renaming.real_path if self._renaming else bytes
        self.showing = Showing(observe, self._ledger, self._renaming)
        self._observe = self.showing.observe
        self._rules = RuleFiles(workspace, store, self._renaming)
        self._older = Older(workspace.dot)
        kept = (store, self._ledger, self._rules, self._older)
        self._results = Results(*kept, self._prefix, self._real_path, self._observe)
        self._texts: list[bytes] = []  # files that are being placed and are no blobs
        self.placed = 0
        self.lost: list[bytes] = []
        self._files: FileDB | None = None
        self._opening, self._making = threading.Lock(), threading.Lock()
        self._engines: list[Engine] = []
        self._driver: Driver | None = None
        self._mail: Mailbox | None = None
        self._hearing: Hearing | None = None
        self._bad: GGError | None = None
        self._stopped = False
        self._placer = Placer(workspace.tmp, workspace.root)
        self._undone = Undone(self._ledger, store, self._placer, self._real_path, self._older, workspace)
        self._under_way: list[ResultFiles] = []
        self._lacking: list[ThunkId] = []  # their results are known, but the bytes cannot be had
        self._missed = False  # for a caller that does not drop the status

    def files(self) -> FileDB:
        """The digest memory, opened when first needed: a force in which all is known never reads a source."""
        with self._opening:  # engines ask from their own threads
            if self._files is None:
                from gg.host.filedb import FileDB

                self._files = FileDB(os.fsencode(self._workspace.dot))
            return self._files

    def force(self, targets: Targets) -> Ended:
        """Evaluate and place. What is done is placed at once, so an interrupted force loses nothing."""
        self._ledger.load()
        self._elsewhere: dict[ThunkId, list[tuple[bytes, Placeholder]]] = {}
        if targets.everything:  # what nobody has kept counts too
            self._elsewhere.update((name, []) for name in self._owed(targets))
        self._words = Words(self._ledger, self._observe, self._ledger.calls() if targets.everything else ())
        for path, known in targets.placeholders.items():
            self._elsewhere.setdefault(known.thunk, []).append((path, known))
        self._bad = None
        try:
            ended = self._force()
            while self._undone.standing and not (self._stopped or ended.interrupted):
                ended = ended.followed_by(self._force_standing())
            return ended
        finally:
            self._words.end()

    def _force_standing(self) -> Ended:
        """Force the placeholders of earlier calls that are there again since later ones have failed."""
        standing, self._undone.standing = self._undone.standing, {}
        self._elsewhere = {}
        for path, known in standing.items():
            self._elsewhere.setdefault(known.thunk, []).append((path, known))
        return self._force()

    def serve(
        self, roots: Sequence[ThunkId], elsewhere: dict[ThunkId, list[tuple[bytes, Placeholder]]], hearing: Hearing
    ) -> Outcome | None:
        """Evaluate and place `roots`, and what is wanted meanwhile (`want`). `hearing` is told of each thunk by itself.

        `elsewhere`: where placeholders were found; other threads add to it. A file that cannot be placed does not end the run.
        None if all results were known.
        """
        self._ledger.load()
        self._elsewhere = elsewhere
        self._hearing = hearing
        self._words = Words(self._ledger, self._observe)
        if self._driver is None:
            ahead = self._force_known(roots)
            roots = [name for name in roots if name not in ahead.values]
            if not roots or self._stopped:
                return None
            return self._evaluator().force(
                roots, self._finished, ahead.values, ahead.encoded, self._broke, hearing.given_up
            )
        return self._driver.force(roots, self._finished, broke=self._broke, given_up=hearing.given_up)

    def _force(self) -> Ended:
        ahead = self._force_known(self._elsewhere)
        roots = [name for name in self._elsewhere if name not in ahead.values]
        if not roots or self._stopped:
            return Ended(None, len(ahead.values), self._stopped)
        outcome = self._evaluator().force(roots, self._finished, ahead.values, ahead.encoded, self._broke)
        if self._bad:
            raise self._bad
        return Ended(outcome, len(ahead.values), outcome.interrupted, dropped=not self._missed)

    def _owed(self, targets: Targets) -> list[ThunkId]:
        """The thunks that the ledger owes. One with no placeholder that the store has lost cannot be had any more (`lost`)."""
        owed = self._ledger.owed()
        standing = {known.thunk for known in targets.placeholders.values()}
        orphans = [Key(Kind.THUNK, name) for name in owed if name not in standing]
        lost = {key.digest for key in orphans} - {key.digest for key in self._store.has(orphans)} if orphans else set()
        if lost:
            gone = [name for name in owed if name in lost]
            self.lost += self._ledger.outputs(gone)
            self._ledger.told(gone)
        return [name for name in owed if name not in lost]

    def evaluate(self, roots: Iterable[ThunkId], finished: TakeSettled) -> Outcome:
        """Evaluate thunks, and place nothing. `finished` is called with those that are done."""
        return self._evaluator().force(roots, finished)

    def want(self, root: ThunkId) -> int:
        """Add a root to an `evaluate` or `serve` in another thread. The answer is a ticket for `has_joined`, after the end."""
        return self._box().want(root)

    def has_joined(self, ticket: int) -> bool:
        return ticket in self._box().joined

    def _box(self) -> Mailbox:
        """The driver's mailbox, which takes what is wanted before there is a driver."""
        with self._opening:
            if self._mail is None:
                from gg.force.mailbox import Mailbox

                self._mail = Mailbox()
            return self._mail

    def ran_below(self, root: ThunkId) -> int:
        """How many thunks have run for `root`, which is done, and were not counted for another. From the driver's thread."""
        return self._driver.ran_below(root) if self._driver else 0

    @property
    def names_elsewhere(self) -> Sequence[bytes]:
        """Files that took the places of placeholders with further names, which are outside of the workspace's root."""
        return self._placer.elsewhere

    def undo_moved(self, failed: Collection[ThunkId], ending: int) -> None:
        """Remove the placeholders of these that somebody has moved or copied, and their lines in ninja's log. If process `ending`
        is ninja, it is about to end.
        """
        search = self._workspace.search()
        for path, known in Targets.all(self._workspace, search).placeholders.items():
            if known.thunk in failed:
                with suppress(OSError):
                    os.unlink(path)
        self._undone.tell_ninja(ending)

    def stop(self) -> None:
        self._stopped = True
        if self._driver:
            self._driver.stop()

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        self._placer.close()
        self._rules.tell_ninja()
        self._undone.tell_ninja()
        self._ledger.close()
        if self._files is not None:
            self._files.flush()
            self._files.close()
        self._store.flush()

    def _force_known(self, roots: Iterable[ThunkId]) -> CachedResults:
        """Place the results that need nothing but to be placed."""
        known, self._lacking = CachedResults(self._store, roots, self._is_there, self._may_be_late), []
        self._observe(seen.Started(total=len(known)))
        try:
            for batch in known.find():
                if self._stopped:
                    break
                results = self._take(batch)
                self._end()
                self._begin(results)
        finally:
            self._end()
        for name in self._lacking:
            del known.values[name]
        return known

    def _is_there(self, path: bytes, blob: BlobId) -> bool:
        """Whether a real file is there with these bytes."""
        real = self._real_path(path)
        try:
            return read_placeholder(real) is None and self.files().digest(real).blob == blob
        except OSError:
            return False

    def _may_be_late(self, name: ThunkId, path: bytes) -> bool:
        """Whether `path` may have come after the thunk was recorded; `gg.workspace.later` then decides, in the driver."""
        since, path = self._ledger.since(name), self._real_path(path)
        while since and path != b"/":
            try:
                info = os.lstat(path)
            except OSError:
                return True
            if info.st_ctime_ns >= since and (path.startswith(self._prefix) or not stat.S_ISDIR(info.st_mode)):
                return True
            path = os.path.dirname(path)
        return False

    def _take(self, batch: Sequence[CachedResult]) -> list[ResultFiles]:
        """The files to place for cached results. A result whose bytes cannot be had counts as unknown."""
        results: list[ResultFiles] = []
        for each in batch:
            try:
                results.append(self._results.of(each, self._elsewhere.get(each.name, ())))
            except MissingObject:
                self._lacking.append(each.name)
            else:
                self._observe(self._done(each.name, each.outputs, each.reduction))
        return results

    def _done(self, name: ThunkId, outputs: Sequence[Output], reduction: Reduction) -> seen.ThunkDone:
        seconds = reduction.usage.wall_ns / 1e9
        label = seen.label(outputs, self._prefix, self._real_path)
        return seen.ThunkDone(name.hex(), label, reduction.engine, "cached", seconds)

    def _evaluator(self) -> Driver:
        """The driver and its engines, made when something is to be evaluated. From any thread."""
        with self._making:
            return self._driver or self._make_driver()

    def _make_driver(self) -> Driver:
        from gg.force.evaluation import Evaluation

        evaluation = Evaluation(
            self._workspace,
            self._store,
            self._settings,
            self._ledger,
            self._older,
            self._renaming,
            self.files,
            self._observe,
            self._bill,
            self._printed,
        )
        self._driver, self._engines = evaluation.make(self._box())
        if self._stopped:
            self._driver.stop()
        return self._driver

    # Placing

    def _finished(self, settled: Sequence[Settled]) -> None:
        results: list[ResultFiles] = []
        lost: list[ThunkId] = []
        try:
            for each in settled:
                try:
                    results.append(self._results.of(each, self._elsewhere.get(each.name, ())))
                except MissingObject:  # the team's store has lost or damaged what it said to have
                    lost.append(each.name)
            self._begin(results)
            self._end()
        except GGError as error:
            self._cannot_place([s.name for s in settled], error)
        if lost:
            assert self._driver
            self._driver.lose(lost)

    def _cannot_place(self, names: Sequence[ThunkId], error: GGError) -> None:
        """Deal with files that could not be placed: a force ends. When readers are served, theirs are told and the others go on."""
        if self._hearing:
            self._hearing.unplaced(names, error)
            return
        self._bad = self._bad or error
        assert self._driver
        self._driver.end(error)

    def _begin(self, results: list[ResultFiles]) -> None:
        """Begin to put all files in their places. What goes beside a placeholder's file is placed before that file: once the
        placeholder is gone, no later force would look for the rest.
        """
        self._under_way = results
        self._texts = self._rules.written()
        self._placer.begin([item for result in results for item in result.items])

    def _end(self) -> None:
        """Wait until the files that were begun with are in their places, and report them."""
        results, self._under_way = self._under_way, []
        kept = iter(self._placer.end())
        while self._texts:
            os.unlink(self._texts.pop())
        came: list[tuple[ThunkId, seen.Diagnostics | None, bool]] = []
        for value, items, superseded in results:
            name, reduction = value.name, value.reduction
            placed = [item.path for item in items if next(kept) and item.over]
            self.placed += len(placed)
            for path in placed:
                self._observe(seen.Placed(os.fsdecode(path)))
            words = None
            if reduction.stdout or reduction.stderr:
                label = seen.label(value.outputs, self._prefix, self._real_path)
                words = seen.Diagnostics(label, reduction.stdout, self.showing.fitting(reduction.stderr, name))
            came.append((name, words, bool(placed or superseded)))
        self._ledger.mended([name for name, _, _ in came])
        self._older.drop([name for name, _, _ in came])
        self._words.settle(came)
        if self._hearing:
            self._hearing.placed([name for name, _, _ in came])

    def _broke(self, broken: Sequence[Broken]) -> None:
        """Remove the placeholders of thunks that will have no value."""
        try:
            names = self._undone.take(broken, self._elsewhere)
            self._missed = self._missed or not all(self._ledger.is_excused(name) for name in names)
            self._older.drop(names)
            self._words.settle([(name, None, False) for name in names])
        except GGError as error:
            self._cannot_place([each.name for each in broken], error)


def _check(workspace: Workspace, settings: Settings) -> None:
    """Raises what forbids a force here, before anything is made for it."""
    workspace.need_writable()
    workspace.remove_scratch()
    if settings.engine != ("local",):
        from gg.engines.registry import check_names

        check_names(settings)


def _renaming(workspace: Workspace) -> Renaming | None:
    if not os.path.exists(os.path.join(workspace.dot, "known-as")):
        return None
    from gg.workspace import known_as as names

    return names.renaming(workspace)
