"""`gg-create-thunk`: a thunk for any program, with the options of the original system."""

from __future__ import annotations

import click


@click.command(
    "gg-create-thunk", context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}
)
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
    from gg.cli.create_thunk_run import CreateThunkArguments, create

    request = CreateThunkArguments(arguments=(function, *arguments))
    given = {"envar": envar, "value": value, "thunk": thunk, "executable": executable, "output": output, "link": link}
    request.options |= {name: list(values) for name, values in given.items()}
    request.options["placeholder"] = [placeholder] if placeholder else []
    click.echo(create(request), err=True)
    return 0
