"""A workspace as a Python program uses it: files go in, thunks are made of them, and forcing gives futures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import Entry, File, OutputOf
from gg.errors import GGError, UsageError
from gg.sdk.values import Blob, Out, Output, Result, Thunk
from gg.store.base import Key, Kind

if TYPE_CHECKING:
    from gg.sdk.program_files import ProgramFiles
    from gg.sdk.service import Service
    from gg.workspace.settings import Held, Settings

CommandArgument = str | bytes | os.PathLike[str] | Blob | Out | Output | Thunk
ThunkInput = Blob | Output | Thunk


class Session:
    """Thunks in the workspace at or above `path`, which is made there if there is none. Close it, or use `with`.

    What the workspace's own gg.toml says beyond harmless settings counts only if the user has allowed it (gg trust); else there
    is a warning.

    `settings` are those of gg.toml: `jobs`, `engine`, `isolation`, `retries`, … Methods may be called from any thread.
    Errors are `gg.errors.GGError`s, each with what to do about it.
    """

    def __init__(self, path: str | os.PathLike[str] = ".", **settings: object) -> None:
        from gg.store.directory import DirectoryStore
        from gg.workspace import settings as config
        from gg.workspace.workspace import Workspace

        self._workspace = Workspace.create(os.fspath(path))
        names = {key: ",".join(v) if isinstance(v, (list, tuple)) else v for key, v in settings.items()}
        self._settings = config.load(self._workspace.root, **names)
        if held := config.held(self._workspace.root):
            _warn(held, self._settings, config.given(names))
        self._store = DirectoryStore(os.fsencode(self._workspace.store))
        self._programs: ProgramFiles | None = None
        self._service: Service | None = None
        self._closed = False

    # What goes in

    def blob(self, data: bytes, name: str = "data", *, executable: bool = False) -> Blob:
        """Bytes as an input."""
        blob = BlobId.of(data)
        self._store.put({Key(Kind.BLOB, blob.digest): data})
        return Blob(blob, name, executable)

    def file(self, path: str | os.PathLike[str], name: str = "") -> Blob:
        """A file's bytes as they are now, as an input called `name` (the file's own name if empty)."""
        from gg.host.trees import hash_file

        encoded = os.fsencode(path)
        try:
            blob = hash_file(encoded)
            executable = os.access(encoded, os.X_OK)
        except OSError as error:
            raise UsageError(f"{os.fsdecode(encoded)}: {error.strerror}") from error
        self._store.put_files({blob: encoded})
        return Blob(blob, name or os.path.basename(os.fspath(path)), executable)

    # Thunks

    def thunk(
        self,
        command: Sequence[CommandArgument],
        *,
        inputs: Iterable[ThunkInput] = (),
        outputs: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        dynamic: bool = False,
    ) -> Thunk:
        """A command that is run in an empty directory, with nothing but its inputs in it.

        `command[0]` is a program of this machine (a name on PATH, or a path: it and its libraries become inputs), a
        blob, or what another thunk makes. A blob, a thunk or an output among the arguments is an input, and is passed
        by its name; `gg.out(name)` is an output. `inputs` and `outputs` are those that no argument names. The
        environment is PATH, and what is given.

        A `dynamic` command may make further thunks itself (gg-create-thunk, `gg.sdk.custom`) and write their placeholders as
        its outputs. It needs this workspace for that, so it runs on this machine whatever the engine.
        """
        if not command:
            raise UsageError("a thunk needs a command")
        making = _Making()
        for each in inputs:
            making.add(each)
        program, argv0 = self._program(command[0], making, environment or {})
        argv = [argv0, *(making.argument(argument) for argument in command[1:])]
        making.outputs.update(dict.fromkeys(outputs))
        variables = {"PATH": os.defpath, **(environment or {})}
        from gg.sdk.custom import assemble

        name, encoded = assemble(
            program=program,
            argv=argv,
            entries=making.entries,
            outputs=list(making.outputs),
            environment={os.fsencode(k): os.fsencode(v) for k, v in variables.items()},
            dynamic=dynamic,
        )
        self._store.put({Key(Kind.THUNK, name): encoded})
        return Thunk(name, tuple(making.outputs), tuple(making.thunks))

    def _program(
        self, program: CommandArgument, making: _Making, environment: Mapping[str, str]
    ) -> tuple[SandboxPath, bytes]:
        if isinstance(program, (Blob, Output, Thunk)):
            name = making.add(program, executable=True)
            return making.path(name), os.fsencode(name)
        if isinstance(program, Out):
            raise UsageError("the program of a thunk cannot be its own output")
        if self._programs is None:
            from gg.sdk.program_files import ProgramFiles

            self._programs = ProgramFiles(self._workspace, self._store)
        found, entries = self._programs.find(os.fsencode(program), environment)
        for entry in entries:
            making.entries[entry.path] = entry
        return found, os.fsencode(program)

    # Results

    def submit(self, thunk: Thunk) -> Future[Result]:
        """Have it forced, with all that it needs; the future's exception is `ThunkFailed` when a command failed.

        It is a future of `concurrent.futures`: `as_completed`, `wait` and `asyncio.wrap_future` take it.
        """
        if self._closed:
            raise UsageError("the session is closed")
        if self._service is None:
            from gg.sdk.service import Service

            self._service = Service(self._workspace, self._store, self._settings)
        return self._service.submit(thunk)

    def force(self, *thunks: Thunk) -> list[Result]:
        """Force all of them and wait; the results in their order. ThunkFailed for the first that failed."""
        return [future.result() for future in [self.submit(thunk) for thunk in thunks]]

    def placeholder(self, thunk: Thunk, path: str | os.PathLike[str]) -> None:
        """Write a placeholder of the first output to `path`, for `gg-force`, or as what a dynamic thunk makes."""
        from gg.sdk.custom import write_placeholder

        write_placeholder(os.fspath(path), thunk.id)

    def close(self) -> None:
        """Stop what runs (its futures are cancelled) and let go of the store."""
        if self._closed:
            return
        self._closed = True
        if self._service is not None:
            self._service.close()
        if self._programs is not None:
            self._programs.close()
        self._store.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _warn(held: Held, settings: Settings, given: set[str]) -> None:
    import warnings

    from gg.workspace.elsewhere_needed import need_place

    need_place(held, settings, given)
    names = ", ".join(held.said)
    warnings.warn(f"{held.path!r}: not counted until allowed by gg trust: {names}", stacklevel=3)


class _Making:
    """The inputs and outputs of one thunk while its command is read."""

    def __init__(self) -> None:
        from gg.sdk.custom import inside

        self.path = inside
        self.entries: dict[bytes, Entry] = {}
        self.outputs: dict[str, None] = {}
        self.thunks: dict[Thunk, None] = {}

    def argument(self, argument: CommandArgument) -> bytes:
        if isinstance(argument, Out):
            self.outputs[argument.name] = None
            return os.fsencode(argument.name)
        if isinstance(argument, (Blob, Output, Thunk)):
            return os.fsencode(self.add(argument))
        return argument if isinstance(argument, bytes) else os.fsencode(argument)

    def add(self, each: ThunkInput, *, executable: bool = False) -> str:
        """Make it an input; the name that it has. Two different ones of one name are told apart by a number."""
        if isinstance(each, Thunk):
            each = Output(each, 0)
        if not isinstance(each, (Blob, Output)):
            raise UsageError(f"{each!r} is no input", hint="session.file(path), session.blob(bytes), or a thunk")
        base = name = each.name
        number = 1
        while True:
            path = self.path(name)
            entry = self._entry(path, each, executable)
            if self.entries.setdefault(path, entry) == entry:
                break
            number += 1
            stem, dot, ending = base.rpartition(".")
            name = f"{stem}-{number}{dot}{ending}" if stem else f"{base}-{number}"
        if isinstance(each, Output):
            self.thunks[each.thunk] = None
        return name

    @staticmethod
    def _entry(path: SandboxPath, each: Blob | Output, executable: bool) -> Entry:
        if isinstance(each, Blob):
            return File(path, each.id, executable or each.executable)
        return OutputOf(path, each.thunk.id, each.index)


__all__ = ["GGError", "Session"]
