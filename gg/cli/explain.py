"""`gg explain`: why a call ran for real, or why a thunk has to run."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.core.ids import ThunkId
    from gg.core.thunk import Thunk
    from gg.store.base import Store


@click.command("gg explain", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--calls", is_flag=True, help="Every call that ran for real, and every program that read what was not made yet."
)
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("name", required=False, type=click.Path())
def command(name: str | None, calls: bool, debug: bool) -> int:
    """Without NAME: which calls of the last gg-infer ran for real, and why.

    With NAME, a placeholder or a file that a thunk made: whether its result is known, and if not, what is different
    from the last time that the same command ran.
    """
    if name is None:
        _real_runs(Workspace.need(), calls)
        return 0
    from gg.cli.describe import find
    from gg.errors import UnknownTarget
    from gg.store.directory import DirectoryStore

    workspace = Workspace.need(os.path.dirname(os.path.abspath(name)) if os.path.exists(name) else ".")
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        try:
            thunk = find(store, name, workspace)[0]
        except UnknownTarget:
            real = _ran_for_real(workspace, name)
            if not real:
                raise
            lines = real
        else:
            lines = [*_failed(workspace, thunk), *explain(store, thunk)]
        for line in lines:
            tell_line(line)
    finally:
        store.close()
    return 0


def _ran_for_real(workspace: Workspace, name: str) -> list[str]:
    """What the last recording says of a file that one of its calls made for real."""
    from gg.workspace import history

    path, lines = os.path.realpath(name), []
    stem = os.path.splitext(path)[0]
    for call in history.calls(workspace):
        argv, cwd = call.get("argv"), str(call.get("cwd"))
        places = [os.path.realpath(os.path.join(cwd, str(word))) for word in argv[1:]] if isinstance(argv, list) else []
        beside = [os.path.splitext(os.path.join(os.path.realpath(cwd), os.path.basename(place)))[0] for place in places]
        if isinstance(argv, list) and (path in places or stem in beside):
            lines.append(f"a call that names it ran for real: {call.get('why')}: {shlex.join(map(str, argv))}")
    return lines


def _failed(workspace: Workspace, name: ThunkId) -> list[str]:
    from gg.workspace.ledger import Ledger

    ledger = Ledger(workspace.dot)
    ledger.load()
    failed = ledger.has_failed(name)
    ledger.close()
    return ["it has failed when it was forced last: recording its call again runs it for real"] if failed else []


def _real_runs(workspace: Workspace, every: bool) -> None:
    from gg.workspace import history

    reasons: Counter[tuple[str, str, bool]] = Counter()
    for call in history.calls(workspace):
        tool, why, probe, argv = str(call["tool"]), str(call["why"]), bool(call["probe"]), call["argv"]
        reasons[(tool, why, probe)] += 1
        if every and isinstance(argv, list):
            tell_line(f"{'question' if probe else 'real'}: {why}: {shlex.join(str(a) for a in argv)}")
    for read in history.reads(workspace) if every else ():
        path, reader, thunks, seconds = (read.get(name) for name in ("read", "reader", "thunks", "seconds"))
        shown = os.path.relpath(str(path), workspace.root)
        tell_line(f"read: {reader or 'a program'} read {shown}: {thunks} thunks in {seconds:.1f} s")
    if not reasons:
        tell_line("every call of the last gg-infer became a thunk")
    if not every:
        for (tool, why, probe), count in reasons.most_common():
            tell_line(f"{count:6} {tool or '?'}: {why}{' (a question, answered at once)' if probe else ''}")


def explain(store: Store, name: ThunkId) -> list[str]:
    """Lines that say whether a thunk's result is known, and what is new in it if not."""
    from gg.cli.describe import load
    from gg.core.codec import decode_thunk
    from gg.core.ids import ThunkId
    from gg.core.thunk import OutputOf
    from gg.run import narrow
    from gg.run.expand import Groups
    from gg.store.base import Key, Kind, get_one

    thunk, reduction = load(store, name)
    if reduction is not None:
        return ["its result is known: nothing has to run"]
    if any(isinstance(e, OutputOf) for e in thunk.entries):
        lines = ["it reads what other thunks make; it is looked up when those are done:"]
        for dep in thunk.dependencies():
            made, known = load(store, dep)
            path = os.fsdecode(made.outputs[0].path) if made.outputs else dep.hex()
            lines.append(f"  {path}: {'known' if known else 'not known yet'}")
        return lines
    groups = Groups(store)
    if narrow.Narrow(store, groups).find({name: thunk}):
        return [
            "its result is known: what differs from an earlier run was not read by it, or is not part of a library's interface"
        ]
    ids = get_one(store, Key(Kind.ALIAS, narrow.shape(thunk))) or b""
    for i in range(0, len(ids), 32):
        data = get_one(store, Key(Kind.THUNK, ids[i : i + 32]))
        if data is not None and ThunkId(ids[i : i + 32]) != name:
            return ["the same command ran before with other inputs:", *_differences(groups, decode_thunk(data), thunk)]
    return ["no command with these arguments, directory and environment has run here"]


def _differences(groups: object, old: Thunk, new: Thunk) -> list[str]:
    from gg.run.expand import Groups

    assert isinstance(groups, Groups)
    before, after = groups.files(old), groups.files(new)
    lines = [f"  changed: {os.fsdecode(p)}" for p in sorted(before.keys() & after.keys()) if before[p] != after[p]]
    lines += [f"  new: {os.fsdecode(p)}" for p in sorted(after.keys() - before.keys())]
    lines += [f"  gone: {os.fsdecode(p)}" for p in sorted(before.keys() - after.keys())]
    return lines or ["  only links or directories differ"]
