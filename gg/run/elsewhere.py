"""Runs thunks on a host that is not the one they were recorded on, with nothing of that host but its kernel.

Everything that a command sees comes from a cache of blobs, by the path map with the flag ALIEN. An undeclared path does not
exist for it, whatever this host has there, and is reported, so that the coordinator can look whether it exists at home.
The thunk's program, and the programs that it starts, run under the dynamic loader and the libraries that were shipped with
them (`gg.run.loading`). No privilege is needed: no namespaces, no chroot, no ptrace.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from gg.core.ids import GroupId, SandboxPath
from gg.core.thunk import Entry, File, Group, Thunk
from gg.run import pathmap, processor
from gg.run.expand import Groups, Reads
from gg.run.job import Job, RunResult
from gg.run.loading import Libraries
from gg.run.pathmap import record
from gg.run.runner import LOADER_FAILED, Runner, Shown
from gg.run.start import ExecArguments, through_links

_SCRIPT_DEPTH = 5
_MOST_LOADERS = 60
_MOST_SAID = 32 << 20  # bytes: a reply has room for six million


class Static(Exception):
    """The command would run programs that no preloaded library can see into, so nothing was run. `paths`: the programs."""

    def __init__(self, paths: Sequence[bytes]) -> None:
        super().__init__(", ".join(os.fsdecode(p) for p in paths))
        self.paths = tuple(paths)


class Lacking(Exception):
    """The command cannot be started without these undeclared paths."""

    def __init__(self, *paths: SandboxPath) -> None:
        super().__init__(", ".join(os.fsdecode(p) for p in paths))
        self.paths = paths


class PlacedGroups(Groups):
    """Groups whose files stand in a cache. `place` must give the same answer for a file whenever it is asked."""

    def __init__(self, store: Reads, place: Callable[[File], str]) -> None:
        super().__init__(store)
        self._place = place

    def _records(self, group: Group) -> bytes:
        return b"".join([record(e, os.fsencode(self._place(e)) if isinstance(e, File) else b"") for e in group.entries])


class Elsewhere(Runner):
    """One slot. The blobs of a job's files must be where `place` says before `run`."""

    def __init__(
        self,
        scratch: str,
        groups: PlacedGroups,
        place: Callable[[File], str],
        libraries: str,
        memory: int = 0,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """`libraries`: a directory for links. `memory`: bytes of data that each process may have, 0 for no limit. `after` is
        called when a command is over, before anything looks at what it left.
        """
        super().__init__(scratch, groups)
        self._slot.memory = memory
        self._slot.most_said = _MOST_SAID
        self._slot.after = after
        self._flags = pathmap.ALIEN | pathmap.MISSES
        self._place = place
        self._libraries = Libraries(libraries, place)
        self._shared: dict[tuple[GroupId, ...], dict[SandboxPath, Entry]] = {}
        self._records: dict[tuple[object, ...], tuple[tuple[bytes, ...], frozenset[SandboxPath], frozenset[str]]] = {}
        self._lacking: frozenset[SandboxPath] = frozenset()

    def _find_warden(self) -> bytes:
        return b""  # without gg-warden the worker itself ends every process

    def run(self, job: Job) -> RunResult:
        """Run to the end. Static, Lacking, OSError when the host refuses something, Killed after `cancel`."""
        self._clear()
        ran = self._run_mapped(job)
        if ran is None:
            raise Static([job.thunk.program])
        if ran.static:
            raise Static(ran.static)
        if ran.status and LOADER_FAILED in ran.stderr:  # the loader does not look through the path map
            ran.missing = (*ran.missing, *sorted(self._lacking))
        return self._settled(job.thunk, ran, self._overlay)

    def doubt(self) -> None:
        """Trust nothing that stays in this slot: a command ran that may have changed anything."""
        self._libraries.doubt()

    def libraries(self) -> set[bytes]:
        """What is in the directory for links."""
        return self._libraries.made()

    def scratch(self) -> dict[str, Callable[[], set[bytes]]]:
        """The directories that stay from one command to the next, each with a function that tells what stays in it."""
        kept = {os.path.basename(os.fsencode(each)) for each in (self._overlay, self._gone, self._tmp)}
        return {
            self._scratch: lambda: (
                kept | ({os.path.basename(os.fsencode(self._map))} if _is_plain(self._map) else set())
            ),
            **dict.fromkeys((self._overlay, self._gone, self._tmp), set),
        }

    def _command(self, thunk: Thunk, own: Sequence[Shown], places: Mapping[SandboxPath, bytes]) -> ExecArguments:
        entries: ChainMap[SandboxPath, Entry] = ChainMap({e.path: e for e in own}, self._below(thunk.groups))
        called, path, argv = thunk.program, SandboxPath(b""), processor.arguments(thunk, self._tmp)
        for _ in range(_SCRIPT_DEPTH):
            path, host = self._found(called, entries)
            program = self._programs.of(host)
            if not program.interpreter:
                return self._by_loader(thunk, path, host, argv, program.loader, entries, own, program.mapped)
            argument = (program.argument,) if program.argument else ()
            argv = (program.interpreter, *argument, called, *argv[1:])
            called = SandboxPath(program.interpreter)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(thunk.program))

    def _found(self, path: SandboxPath, entries: Mapping[SandboxPath, Entry]) -> tuple[SandboxPath, bytes]:
        real = through_links(path, entries)
        file = entries.get(real)
        if not isinstance(file, File):
            raise Lacking(real)
        return real, os.fsencode(self._place(file))

    def _by_loader(
        self,
        thunk: Thunk,
        path: SandboxPath,
        host: bytes,
        argv: tuple[bytes, ...],
        loader: bytes,
        entries: Mapping[SandboxPath, Entry],
        own: Sequence[Shown],
        mapped: bool,
    ) -> ExecArguments:
        if not mapped or not loader:
            return ExecArguments(host, argv, mapped and not loader, ())
        _, loader_host = self._found(SandboxPath(loader), entries)
        library_path = dict(thunk.env).get(b"LD_LIBRARY_PATH", b"")
        libraries = self._libraries.directory(path, loader, entries, library_path)
        start = (loader, b"--library-path", libraries, b"--argv0", argv[0] if argv else path, host, *argv[1:])
        records = self._loaders(thunk, entries, own, loader, libraries, library_path)
        return ExecArguments(loader_host, start, True, (), records, {b"GG_EXE": path})

    def _loaders(
        self,
        thunk: Thunk,
        entries: Mapping[SandboxPath, Entry],
        own: Sequence[Shown],
        loader: bytes,
        libraries: bytes,
        library_path: bytes,
    ) -> tuple[bytes, ...]:
        """The records by which programs start that the command starts. Programs that need other libraries get their own."""
        programs = tuple(e for e in own if isinstance(e, File) and e.executable)
        key = (thunk.groups, programs, loader, libraries, library_path)
        known = self._records.get(key)
        if known is not None:
            self._lacking = known[1]
            self._libraries.have(known[2])
            return known[0]
        self._libraries.lacking.clear()
        directories: set[str] = set()
        records = {loader: pathmap.loader(loader, libraries)}
        for path in [e.path for e in entries.values() if isinstance(e, File) and e.executable]:
            dynamic = self._libraries.dynamic(path, entries)
            if dynamic is None or not dynamic.interpreter or len(records) > _MOST_LOADERS:
                continue
            directory = self._libraries.directory(path, dynamic.interpreter, entries, library_path)
            directories.add(os.fsdecode(directory))
            records.setdefault(dynamic.interpreter, pathmap.loader(dynamic.interpreter, directory))
            if records[dynamic.interpreter] != pathmap.loader(dynamic.interpreter, directory):
                records[path] = pathmap.loader(path, directory)
        if len(self._records) > 1024:
            self._records.clear()
        self._lacking = frozenset(self._libraries.lacking)
        self._records[key] = tuple(records.values()), self._lacking, frozenset(directories)
        return self._records[key][0]

    def _below(self, groups: tuple[GroupId, ...]) -> dict[SandboxPath, Entry]:
        known = self._shared.get(groups)
        if known is None:
            known = self._groups.entries(groups)
            if len(self._shared) > 256:
                self._shared.clear()
            self._shared[groups] = known
        return known

    def _directory(self, cwd: bytes) -> bytes:
        """The directory to start in. It is always in the overlay: what this host has at that path must not matter."""
        return self._in_overlay(cwd)


def _is_plain(path: str) -> bool:
    """Whether the path is a regular file with no other name, so that writing to it changes nothing else."""
    with suppress(OSError):
        info = os.lstat(path)
        return stat.S_ISREG(info.st_mode) and info.st_nlink == 1
    return False
