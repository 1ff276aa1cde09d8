"""`gg nix hook`: nix's build hook. Plain `nix-build` of unchanged derivations, their makes recorded and forced by gg.

nix starts the hook, gives it nix's settings, and asks for each derivation whether the hook is willing (`try`). The hook says
`# accept`, `# decline` (nix builds that one itself) or `# postpone` (ask again later). After `# accept` nix names the inputs and
the outputs that are wanted; the hook prints the builder's log to descriptor 4, and when it ends with 0 the outputs are in the
store. Status 100 says that the builder failed, which is no reason to try again.

The hook declines derivations that it cannot build as nix does: outputs that are fixed or not known beforehand, structured
attributes, checks of outputs, graphs of references, builds outside of the sandbox.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from gg.formats import nar
from gg.host.machine import processors
from gg.host.trees import remove_tree
from gg.nix import over, sandbox
from gg.nix.derivation import Derivation, read
from gg.nix.processors import ProcessorTokens, own_directory
from gg.nix.store_paths import PathToImport, add, closed

_LOG = 4
_FAILED, _TIMED_OUT, _OURS = 100, 101, 1
_FEATURES = frozenset(("big-parallel", "benchmark", "gg"))
_NOT_OURS = (
    *("__noChroot", "__structuredAttrs", "__impure", "preferLocalBuild", "exportReferencesGraph", "__json"),
    *("allowedReferences", "allowedRequisites", "disallowedReferences", "disallowedRequisites", "outputChecks"),
)
_SYSTEMS = {"x86_64": "x86_64-linux", "aarch64": "aarch64-linux"}


@dataclass(frozen=True, slots=True)
class Offer:
    """One question from nix. `willing`: nix itself has room to build the derivation."""

    willing: bool
    system: str
    path: str
    features: tuple[str, ...]


@dataclass(slots=True)
class HookConnection:
    """The connection to nix: numbers of eight bytes, strings with their length, padded."""

    stream: BinaryIO
    settings: dict[str, str] = field(default_factory=dict)

    def read_settings(self) -> None:
        while self.number():
            name = self.text()
            self.settings[name] = self.text()

    def offer(self) -> Offer | None:
        """The next question; None when nix has no more."""
        try:
            if self.text() != "try":
                return None
            return Offer(bool(self.number()), self.text(), self.text(), tuple(self.texts()))
        except EOFError:
            return None

    def number(self) -> int:
        return int.from_bytes(self._exactly(8), "little")

    def text(self) -> str:
        size = self.number()
        data = self._exactly(size)
        self._exactly(-size % 8)
        return os.fsdecode(data)

    def texts(self) -> list[str]:
        return [self.text() for _ in range(self.number())]

    def _exactly(self, size: int) -> bytes:
        data = self.stream.read(size)
        if len(data) != size:
            raise EOFError
        return data


def why_not(derivation: Derivation, features: Iterable[str]) -> str:
    """Why nix must build a derivation itself; empty if gg can. `features`: those that the derivation requires of a system."""
    if derivation.system != _SYSTEMS.get(os.uname().machine, ""):
        return f"it is for {derivation.system}"
    if derivation.builder.startswith("builtin:"):
        return "nix builds it by itself"
    if derivation.is_fixed:
        return "its outputs are fixed"
    if derivation.is_floating:
        return "the paths of its outputs are not known beforehand"
    wanted = set(features) - _FEATURES
    if wanted:
        return f"it needs {', '.join(sorted(wanted))}"
    return next((f"it has {name}" for name in _NOT_OURS if derivation.env.get(name)), "")


def serve(stream: BinaryIO, say: Callable[[str], None], state: str, infer: str) -> int:
    """Answer nix until it is done, and return the exit status.

    `state`: the directory for gg's state of all builds. `infer`: the path of gg-infer, in nix's store.
    """
    nix = HookConnection(stream)
    nix.read_settings()
    slots = ProcessorTokens(f"{state}/slots", _width(nix.settings))
    while (offer := nix.offer()) is not None:
        derivation = read(offer.path)
        why = why_not(derivation, offer.features) or (
            "" if infer.startswith("/nix/store/") else "gg is not in nix's store"
        )
        if why:
            say("# decline")
            continue
        with slots.take(1) as taken:
            if not taken:
                say("# postpone")
                continue
            say("# accept")
            say(f"gg://{state}")
            inputs, wanted = nix.texts(), nix.texts()
            return DerivationBuild(offer.path, derivation, inputs, wanted, nix.settings, state, infer, say).run(
                _cores(nix.settings)
            )
    return 0


@dataclass(slots=True)
class DerivationBuild:
    """One derivation that was accepted."""

    path: str
    derivation: Derivation
    inputs: Sequence[str]
    wanted: Sequence[str]
    settings: Mapping[str, str]
    state: str
    infer: str
    say: Callable[[str], None]

    def run(self, cores: int) -> int:
        """Build the derivation, put its outputs into the store, and return the hook's exit status."""
        closure = closed(self.inputs)
        os.makedirs(self.state, exist_ok=True)
        top = tempfile.mkdtemp(prefix="build-", dir=self.state)
        status = _OURS
        try:
            os.chmod(top, 0o755)
            status = self._built(closure, top, cores)
            return status
        finally:
            if status in (_FAILED, _TIMED_OUT) and self.settings.get("keep-failed") == "true":
                self._tell(f"note: keeping build directory '{top}{sandbox.BUILD}'")
            else:
                remove_tree(top)

    def _built(self, closure: Sequence[str], top: str, cores: int) -> int:
        status = self._in_sandbox(closure, top, cores)
        if status:
            return status
        missing = [o.path for o in self.derivation.outputs.values() if not os.path.lexists(_local(top, o.path))]
        if missing:
            self._tell(f"error: builder for '{self.path}' failed to produce output path '{missing[0]}'")
            return _FAILED
        return self._import(closure, top)

    def _in_sandbox(self, closure: Sequence[str], top: str, cores: int) -> int:
        limits = sandbox.TimeLimits(self._seconds("timeout"), self._seconds("max-silent-time"))
        name = self.derivation.env.get("pname") or self.derivation.env.get("name", "")
        try:
            with own_directory(f"{self.state}/records", name) as records:
                os.makedirs(f"{self.state}/store", exist_ok=True)
                os.makedirs(f"{records}/gg/store", exist_ok=True)
                os.chmod(f"{records}/gg", 0o700)
                room = self._room(closure, top, records)
                status = sandbox.run(self.derivation, room, top, cores=cores, log=_LOG, limits=limits)
        except sandbox.TookTooLong as why:
            self._tell(f"error: building of '{self.path}' {why}")
            return _TIMED_OUT
        if status:
            self._tell(f"error: builder for '{self.path}' failed with {ended(status)}")
        return _FAILED if status else 0

    def _seconds(self, setting: str) -> float | None:
        return float(self.settings.get(setting, "0")) or None

    def _room(self, closure: Sequence[str], top: str, records: str) -> sandbox.SandboxMounts:
        bash = over.shell(self.derivation.builder, closure)
        settings = {"XDG_CACHE_HOME": f"{over.ROOM}/cache", "XDG_CONFIG_HOME": f"{over.ROOM}/config"}
        ours = over.binds(closure, bash, self.infer, settings, top) if bash else []
        own = [path for path in closed([_store_path(self.infer)]) if path not in set(closure)] if ours else []
        store, cache = f"{self.state}/store", f"{over.ROOM}/cache"
        return sandbox.SandboxMounts(
            closure=[*closure, *own],
            binds=[*_sandbox_paths(self.settings), *ours],
            writable=[(records, cache), (store, f"{cache}/gg/store")] if ours else [],
        )

    def _import(self, closure: Sequence[str], top: str) -> int:
        """Give the outputs to nix, each as an archive with its references."""
        references = {o.path: self._references(closure, top, o.path) for o in self.derivation.outputs.values()}
        trees = [
            PathToImport(path, partial(nar.dump, os.fsencode(_local(top, path))), tuple(found))
            for path, found in references.items()
        ]
        return 0 if add(trees, self.path, held=list(references)) else _OURS

    def _tell(self, text: str) -> None:
        """Have nix show a text. Of a hook's output nix shows only messages in its own format."""
        self.say("@nix " + json.dumps({"action": "msg", "level": 0, "msg": text}))

    def _references(self, closure: Sequence[str], top: str, path: str) -> list[str]:
        looked = nar.References([*closure, *(output.path for output in self.derivation.outputs.values())])
        nar.dump(os.fsencode(_local(top, path)), looked.write)
        return sorted(looked.found)


def _local(top: str, path: str) -> str:
    return f"{sandbox.store(top)}/{os.path.basename(path)}"


def _store_path(file: str) -> str:
    return "/".join(os.path.realpath(file).split("/")[:4])


def _sandbox_paths(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """The paths that nix shows to every builder, by `sandbox-paths`: PATH or INSIDE=OUTSIDE, `?` behind one that may be missing."""
    found = []
    words = f"{settings.get('sandbox-paths', '')} {settings.get('extra-sandbox-paths', '')}".split()
    for word in words:
        inside, _, outside = word.rstrip("?").partition("=")
        outside = outside or inside
        if os.path.exists(outside) and not outside.startswith("/nix/store/"):
            found.append((outside, inside))
    return found


def _cores(settings: Mapping[str, str]) -> int:
    return int(settings.get("cores", "0") or 0) or processors()


def _width(settings: Mapping[str, str]) -> int:
    """How many builders may run at once on this machine: as many as nix would start, or one a processor."""
    return int(settings.get("max-jobs", "0") or 0) or processors()


def ended(status: int) -> str:
    """How a builder ended, in nix's words."""
    return f"exit code {status}" if 0 < status < 128 else f"signal {status - 128 if status > 0 else -status}"


def _say(line: str) -> None:
    os.write(2, os.fsencode(line + "\n"))


def main(state: str, infer: str) -> int:
    """The hook as nix starts it."""
    with os.fdopen(os.dup(0), "rb") as stream:
        return serve(stream, _say, state, infer)
