"""The files to put in place for a thunk that has its value: those of its placeholders, and those that go beside them. Also
how a force in a workspace ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, ThunkId
from gg.core.placeholder import Placeholder
from gg.core.resolve import no_such_output
from gg.core.thunk import Made
from gg.errors import Interrupted
from gg.force.placing import Item, Kept
from gg.force.rule_files import RuleFiles, blob_path, kept_of
from gg.light.named import NamedTuple
from gg.observe import build_events as seen
from gg.workspace.ledger import Ledger
from gg.workspace.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.force.cached_results import CachedResult
    from gg.force.outcome import Outcome, Settled
    from gg.store.base import Store
    from gg.workspace.granted import Granted
    from gg.workspace.older import Older

_NOWHERE: Mapping[BlobId, bytes] = {}
_AS_BEFORE = Kept()


class ResultFiles(NamedTuple):
    """A thunk that has its value, and what to put in the places of its placeholders.

    `superseded`: another thunk's placeholder has replaced its own, as after `gcc -c x.c && strip x.o`. Its output goes
    nowhere, but its messages and the other files that it wrote are wanted.
    """

    value: CachedResult | Settled
    items: list[Item]
    superseded: bool


class Results:
    """Results in one workspace, whose root with a slash is `prefix`. `real_path` maps a thunk's path to the real path here."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        rules: RuleFiles,
        older: Older,
        prefix: bytes,
        real_path: Callable[[bytes], bytes],
        observe: Callable[[seen.BuildEvent], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._rules = rules
        self._older = older
        self._prefix = prefix
        self._real_path = real_path
        self._observe = observe
        self._granted: Granted | None = None

    def of(self, value: CachedResult | Settled, found: Iterable[tuple[bytes, Placeholder]]) -> ResultFiles:
        """The files of `value`. `found`: its placeholders that were found. MissingObject if an output's bytes cannot be had.

        An output that the command left out is the older file again, if there was one: a tool that writes a file only sometimes
        (clang's .dwo) does not touch the one that is there.
        """
        name, outputs = value.name, value.outputs
        where = {(path, known.index): None for path, known in found}
        superseding = b""
        for index, output in enumerate(outputs):
            path = self._real_path(output.path)
            if not (output.soft or output.optional or (path, index) in where):
                there = None if os.path.islink(path) else read_placeholder(path)
                if there == (name, index):
                    where[path, index] = None
                elif there:
                    superseding = path
        values, files = value.values, value.paths
        if bad := [index for _, index in where if index >= len(values)]:
            raise no_such_output(name, bad[0])
        items = [
            self._item(path, values[index], files, Placeholder(name, index), expected=outputs[index].executable)
            for path, index in where
            if values[index] or not self._older.put_back(path, Placeholder(name, index))
        ]
        like = items[0].path if items else superseding
        beside = self._beside(value, like) if like else []
        return ResultFiles(value, [*beside, *items], not items and like != b"")

    def _beside(self, value: CachedResult | Settled, placeholder: bytes) -> list[Item]:
        """Optional outputs, files that nobody declared, and the compiler's own dependency file. They get the times of
        `placeholder` and the permissions that the call's umask leaves, even if the placeholder's own were changed.
        """
        name, outputs, values = value.name, value.outputs, value.values
        items: list[Item] = []
        declared = [(self._real_path(o.path), m) for o, m in zip(outputs, values, strict=True) if o.optional and m]
        extra = [(self._real_path(inside), made) for inside, made in value.reduction.extra_outputs]
        for path, made in (*declared, *[(p, m) for p, m in extra if self._may_write(p)]):
            if os.path.isdir(os.path.dirname(path)):
                items.append(self._item(path, made, kept=self._kept_beside(name, path, made, placeholder)))
        for output, soft in zip(outputs, values, strict=True):
            if output.soft and soft:
                items += self._rules.items(name, soft, self._real_path(outputs[0].path))
        return items

    def _kept_beside(self, name: ThunkId, path: bytes, made: Made, placeholder: bytes) -> Kept:
        kept, umask = kept_of(placeholder, 0o666), self._ledger.umask(name)
        if umask is None:
            return kept
        from gg.force.modes_beside import mode_beside

        return kept._replace(mode=mode_beside(path, umask, executable=made.executable))

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


class Ended(NamedTuple):
    """How a force ended. `outcome`: that of the evaluation, if there was one; `known`: how many thunks had cached results."""

    outcome: Outcome | None
    known: int
    interrupted: bool
    dropped: bool = False  # whoever made the calls that failed ignores their status

    def followed_by(self, later: Ended) -> Ended:
        """Both forces, of which this one had failures: its outcome counts."""
        return self._replace(known=self.known + later.known, interrupted=later.interrupted)

    @property
    def status(self) -> int:
        """The exit status."""
        if self.outcome is None:
            return Interrupted.exit_code if self.interrupted else 0
        if self.dropped and self.outcome.failures and self.outcome.only_tools_failed:
            return 0
        return self.outcome.status

    def counts(self) -> dict[str, object]:
        """The counts as fields of `RunFinished`."""
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
