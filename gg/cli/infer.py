"""`gg-infer COMMAND`: run a build with every compiler, linker and archiver recorded instead of run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from gg import config
from gg.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gg.force import Forcer
    from gg.record.recorder import Forced
    from gg.store.base import Store


@click.command(
    "gg-infer",
    context_settings={"allow_interspersed_args": False, "help_option_names": ["-h", "--help"]},
)
@click.option("--compile-commands", is_flag=True, help="Write what was compiled to compile_commands.json here.")
@click.option("--engine", metavar="NAME[,NAME]", help="Where to force what a process reads during the build.")
@click.option("--jobs", type=click.IntRange(min=1), help="How many thunks to force at once when one is read.")
@click.option("--real", metavar="TOOL[,TOOL]", help="Tools that are never recorded.")
@click.option("--no-interposer", is_flag=True, help="Catch tools by PATH only.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors.")
@click.option("--debug", is_flag=True, help="Show where an internal error comes from.")
@click.argument("arguments", nargs=-1, required=True, metavar="COMMAND [ARGUMENT...]", type=click.UNPROCESSED)
def command(
    arguments: tuple[str, ...],
    compile_commands: bool,
    engine: str | None,
    jobs: int | None,
    real: str | None,
    no_interposer: bool,
    quiet: bool,
    debug: bool,
) -> int:
    """Run COMMAND; every compiler, assembler, linker and archiver that it calls is recorded as a thunk.

    Exits with COMMAND's own status. Nothing is compiled: small placeholders stand where the outputs would be, until
    gg-force makes them. A process that reads a placeholder waits while just that one is forced.
    """
    if config.recorder_socket():
        os.execvp(arguments[0], list(arguments))  # already inside a recording, which sees this command too
    workspace = Workspace.create()
    settings = config.load(workspace.root, engine=engine, jobs=jobs, real=real)
    from gg.record.session import Session
    from gg.store.directory import DirectoryStore

    store = DirectoryStore(os.fsencode(workspace.dot))
    forces = _Forces(workspace, store, settings)
    database = None
    if compile_commands:
        from gg.record.compdb import CompilationDatabase

        database = CompilationDatabase("compile_commands.json")
    try:
        session = Session(
            workspace,
            store,
            forces.force,
            always_real=frozenset(settings.real),
            interpose=not no_interposer,
            listener=database.saw if database else None,
        )
        try:
            status = session.run(arguments, os.environ)
        finally:
            forces.close()
            session.close()
    finally:
        store.close()
    if database:
        database.write()
    if not quiet:
        sys.stderr.write(session.calls.line() + "\n")
    return status


class _Forces:
    """Forces what processes of the build read, with engines that are started when first needed."""

    def __init__(self, workspace: Workspace, store: Store, settings: config.Settings) -> None:
        self._workspace = workspace
        self._store = store
        self._settings = settings
        self._forcer: Forcer | None = None

    def force(self, paths: Sequence[bytes]) -> Forced:
        from gg.errors import GGError
        from gg.force import Forcer, Targets
        from gg.observe.collect import Collector
        from gg.record.recorder import Forced

        collector = Collector()
        try:
            if self._forcer is None:
                self._forcer = Forcer(self._workspace, self._store, self._settings, collector.see)
            self._forcer.sink = collector.see
            outcome = self._forcer.force(Targets.named([os.fsdecode(p) for p in paths], "/"))
        except GGError as error:
            return Forced(error.exit_code, f"gg: {error.what}\n    {error.hint}\n".encode())
        return Forced(outcome.status, collector.stderr)

    def close(self) -> None:
        if self._forcer is not None:
            self._forcer.close()
