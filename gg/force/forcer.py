"""Forcing placeholders of a workspace: find them, evaluate their thunks, put the results in their places."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.resolve import Values
from gg.core.thunk import Made, Output, Reduction
from gg.errors import GGError, Interrupted, MissingObject
from gg.force.already_known import Found, Known
from gg.force.placing import Item, Kept, Placer
from gg.force.rule_files import RuleFiles, blob_path, kept_of
from gg.force.undone import Undone
from gg.force.words import Words
from gg.light.named import NamedTuple
from gg.observe import build_events as seen
from gg.store.base import Key, Kind
from gg.workspace.ledger import Ledger
from gg.workspace.older import Older
from gg.workspace.targets import Targets
from gg.workspace.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.cost.budget import Budget
    from gg.cost.meter import Bill
    from gg.engines.engine import Engine
    from gg.force.driver import Driver
    from gg.force.mailbox import Mailbox
    from gg.force.outcome import Broken, Finished, Hearing, Outcome, Settled
    from gg.force.staying import Staying
    from gg.host.filedb import FileDB
    from gg.run.expand import Groups
    from gg.store.base import Store
    from gg.workspace.granted import Granted
    from gg.workspace.settings import Settings


_NOWHERE: Mapping[BlobId, bytes] = {}
_AS_BEFORE = Kept()


class _Result(NamedTuple):
    """A thunk that has its value, and what to put in the places of its placeholders.

    `superseded`: another thunk's placeholder is where its own was, as after `gcc -c x.c && strip x.o`. Its output goes
    nowhere, but what it printed and what it wrote besides is wanted.
    """

    name: ThunkId
    outputs: Sequence[Output]
    reduction: Reduction
    items: list[Item]
    superseded: bool


class Forcer:
    """Forces in one workspace with one set of engines, as often as asked. Close it when done.

    What the engines spend goes on `bill`.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        settings: Settings,
        observe: Callable[[seen.Event], None],
        bill: Bill | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """`ledger`: that of the recording which this is a part of."""
        workspace.need_writable()
        workspace.remove_scratch()
        if settings.engine != ("local",):
            from gg.engines.registry import check_names

            check_names(settings)
        self._store = store
        self._workspace = workspace
        self._settings = settings
        self._bill = bill
        self._ledger = ledger or Ledger(workspace.dot)
        self._prefix = os.fsencode(workspace.root) + b"/"
        self._granted: Granted | None = None
        self._renaming = _renaming(workspace)
        self._outside: Callable[[bytes], bytes] = self._renaming.outside_path if self._renaming else bytes
        self.sink = observe
        self.terminal = False  # what tools print is shown on one
        self._rules = RuleFiles(workspace, store, self._renaming)
        self._texts: list[bytes] = []  # files that are being placed and are no blobs
        self.placed = 0
        self.failures: list[str] = []  # a line for each
        self.lost: list[bytes] = []  # what recorded calls were to make that the store has lost
        self._files: FileDB | None = None
        self._opening = threading.Lock()
        self._making = threading.Lock()
        self._engines: list[Engine] = []
        self._driver: Driver | None = None
        self._mail: Mailbox | None = None
        self._hearing: Hearing | None = None
        self._bad: GGError | None = None
        self._stopped = False
        self._placer = Placer(workspace.tmp, workspace.root)
        self._older = Older(workspace.dot)
        self._undone = Undone(self._ledger, store, self._placer, self._outside, self._older)
        self._under_way: list[_Result] = []
        self._lacking: list[ThunkId] = []  # known, and their bytes cannot be had
        self._missed = False  # by somebody who does not drop the status

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
            return self._force()
        finally:
            self._words.end()

    def serve(
        self, roots: Sequence[ThunkId], elsewhere: dict[ThunkId, list[tuple[bytes, Placeholder]]], hearing: Hearing
    ) -> Outcome | None:
        """Evaluate and place `roots`, and what is wanted meanwhile (`want`); `hearing` is told of each thunk by itself.

        `elsewhere`: where placeholders were found, which others add to. What cannot be placed does not end it. None: all
        was known.
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
        """What the ledger owes. What has no placeholder, and the store has lost, cannot be had any more (`lost`)."""
        owed = self._ledger.owed()
        standing = {known.thunk for known in targets.placeholders.values()}
        orphans = [Key(Kind.THUNK, name) for name in owed if name not in standing]
        lost = {key.digest for key in orphans} - {key.digest for key in self._store.has(orphans)} if orphans else set()
        if lost:
            gone = [name for name in owed if name in lost]
            self.lost += self._ledger.outputs(gone)
            self._ledger.told(gone)
        return [name for name in owed if name not in lost]

    def evaluate(self, roots: Iterable[ThunkId], finished: Finished) -> Outcome:
        """Evaluate thunks, and place nothing; `finished` is called for those that are done."""
        return self._evaluator().force(roots, finished)

    def want(self, root: ThunkId) -> int:
        """One more for an `evaluate` or `serve` that runs in another thread: a ticket, that `took` tells about after its end."""
        return self._box().want(root)

    def took(self, ticket: int) -> bool:
        return ticket in self._box().taken

    def _box(self) -> Mailbox:
        """The driver's mailbox, which takes what is wanted before there is a driver."""
        with self._opening:
            if self._mail is None:
                from gg.force.mailbox import Mailbox

                self._mail = Mailbox()
            return self._mail

    def ran_below(self, root: ThunkId) -> int:
        """How many thunks have run for this one, which is done, and for none before it. From the driver's thread."""
        return self._driver.ran_below(root) if self._driver else 0

    @property
    def names_elsewhere(self) -> Sequence[bytes]:
        """Files that were put in the places of placeholders which had further names, not below the workspace's root."""
        return self._placer.elsewhere

    def stop(self) -> None:
        self._stopped = True
        if self._driver:
            self._driver.stop()

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        self._placer.close()
        self._rules.tell_ninja()
        self._ledger.close()
        if self._files is not None:
            self._files.flush()
            self._files.close()
        self._store.flush()

    def _force_known(self, roots: Iterable[ThunkId]) -> Known:
        """Place what needs nothing but to be placed."""
        known, self._lacking = Known(self._store, roots, self._is_there, self._may_be_late), []
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
        real = self._outside(path)
        try:
            return read_placeholder(real) is None and self.files().digest(real).blob == blob
        except OSError:
            return False

    def _may_be_late(self, name: ThunkId, path: bytes) -> bool:
        """Whether the driver has to judge it, which knows the thunk (`gg.workspace.later`)."""
        since, path = self._ledger.since(name), self._outside(path)
        while since and path != b"/":
            try:
                info = os.lstat(path)
            except OSError:
                return True
            if info.st_ctime_ns >= since and (path.startswith(self._prefix) or not stat.S_ISDIR(info.st_mode)):
                return True
            path = os.path.dirname(path)
        return False

    def _take(self, batch: Sequence[Found]) -> list[_Result]:
        """What to place of what was known, as far as its bytes can be had: the rest is as good as unknown."""
        results: list[_Result] = []
        for name, outputs, reduction, paths in batch:
            try:
                results.append(self._result(name, outputs, reduction, reduction.outputs, paths))
            except MissingObject:
                self._lacking.append(name)
            else:
                self._observe(self._done(name, outputs, reduction))
        return results

    def _done(self, name: ThunkId, outputs: Sequence[Output], reduction: Reduction) -> seen.ThunkDone:
        seconds = reduction.usage.wall_ns / 1e9
        label = seen.label(outputs, self._prefix, self._outside)
        return seen.ThunkDone(name.hex(), label, reduction.engine, "cached", seconds)

    def _evaluator(self) -> Driver:
        """The driver and its engines, made when something is to be evaluated. From any thread."""
        with self._making:
            return self._driver or self._make_driver()

    def _make_driver(self) -> Driver:
        from gg.engines.registry import make_engines
        from gg.engines.supplies import Supplies
        from gg.force.alone import Alone
        from gg.force.driver import Driver
        from gg.run.expand import Groups
        from gg.schedule.policy import Policy
        from gg.workspace.later import Later

        settings, store, groups = self._settings, self._store, Groups(self._store)
        budget = self._budget() if settings.budget else None
        later = Later(self._ledger.since, self._ledger.made, self._prefix, self._outside)
        supplies = Supplies(
            store=store,
            groups=groups,
            files=self.files,
            workspace=self._workspace,
            bill=self._bill,
            renaming=self._renaming,
            later=later,
            older=self._older,
            report=lambda text: self._observe(seen.Note(text)),
        )
        self._engines = make_engines(settings, supplies)
        several = sum(not engine.caps.reserve for engine in self._engines) > 1
        policy = Policy(
            keep_going=settings.keep_going or self._ledger.excuses_any(),  # it would have gone on
            max_attempts=settings.retries,
            fallback=None if settings.fallback == "never" else settings.fallback,
            width=(settings.jobs or None) if several else None,
        )
        self._driver = Driver(
            store=store,
            engines=self._engines,
            groups=groups,
            files=self.files,
            observe=self._observe,
            policy=policy,
            root=self._workspace.root,
            outside=self._outside,
            later=later,
            budget=budget,
            mail=self._box(),
            alone=Alone(os.path.join(self._workspace.store, "running")),
            staying=self._staying(groups),
        )
        if self._stopped:
            self._driver.stop()
        return self._driver

    def _budget(self) -> Budget:
        from gg.cost.budget import Budget
        from gg.cost.meter import Bill

        self._bill = self._bill or Bill()
        return Budget(self._settings.budget, self._bill)

    def _observe(self, event: seen.Event) -> None:
        if isinstance(event, seen.ThunkFailed):
            event = event._replace(stderr=self._fitting(event.stderr, ThunkId(bytes.fromhex(event.id))))
        if self._renaming and isinstance(event, (seen.ThunkFailed, seen.Diagnostics)):
            here = self._renaming.outside
            event = event._replace(stdout=here(event.stdout), stderr=here(event.stderr))
            if isinstance(event, seen.ThunkFailed):
                event = event._replace(command=os.fsdecode(here(os.fsencode(event.command))))
        if isinstance(event, seen.ThunkFailed):
            from gg.observe import wording

            self.failures.append(wording.in_list(event))
        self.sink(event)

    def _fitting(self, words: bytes, name: ThunkId) -> bytes:
        """What a thunk's command has printed, as it fits the place where it is shown."""
        if b"\x1b" not in words:
            return words
        from gg.core.colour import By, Look, shown, terminal_look
        from gg.workspace.settings import terminal_variables

        look = terminal_look(terminal_variables()) if self.terminal else Look.PLAIN
        return shown(words, look, By(self._ledger.by(name)))

    # Placing

    def _finished(self, settled: Sequence[Settled]) -> None:
        results: list[_Result] = []
        lost: list[ThunkId] = []
        try:
            for each in settled:
                try:
                    results.append(self._result(each.name, each.thunk.outputs, each.reduction, each.values, _NOWHERE))
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
        """It ends a force; who is served is told, and others go on."""
        if self._hearing:
            self._hearing.unplaced(names, error)
            return
        self._bad = self._bad or error
        assert self._driver
        self._driver.end(error)

    def _result(
        self,
        name: ThunkId,
        outputs: Sequence[Output],
        reduction: Reduction,
        values: Values,
        files: Mapping[BlobId, bytes],
    ) -> _Result:
        """`files`: where some blobs are known to be."""
        where = {(path, known.index): None for path, known in self._elsewhere.get(name, ())}
        superseding = b""
        for index, output in enumerate(outputs):
            path = self._outside(output.path)
            if not (output.soft or output.optional or (path, index) in where):
                there = None if os.path.islink(path) else read_placeholder(path)
                if there == (name, index):
                    where[path, index] = None
                elif there:
                    superseding = path
        items = [
            self._item(path, values[index], files, Placeholder(name, index), expected=outputs[index].executable)
            for path, index in where
        ]
        like = items[0].path if items else superseding
        beside = self._beside(name, outputs, values, reduction, like) if like else []
        return _Result(name, outputs, reduction, [*beside, *items], not items and like != b"")

    def _begin(self, results: list[_Result]) -> None:
        """Begin to put all in their places. What goes with a placeholder's file comes before it: once that is real,
        nobody would look for more.
        """
        self._under_way = results
        self._texts = self._rules.written()
        self._placer.begin([item for result in results for item in result.items])

    def _end(self) -> None:
        """Tell of what was begun with, when it is in its place."""
        results, self._under_way = self._under_way, []
        kept = iter(self._placer.end())
        while self._texts:
            os.unlink(self._texts.pop())
        came: list[tuple[ThunkId, seen.Diagnostics | None, bool]] = []
        for name, outputs, reduction, items, superseded in results:
            placed = [item.path for item in items if next(kept) and item.over]
            self.placed += len(placed)
            for path in placed:
                self._observe(seen.Placed(os.fsdecode(path)))
            words = None
            if reduction.stdout or reduction.stderr:
                label = seen.label(outputs, self._prefix, self._outside)
                words = seen.Diagnostics(label, reduction.stdout, self._fitting(reduction.stderr, name))
            came.append((name, words, bool(placed or superseded)))
        self._ledger.mended([name for name, _, _ in came])
        self._older.drop([name for name, _, _ in came])
        self._words.settle(came)
        if self._hearing:
            self._hearing.placed([name for name, _, _ in came])

    def _broke(self, broken: Sequence[Broken]) -> None:
        """Thunks will have no value: their placeholders go."""
        try:
            names = self._undone.take(broken, self._elsewhere)
            self._missed = self._missed or not all(self._ledger.is_excused(name) for name in names)
            self._older.drop(names)
            self._words.settle([(name, None, False) for name in names])
        except GGError as error:
            self._cannot_place([each.name for each in broken], error)

    def _beside(
        self, name: ThunkId, outputs: Sequence[Output], values: Values, reduction: Reduction, placeholder: bytes
    ) -> list[Item]:
        """Optional outputs, files nobody declared, and the compiler's own dependency file; as new as `placeholder`, and with
        the permissions that the call's umask leaves, whatever has become of the placeholder's.
        """
        items: list[Item] = []
        declared = [(self._outside(o.path), m) for o, m in zip(outputs, values, strict=True) if o.optional and m]
        extra = [(self._outside(inside), made) for inside, made in reduction.extra_outputs]
        for path, made in (*declared, *[(p, m) for p, m in extra if self._may_write(p)]):
            if os.path.isdir(os.path.dirname(path)):
                items.append(self._item(path, made, kept=self._kept_beside(name, path, made, placeholder)))
        for output, soft in zip(outputs, values, strict=True):
            if output.soft and soft:
                items += self._rules.items(name, soft, self._outside(outputs[0].path))
        return items

    def _kept_beside(self, name: ThunkId, path: bytes, made: Made, placeholder: bytes) -> Kept:
        kept, umask = kept_of(placeholder, 0o666), self._ledger.umask(name)
        if umask is None:
            return kept
        from gg.force.modes_beside import mode_beside

        return kept._replace(mode=mode_beside(path, umask, executable=made.executable))

    def _staying(self, groups: Groups) -> Staying | None:
        """What may not leave this machine, where anything does."""
        from gg.share.tiered import Tiered

        store, settings = self._store, self._settings
        shared = isinstance(store, Tiered)
        if not shared and {*settings.engine, settings.fallback} <= {"local", "never"}:
            return None
        from gg.force.staying import Staying
        from gg.workspace.granted import granted_in

        return Staying(
            granted_in(self._workspace.root, settings),
            groups,
            self._outside,
            store.near.put if isinstance(store, Tiered) else store.put,
            lambda text: self._observe(seen.Note(text)) if shared else None,
            os.path.join(self._workspace.dot, "kept"),
        )

    def _may_write(self, path: bytes) -> bool:
        """Whether a file that no call declared may be put at `path`: the result may be a worker's, or a colleague's."""
        if self._granted is None:
            from gg.workspace.granted import Granted

            self._granted = Granted(self._prefix)
        if self._granted.may_write(path):
            return True
        self._observe(
            seen.Note(f"{os.fsdecode(path)} is not written: no call declared it, and it is not the build's own")
        )
        return False

    def _item(
        self,
        path: bytes,
        made: Made | None,
        files: Mapping[BlobId, bytes] = _NOWHERE,
        over: Placeholder | None = None,
        *,
        kept: Kept = _AS_BEFORE,
        expected: bool = False,
    ) -> Item:
        source = (files.get(made.blob) or blob_path(self._store, made.blob)) if made else b""
        return Item(path, source, made, over, kept, expected)


def _renaming(workspace: Workspace) -> Renaming | None:
    if not os.path.exists(os.path.join(workspace.dot, "known-as")):
        return None
    from gg.workspace import known_as as names

    return names.renaming(workspace)


class Ended(NamedTuple):
    """How a force ended. `outcome`: of what had to be evaluated; `known`: how many thunks did not have to."""

    outcome: Outcome | None
    known: int
    interrupted: bool
    dropped: bool = False  # whoever called what has failed would not have minded

    @property
    def status(self) -> int:
        """The exit status."""
        if self.outcome is None:
            return Interrupted.exit_code if self.interrupted else 0
        if self.dropped and self.outcome.failures and self.outcome.only_tools_failed:
            return 0
        return self.outcome.status

    def counts(self) -> dict[str, object]:
        """What `RunFinished` says of it, by field."""
        if self.outcome is None:
            return {"cached": self.known, "interrupted": self.interrupted}
        summary = self.outcome.summary
        return {
            "ran": self.outcome.ran,
            "cached": self.outcome.cached + self.known,
            "failed": summary.failed,
            "skipped": summary.skipped + summary.dropped,
            "busy": summary.busy_seconds,
            "retries": {fault.value: n for fault, n in summary.retries.items()},
            "interrupted": self.interrupted,
            "over_budget": self.outcome.over_budget,
        }
