"""`gg init`: make `.gg/` here. Optional: gg-infer makes it where it is first run."""

from __future__ import annotations

import os

import click

from gg.workspace import Workspace


@click.command("gg-init")
@click.option("--debug", is_flag=True, hidden=True)
def command(debug: bool) -> int:
    """Make .gg/ in this directory, so that it is the workspace of all below it."""
    from gg.store.directory import DirectoryStore

    workspace = Workspace(os.path.realpath("."))
    existed = os.path.isdir(workspace.dot)
    workspace.make()
    DirectoryStore(os.fsencode(workspace.dot)).close()
    click.echo(f"{'already there' if existed else 'made'}: {workspace.dot}")
    return 0
