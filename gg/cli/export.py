"""`gg export FORMAT TARGET...`: what files are made of, for nix, ninja, graphviz or any program that reads JSON."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from gg.cli.made import made_by, tell_failure, workspace_of
from gg.errors import UsageError
from gg.workspace import settings as config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gg.export.steps import StepGraph
    from gg.observe.build_events import BuildEvent

_DIRECTORY = "gg-nix"
FORMATS = ("nix", "ninja", "graphviz", "json")


@click.command("gg export", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--output", "-o", type=click.Path(), metavar="PATH",
              help="A directory for nix (default: gg-nix), a file for the others (default: standard output).")  # fmt: skip
@click.option("--batch", type=click.FloatRange(0, 3600), metavar="SECONDS",
              help="For nix: how long the short steps of one derivation may take together (default: 0.05).")  # fmt: skip
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("form", metavar="nix|ninja|graphviz|json", type=click.Choice(FORMATS))
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...", type=click.Path())
def command(output: str | None, batch: float | None, debug: bool, form: str, targets: tuple[str, ...]) -> int:
    """Write the graph of thunks that TARGET is made of, in a form that other programs run or show.

    TARGET is forced first if need be: so all that its commands read is known.
    """
    if batch is not None and form != "nix":
        raise UsageError("--batch is for nix")
    with _loaded(targets) as (graph, status):
        if not status:
            _export(graph, form, output, batch)
    return status


def _export(graph: StepGraph, form: str, output: str | None, batch: float | None) -> None:
    if form == "nix":
        _need_to_stay_nowhere(graph)
        if output is None and os.path.islink(_DIRECTORY):
            raise UsageError(f"{_DIRECTORY} is a symbolic link", hint="--output names another directory")
        _nix(graph, output or _DIRECTORY, batch)
        return
    text = _writer(form)(graph)
    if output is None and sys.stdout.isatty():
        click.echo(text, nl=not text.endswith("\n"))
    elif output is None:  # who reads it wants every byte
        sys.stdout.buffer.write(os.fsencode(text + "\n" * (not text.endswith("\n"))))
    else:
        with open(output, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def _writer(form: str) -> Callable[[StepGraph], str]:
    if form == "ninja":
        from gg.export.ninja import ninja

        return ninja
    if form == "graphviz":
        from gg.export.graphviz import graphviz

        return graphviz
    from gg.export.as_json import as_json

    return as_json


@contextmanager
def _loaded(targets: Sequence[str]) -> Iterator[tuple[StepGraph, int]]:
    """The targets' graph with its store open, and the status of what failed."""
    from gg.export.steps import load
    from gg.force.composition import Composition
    from gg.observe.build_events import Note, ThunkFailed
    from gg.store.directory import DirectoryStore
    from gg.workspace import known_as as names

    workspace = workspace_of(targets[0])
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        found = [made_by(store, workspace, name) for name in targets]
    finally:
        store.close()

    def observe(event: BuildEvent) -> None:
        if isinstance(event, Note):
            sys.stderr.write(f"gg: {event.text}\n")
        elif isinstance(event, ThunkFailed):
            tell_failure(event)

    renaming = names.renaming(workspace) if os.path.exists(os.path.join(workspace.dot, "known-as")) else None
    composition = Composition(workspace, config.load(workspace.root), observe)
    try:
        yield load(workspace, composition, found, renaming)
    finally:
        composition.close()


def _need_to_stay_nowhere(graph: StepGraph) -> None:
    from gg.export.leaving import need_to_stay_nowhere
    from gg.workspace.granted import granted_in

    root = os.fsdecode(graph.root)
    need_to_stay_nowhere(graph, granted_in(root, config.load(root)))


def _nix(graph: StepGraph, directory: str, batch: float | None) -> None:
    from gg.export import nix_expression as nix

    derivations, commands = nix.export(
        graph, directory, batch=nix.BATCH_S if batch is None else batch, content_addressed=_addresses_content()
    )
    sys.stderr.write(f"gg: {directory}: {derivations} derivations, which run {commands} commands\n")


def _addresses_content() -> bool:
    """Whether the user's nix has content-addressed derivations switched on."""
    program = shutil.which("nix")
    if program is None:
        return False
    for words in (["config", "show"], ["show-config"]):
        command = [program, "--extra-experimental-features", "nix-command", *words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines() if done.returncode == 0 else ():
            if line.startswith("experimental-features"):
                return "ca-derivations" in line.split()
    return False
