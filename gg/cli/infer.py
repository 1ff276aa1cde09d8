"""`gg-infer COMMAND`: run a build with every compiler, linker and archiver recorded instead of run."""

from __future__ import annotations

from typing import Any

import click


@click.command(
    "gg-infer",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
)
@click.option("--compile-commands", is_flag=True, help="Write what was compiled to compile_commands.json here.")
@click.option(
    "--force",
    is_flag=True,
    help="Then force all of it, as gg-force does; a make goes on, told of what fails.",
)
@click.option(
    "--engine", metavar="NAME[,NAME]", help="Where to force what a process reads during the build, and by --force."
)
@click.option("--jobs", type=click.IntRange(min=1), help="How many thunks to force at once.")
@click.option("--real", metavar="TOOL[,TOOL]", help="Tools that are never recorded.")
@click.option("--known-as", metavar="PATH", help="Record as if the workspace lay at PATH; see docs/store.md.")
@click.option("--trace", is_flag=True, help="Remember configure steps by what they were seen to look at.")
@click.option("--no-interposer", is_flag=True, help="Catch tools by PATH only.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@click.option("--debug", is_flag=True, help="Show where an internal error comes from.")
@click.argument("arguments", nargs=-1, required=True, metavar="COMMAND [ARGUMENT...]", type=click.UNPROCESSED)
def command(
    arguments: tuple[str, ...],
    compile_commands: bool,
    force: bool,
    engine: str | None,
    jobs: int | None,
    real: str | None,
    known_as: str | None,
    trace: bool,
    no_interposer: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Run COMMAND; every compiler, assembler, linker and archiver that it calls is recorded as a thunk.

    Exits with COMMAND's own status. Nothing is compiled: small placeholders stand where the outputs would be, until
    gg-force, or --force, makes them. A process that reads a placeholder waits while just that one is forced.
    """
    from gg.cli.infer_run import infer
    from gg.cli.rounds import infer_and_force

    how: dict[str, Any] = {
        "compile_commands": compile_commands,
        "interpose": not no_interposer,
        "quiet": quiet,
        "real": real,
        "known_as": known_as,
        "trace": True if trace else None,
    }
    flags: dict[str, Any] = {"engine": engine, "jobs": jobs}
    return infer_and_force(arguments, flags=flags, **how) if force else infer(arguments, **how, **flags)
