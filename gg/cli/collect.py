"""`gg-collect FILE...`: put files into the store, so that thunks can name them."""

from __future__ import annotations

import os

import click

from gg.cli.tell_line import tell_line
from gg.workspace.workspace import Workspace


@click.command("gg-collect", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("files", nargs=-1, required=True, type=click.Path())
def command(files: tuple[str, ...], debug: bool) -> int:
    """Copy each FILE's bytes into the store of this workspace and print its hash."""
    from gg.errors import UnknownTarget
    from gg.host.trees import hash_file
    from gg.sdk.custom import blob_text
    from gg.store.directory import DirectoryStore

    workspace = Workspace.need()
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        for file in files:
            try:
                blob = hash_file(file)
            except OSError as error:
                raise UnknownTarget(f"{file}: {error.strerror}") from error
            store.put_files({blob: os.fsencode(file)})
            tell_line(f"collected {file} as {blob_text(blob)}", err=True)
    finally:
        store.close()
    return 0
