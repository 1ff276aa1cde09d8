"""What `gg nix force` does, apart from its command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gg.cli.nix_run import NixRun
from gg.errors import GGError, Interrupted, UsageError
from gg.nix.derivation import read
from gg.nix.derivation_graph import DerivationForce, Plan, plan
from gg.nix.store_paths import query
from gg.workspace.running import announced
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.workspace.settings import Settings

FAILED = 100
"""The exit status when a builder failed, the same as nix-build's."""


def force(
    targets: Sequence[str],
    *,
    file: str,
    given: Sequence[str],
    cores: int,
    keep_failed: bool,
    keep_going: bool,
    link: str,
    **flags: object,
) -> int:
    """Build `targets`, derivations or attributes of `file`, and print their paths. Returns the exit status.

    `given`: further arguments for nix-instantiate. `flags` are settings.
    """
    from gg.cli.consent import settle

    wanted = _wanted(targets, file, given)
    derivations = list(dict.fromkeys(path.partition("!")[0] for path in wanted))
    workspace = Workspace.create()
    settings = settle(workspace.root, flags)
    run = NixRun(workspace, targets or [file or _default_file()])
    if force_plan(plan(derivations), run, workspace, settings, cores=cores, keep_going=keep_going, keep=keep_failed):
        return FAILED
    for path in wanted:
        sys.stdout.write("".join(output + "\n" for output in _outputs(path)))
    if link:
        subprocess.run(["nix-store", "--realise", *derivations, "--add-root", os.path.abspath(link)],
                       stdout=subprocess.DEVNULL, check=True)  # fmt: skip
    return 0


def force_plan(
    todo: Plan, run: NixRun, workspace: Workspace, settings: Settings, *, cores: int, keep_going: bool, keep: bool
) -> int:
    """Build what nix would build, say what came of it, and how to look into what failed. Returns the status.

    `keep`: have nix run what failed again here, and keep its directory.
    """
    status = _written_down(run, lambda: _force(todo, workspace, settings, cores, keep_going, run))
    for each in run.tally.failed:
        words = ["nix-store", "--realise", "--keep-failed", each.path]
        if keep:
            subprocess.run(words, stdout=sys.stderr, check=False)
        else:
            sys.stderr.write(f"For its log, run 'nix log {each.path}'; to have its directory kept: {' '.join(words)}\n")
    return status


def _written_down(run: NixRun, force: Callable[[], None]) -> int:
    """Call `force`, say what came of it, and write that down however it ends. Returns the status."""
    status = Interrupted.exit_code
    try:
        force()
        status = FAILED if run.tally.failed or run.tally.skipped else 0
    except GGError as error:
        status = error.exit_code
        raise
    finally:
        run.end(status)
    tally = run.tally
    line = f"gg: {tally.all} derivations: {tally.ran} ran, {tally.cached} cached, {tally.here} by nix here, "
    line += f"{len(tally.failed)} failed, {len(tally.skipped)} not begun in {run.seconds:.1f} s\n"
    sys.stderr.write(line)
    return status


def _wanted(targets: Sequence[str], file: str, given: Sequence[str]) -> list[str]:
    """The wanted outputs: DERIVATION for all of its outputs, or DERIVATION!OUTPUT. nix evaluates attributes. UsageError."""
    found = [os.path.realpath(target) for target in targets if target.endswith(".drv")]
    attributes = [target for target in targets if not target.endswith(".drv")]
    if found and not attributes:
        return found
    words = ["nix-instantiate", file or _default_file(), *given]
    for attribute in attributes:
        words += ["-A", attribute]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    sys.stderr.write("".join(line for line in done.stderr.splitlines(keepends=True) if "--add-root" not in line))
    if done.returncode:
        raise UsageError("nix-instantiate failed", hint="its own words are above; --file names the expression")
    return [*found, *(path if "!" in path else path + "!out" for path in done.stdout.split())]


def _outputs(wanted: str) -> list[str]:
    path, mark, name = wanted.partition("!")
    return query("--outputs", path) if not mark else [read(path).outputs[name].path]


def _default_file() -> str:
    return "." if os.path.exists("default.nix") else "<nixpkgs>"


def _force(todo: Plan, workspace: Workspace, settings: Settings, cores: int, keep_going: bool, run: NixRun) -> None:
    if not todo.build and not todo.fetch:
        return
    from gg.host.filedb import FileDB
    from gg.nix.builder_thunk import BuilderThunks
    from gg.nix.live_logs import LiveLogs
    from gg.observe.sink import TextOutput
    from gg.sdk.service import Service
    from gg.store.directory import DirectoryStore

    store = DirectoryStore(os.fsencode(workspace.store))
    files = FileDB(os.fsencode(workspace.dot))
    logs = LiveLogs(TextOutput(sys.stderr.buffer).show)
    service = Service(workspace, store, settings, logs.printed, run.account.see)
    try:
        force = DerivationForce(BuilderThunks(store, files, cores), service.submit, logs, keep_going=keep_going)
        run.tally = force.tally
        with announced(workspace, "nix force", run.targets):
            force.run(todo)
    finally:
        service.close()
        run.told = service.told()
        files.flush()
        files.close()
        store.close()
