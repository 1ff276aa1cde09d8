"""What gg-force does, apart from its command line. It does without click: loading that takes longer than forcing known results."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from gg.cli.command_settings import command_settings
from gg.workspace import history
from gg.workspace import settings as config
from gg.workspace.ledger import Ledger
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gg.errors import GGError
    from gg.observe.build_events import BuildEvent, RunFinished, ThunkFailed
    from gg.workspace.targets import Targets


_FLAGS = {"-q": "quiet", "--quiet": "quiet", "-k": "keep_going", "--keep-going": "keep_going", "--json": "as_json"}
_WORDS = {"--engine": "engine", "--fallback": "fallback", "--store": "store"}


def parse(arguments: Sequence[str]) -> tuple[list[str], dict[str, Any]] | None:
    """The targets, and further arguments for `force`; None for a command line that click must read or refuse."""
    targets: list[str] = []
    flags: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if word in _FLAGS:
            flags[_FLAGS[word]] = True
        elif word.startswith(("-j", "--jobs")):
            number = next(words, "") if word in ("-j", "--jobs") else word.removeprefix("--jobs=").removeprefix("-j")
            if not (number.isascii() and number.isdigit() and int(number)):
                return None
            flags["jobs"] = int(number)
        elif (name := word.partition("=")[0]) in _WORDS:
            value = word[len(name) + 1 :] if "=" in word else next(words, "")
            if not value or value.startswith("-"):
                return None
            flags[_WORDS[name]] = value
        elif word.startswith("-"):
            return None
        else:
            targets.append(word)
    return targets, flags


def force(
    targets: Sequence[str],
    *,
    quiet: bool = False,
    as_json: bool = False,
    trace: str | None = None,
    held: list[ThunkFailed] | None = None,
    **flags: object,
) -> int:
    """Force `targets`, or all, and return the exit status. `flags` are settings, None if the command line gives none. With
    `held`, failures go there instead of being shown.
    """
    _enter()
    workspace = _workspace(targets)
    search = None if targets else workspace.search()
    settings = command_settings(workspace.root, flags)
    from gg.observe.account import CostAccount
    from gg.observe.choose import choose
    from gg.workspace.targets import Targets

    started, cpu = time.time(), time.process_time()
    wanted = Targets.all(workspace, search) if search else Targets.named(targets, os.getcwd())
    _check_budget(workspace, settings, wanted)
    sink = choose(quiet=quiet, as_json=as_json, trace=trace)
    any_work = _has_work(workspace, settings, wanted)
    account = CostAccount(sink.see if held is None else _holding(held, sink.see))
    run = partial(_force, workspace, settings, wanted, account.see, terminal=not as_json and sys.stderr.isatty())
    status, counts = _told_of(workspace, targets, run) if any_work else (0, {})
    counts = counts if held is None else {**counts, "failures": ()}
    fetched = counts.pop("fetched", 0)
    counts["where"] = account.where(counts.pop("dollars", {}))
    finished = _finished(workspace, counts, time.time() - started, time.process_time() - cpu)
    sink.see(finished)
    sink.close()
    _write_down(workspace, targets, started, status, {**finished._asdict(), "saved": account.saved, "fetched": fetched})
    if any_work:
        _keep_small(os.fsencode(workspace.store), settings.store_size)
    _tell_of_the_rest(wanted, status)
    return status


def _told_of(
    workspace: Workspace, targets: Sequence[str], force: Callable[[], tuple[int, dict[str, Any]]]
) -> tuple[int, dict[str, Any]]:
    """Call `force`, and let other commands see meanwhile that it runs here."""
    from gg.workspace.running import announced

    with announced(workspace, "force", targets):
        return force()


def _check_budget(workspace: Workspace, settings: config.Settings, wanted: Targets) -> None:
    if settings.budget and settings.engine == ("lambda",) and wanted.placeholders:
        _can_afford(workspace, settings, wanted)


def _write_down(
    workspace: Workspace, targets: Sequence[str], started: float, status: int, told: Mapping[str, object]
) -> None:
    line = {"what": "force", "time": started, "targets": list(targets), "status": status}
    history.append(workspace, {**line, **told})


def _enter() -> None:
    if config.recorder_socket():
        from gg.cli.inside import leave_recording

        leave_recording()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a process that ignores it does not learn how its children end


def _has_work(workspace: Workspace, settings: config.Settings, wanted: Targets) -> bool:
    """Whether there is anything to force, or to share with others."""
    if wanted.placeholders or (wanted.everything and Ledger(workspace.dot).owes()):
        return True
    return bool(settings.store and settings.share and _owes_others(workspace))


def _tell_of_the_rest(wanted: Targets, status: int) -> None:
    """GGError if a run without a failure of its own was to make what a force cannot make."""
    if status:
        return
    if wanted.out_of_reach:
        raise _left(wanted.out_of_reach)
    if wanted.lost:
        raise _lost(wanted.lost)


def _owes_others(workspace: Workspace) -> bool:
    """Whether an earlier run has results that it could not share."""
    from gg.share.unshared import is_owed

    return is_owed(workspace.dot)


def _keep_small(store: bytes, size: int) -> None:
    """Have the store collected if it is larger than `size` bytes, by a process that outlives this one. 0: no limit."""
    from gg.store.growth import is_over

    if not size or not is_over(store, size):
        return
    import subprocess

    words = ["gg", "gc", "--max-size", str(size * 4 // 5)]
    code = f"import sys; sys.argv = {words!r}; from gg.cli.main import main; main()"
    nothing, command = subprocess.DEVNULL, ["nice", sys.executable, "-P", "-c", code]
    with suppress(OSError):
        subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)


def _workspace(targets: Sequence[str]) -> Workspace:
    """The workspace of the targets. A new one if nothing was recorded but there are placeholders, as in a copy of a tree."""
    start = os.path.dirname(os.path.abspath(targets[0])) if targets else "."
    found = Workspace.find(start)
    if found is None:
        found = Workspace.create(start) if _is_copied(targets) else Workspace.need(start)
    return found


def _is_copied(targets: Sequence[str]) -> bool:
    from gg.errors import UnknownTarget
    from gg.workspace.targets import Targets

    try:
        return bool(Targets.named(targets or ["."], os.getcwd()).placeholders)
    except UnknownTarget:
        return False


def _left(paths: Sequence[bytes]) -> GGError:
    from gg.errors import StoreError

    hint = "all else is forced; link, copy or mount it where it is found, and force again, or forget it: gg clean"
    return StoreError(f"placeholders may be left outside of the workspace, of {_some(paths)}", hint=hint)


def _lost(paths: Sequence[bytes]) -> GGError:
    from gg.errors import StoreError

    hint = "all else is forced; build again with gg-infer to be told, if those are still wanted"
    return StoreError(
        f"the store has lost recorded calls: nobody can tell how they end, those that make {_some(paths)}", hint=hint
    )


def _some(paths: Sequence[bytes]) -> str:
    return ", ".join(os.fsdecode(path) for path in paths[:10]) + (", …" if len(paths) > 10 else "")


def _holding(held: list[ThunkFailed], see: Callable[[BuildEvent], None]) -> Callable[[BuildEvent], None]:
    from gg.observe.build_events import ThunkFailed

    def keep(event: BuildEvent) -> None:
        if isinstance(event, ThunkFailed):
            held.append(event)
        else:
            see(event)

    return keep


def _force(
    workspace: Workspace,
    settings: config.Settings,
    wanted: Targets,
    observe: Callable[[BuildEvent], None],
    *,
    terminal: bool,
) -> tuple[int, dict[str, Any]]:
    """Force. Returns the exit status and the fields of `RunFinished`, with `fetched`: how many results the team's store had.

    `terminal`: whether the tools' messages are shown on a terminal.
    """
    from gg.force.composition import Composition
    from gg.host.databases import end_soon

    end_soon()
    composition = Composition(workspace, settings, observe)
    forcer = composition.forcer
    forcer.showing.terminal = terminal
    try:
        _stop_on_signals(forcer.stop)
        ended = forcer.force(wanted)
    finally:
        composition.close()
    wanted.out_of_reach += forcer.names_elsewhere
    wanted.lost += forcer.lost
    told = {"placed": forcer.placed, "failures": tuple(forcer.showing.failures), "fetched": composition.fetched()}
    told["dollars"] = composition.spent_by_engine()
    return ended.status, {**ended.counts(), **told, **composition.spent()}


def _can_afford(workspace: Workspace, settings: config.Settings, wanted: Targets) -> None:
    """BudgetError if the estimated cost is above the budget. There is no estimate if several engines share the work."""
    from gg.cost.forecast import rows
    from gg.errors import BudgetError
    from gg.estimate.weighted_graph import what_and_where
    from gg.observe.wording import dollars

    graph, resources = what_and_where(workspace, settings, wanted)
    (row,) = rows(graph, settings.engine, (settings.jobs or 1000,), resources)
    if row.cost.total > settings.budget:
        raise BudgetError(
            f"this is estimated to cost {dollars(row.cost.total)}, more than the budget of {dollars(settings.budget)}",
            hint="gg-force --estimate tells why; force a part of it, or give it a larger budget",
        )


def _finished(workspace: Workspace, counts: dict[str, Any], wall: float, cpu: float) -> RunFinished:
    from gg.observe.build_events import RunFinished

    nothing = {"ran": 0, "cached": 0, "failed": 0, "skipped": 0, "placed": 0, "busy": 0.0, "retries": {}}
    return RunFinished(**{**nothing, **counts}, wall=wall, cpu=cpu, real=history.real_runs(workspace))


def _stop_on_signals(stop: object) -> None:
    assert callable(stop)

    def handle(number: int, frame: FrameType | None) -> None:
        stop()
        signal.signal(number, signal.SIG_DFL)  # a second signal ends this process at once

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)
