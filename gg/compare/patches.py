"""What a patch changes: the same commands, recorded before and after it in a copy of the workspace, thunk by thunk.

Before, the files that the patch is about are touched: so make does again just what it does again after the patch, and each command
of the second time has its like in the first.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gg.compare.differ import Difference, differences
from gg.compare.twin import Twin
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId, SandboxPath, ThunkId
from gg.core.thunk import File, OutputOf, Thunk
from gg.errors import GGError, MissingObject, UsageError
from gg.force.cached_results import CachedResults
from gg.formats import nar
from gg.host.trees import hash_file
from gg.light.named import NamedTuple
from gg.light.plain_files import is_within
from gg.light.slotted import field, slotted
from gg.store.base import read_blob
from gg.workspace.ledger import Ledger

if TYPE_CHECKING:
    from gg.core.resolve import Values
    from gg.store.base import Store
    from gg.workspace.workspace import Workspace


class ComparedCall(NamedTuple):
    """One call after the patch. `how`: "changed", "in vain" (it ran and gave the same), "known" (it did not run), "same" (no
    input of it changed), "new", "failed". `why`: the inputs that changed.
    """

    label: str
    work: str
    how: str
    why: tuple[str, ...] = ()
    differences: tuple[tuple[str, Difference], ...] = ()


@slotted(frozen=False)
class Phase:
    """One command. `before` and `after`: the tree's NAR hash when all that it made was forced, placeholders gone."""

    command: str
    before: str = ""
    after: str = ""
    calls: list[ComparedCall] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    failed: str = ""

    def counts(self) -> dict[str, Counter[str]]:
        """For each kind of work, how many calls were what."""
        found: dict[str, Counter[str]] = {}
        for call in self.calls:
            found.setdefault(call.work, Counter())[call.how] += 1
        return found


class _Time(NamedTuple):
    """One recording of a command: the thunks in order, what they came to, and how."""

    thunks: Mapping[ThunkId, Thunk]
    order: Sequence[ThunkId]
    values: Mapping[ThunkId, Values]
    how: Mapping[str, str]
    tree: str


class PatchFailed(GGError):
    """A patch that does not apply, or a command that fails without it."""

    exit_code = 65


def files_of(patch: str) -> list[str]:
    """The names in a unified diff, as `patch -p1` takes them."""
    found: dict[str, None] = {}
    for line in patch.splitlines():
        if line.startswith(("+++ ", "--- ")):
            name = line[4:].partition("\t")[0].strip()
            if name != "/dev/null":
                found[name.partition("/")[2] if name.startswith(("a/", "b/")) else name] = None
    return list(found)


def _digest(tree: str) -> str:
    """The NAR hash of a directory. UsageError if it holds what no archive can."""
    try:
        return nar.digest(os.fsencode(tree)).hex()
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the tree cannot be hashed: {error}", hint="remove pipes, sockets and devices from it"
        ) from error


def _calls(time: _Time) -> dict[tuple[bytes, int], ThunkId]:
    """The thunks by what they make: a file, and how many before have made that one too (ranlib, after ar)."""
    found: dict[tuple[bytes, int], ThunkId] = {}
    counts: Counter[bytes] = Counter()
    for name in dict.fromkeys(time.order):
        thunk = time.thunks.get(name)
        if thunk is not None and thunk.outputs:
            path = thunk.outputs[0].path
            found[path, counts[path]] = name
            counts[path] += 1
    return found


class Patched:
    """Compares a workspace with itself after a patch."""

    def __init__(
        self, workspace: Workspace, store: Store, environment: Mapping[str, str], cwd: str, tell: Callable[[str], None]
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._environment = environment
        self._cwd = cwd
        self._tell = tell
        self._prefix = os.fsencode(workspace.root) + b"/"

    def compare(self, patch: bytes, commands: Sequence[str], strip: int = 1) -> list[Phase]:
        """Run `commands` before and after; a phase each. PatchFailed, UsageError."""
        phases = [Phase(command) for command in commands]
        twin = Twin(self._workspace, self._environment)
        try:
            self._touch(twin, files_of(patch.decode(errors="replace")))
            before = [self._record(twin, phase, fatal=True) for phase in phases]
            self._apply(twin, patch, strip)
            for phase, first in zip(phases, before, strict=True):
                second = self._record(twin, phase, fatal=False)
                phase.before, phase.after = first.tree, second.tree
                self._compare(phase, first, second)
                if phase.failed:
                    break
        finally:
            twin.close()
        return phases

    @staticmethod
    def _touch(twin: Twin, names: Sequence[str]) -> None:
        """A patch may name any file: only those in the copy are touched."""
        top = os.path.realpath(twin.tree)
        for path in (os.path.join(top, name) for name in names if "\0" not in name):
            if is_within(top, path) and os.path.isfile(path):
                os.utime(path)

    @staticmethod
    def _apply(twin: Twin, patch: bytes, strip: int) -> None:
        command = ["patch", f"-p{strip}", "--batch", "--forward", "--no-backup-if-mismatch", "--reject-file=-"]
        try:
            done = subprocess.run(command, cwd=twin.tree, input=patch, capture_output=True, check=False)
        except FileNotFoundError as error:
            raise UsageError("patch is not installed", hint="apt-get install patch") from error
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise PatchFailed(
                f"the patch does not apply: {said}", hint="--strip N says how many directories its names begin with"
            )

    def _record(self, twin: Twin, phase: Phase, *, fatal: bool) -> _Time:
        recorded = twin.gg("infer", ["--quiet", "sh", "-c", phase.command], self._cwd)
        order = self._recorded(twin)  # of earlier ones all was told, so they stand in the ledger no more
        forced, how, errors = twin.force(self._cwd)
        if recorded.status or forced.status:
            said = (recorded.stderr + errors).strip()
            if fatal:
                raise PatchFailed(f"{phase.command}: fails before the patch already\n{said}")
            phase.failed = said or "failed"
        known = CachedResults(self._store, order, lambda path, blob: self._holds(twin, path, blob))
        for _ in known.find():
            pass
        thunks = {name: decode_thunk(data) for name, data in known.encoded.items()}
        return _Time(thunks, order, known.values, how, _digest(twin.tree))

    def _recorded(self, twin: Twin) -> list[ThunkId]:
        try:
            return Ledger(twin.records()).recorded()
        except UsageError:
            return []

    def _holds(self, twin: Twin, path: SandboxPath, blob: BlobId) -> bool:
        real = bytes(path)
        if real.startswith(self._prefix):
            real = os.fsencode(twin.tree) + b"/" + real[len(self._prefix) :]
        try:
            return hash_file(real) == blob
        except OSError:
            return False

    # Comparing

    def _compare(self, phase: Phase, first: _Time, second: _Time) -> None:
        before, after = _calls(first), _calls(second)
        for call, name in after.items():
            phase.calls.append(self._call(name, second.thunks[name], before.get(call), first, second))
        made = {path for path, _ in after}
        phase.gone = [self._shown(path) for path in dict.fromkeys(path for path, _ in before) if path not in made]

    def _call(self, name: ThunkId, thunk: Thunk, old: ThunkId | None, first: _Time, second: _Time) -> ComparedCall:
        label, work = self._shown(thunk.outputs[0].path), thunk.work.value
        values = second.values.get(name)
        if values is None:
            return ComparedCall(label, work, "failed")
        if old is None or old not in first.values:
            return ComparedCall(label, work, "new")
        if old == name:
            return ComparedCall(label, work, "same")
        why = tuple(self._why(first, old, second, name))
        found: list[tuple[str, Difference]] = []
        for at, (one, other) in enumerate(zip(first.values[old], values, strict=False)):
            if one != other and not thunk.outputs[at].soft:
                output = self._shown(thunk.outputs[at].path)
                try:
                    found += [(output, each) for each in differences(
                        read_blob(self._store, one.blob) if one else b"", read_blob(self._store, other.blob) if other else b""
                    )]  # fmt: skip
                except MissingObject as error:
                    found.append((output, Difference("", str(error))))
        if found:
            return ComparedCall(label, work, "changed", why, tuple(found))
        return ComparedCall(label, work, "in vain" if second.how.get(name.hex()) == "ran" else "known", why)

    def _why(self, first: _Time, old: ThunkId, second: _Time, new: ThunkId) -> list[str]:
        """What the thunk reads that is otherwise: its arguments, its own inputs, outputs of others, and headers."""
        one, other = first.thunks[old], second.thunks[new]
        why = ["its command line"] if (one.argv, one.env, one.cwd) != (other.argv, other.env, other.cwd) else []
        before, after = (self._files(time, thunk) for time, thunk in ((first, one), (second, other)))
        return why + [self._shown(p) for p in sorted(before.keys() | after.keys()) if before.get(p) != after.get(p)]

    def _files(self, time: _Time, thunk: Thunk) -> dict[bytes, object]:
        from gg.run.expand import Groups

        files: dict[bytes, object] = {
            path: file.blob for path, file in Groups(self._store).files(thunk._replace(entries=())).items()
        }
        for entry in thunk.entries:
            if isinstance(entry, File):
                files[entry.path] = entry.blob
            elif isinstance(entry, OutputOf):
                values = time.values.get(entry.thunk)
                made = values[entry.index] if values else None
                files[entry.path] = made.blob if made else None
        return files

    def _shown(self, path: bytes) -> str:
        return os.fsdecode(path.removeprefix(self._prefix))
