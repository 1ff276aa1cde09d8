"""`gg-describe`: what a placeholder, a thunk or a file is."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.core.thunk import Reduction, Thunk
    from gg.store.base import Store


@click.command("gg-describe", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--inputs", is_flag=True, help="List every input, those of its groups included.")
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("name", type=click.Path())
def command(name: str, as_json: bool, inputs: bool, debug: bool) -> int:
    """Say what NAME is: a placeholder's path, a thunk's hash, or a real file that a thunk made."""
    from gg.store.directory import DirectoryStore

    directory = os.path.dirname(os.path.abspath(name)) if os.path.exists(name) else "."
    workspace = Workspace.need(directory)
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        thunk_id, index = find(store, name, workspace)
        thunk, reduction = load(store, thunk_id)
        report = describe(store, thunk_id, thunk, reduction, index, all_inputs=inputs)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(report))
    else:
        _print(report)
    return 0


def find(store: Store, name: str, workspace: Workspace) -> tuple[ThunkId, int]:
    """The thunk that `name` stands for, with the output's index; UnknownTarget when there is none.

    A file may be real by now, or gone, as after a failure. Its thunk is the last one that was to make it.
    """
    from gg.core.ids import ThunkId, parse_digest
    from gg.errors import FormatError, UnknownTarget

    known = read_placeholder(os.fsencode(name))
    if known:
        return known.thunk, known.index
    there = os.path.exists(name)
    if not there:
        try:
            return ThunkId(parse_digest(name.removeprefix("T"))), 0
        except FormatError:
            pass
    found = _maker(store, os.path.realpath(os.fsencode(name)), workspace)
    if found is None:
        what = "a file that no recorded thunk makes" if there else "no such file, no thunk's hash, and nothing recorded"
        raise UnknownTarget(f"{name}: {what}")
    return found


def _maker(store: Store, path: bytes, workspace: Workspace) -> tuple[ThunkId, int] | None:
    """Of the thunks that make a file, under whatever name, the one that was recorded last."""
    from gg.core.codec import decode_thunk
    from gg.core.ids import ThunkId
    from gg.store.base import Kind
    from gg.workspace import known_as as names
    from gg.workspace.ledger import Ledger

    renaming = names.renaming(workspace) if os.path.exists(os.path.join(workspace.dot, "known-as")) else None
    stored = sorted(store.keys(Kind.THUNK), key=lambda each: each.used, reverse=True)
    found: dict[ThunkId, int] = {}
    for start in range(0, len(stored), 256):
        for key, data in store.get([each.key for each in stored[start : start + 256]]).items():
            for index, output in enumerate(decode_thunk(data).outputs):
                if path in (output.path, renaming.real_path(output.path) if renaming else b""):
                    found.setdefault(ThunkId(key.digest), index)
    if not found:
        return None
    ledger = Ledger(workspace.dot)
    ledger.load()
    late = [name for name in ledger.calls() if name in found]
    late = late or [name for name in found if ledger.has_failed(name)] or list(found)[:1]
    ledger.close()
    return late[-1], found[late[-1]]


def load(store: Store, name: ThunkId) -> tuple[Thunk, Reduction | None]:
    """A thunk and its reduction, if it has one under its own name."""
    from gg.core.codec import decode_thunk
    from gg.core.reduction import decode_reduction
    from gg.errors import MissingObject
    from gg.store.base import Key, Kind

    found = store.get([Key(Kind.THUNK, name), Key(Kind.REDUCTION, name)])
    data = found.get(Key(Kind.THUNK, name))
    if data is None:
        raise MissingObject(
            f"thunk {name.hex()} is not in this store",
            hint="the placeholder was recorded elsewhere; record here with gg-infer",
        )
    record = found.get(Key(Kind.REDUCTION, name))
    return decode_thunk(data), decode_reduction(record, None) if record else None


def describe(
    store: Store, name: ThunkId, thunk: Thunk, reduction: Reduction | None, index: int, *, all_inputs: bool
) -> dict[str, object]:
    """Everything that a person may want to know, in terms that JSON has."""
    from gg.core.thunk import File, OutputOf, Symlink
    from gg.export.as_json import command_as_json
    from gg.run.expand import Groups, all_entries

    nodes = Groups(store).below(thunk.groups)
    lines: list[str] = []
    for entry in all_entries(thunk, nodes) if all_inputs else thunk.entries:
        path = os.fsdecode(entry.path)
        if isinstance(entry, OutputOf):
            lines.append(f"{path} = output {entry.index} of {entry.thunk.hex()}")
        elif isinstance(entry, File):
            lines.append(f"{path} = {entry.blob.hex}:{entry.blob.size}")
        elif isinstance(entry, Symlink):
            lines.append(f"{path} -> {os.fsdecode(entry.target)}")
        else:
            lines.append(f"{path}/")
    report: dict[str, object] = {
        "thunk": name.hex(),
        "output": index,
        **command_as_json(thunk),
        "outputs": [os.fsdecode(o.path) for o in thunk.outputs],
        "depends_on": [t.hex() for t in thunk.dependencies()],
        "inputs": lines,
        "input_files": sum(len(n.entries) for n in nodes) + len(thunk.entries),
        "forced": reduction is not None,
    }
    if reduction:
        report["engine"] = reduction.engine
        report["seconds"] = reduction.usage.wall_ns / 1e9
        report["memory"] = reduction.usage.memory
    return report


def _print(report: dict[str, object]) -> None:
    argv, outputs, inputs, env = report["argv"], report["outputs"], report["inputs"], report["env"]
    assert isinstance(argv, list)
    assert isinstance(outputs, list)
    assert isinstance(inputs, list)
    assert isinstance(env, dict)
    tell_line(f"thunk {report['thunk']} ({report['work']}, model {report['model']}), output {report['output']}")
    tell_line(f"in {report['cwd']}: {shlex.join(argv)}")
    tell_line(f"program {report['program']}")
    tell_line("environment " + " ".join(shlex.quote(f"{k}={v}") for k, v in env.items()))
    for path in outputs:
        tell_line(f"makes {path}")
    for line in inputs:
        tell_line(f"reads {line}")
    tell_line(f"{report['input_files']} declared inputs in all")
    if report["forced"]:
        tell_line(f"forced on {report['engine']} in {report['seconds']:.3f} s")
