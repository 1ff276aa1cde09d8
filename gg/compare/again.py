"""Repeats all that a few files were made of, and says which thunks are not deterministic, and how their outputs differ."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.compare.dated import Dated, dated
from gg.compare.differ import Difference, differences
from gg.compare.makers import leaves_as_it_is, makers
from gg.compare.repeat import Again, Repeats, Repetition, differing, runs
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.reached import reached
from gg.core.resolve import Values
from gg.core.thunk import File, Made, OutputOf, Reduction, Usage
from gg.engines.engine import Failure
from gg.errors import MissingObject
from gg.force.cached_results import CachedResults
from gg.force.outcome import Outcome, Settled
from gg.host.trees import hash_file
from gg.light.named import NamedTuple
from gg.light.slotted import field, replace, slotted
from gg.observe.build_events import BuildEvent, Note, ThunkFailed, label
from gg.schedule.commands import Summary
from gg.store.base import Key, Kind, read_blob

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.force.composition import Composition
    from gg.store.base import Store
    from gg.workspace.settings import Settings
    from gg.workspace.workspace import Workspace

_COMPARED = 512 << 20  # bytes: of larger files only the digests are compared


class NondeterministicOutput(NamedTuple):
    """An output that came out otherwise. `label`: what a person calls its thunk; `output`: the file, as a path here."""

    label: str
    output: str
    run: Repetition
    differences: tuple[Difference, ...]
    command: tuple[str, ...]


@slotted(frozen=False)
class VerificationReport:
    """What a verification came to.

    `thunks`: how many were repeated, each as often as `plan` has runs. `words`: those that printed something else.
    `failed`: those that could not be repeated, with the reason; `clocks`: what depends on the clock alone; `wrong`: thunks
    whose first run failed.
    """

    thunks: int = 0
    plan: tuple[Repetition, ...] = ()
    findings: list[NondeterministicOutput] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0
    interrupted: bool = False


class Verifier:
    """One verification in a workspace."""

    def __init__(
        self,
        workspace: Workspace,
        settings: Settings,
        composition: Composition,
        renaming: Renaming | None,
        tell: Callable[[str], None],
    ) -> None:
        self._workspace = workspace
        self._settings = settings
        self._composition = composition
        self._store: Store = composition.store
        self._renaming = renaming
        self._tell = tell
        self._prefix = os.fsencode(workspace.root) + b"/"
        self._lock = threading.Lock()

    def verify(
        self,
        roots: Sequence[ThunkId],
        files: Sequence[bytes],
        engines: Sequence[str],
        times: int,
        environment: Mapping[str, str],
    ) -> VerificationReport:
        """Force `roots`, then repeat them and all below them `times` on each engine. `files`: what is verified besides, made by
        calls that ran for real.
        """
        report = VerificationReport(plan=tuple(runs(engines, times)))
        settled = self._force(roots, report)
        if report.status:
            return report
        values: dict[ThunkId, Values] = {each.name: each.values for each in settled}
        settled += self._dated(settled, files, environment)
        report.thunks = len(settled)
        self._tell(f"repeating {len(settled)} thunks: " + ", ".join(map(str, report.plan)))
        repeats = Repeats(
            self._workspace,
            self._store,
            self._settings,
            self._composition.forcer.files,
            bill=self._composition.bill,
            renaming=self._renaming,
            report=self._tell,
        )
        try:
            report.interrupted = not repeats.repeat(
                settled, values, report.plan, lambda again: self._compare(again, report)
            )
        finally:
            repeats.close()
        order = {each.name: at for at, each in enumerate(settled)}
        order_of = {self._label(each): order[each.name] for each in settled}
        report.findings.sort(key=lambda each: (order_of[each.label], each.output, each.run))
        return report

    def _force(self, roots: Sequence[ThunkId], report: VerificationReport) -> list[Settled]:
        """All that the roots are made of, done, each after what it depends on. So is what made the files that were real when
        they were read.
        """
        done: dict[ThunkId, Settled] = {}

        def finished(settled: Sequence[Settled]) -> None:
            done.update((each.name, each) for each in settled)

        outcome = self._composition.forcer.evaluate(roots, finished) if roots else Outcome(Summary())
        report.status, report.interrupted = outcome.status, outcome.interrupted
        asked: set[SandboxPath] = set()
        while roots and not report.status:
            plain = self._sources(done.values()) - asked
            asked |= plain
            more = [name for name in self._known_makers(plain) if name not in done]
            if not more:
                break
            self._composition.forcer.evaluate(more, finished)
        return _needed(roots, done)

    def _sources(self, settled: Iterable[Settled]) -> set[SandboxPath]:
        """The files of the workspace that these read as they were."""
        paths = {entry.path for each in settled for entry in each.thunk.entries if isinstance(entry, File)}
        return {path for path in paths if self._real_path(path).startswith(self._prefix)}

    def _known_makers(self, paths: Iterable[SandboxPath]) -> list[ThunkId]:
        """Who made these, of thunks that need not be run for it: a file that was read real had been forced."""
        names = {name for found in makers(self._store, paths).values() for name in found}
        known = CachedResults(self._store, names, self._is_there)
        for _ in known.find():
            pass
        return [name for name in names if name in known.values]

    def _is_there(self, path: bytes, blob: BlobId) -> bool:
        try:
            return self._composition.forcer.files().digest(self._real_path(path)).blob == blob
        except OSError:
            return False

    # What told the time

    def _dated(
        self, settled: Sequence[Settled], files: Sequence[bytes], environment: Mapping[str, str]
    ) -> list[Settled]:
        """Calls that ran for real because they tell the time, where what they made went into what is verified."""
        read = {self._real_path(entry.path) for each in settled for entry in each.thunk.entries}.union(files)
        digests = self._composition.forcer.files()
        found = []
        for each in dated(self._workspace, self._store, digests, environment):
            first = self._as_it_is(each) if not read.isdisjoint(each.paths) else None
            if first is not None:
                found.append(first)
        return found

    def _as_it_is(self, call: Dated) -> Settled | None:
        """The thunk of a call that ran for real, with the files that are there for its result."""
        data = self._store.get([Key(Kind.THUNK, call.thunk)]).get(Key(Kind.THUNK, call.thunk))
        if data is None:
            return None
        thunk = decode_thunk(data)
        made: list[Made | None] = []
        for output in thunk.outputs:
            path = self._real_path(output.path)
            try:
                blob = hash_file(path)
                self._store.put_files({blob: path})
                made.append(Made(blob, os.access(path, os.X_OK)))
            except OSError:
                made.append(None)
        values = tuple(made)
        return Settled(call.thunk, thunk, values, Reduction(values, b"", b"", Usage(), "real"))

    # Comparing

    def _compare(self, again: Again, report: VerificationReport) -> None:
        first, run, result = again
        name = self._label(first)
        if isinstance(result, Failure):
            with self._lock:
                report.failed.append((f"{name} {run}", result.message))
            return
        found = []
        for at, one, other in differing(first.reduction, result):
            output = first.thunk.outputs[at]
            if output.soft:  # a dependency file is made for make, not for the product
                continue
            path = os.fsdecode(self._real_path(output.path).removeprefix(self._prefix))
            command = tuple(os.fsdecode(word) for word in first.thunk.argv)
            found.append(NondeterministicOutput(name, path, run, self._differences(one, other), command))
        with self._lock:
            report.findings += found
            same = (first.reduction.stdout, first.reduction.stderr) == (result.stdout, result.stderr)
            if not same and first.reduction.engine != "real":
                report.words.append(f"{name} {run}")

    def _differences(self, one: Made | None, other: Made | None) -> tuple[Difference, ...]:
        if one is None or other is None:
            return (Difference("", f"only in the {'second' if one is None else 'first'} run"),)
        if one.blob == other.blob:
            return (Difference("", "it can be executed in one run alone"),)
        if max(one.blob.size, other.blob.size) > _COMPARED:
            return (Difference("", f"{one.blob.size} and {other.blob.size} bytes, too many to look into"),)
        try:
            return tuple(differences(read_blob(self._store, one.blob), read_blob(self._store, other.blob)))
        except MissingObject as error:
            return (Difference("", str(error)),)

    def _label(self, settled: Settled) -> str:
        return label(settled.thunk.outputs, self._prefix, self._real_path)

    def _real_path(self, path: bytes) -> bytes:
        return self._renaming.real_path(path) if self._renaming else path


def _needed(roots: Sequence[ThunkId], done: Mapping[ThunkId, Settled]) -> list[Settled]:
    """What the roots are made of: what they depend on, and what made the very bytes that they read."""
    values = {name: each.values for name, each in done.items()}
    made = {
        (output.path, value.blob): name
        for name, each in done.items()
        for at, (output, value) in enumerate(zip(each.thunk.outputs, each.values, strict=True))
        if value and not leaves_as_it_is(each, at, values)
    }

    def below(name: ThunkId) -> list[ThunkId]:
        entries = done[name].thunk.entries
        read = [entry.thunk for entry in entries if isinstance(entry, OutputOf)]
        read += [made[e.path, e.blob] for e in entries if isinstance(e, File) and (e.path, e.blob) in made]
        return [each for each in read if each in done]

    found = set(reached([root for root in roots if root in done], below))
    return [each for name, each in done.items() if name in found]


def verify(
    workspace: Workspace,
    settings: Settings,
    roots: Sequence[ThunkId],
    files: Sequence[bytes],
    *,
    engines: Sequence[str],
    times: int,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    failed: Callable[[ThunkFailed], None],
) -> VerificationReport:
    """As `Verifier.verify`, in a workspace. `tell`: of what goes on; `failed`: of commands that fail when they are first run."""
    from gg.force.composition import Composition
    from gg.workspace import known_as as names

    def observe(event: BuildEvent) -> None:
        if isinstance(event, Note):
            tell(event.text)
        elif isinstance(event, ThunkFailed):
            failed(event)

    renaming = names.renaming(workspace) if os.path.exists(os.path.join(workspace.dot, "known-as")) else None
    wide = tuple(dict.fromkeys((*settings.engine, *engines)))  # the store serves all of them
    composition = Composition(workspace, replace(settings, engine=wide), observe)
    try:
        verifier = Verifier(workspace, settings, composition, renaming, tell)
        return verifier.verify(roots, files, engines, times, environment)
    finally:
        composition.close()
