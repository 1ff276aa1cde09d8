"""`gg nix force`: the derivations that nix would build, each as a thunk, forced wherever thunks run.

nix says what must be built and what can be fetched, and fetches the latter. A derivation is begun when everything that it needs
is in the store. Its result is an archive for each output. nix gets the archive with its references, as it gets a builder's
output, and nix's own digest is compared with that of the archive. Derivations that gg cannot build as nix does are built by nix,
here: above all those with a fixed output, which may use the network.
"""

from __future__ import annotations

import bz2
import hashlib
import os
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gg.core.ids import ThunkId
from gg.errors import GGError
from gg.formats import nar
from gg.light.shown import encoded
from gg.nix.derivation import Derivation, read
from gg.nix.hook import ended, why_not
from gg.nix.live_logs import LiveLogs
from gg.nix.store_paths import PathToImport, add, closed, query
from gg.sdk.values import Result, Thunk, ThunkFailed

_LISTED = re.compile(r"(?:will be (built|fetched)[^\n]*:\n((?:  /[^\n]*\n)+))")
_SAID = re.compile(rb"(?:this|these) .*(?:built|fetched)|  /nix/store/|warning: .*--add-root")
_LOGS = "/nix/var/log/nix/drvs"
_PIECE = 1 << 20
_UNLIKE = 75  # the status for trouble that is not a builder's


class Makes(Protocol):
    """Makes a derivation's thunk: see `gg.nix.builder_thunk`."""

    def make(self, derivation: Derivation, closure: Sequence[str]) -> tuple[ThunkId, tuple[str, ...]]: ...


class Future(Protocol):
    """As `concurrent.futures` has it."""

    def add_done_callback(self, then: Callable[[Future], object]) -> None: ...
    def result(self) -> Result: ...


@dataclass(frozen=True, slots=True)
class FailedBuilder:
    """A builder that failed. `why` is nix's sentence; `log` is everything that the builder has printed."""

    path: str
    why: str
    log: bytes


@dataclass(slots=True)
class DerivationCounts:
    """The outcome of a force, in numbers of derivations."""

    ran: int = 0
    cached: int = 0
    here: int = 0
    failed: list[FailedBuilder] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def all(self) -> int:
        return self.ran + self.cached + self.here + len(self.failed) + len(self.skipped)


@dataclass(frozen=True, slots=True)
class Plan:
    """What nix would do. `build`: derivations; `fetch`: store paths."""

    build: Mapping[str, Derivation]
    fetch: tuple[str, ...]


def plan(paths: Sequence[str]) -> Plan:
    """Ask nix what it would do to get the outputs of these derivations."""
    return planned(_nix("--realise", "--dry-run", *paths).stderr)


def planned(told: str) -> Plan:
    """What nix would do, by what it says of a dry run."""
    listed: dict[str, list[str]] = {"built": [], "fetched": []}
    for what, lines in _LISTED.findall(told):
        listed[what] += lines.split()
    return Plan({path: read(path) for path in listed["built"]}, tuple(listed["fetched"]))


class DerivationForce:
    """One run. `submit` runs a thunk and gives its future; `logs` shows people what happens."""

    def __init__(self, makes: Makes, submit: Callable[[Thunk], Future], logs: LiveLogs, *, keep_going: bool) -> None:
        self._makes = makes
        self._submit = submit
        self._logs = logs
        self._thunks: dict[str, ThunkId] = {}
        self._keep_going = keep_going
        self._came: queue.SimpleQueue[tuple[str, Result | None, BaseException | None]] = queue.SimpleQueue()
        self.tally = DerivationCounts()

    def run(self, todo: Plan) -> None:
        """Build everything and put it into nix's store. `tally` counts what was built and what failed."""
        if todo.fetch:
            _nix("--realise", *todo.fetch)
        waiting = dict(todo.build)
        needs = {path: {each for each in one.inputs if each in waiting} for path, one in waiting.items()}
        under_way = 0
        while waiting or under_way:
            for path in [path for path in waiting if not needs[path]]:
                under_way += self._begin(path, waiting.pop(path))
            if not under_way:
                break
            path, result, error = self._came.get()
            under_way -= 1
            if self._end(path, todo.build[path], result, error):
                for each in needs.values():
                    each.discard(path)
            elif not self._keep_going:
                self.tally.skipped += waiting
                waiting.clear()
        self.tally.skipped += waiting

    # One derivation

    def _begin(self, path: str, derivation: Derivation) -> int:
        self._logs.tell(f"building '{path}'...\n".encode())
        features = derivation.env.get("requiredSystemFeatures", "").split()
        if why_not(derivation, features):
            threading.Thread(target=self._by_nix, args=(path,), daemon=True).start()
            return 1
        inputs = [dep.outputs[name].path for dep, names in _inputs(derivation) for name in names]
        closure = closed([*derivation.sources, *inputs])
        thunk, outputs = self._makes.make(derivation, closure)
        self._thunks[path] = thunk
        self._submit(Thunk(thunk, outputs)).add_done_callback(partial(self._done, path))
        return 1

    def _done(self, path: str, future: Future) -> None:
        try:
            self._came.put((path, future.result(), None))
        except BaseException as error:
            self._came.put((path, None, error))

    def _by_nix(self, path: str) -> None:
        """Have nix build it here. nix's words are shown as they come, apart from what is said already."""
        command = ["nix-store", "--realise", path]
        last = b""
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as nix:
            assert nix.stderr is not None
            for line in nix.stderr:
                last = line.strip() or last
                if not line.startswith(b"building '%s'" % path.encode()) and not _SAID.match(line):
                    self._logs.tell(line)
        error = GGError(f"nix does not build it: {last.decode(errors='replace')}") if nix.returncode else None
        self._came.put((path, None, error))

    def _end(self, path: str, derivation: Derivation, result: Result | None, error: BaseException | None) -> bool:
        """End one derivation. True if its outputs are in nix's store now."""
        try:
            if error is not None:
                raise error
            if result is not None:
                self._take(path, derivation, result)
            else:
                self.tally.here += 1
        except ThunkFailed as failed:
            self._failed(FailedBuilder(path, _why(path, failed), failed.stdout))
            return False
        except GGError as trouble:
            self._failed(FailedBuilder(path, f"error: {path}: {trouble}", b""))
            return False
        return True

    def _failed(self, failed: FailedBuilder) -> None:
        self.tally.failed.append(failed)
        if thunk := self._thunks.get(failed.path):
            self._logs.end(thunk, failed.log)
            _keep_log(failed.path, failed.log)
        self._logs.tell(encoded(failed.why) + b"\n")

    def _take(self, path: str, derivation: Derivation, result: Result) -> None:
        """Give the result to nix, and show what the builder printed."""
        if result.cached:
            self.tally.cached += 1
        else:
            self.tally.ran += 1
            self._logs.end(self._thunks[path], result.stdout)
        _keep_log(path, result.stdout)
        own = [output.path for output in derivation.outputs.values()]
        inputs = [dep.outputs[name].path for dep, names in _inputs(derivation) for name in names]
        candidates = [*closed([*derivation.sources, *inputs]), *own]
        trees = [_tree(each, result[each].path, candidates) for each in own]
        if not add(trees, path):
            raise GGError(f"nix does not import what was built of {path}", hint="its own words are above")
        for tree in trees:
            _check(tree)


def _inputs(derivation: Derivation) -> list[tuple[Derivation, tuple[str, ...]]]:
    return [(read(path), names) for path, names in derivation.inputs.items()]


def _tree(path: str, archive: str, candidates: Iterable[str]) -> PathToImport:
    looked = nar.References(candidates)
    _copy(archive, looked.write)
    return PathToImport(path, partial(_copy, archive), tuple(sorted(looked.found)))


def _copy(archive: str, write: nar.Write) -> None:
    with open(archive, "rb") as file:
        while piece := file.read(_PIECE):
            write(piece)


def _check(tree: PathToImport) -> None:
    """GGError if nix's store holds other bytes at the path than those that were built."""
    hashed = hashlib.sha256()
    tree.dump(hashed.update)
    (kept,) = query("--hash", tree.path)
    if kept != f"sha256:{nar.base32(hashed.digest())}":
        raise GGError(
            f"{tree.path} is in nix's store with other bytes than those that were built now",
            hint="its build is not deterministic: nix-build --check tells more",
        )


def _why(path: str, failed: ThunkFailed) -> str:
    last = failed.stdout.rstrip(b"\n").rpartition(b"\n")[2].decode(errors="replace")
    if last.startswith("error: builder "):
        return f"error: builder for '{path}' {last.removeprefix('error: builder ')}"
    if failed.status == _UNLIKE and not failed.stdout:
        return f"error: '{path}' was not built: {failed.stderr.decode(errors='replace').strip()}"
    return f"error: builder for '{path}' failed with {ended(failed.status)}"


def _keep_log(path: str, log: bytes) -> None:
    """Write the log where `nix log` finds it, if that is writable."""
    name = os.path.basename(path)
    with suppress(OSError):
        os.makedirs(f"{_LOGS}/{name[:2]}", exist_ok=True)
        with open(f"{_LOGS}/{name[:2]}/{name[2:]}.bz2", "wb") as file:
            file.write(bz2.compress(log))


def _nix(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `nix-store` with these words. GGError with its message when it fails."""
    done = subprocess.run(["nix-store", *words], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise GGError(f"nix-store {words[0]} failed: {done.stderr.strip()}")
    return done
