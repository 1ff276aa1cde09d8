"""`gg-create-thunk`: a thunk for any program, with the options of the original system."""

from __future__ import annotations

import os

import click

from gg.workspace import Workspace


@click.command("gg-create-thunk", context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]})
@click.option("--envar", "-E", multiple=True, metavar="NAME=VALUE", help="Set a variable of its environment.")
@click.option("--value", "-v", multiple=True, metavar="REF[=NAME]", help="A blob that it reads.")
@click.option("--thunk", "-t", multiple=True, metavar="REF[=NAME]", help="A thunk whose output it reads.")
@click.option("--executable", "-e", multiple=True, metavar="REF[=NAME]", help="A blob that it may execute.")
@click.option("--output", "-o", multiple=True, metavar="NAME", help="A file that it writes; the first is its value.")
@click.option("--placeholder", "-C", metavar="FILE", help="Write a placeholder for the first output.")
@click.option("--link", "-L", multiple=True, metavar="NAME=REF", help="A blob that it reads, under a name.")
@click.option("--timeout", "-T", type=int, metavar="MS", help="Accepted; deadlines follow from earlier runs.")
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("function")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    envar: tuple[str, ...],
    value: tuple[str, ...],
    thunk: tuple[str, ...],
    executable: tuple[str, ...],
    output: tuple[str, ...],
    placeholder: str | None,
    link: tuple[str, ...],
    timeout: int | None,
    debug: bool,
    function: str,
    arguments: tuple[str, ...],
) -> int:
    """Make a thunk that runs the executable FUNCTION with ARGUMENTS (its own name first) and print its hash.

    A REF is what gg-hash or gg-create-thunk printed. `@{GGHASH:REF}` in an argument becomes the name that the input
    has for the program. A program that writes a placeholder as its output goes on as that thunk.
    """
    from gg import custom, native
    from gg.core.placeholder import Writer
    from gg.errors import UsageError
    from gg.store.base import Key, Kind
    from gg.store.directory import DirectoryStore

    workspace = Workspace.need()
    links: list[str] = []
    for item in link:
        name, equals, reference = item.partition("=")
        if not equals:
            raise UsageError(f"{item!r} has no target", hint="--link NAME=REF")
        links.append(f"{reference}={name}")
    store = DirectoryStore(os.fsencode(workspace.dot))
    try:
        name, encoded = custom.build(
            store,
            os.fsencode(workspace.thunk_directory()),
            function=function,
            arguments=arguments,
            environment=envar,
            values=[custom.Named.parse(v) for v in (*value, *links)],
            thunks=[custom.Named.parse(t) for t in thunk],
            executables=[custom.Named.parse(e) for e in executable],
            outputs=output,
        )
        store.put({Key(Kind.THUNK, name): encoded})
    finally:
        store.close()
    if placeholder:
        aside = f"{placeholder}.{os.getpid()}"
        with open(aside, "wb") as file:
            file.write(Writer(os.fsencode(native.shim())).encode(name, 0))
        os.replace(aside, placeholder)
    click.echo(custom.thunk_text(name), err=True)
    return 0
