"""`gg clean`: take gg out of a tree."""

from __future__ import annotations

import os

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace


@click.command("gg clean", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--keep-records", is_flag=True, help="Remove placeholders only.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would go.")
@click.option("--debug", is_flag=True, hidden=True)
def command(keep_records: bool, dry_run: bool, debug: bool) -> int:
    """Remove every placeholder of the workspace, and its records.

    Files that were forced are ordinary files and stay. make will build again what the placeholders stood for. The store, which
    other workspaces use too, stays as it is (gg gc makes it smaller), unless it is this workspace's own (gg init --in-tree).
    """
    from gg.errors import StoreError
    from gg.workspace.ledger import Ledger

    workspace = Workspace.need()
    paths = list(workspace.placeholders())
    verb = "would remove" if dry_run else "removed"
    try:
        if not dry_run:
            for path in paths:
                os.unlink(path)
            if keep_records:
                Ledger(workspace.dot).forget()
            else:
                workspace.remove()
    except OSError as error:
        raise StoreError(f"cannot remove {error.filename}: {error.strerror}") from error
    tell_line(f"{verb} {len(paths)} placeholders{'' if keep_records else f' and {workspace.dot}'}")
    return 0
