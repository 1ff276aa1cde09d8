"""`gg-hash FILE`: the reference by which scripts name a file's bytes."""

from __future__ import annotations

import os

import click


@click.command("gg-hash", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("file", type=click.Path())
def command(file: str, debug: bool) -> int:
    """Print what gg-create-thunk calls FILE: V, the BLAKE3 digest, a colon, the size in bytes."""
    from gg.errors import UnknownTarget
    from gg.host.trees import hash_file
    from gg.sdk.custom import blob_text, thunk_text
    from gg.workspace.workspace import read_placeholder

    known = read_placeholder(os.fsencode(file))
    if known:
        click.echo(thunk_text(known.thunk))
        return 0
    try:
        click.echo(blob_text(hash_file(file)))
    except OSError as error:
        raise UnknownTarget(f"{file}: {error.strerror}") from error
    return 0
