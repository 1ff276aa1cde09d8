"""`gg-force [TARGET...]`: evaluate thunks and put real files in their placeholders' places."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from gg import config, history
from gg.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from gg.observe.events import Event, RunFinished
    from gg.targets import Targets


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
@click.argument("targets", nargs=-1, metavar="[TARGET...]", type=click.Path())
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
    from gg.observe.choose import choose
    from gg.targets import Targets

    started, cpu = time.time(), time.process_time()
    wanted = Targets.named(targets, os.getcwd()) if targets else Targets.all(workspace)
    sink = choose(quiet=quiet, as_json=as_json, trace=trace)
    status, counts = _force(workspace, settings, wanted, sink.see) if wanted.placeholders else (0, {})
    finished = _finished(workspace, counts, time.time() - started, time.process_time() - cpu)
    sink.see(finished)
    sink.close()
    line = {"what": "force", "time": started, "targets": list(targets), "status": status, **asdict(finished)}
    history.append(workspace, line)
    return status


def _force(
    workspace: Workspace, settings: config.Settings, wanted: Targets, observe: Callable[[Event], None]
) -> tuple[int, dict[str, Any]]:
    """Force; the exit status, and what `RunFinished` says of it."""
    from gg.force import Forcer, counts
    from gg.store.directory import DirectoryStore

    store = DirectoryStore(os.fsencode(workspace.dot))
    try:
        forcer = Forcer(workspace, store, settings, observe)
        _stop_on_signals(forcer.stop)
        try:
            outcome = forcer.force(wanted)
        finally:
            forcer.close()
    finally:
        store.close()
    return outcome.status, {**counts(outcome), "placed": forcer.placed}


def _finished(workspace: Workspace, counts: dict[str, Any], wall: float, cpu: float) -> RunFinished:
    from gg.observe.events import RunFinished

    nothing = {"ran": 0, "cached": 0, "failed": 0, "skipped": 0, "placed": 0, "busy": 0.0}
    return RunFinished(**{**nothing, **counts}, wall=wall, cpu=cpu, real=history.real_runs(workspace))


def _stop_on_signals(stop: object) -> None:
    assert callable(stop)

    def handle(number: int, frame: FrameType | None) -> None:
        stop()
        signal.signal(number, signal.SIG_DFL)  # a second one ends us at once

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


