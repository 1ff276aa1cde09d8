"""`gg-force [TARGET...]`: evaluate thunks and put real files in their placeholders' places."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict
from types import FrameType

import click

from gg import config, history
from gg.workspace import Workspace


@click.command("gg-force", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--jobs", "-j", type=click.IntRange(min=1), help="How many thunks to run at once (default: processors).")
@click.option("--engine", metavar="NAME[,NAME]", help="Where to run them (default: local).")
@click.option("--fallback", metavar="NAME|never", help="Where to run what an engine could not.")
@click.option("--isolation", type=click.Choice(["pathmap", "namespace"]), help="How a command is kept to its inputs.")
@click.option("--keep-going", "-k", is_flag=True, default=None, help="Go on with what does not need a failed thunk.")
@click.option("--quiet", "-q", is_flag=True, help="Show only what the tools print, and errors.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("--trace", metavar="FILE", help="Write a trace for chrome://tracing or Perfetto.")
@click.option("--debug", is_flag=True, help="Show where an internal error comes from.")
@click.argument("targets", nargs=-1, metavar="[TARGET...]")
def command(
    targets: tuple[str, ...],
    jobs: int | None,
    engine: str | None,
    fallback: str | None,
    isolation: str | None,
    keep_going: bool | None,
    quiet: bool,
    as_json: bool,
    trace: str | None,
    debug: bool,
) -> int:
    """Make the real files that the placeholders TARGET stand for; without TARGET, all of them below the workspace.

    Exit status: 0, or the first failing command's own, 75 when something other than a command failed for good,
    130 when interrupted.
    """
    workspace = Workspace.need(os.path.dirname(os.path.abspath(targets[0])) if targets else ".")
    settings = config.load(
        workspace.root, jobs=jobs, engine=engine, fallback=fallback, isolation=isolation, keep_going=keep_going
    )
    from gg.force import Forcer, Targets, report
    from gg.observe.choose import choose
    from gg.store.directory import DirectoryStore

    started = time.time()
    cpu = time.process_time()
    wanted = Targets.named(targets, os.getcwd()) if targets else Targets.all(workspace)
    sink = choose(quiet=quiet, as_json=as_json, trace=trace)
    store = DirectoryStore(os.fsencode(workspace.dot))
    try:
        forcer = Forcer(workspace, store, settings, sink.see)
        _stop_on_signals(forcer.stop)
        try:
            outcome = forcer.force(wanted)
        finally:
            forcer.close()
    finally:
        store.close()
    finished = report(
        outcome,
        workspace=workspace,
        placed=forcer.placed,
        wall=time.time() - started,
        cpu=time.process_time() - cpu,
    )
    sink.see(finished)
    sink.close()
    line = {"what": "force", "time": started, "targets": list(targets), "status": outcome.status, **asdict(finished)}
    history.append(workspace, line)
    return outcome.status


def _stop_on_signals(stop: object) -> None:
    assert callable(stop)

    def handle(number: int, frame: FrameType | None) -> None:
        stop()
        signal.signal(number, signal.SIG_DFL)  # a second one ends us at once

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


