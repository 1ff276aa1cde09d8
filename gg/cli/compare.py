"""`gg compare A B` and `gg compare --patch FILE`: how two builds differ, and what a patch really changes."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from gg.cli.tell_line import tell_line
from gg.errors import UsageError
from gg.host.trees import walk
from gg.light.plain_files import read_plain
from gg.workspace import history, settings
from gg.workspace.workspace import Workspace, read_placeholder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gg.compare.patches import Phase

DIFFERS = 1
_MOST = 4 << 30  # bytes of a file


@click.command("gg compare", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--patch", type=click.Path(), metavar="FILE", help="Tell what this patch changes in the workspace here.")
@click.option(
    "--strip", type=click.IntRange(0), metavar="N", help="Directories to leave out of the patch's names (default: 1)."
)
@click.option("--phase", "phases", multiple=True, metavar="COMMAND",
              help="With --patch: a shell command, run before and after; several (default: the last recorded).")  # fmt: skip
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("sides", nargs=-1, metavar="[A B]", type=click.Path())
def command(patch: str | None, strip: int | None, phases: tuple[str, ...], debug: bool, sides: tuple[str, ...]) -> int:
    """Say how A and B differ, two files or two directories: by section, symbol, string, member or line.

    With --patch, nothing in the workspace is changed: commands run in a copy that stands in its place.

    Exit status: 0 when nothing differs, 1 when something does.
    """
    if patch is None:
        if len(sides) != 2 or phases or strip is not None:
            raise UsageError("two files or directories are compared, or --patch FILE", hint="gg compare A B")
        return _compare(*sides)
    if sides:
        raise UsageError("--patch compares the workspace with itself", hint="gg compare --patch FILE")
    return _patch(patch, 1 if strip is None else strip, phases)


# Two files, two directories


def _compare(one: str, other: str) -> int:
    for name in (one, other):
        if not os.path.lexists(name):
            raise UsageError(f"{name}: no such file or directory")
    if os.path.isdir(one) != os.path.isdir(other):
        raise UsageError("a file is not compared with a directory")
    lines = list(_directories(one, other) if os.path.isdir(one) else _files(one, other, ""))
    for line in lines:
        tell_line(line)
    return DIFFERS if lines else 0


def _directories(one: str, other: str) -> Iterator[str]:
    ours, theirs = _below(one), _below(other)
    for name in sorted(ours | theirs):
        if name not in ours or name not in theirs:
            yield f"{name}: only in the {'first' if name in ours else 'second'}"
        else:
            yield from _files(os.path.join(one, name), os.path.join(other, name), f"{name}: ")


def _below(top: str) -> set[str]:
    return {
        os.path.relpath(os.path.join(directory, name), top)
        for directory, directories, names in walk(top)
        for name in (*names, *[d for d in directories if os.path.islink(os.path.join(directory, d))])
    }


def _files(one: str, other: str, before: str) -> Iterator[str]:
    from gg.compare.differ import differences

    links = [os.readlink(name) if os.path.islink(name) else None for name in (one, other)]
    if before and links != [None, None]:
        if links[0] != links[1]:
            yield f"{before}links to {links[0]}, {links[1]}"
        return
    for each in differences(_bytes(one), _bytes(other)):
        yield f"{before}{each}"
    if bool(os.stat(one).st_mode & 0o100) != bool(os.stat(other).st_mode & 0o100):
        yield f"{before}only the {'first' if os.stat(one).st_mode & 0o100 else 'second'} can be executed"


def _bytes(name: str) -> bytes:
    if read_placeholder(os.fsencode(name)):
        raise UsageError(f"{name} is not made yet", hint="gg-force")
    try:
        return read_plain(name, _MOST)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error


# A patch


def _patch(name: str, strip: int, phases: Sequence[str]) -> int:
    from gg.compare.patches import Patched
    from gg.store.directory import DirectoryStore

    try:
        with open(name, "rb") as file:
            patch = file.read()
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error
    workspace = Workspace.need()
    commands = list(phases) or [_last_recorded(workspace)]
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        environment = settings.given_environment()
        found = Patched(workspace, store, environment, os.getcwd(), _tell).compare(patch, commands, strip)
    finally:
        store.close()
    for phase in found:
        _print(phase)
    if any(phase.failed for phase in found):
        return 2
    return DIFFERS if any(phase.before != phase.after for phase in found) else 0


def _last_recorded(workspace: Workspace) -> str:
    for record in history.runs(workspace, "infer"):
        words = record.get("command")
        if isinstance(words, list) and words:
            return shlex.join(str(word) for word in words)
    raise UsageError("nothing was recorded here yet", hint="gg compare --patch FILE --phase make")


def _tell(text: str) -> None:
    sys.stderr.write(f"gg: {text}\n")


_WORDS = {
    "changed": "changed",
    "in vain": "made again in vain",
    "known": "known to come out the same, and not made",
    "same": "with nothing new in it",
    "new": "new",
    "failed": "failed",
}


def _print(phase: Phase) -> None:
    tell_line(f"{phase.command}:")
    if not phase.calls:
        tell_line("  calls no tool that gg records")
    for work, counts in phase.counts().items():
        told = ", ".join(f"{counts[how]} {words}" for how, words in _WORDS.items() if counts[how])
        tell_line(f"  {work}: {sum(counts.values())} called again: {told}")
    for call in phase.calls:
        if call.how in ("same", "new", "failed"):
            continue
        tell_line(f"  {call.label}: {_WORDS[call.how]}, for {', '.join(call.why) or 'nothing that it reads'}")
        for output, difference in call.differences:
            tell_line(f"    {f'{output}: ' if output != call.label else ''}{difference}")
    for name in phase.gone:
        tell_line(f"  {name}: is not made any more")
    if phase.failed:
        click.echo(f"  it fails with the patch:\n{phase.failed}")
        return
    same = phase.before == phase.after
    tree = "as it is without the patch" if same else "another"
    tell_line(f"  the tree afterwards is {tree}: NAR hash {phase.before[:16]}{'' if same else f', {phase.after[:16]}'}")
