"""What gg-infer does, apart from its command line. Without click, which takes longer to load than a small build to record."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from gg.cli.command_settings import command_settings
from gg.light.named import NamedTuple
from gg.light.slotted import replace
from gg.workspace import settings as config
from gg.workspace.ledger import Ledger
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gg.core.renaming import Renaming
    from gg.force.composition import Composition
    from gg.force.reading import Reading
    from gg.models.declared.declared_tool import Declarations, Declared
    from gg.observe.build_events import BuildEvent
    from gg.record.compdb import CompilationDatabase
    from gg.record.launching.launch import RecordedCommand
    from gg.record.recording import RecordingSession
    from gg.store.base import Store


class _Given(NamedTuple):
    """The user's wishes about tools, names, and further files to write."""

    declared: Declarations | None
    traced: Declarations | None
    renaming: Renaming | None
    database: CompilationDatabase | None

    @property
    def caught(self) -> list[Declarations]:
        return [tables for tables in (self.declared, self.traced) if tables]


def _step_aside(arguments: Sequence[str], flags: Mapping[str, object]) -> int | None:
    """Become the command itself if it cannot be recorded, or if the gg-infer around this one records it already. Returns the status
    of a command that has nix build derivations; None if the command is to be recorded.
    """
    if config.recorder_socket():
        from gg.cli.inside import become, is_recorded, leave_recording

        if is_recorded():
            become(arguments)
        leave_recording()
    if not _has_path():
        from gg.cli.inside import become

        _tell("this directory was removed, or its path is too long for the kernel: nothing is recorded")
        become(arguments)
    if os.path.basename(arguments[0]) in ("nix-build", "nix"):
        from gg.cli.nix_build import build, is_build

        return build(arguments, flags) if is_build(arguments) else None
    return None


def infer(
    arguments: Sequence[str],
    *,
    compile_commands: bool = False,
    interpose: bool = True,
    quiet: bool = False,
    trace: bool | None = None,
    told: set[bytes] | None = None,
    **flags: object,
) -> int:
    """Record the command `arguments`. Returns its exit status, -N when signal N ended it. `flags` are settings, None if not given.

    The thunks that had failed before, and so ran at once, are added to `told`.
    """
    if (status := _step_aside(arguments, flags)) is not None:
        return status
    workspace = Workspace.create(tell=_say_nothing if quiet else _tell)
    settings = _settings(workspace, trace, flags)
    given = _given(workspace, settings, compile_commands)
    from gg.record.launching.launch import RecordedCommand

    started = time.time()
    store = _store(workspace)
    ledger = Ledger(workspace.dot, told)
    build = RecordedCommand(workspace, interpose=interpose, caught=given.caught)
    try:
        build.start(arguments, _environment(workspace, settings, quiet=quiet))
        ledger.begin()  # and all else while the build reads its makefiles
        reading = _reading(workspace, store, settings, ledger, quiet)
        session = _session(workspace, store, settings, ledger, reading, given)
        status = _serve(workspace, build, session, reading, ledger, arguments, started)
    finally:
        build.close()
        ledger.close()
        store.close()
    if given.database:
        given.database.write()
    if not quiet:
        sys.stderr.write(session.calls.line() + _spent(reading) + "\n")
    return status


def _store(workspace: Workspace) -> Store:
    """The workspace's store, for a process that ends when it has closed the store."""
    from gg.host.databases import end_soon
    from gg.store.directory import DirectoryStore

    end_soon()
    store = DirectoryStore(os.fsencode(workspace.store))
    _remove_lost(workspace, store)
    return store


def _given(workspace: Workspace, settings: config.Settings, compile_commands: bool) -> _Given:
    declared, traced = _declared(workspace.root), _traced(settings)
    renaming = _renaming(workspace, settings.known_as)
    return _Given(declared, traced, renaming, _database() if compile_commands else None)


def _reading(workspace: Workspace, store: Store, settings: config.Settings, ledger: Ledger, quiet: bool) -> Reading:
    from gg.force.reading import Reading

    return Reading(partial(_compose, workspace, store, settings, ledger, quiet))


def _session(
    workspace: Workspace,
    store: Store,
    settings: config.Settings,
    ledger: Ledger,
    reading: Reading,
    given: _Given,
) -> RecordingSession:
    from gg.record.recording import RecordingSession

    return RecordingSession(
        workspace,
        store,
        reading,
        ledger,
        frozenset(settings.real),
        listener=given.database.saw if given.database else None,
        declared=given.declared,
        traced=given.traced,
        renaming=given.renaming,
        common=workspace.common,
    )


def _spent(reading: Reading) -> str:
    """The cost of forcing what the build has read, in words; empty if there was none."""
    what = reading.spent()
    if not what:
        return ""
    from gg.observe.wording import spent

    return f"; {spent(what['cost'], what['usage'])}"


def _has_path() -> bool:
    """Whether the working directory has a path."""
    try:
        os.stat(os.getcwd())
    except OSError:
        return False
    return True


def _environment(workspace: Workspace, settings: config.Settings, *, quiet: bool) -> dict[str, str]:
    """The environment that gg-infer was given, without secrets. A relative GG_DIR is made absolute, for the build works in many
    directories.
    """
    given, withheld = config.without_withheld(config.given_environment(), settings.reapi_headers)
    told = [name for name in withheld if name != "GG_KEY"]
    if told and not quiet:
        _tell(f"not passed on to the build: {', '.join(told)} (GG_PASS names what it needs)")
    return {**given, "GG_DIR": workspace.dot} if config.gg_dir() else given


def _remove_lost(workspace: Workspace, store: Store) -> None:
    """Remove placeholders that nobody can force. There may be some when a tree is recorded in for the first time."""
    if os.path.exists(workspace.history):
        return
    from gg.workspace import lost

    removed = lost.remove(workspace, store)
    if removed:
        first = os.path.relpath(os.fsdecode(removed[0]), workspace.root)
        more = f" and {len(removed) - 1} more" if len(removed) > 1 else ""
        _tell(f"placeholders that no store knows were removed, to be made again: {first}{more}")


def _say_nothing(text: str) -> None:
    """Drops a text: with `--quiet` this takes the place of messages that are no errors."""


def _tell(text: str) -> None:
    sys.stderr.write(f"gg: {text}\n")


def _serve(
    workspace: Workspace,
    build: RecordedCommand,
    session: RecordingSession,
    reading: Reading,
    ledger: Ledger,
    arguments: Sequence[str],
    started: float,
) -> int:
    """Answer the command's tools until it ends. Returns its exit status, -N when signal N ended it."""
    from gg.workspace.running import announced

    with announced(workspace, "infer", arguments):
        try:
            status = build.serve(session.handle)
            session.note(arguments, status if status >= 0 else 128 - status, started)
        finally:
            reading.close()
            session.close()
    failed = [thunk for thunk in ledger.standing() if ledger.is_recorded_now(thunk)]
    if failed:
        from gg.workspace.stamps import Stamps

        Stamps(workspace.dot, workspace.root).undo(failed, ledger.since)
    session.stamps.end()
    return status


def _compose(
    workspace: Workspace,
    store: Store,
    settings: config.Settings,
    ledger: Ledger,
    quiet: bool,
    observe: Callable[[BuildEvent], None],
) -> Composition:
    """The composition that forces files that the build reads. The tools' messages are shown where this command prints."""
    from gg.force.composition import Composition
    from gg.observe.meanwhile import Meanwhile
    from gg.observe.quiet import Quiet
    from gg.observe.sink import Sink, TextOutput

    out, err = TextOutput(sys.stdout.buffer), TextOutput(sys.stderr.buffer)
    show: Sink = Quiet(out, err) if quiet else Meanwhile(out, err, progress=sys.stderr.isatty())

    def see(event: BuildEvent) -> None:
        observe(event)
        show.see(event)

    composition = Composition(workspace, replace(settings, keep_going=True), see, store, ledger)
    composition.forcer.showing.terminal = sys.stderr.isatty()
    return composition


def _settings(workspace: Workspace, trace: bool | None, flags: Mapping[str, object]) -> config.Settings:
    settings = command_settings(workspace.root, flags)
    return replace(settings, trace=config.TRACED) if trace and not settings.trace else settings


def _database() -> CompilationDatabase:
    from gg.record.compdb import CompilationDatabase

    return CompilationDatabase("compile_commands.json")


def _renaming(workspace: Workspace, known_as: str) -> Renaming | None:
    """The name by which thunks call the workspace. UsageError for a name that cannot be used."""
    if not (known_as or os.path.exists(os.path.join(workspace.dot, "known-as"))):
        return None
    from gg.workspace import known_as as names

    return names.recording(workspace, known_as, os.environ.get("PWD", ""))


def _traced(settings: config.Settings) -> Declarations | None:
    """The commands whose whole outcome is remembered, by their names; None if there are none."""
    if not settings.trace:
        return None
    from gg.models.declared.declared_tool import Declarations, Declared

    return Declarations([Declared("trace", settings.trace)])


def _declared(root: str) -> Declarations | None:
    """The tools that the settings files declare; None if there are none. UsageError for a wrong table."""
    tables = config.tools(root)
    held = config.held(root)
    if held and held.owner is None and isinstance(wrong := held.said.get("tool"), dict):
        _read_tables([(held.path, wrong)])  # reported at once, whether or not the table will count
    if not tables:
        return None
    from gg.models.declared.declared_tool import Declarations

    return Declarations(_read_tables(tables))


def _read_tables(tables: Sequence[tuple[str, Mapping[str, object]]]) -> tuple[Declared, ...]:
    from gg.errors import UsageError
    from gg.models.declared.tables import BadTable, read

    found: dict[str, Declared] = {}
    try:
        for place, table in tables:
            found |= {declared.name: declared for declared in read(table, place)}
    except BadTable as error:
        raise UsageError(str(error), hint=error.hint) from error
    return tuple(found.values())
