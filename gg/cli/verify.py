"""`gg verify TARGET...`: runs again what made the targets, and says which thunks are not deterministic."""

from __future__ import annotations

import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from gg.cli.made import made_by, tell_failure, workspace_of
from gg.cli.tell_line import tell_line
from gg.errors import Interrupted, UnknownTarget, UsageError
from gg.workspace import settings as config
from gg.workspace.engine_names import ENGINES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gg.compare.again import NondeterministicOutput, VerificationReport
    from gg.core.ids import ThunkId
    from gg.workspace.workspace import Workspace

DIFFERS = 1


@click.command("gg verify", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--repeat", "-r", type=click.IntRange(1, 100), default=2, show_default=True, metavar="N",
              help="How often to run each thunk again, on each engine; the last time the clock is moved.")  # fmt: skip
@click.option("--engines", metavar="NAME[,NAME]", help="Where to run them again (default: the engine that is set).")
@click.option("--jobs", "-j", type=click.IntRange(1), help="How many to run at once (default: processors).")
@click.option("--store", metavar="URI", help="The shared store.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on standard output.")
@click.option("--debug", is_flag=True, hidden=True)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...", type=click.Path())
def command(
    targets: tuple[str, ...],
    repeat: int,
    engines: str | None,
    jobs: int | None,
    store: str | None,
    as_json: bool,
    debug: bool,
) -> int:
    """Force TARGET, run all that it was made of again, and compare every output.

    Exit status: 0 when all came out the same, 1 when something did not, 75 when something could not be repeated, else as
    gg-force.
    """
    workspace = workspace_of(targets[0])
    settings = config.load(workspace.root, jobs=jobs, store=store)
    where = tuple(dict.fromkeys(name for name in engines.split(",") if name)) if engines else settings.engine
    _check(where)
    from gg.compare.again import verify

    roots, files = _roots(workspace, targets)
    report = verify(
        workspace,
        settings,
        roots,
        files,
        engines=where,
        times=repeat,
        environment=config.without_withheld(config.given_environment(), settings.reapi_headers)[0],
        tell=_tell,
        failed=tell_failure,
    )
    _print_json(report) if as_json else _print(report)
    return _status(report)


def _check(engines: Sequence[str]) -> None:
    for name in engines:
        if name not in ENGINES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of, or several: {', '.join(ENGINES)}")
    if not engines:
        raise UsageError("no engine is named", hint=f"one of, or several: {', '.join(ENGINES)}")


def _roots(workspace: Workspace, targets: Sequence[str]) -> tuple[list[ThunkId], list[bytes]]:
    """The thunks that make the targets, and the targets that no thunk makes. UnknownTarget if nothing is known of a target."""
    from gg.record.capture import TELLS_THE_TIME
    from gg.store.directory import DirectoryStore
    from gg.workspace import history

    told = any(call.get("why") == TELLS_THE_TIME for call in history.calls(workspace))
    roots: dict[ThunkId, None] = {}
    files: list[bytes] = []
    store = DirectoryStore(os.fsencode(workspace.store))
    try:
        for name in targets:
            try:
                roots[made_by(store, workspace, name)[1]] = None
            except UnknownTarget:
                if not (told and os.path.isfile(name)):
                    raise
                files.append(os.path.realpath(os.fsencode(name)))
    finally:
        store.close()
    return list(roots), files


def _status(report: VerificationReport) -> int:
    if report.interrupted:
        return Interrupted.exit_code
    if report.status:
        return report.status
    return DIFFERS if report.findings else 75 if report.failed else 0


def _tell(text: str) -> None:
    sys.stderr.write(f"gg: {text}\n")


# The report


def _print(report: VerificationReport) -> None:
    for (_, output), findings in _by_output(report).items():
        tell_line(f"{output}: {_depends(report, findings)}")
        tell_line(f"  made by: {shlex.join(findings[0].command)}")
        shown: dict[tuple[object, ...], str] = {}
        for each in findings:
            shown.setdefault(each.differences, str(each.run))
        for differences, run in shown.items():
            tell_line(f"  {run}:")
            for difference in differences:
                tell_line(f"    {difference}")
    for name in report.words:
        tell_line(f"{name}: printed something else")
    for name, why in report.failed:
        tell_line(f"{name}: could not be repeated: {why}")
    if report.thunks and not report.status:
        differ = len({each.label for each in report.findings})
        times = len(report.plan)
        same = "all gave the same bytes" if not differ else f"{differ} gave other bytes"
        tell_line(f"{report.thunks} thunks, each run {times} more time{'s' * (times != 1)}: {same}")


def _by_output(report: VerificationReport) -> dict[tuple[str, str], list[NondeterministicOutput]]:
    found: dict[tuple[str, str], list[NondeterministicOutput]] = {}
    for each in report.findings:
        found.setdefault((each.label, each.output), []).append(each)
    return found


def _depends(report: VerificationReport, findings: Sequence[NondeterministicOutput]) -> str:
    """What the output seems to depend on, judging by the runs in which it differed."""
    differing = {each.run for each in findings}
    still = [run for run in report.plan if not run.clock]
    if still and not differing.intersection(still):
        return "differs when the clock is moved"
    if len({run.engine for run in report.plan}) > 1:
        engines = sorted({run.engine for run in differing})
        if len(engines) == 1:
            return f"differs on {engines[0]}"
    return "differs from run to run" if still else "differs"


def _print_json(report: VerificationReport) -> None:
    for each in report.findings:
        line: dict[str, Any] = {
            "event": "differs",
            "thunk": each.label,
            "output": each.output,
            "engine": each.run.engine,
            "run": each.run.number,
            "clock": each.run.clock,
            "command": each.command,
            "differences": [{"where": d.where, "what": d.what, "follows": d.follows} for d in each.differences],
        }
        click.echo(json.dumps(line))
    for name in report.words:
        click.echo(json.dumps({"event": "words", "thunk": name}))
    for name, why in report.failed:
        click.echo(json.dumps({"event": "not-repeated", "thunk": name, "why": why}))
    runs = len(report.plan)
    click.echo(json.dumps({"event": "finished", "thunks": report.thunks, "runs": runs, "differ": len(report.findings)}))
