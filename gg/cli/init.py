"""`gg init`: say where a workspace starts, or have its state in the tree. Optional: gg-infer starts one where it is first run."""

from __future__ import annotations

import os
import sys

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace


@click.command("gg-init")
@click.option("--in-tree", is_flag=True, help="Keep its state here, in .gg/, rather than under the user's cache.")
@click.option("--debug", is_flag=True, hidden=True)
def command(in_tree: bool, debug: bool) -> int:
    """Make this directory a workspace, the one of all below it."""
    from gg.store.directory import DirectoryStore

    top = os.path.realpath(".")
    found = Workspace.find()
    known = found is not None and found.root == top and not (in_tree and found.home)
    workspace = found if found is not None and known else Workspace.new(in_tree=in_tree, tell=_tell)
    workspace.make()
    DirectoryStore(os.fsencode(workspace.store)).close()
    tell_line(f"{'already a workspace' if known else 'a workspace now'}: {top}; its state is in {workspace.dot}")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(f"gg: {text}\n")
