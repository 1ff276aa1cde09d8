"""`gg-force [TARGET...]`: evaluate thunks and put real files in their placeholders' places."""

from __future__ import annotations

import click

from gg.errors import UsageError


def _widths(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    words = value.split(",") if value is not None else []
    if not all(word.isascii() and word.isdigit() and int(word) for word in words):
        raise click.BadParameter(f"{value!r} is not a number of jobs")
    return tuple(int(word) for word in words)


def _one(jobs: tuple[int, ...]) -> int | None:
    if len(jobs) > 1:
        raise UsageError("--jobs takes one number", hint="several are for --estimate")
    return jobs[0] if jobs else None


@click.command("gg-force", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--jobs", "-j", callback=_widths, help="How many thunks to run at once (default: processors).")
@click.option("--engine", metavar="NAME[,NAME]", help="Where to run them (default: local).")
@click.option("--fallback", metavar="NAME|never", help="Where to run what an engine could not.")
@click.option("--store", metavar="URI", help="The shared store: s3://BUCKET/PREFIX?region=R (default: GG_STORAGE_URI).")
@click.option("--isolation", type=click.Choice(["pathmap", "namespace"]), help="How a command is kept to its inputs.")
@click.option("--keep-going", "-k", is_flag=True, default=None, help="Go on with what does not need a failed thunk.")
@click.option("--quiet", "-q", is_flag=True, help="Show only what the tools print, and errors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option(
    "--estimate", is_flag=True, help="Tell time and dollars for each engine and each of --jobs N,N; run nothing."
)
@click.option(
    "--budget", metavar="DOLLARS", help="Refuse what is estimated to cost more, and stop when that much is spent."
)
@click.option("--trace", metavar="FILE", help="Write a trace for chrome://tracing or Perfetto.")
@click.option("--debug", is_flag=True, help="Show where an internal error comes from.")
@click.argument("targets", nargs=-1, metavar="[TARGET...]", type=click.Path())
def command(
    targets: tuple[str, ...],
    jobs: tuple[int, ...],
    engine: str | None,
    fallback: str | None,
    store: str | None,
    isolation: str | None,
    keep_going: bool | None,
    quiet: bool,
    as_json: bool,
    estimate: bool,
    budget: str | None,
    trace: str | None,
    debug: bool,
) -> int:
    """Make the real files that the placeholders TARGET stand for; without TARGET, all of them below the workspace.

    Exit status: 0, or the first failing command's own, 75 when something other than a command failed for good,
    79 when it would cost more than the budget, 130 when interrupted.
    """
    if estimate:
        from gg.cli.estimate import show

        return show(targets, jobs, as_json=as_json, engine=engine, store=store)
    from gg.cli.force_run import force

    return force(
        targets,
        quiet=quiet,
        as_json=as_json,
        trace=trace,
        jobs=_one(jobs),
        engine=engine,
        fallback=fallback,
        store=store,
        isolation=isolation,
        keep_going=keep_going,
        budget=budget,
    )
