"""A graph of thunks as nix derivations: a directory with `default.nix`, which needs nothing but itself.

A derivation lays out what its commands read, each file at its own real path (the root of nix's sandbox can be written), runs them
there, and keeps what they made. The builder is `gg-lay`, a static program, so neither a shell nor nixpkgs is needed.

What a command reads from nix's store is not laid out: the store path is an input of the derivation. So nix shows it to the builder,
and finds which of these the output refers to.

**Which step is a derivation.** One costs nix some 50 ms, whatever it runs. So a step whose output just one other step reads is
run in that one's derivation, as long as all that is taken in so takes no longer than that together. What an edit runs in
vain is then never more than what a derivation costs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress

from gg.core.ids import ThunkId
from gg.core.thunk import OutputOf
from gg.export.lay import ArchivedTree, Trees
from gg.export.steps import CannotExport, Step, StepGraph
from gg.host import native_programs as native
from gg.light.plain_files import read_plain

BATCH_S = 0.05
"""What a derivation costs: 40 to 90 ms, by nix 2.8 and 2.26."""

_DATA, _EXPRESSION, _TOOL = "graph.json", "default.nix", "gg-lay"
_UNFIT = re.compile(r"[^A-Za-z0-9+._?=-]")
_STORE_PATH = re.compile(rb"/nix/store/[0-9a-z]{32}-[^/]+")
_VERSION = 1
_MOST = 256 << 20  # bytes of graph.json

_TEXT = """\
# Written by gg export nix: each derivation runs one recorded command, or a few short ones. What is in graph.json is data.
#   nix-build DIRECTORY [-A TARGET]      all targets, or one
# What the commands read from nix's store must be there (`nix copy` brings it from where they were recorded).
# The commands run at their own paths, so nix's sandbox must be on (`sandbox = true`).
{ contentAddressed ? @ca@ }:
let
  graph = builtins.fromJSON (builtins.readFile ./graph.json);
  path = name: sha256: builtins.path { path = ./. + "/${name}"; name = builtins.baseNameOf name; inherit sha256; };
  tool = path "gg-lay" graph.tool;
  trees = builtins.mapAttrs (name: sha256: path "trees/${name}" sha256) graph.trees;
  addressed =
    if contentAddressed
    then { __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; }
    else { };
  # A line of a plan is a string, or what is known only here: a tree, or a file that another derivation makes.
  said = line:
    if builtins.isString line then line
    else if line ? tree then "T ${trees.${line.tree}}"
    else "I ${line.path}\\t${steps.${line.step}}/${line.file}";
  steps = builtins.mapAttrs (id: step: derivation ({
    inherit (step) name;
    inherit (graph) system;
    builder = "${tool}";
    plan = builtins.concatStringsSep "\\n" (map said step.plan);
    store = map builtins.storePath step.store;
    passAsFile = [ "plan" ];
  } // addressed)) graph.steps;
in
builtins.mapAttrs (name: target: steps.${target}) graph.targets
"""


class _Batch:
    """Steps that are one derivation: the last is what others know it by."""

    def __init__(self, step: Step) -> None:
        self.steps = [step]
        self.taken = 0.0

    @property
    def ids(self) -> set[ThunkId]:
        return {step.id for step in self.steps}

    def conflicts(self, other: _Batch) -> bool:
        """Whether running the other's steps first would show something else to one's own."""
        ids = other.ids
        written = {output.path for step in other.steps for output in step.thunk.outputs}
        read = {entry.path: entry for step in other.steps for entry in step.entries}
        for step in self.steps:
            for entry in step.entries:
                made = isinstance(entry, OutputOf) and entry.thunk in ids
                if not made and (entry.path in written or read.get(entry.path, entry) != entry):
                    return True
        return False

    def take(self, other: _Batch) -> None:
        """Run another's steps before one's own."""
        self.taken += other.taken + sum(step.seconds for step in other.steps[-1:])
        self.steps = [*other.steps, *self.steps]


def export(
    graph: StepGraph, directory: str, *, batch: float = BATCH_S, content_addressed: bool = False
) -> tuple[int, int]:
    """Write the expression to `directory`; how many derivations there are, and how many commands they run.

    `batch`: seconds that may be taken in (0: a derivation each).
    """
    if not os.path.isdir(directory):  # sources may be private
        os.makedirs(directory, mode=0o700)
    _check_is_ours(directory)
    os.makedirs(os.path.join(directory, "trees"), exist_ok=True)
    trees = Trees(os.path.join(directory, "trees"), graph.store, _known_trees(directory))
    batches = _batches(graph, batch)
    where = {step.id: each.steps[-1].id for each in batches for step in each.steps}
    names = {each.steps[-1].id: f"s{each.steps[-1].id.hex()}" for each in batches}
    steps: dict[str, object] = {}
    used: dict[str, str] = {}
    for each in batches:
        own, store_paths = _read_by(graph, trees, each)
        used.update((tree.name, tree.sha256) for tree in own)
        plan = [*({"tree": tree.name} for tree in own), *_plan(graph, each, where, names)]
        steps[names[each.steps[-1].id]] = {
            "name": _fit(each.steps[-1].name),
            "plan": plan,
            "store": store_paths,
        }
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, _TOOL))
    shutil.copyfile(native.layer(), os.path.join(directory, _TOOL))
    os.chmod(os.path.join(directory, _TOOL), 0o755)
    from gg.formats import nar

    tool = nar.digest(os.fsencode(os.path.join(directory, _TOOL))).hex()
    targets = _targets(graph, where, names)
    data = {"version": _VERSION, "system": _system(), "tool": tool, "trees": used,
            "steps": steps, "targets": targets}  # fmt: skip
    _write(directory, _DATA, json.dumps(data, indent=1, sort_keys=True))
    _write(directory, _EXPRESSION, _TEXT.replace("@ca@", "true" if content_addressed else "false"))
    trees.remove_others()
    return len(batches), len(graph.steps)


def _batches(graph: StepGraph, most: float) -> list[_Batch]:
    users: dict[ThunkId, list[ThunkId]] = {}
    for step in graph.steps.values():
        for need in step.needs:
            users.setdefault(need, []).append(step.id)
    wanted = {step for _, step, _ in graph.targets}
    batches = {name: _Batch(step) for name, step in graph.steps.items()}
    for name in list(graph.steps):
        own = batches[name]
        user = users.get(name, [])
        if len(user) != 1 or name in wanted:
            continue
        into = next(each for each in batches.values() if user[0] in each.ids)
        if own.taken + own.steps[-1].seconds + into.taken <= most and not into.conflicts(own):
            into.take(own)
            del batches[name]
    return list(batches.values())


def _check_is_ours(directory: str) -> None:
    strange = set(os.listdir(directory)) - {_DATA, _EXPRESSION, _TOOL, "trees"}
    if strange:
        raise CannotExport(
            f"{directory} holds {min(strange)}, which is not of an export",
            hint="name a directory that is new, or of an export",
        )
    with os.scandir(directory) as entries:  # they may have come with a clone
        odd = [e.path for e in entries if not (e.is_dir if e.name == "trees" else e.is_file)(follow_symlinks=False)]
    if odd:
        raise CannotExport(f"{odd[0]!r} is not of an export", hint=f"remove it, or all of {directory!r}")


def _known_trees(directory: str) -> dict[str, str]:
    """Digests of the trees of an earlier export; none where it cannot be read."""
    try:
        trees = json.loads(read_plain(os.path.join(directory, _DATA), _MOST))["trees"]
        return {str(name): str(sha256) for name, sha256 in trees.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return {}


def _read_by(graph: StepGraph, trees: Trees, batch: _Batch) -> tuple[list[ArchivedTree], list[str]]:
    """What a derivation lays out, and store paths of nix's that it reads.

    A step's own files come first: where two say something of one path, the first counts.
    """
    found: dict[ArchivedTree, None] = {}
    store_paths: set[bytes] = set()
    for step in batch.steps:
        nodes = graph.nodes(step)
        for entries in (step.entries, *(node.entries for node in nodes)):
            within = {entry.path: inside[0] for entry in entries if (inside := _STORE_PATH.match(entry.path))}
            store_paths.update(within.values())
            tree = trees.add(entry for entry in entries if entry.path not in within)
            if tree is not None:
                found[tree] = None
    return list(found), sorted(map(os.fsdecode, store_paths))


def _system() -> str:
    return f"{os.uname().machine}-linux"


def _targets(graph: StepGraph, where: Mapping[ThunkId, ThunkId], names: Mapping[ThunkId, str]) -> dict[str, str]:
    """Attribute to derivation. nix-build passes over names with a dot in them."""
    found: dict[str, str] = {}
    for path, step, _ in graph.targets:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", graph.shown(path))
        name = name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"
        while name in found:
            name += "_"
        found[name] = names[where[step]]
    return found


def _fit(name: str) -> str:
    """A name that nix allows for a store path."""
    return (_UNFIT.sub("_", os.path.basename(name)).lstrip(".") or "step")[:120]


# The plan of a derivation


def _plan(
    graph: StepGraph, batch: _Batch, where: Mapping[ThunkId, ThunkId], names: Mapping[ThunkId, str]
) -> list[object]:
    own = {step.id for step in batch.steps}
    lines: list[object] = []
    for step in batch.steps:
        for entry in step.entries:
            if isinstance(entry, OutputOf) and entry.thunk not in own:
                made = graph.steps[entry.thunk]
                file = _said(graph.shown(made.thunk.outputs[entry.index].path).lstrip("/"))
                lines.append({"path": _said(entry.path), "step": names[where[entry.thunk]], "file": file})
    for step in batch.steps:
        lines += _command(graph, step)
    last: dict[bytes, str] = {}
    for step in batch.steps:
        for output in step.thunk.outputs:
            last[output.path] = "o" if output.optional or output.soft else "O"
    lines += [f"{kind} {_said(path)}\t{_said(graph.shown(path).lstrip('/'))}" for path, kind in last.items()]
    return lines


def _command(graph: StepGraph, step: Step) -> list[str]:
    thunk = step.thunk
    lines = [f"C {_said(thunk.cwd)}", f"P {_said(thunk.program)}"]
    lines += [f"A {_said(word)}" for word in thunk.argv]
    lines += [f"E {_said(name + b'=' + value)}" for name, value in thunk.env]
    lines += [f"M {_said(os.path.dirname(output.path))}" for output in thunk.outputs]
    return [*lines, "R"]


def _said(text: bytes | str) -> str:
    """A word of a plan: no tab, line break or backslash in it. CannotExport for what is no text, which nix cannot say."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise CannotExport(f"{text!r} is no UTF-8, and nix knows nothing else") from error
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def _write(directory: str, name: str, text: str) -> None:
    path = os.path.join(directory, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
