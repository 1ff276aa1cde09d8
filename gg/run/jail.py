"""Runs one thunk in a root directory that holds its declared inputs and nothing else (`toolchain-wrappers/jail/jail.c`).

Small files are copied into the root, and large ones, of which toolchains consist, are bound. Files beside an output or in
the working directory may be changed, so they are always copied. The root stays when the command has ended. A file that is
in it then and was not put there has been written. A copy counts as changed unless its inode has not been touched since the
root was made, or it still has the declared bytes.

The path map is loaded inside too, with the flag WATCH: it changes nothing, and tells which declared files were read and
which paths were asked for in vain, so that the engine can look whether they exist outside. Programs that are linked
statically cannot load it. For them the root alone decides: nothing undeclared is ever read, but a missing path is not
reported, and `RunResult.reads` is None, so that every declared file counts as read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from gg.core.colour import TERMINAL, TERMINFO, asks, marked
from gg.core.ids import SandboxPath
from gg.core.thunk import Directory, File, OutputOf, Symlink
from gg.errors import GGError
from gg.host import native_programs as native
from gg.host.trees import hash_file
from gg.run import pathmap
from gg.run.expand import Groups
from gg.run.job import Job, RunResult
from gg.run.process import Exit, Slot
from gg.run.report import ReportFile, link_inside
from gg.run.start import Programs, through_links

_BIND_SIZE = 256 * 1024
"""Files of this many bytes or more are bound: a bind costs about as much as copying them."""

_PASSED = (b"/dev", b"/proc", b"/sys/devices/system/cpu")
_REFUSED, _WRONG = 124, 125
_MADE_LAST = b"/dev/stderr"


class JailRefused(GGError):
    """The host does not allow user namespaces, so nothing was run. Exit status 69: something needed is not available."""

    exit_code = 69


def run_in_jail(job: Job, groups: Groups, slot: Slot, scratch: str) -> RunResult:
    """Run to the end. JailRefused, OSError when the root cannot be made, Killed after `Slot.cancel`."""
    jail = _Jail(job, groups, scratch)
    program, argv = os.fsencode(native.jail()), (b"gg-jail", jail.prepare())
    done = slot.run(program, argv, jail.environment(), "/", together=job.thunk.closed)
    return jail.result(done)


class _Jail:
    def __init__(self, job: Job, groups: Groups, scratch: str) -> None:
        self._job = job
        self._asked = asks(job.thunk)
        top = os.fsencode(scratch)
        self._root = top + b"/root"
        self._tmp = top + b"/tmp"
        self._map = top + b"/map"
        self._report = ReportFile(top + b"/report")
        self._spec = top + b"/spec"
        self._library = os.fsencode(native.pathmap_library())
        self._copied: dict[bytes, File] = {}
        self._links: dict[bytes, Symlink] = {}
        self._fixed: set[bytes] = set()  # what is mounted read-only: it cannot have changed
        self._mapped: set[SandboxPath] = set()
        self._entries = self._all_entries(groups)
        self._watch: pathmap.MapFile | None = None

    def _all_entries(self, groups: Groups) -> dict[SandboxPath, File | Symlink | Directory]:
        job = self._job
        found: dict[SandboxPath, File | Symlink | Directory] = {}
        for entry in (*job.extra, *job.thunk.entries):
            if not isinstance(entry, OutputOf):
                found.setdefault(entry.path, entry)
        self._own = set(found)
        for node in groups.below(job.thunk.groups):
            for each in node.entries:
                found.setdefault(each.path, each)
        return found

    # Before

    def prepare(self) -> bytes:
        """Write the specification; its path."""
        _remove_tree(self._root)
        os.mkdir(self._root)
        self._report.clear()
        thunk = self._job.thunk
        places = self._places()
        declared = {path: entry for path, entry in self._entries.items() if isinstance(entry, Symlink)}
        command = Programs().command(thunk, places, declared)
        self._command = command
        operations: list[tuple[bytes, ...]] = [(b"keep", self._root)]
        links: list[tuple[bytes, ...]] = []
        for entry in self._entries.values():
            if isinstance(entry, File):
                operations.append(self._file(entry, places.get(entry.path) or entry.path))
            elif isinstance(entry, Directory):
                operations.append((b"dir", entry.path))
            else:
                self._links[entry.path] = entry
                links.append((b"link", entry.target, entry.path))
        operations += links  # last, so that nothing is made through a link
        operations += [(b"dir", os.path.dirname(output.path)) for output in thunk.outputs]
        operations += self._surroundings()
        operations += [(b"dir", thunk.cwd), (b"proc",), (b"dev",), (b"cwd", thunk.cwd)]
        operations.append((b"exec", thunk.program, *thunk.argv))
        with open(self._spec, "wb") as file:
            file.write(b"".join([word + b"\0" for operation in operations for word in operation]))
        return self._spec

    def _places(self) -> dict[SandboxPath, bytes]:
        """For each file that is not at its own path: where its bytes are."""
        places: dict[SandboxPath, bytes] = {}
        for entry in self._entries.values():
            if isinstance(entry, File):
                place = self._job.moved.get(entry.path)
                if place is None and entry.path in self._own:
                    place = self._job.place(entry)
                if place is not None:
                    places[entry.path] = os.fsencode(place)
        self._mapped = set(places)
        return places

    def _file(self, entry: File, source: bytes) -> tuple[bytes, ...]:
        if entry.blob.size >= _BIND_SIZE and not self._may_change(entry.path):
            self._fixed.add(entry.path)
            return (b"bind", source, entry.path)
        self._copied[entry.path] = entry
        return (b"copy", source, entry.path, b"755" if entry.executable else b"644")

    def _may_change(self, path: bytes) -> bool:
        thunk = self._job.thunk
        places = {thunk.cwd, *(os.path.dirname(output.path) for output in thunk.outputs)}
        return any(path.startswith(place.rstrip(b"/") + b"/") for place in places)

    def _surroundings(self) -> Iterator[tuple[bytes, ...]]:
        """What every command gets: a directory for temporary files, and the files that the path map needs."""
        self._write_map()
        self._report.make()
        for path in (self._tmp, self._map, self._report.path):
            self._fixed.add(path)
            yield (b"open", path, path)
        for path in (self._library, _PASSED[-1]):
            if os.path.exists(path) and path not in self._entries:
                self._fixed.add(path)
                yield (b"bind", path, path)
        for path in _outermost((*self._job.passed, *self._job.libraries)):
            seen = through_links(SandboxPath(path), self._entries)
            if os.path.exists(path) and seen not in self._entries and seen not in self._fixed:
                self._fixed.add(seen)
                yield (b"open" if path in self._job.passed else b"bind", path, seen)

    def _write_map(self) -> None:
        records = [pathmap.record(entry) for entry in self._entries.values()]
        records += [pathmap.absent(o.path) for o in self._job.thunk.outputs if o.path not in self._entries]
        records += map(pathmap.absent, TERMINFO if self._asked else ())
        ours = (self._tmp, self._map, self._report.path, self._library, *_PASSED)
        passed = (*ours, *self._job.passed, *self._job.libraries)
        self._watch = pathmap.MapFile(
            os.fsdecode(self._map),
            flags=pathmap.WATCH | pathmap.MISSES | (pathmap.TERMINAL * bool(self._asked)),
            scratch=os.path.dirname(self._tmp),
            report=self._report.path,
            records=[*records, *map(pathmap.passed, passed)],
        )

    def environment(self) -> dict[bytes, bytes]:
        env = dict(self._job.thunk.env)
        if self._command.mapped:
            env[b"LD_PRELOAD"] = self._library
            env[b"GG_MAP"] = self._map
        if not self._job.thunk.closed:
            env[b"TMPDIR"] = self._tmp
        if self._asked:
            env.update(TERMINAL)
        env.update(self._job.env)
        return env

    # After

    def result(self, done: Exit) -> RunResult:
        told = done.stdout if self._job.thunk.closed else done.stderr
        if told.startswith(b"gg-jail: ") and done.status in (_REFUSED, _WRONG, 126, 127):
            return self._trouble(done, told)
        reported = self._report.read()
        written, removed = self._written(), self._removed()
        return RunResult(
            status=done.status,
            stdout=done.stdout,
            stderr=marked(done.stderr, self._asked),
            usage=done.usage,
            written=written,
            removed=removed,
            reads=None if reported.static or not self._command.mapped else self._reads(),
            missing=reported.missing,
            started=done.started,
            signal=done.status - 128 if 128 < done.status < 160 else 0,
            mapped=frozenset(self._mapped),
        )

    def _trouble(self, done: Exit, told: bytes) -> RunResult:
        """The result when gg-jail itself failed: declared files that have vanished, so that the engine brings them back."""
        message = os.fsdecode(told.removeprefix(b"gg-jail: ").strip())
        if done.status == _REFUSED:
            raise JailRefused(
                f"no jail on this machine: {message}",
                hint="user namespaces must be allowed for --isolation namespace and for statically linked programs",
            )
        gone = [e for e in self._entries.values() if isinstance(e, File) and self._is_gone(e)]
        lacking = self._command.lacking(self._entries)
        if not gone and not lacking:
            raise OSError(f"the jail cannot be made: {message}")
        return RunResult(
            status=done.status,
            stdout=b"",
            stderr=done.stderr,
            usage=done.usage,
            written={},
            reads=tuple(gone),
            missing=lacking,
            started=done.started,
            mapped=frozenset(self._mapped),
        )

    def _is_gone(self, file: File) -> bool:
        return file.path not in self._mapped and not os.path.isfile(file.path)

    def _reads(self) -> tuple[File, ...]:
        assert self._watch is not None
        entries = list(self._entries.values())
        used = [entries[i] for i in self._watch.observed().used if i < len(entries)]
        return tuple(e for e in used if isinstance(e, File))

    def _written(self) -> dict[SandboxPath, tuple[str, bool]]:
        written: dict[SandboxPath, tuple[str, bool]] = {}
        born = os.lstat(self._root + _MADE_LAST).st_ctime_ns
        skipped = {self._root + path for path in (*self._fixed, *_PASSED)}
        prefix = len(self._root)
        for path, st in _walk(self._root, skipped):
            name = SandboxPath(path[prefix:])
            place = path if stat.S_ISREG(st.st_mode) else link_inside(self._root, path)
            if place is None or (stat.S_ISLNK(st.st_mode) and name in self._links):
                continue
            executable = bool(os.stat(place).st_mode & 0o100)
            copied = self._copied.get(name)
            if copied is None or executable != copied.executable or _changed(path, st, copied, born):
                written[name] = (os.fsdecode(place), executable)
        return written

    def _removed(self) -> tuple[SandboxPath, ...]:
        paths = (*self._copied, *self._links)
        return tuple(SandboxPath(path) for path in paths if not os.path.lexists(self._root + path))


def _changed(path: bytes, st: os.stat_result, file: File, born: int) -> bool:
    if st.st_ctime_ns < born and st.st_size == file.blob.size:
        return False
    return hash_file(os.fsdecode(path)) != file.blob


def _walk(top: bytes, skipped: set[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every regular file and link below `top`, without those at and below `skipped`."""
    stack = [top]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.path in skipped:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    yield entry.path, entry.stat(follow_symlinks=False)


def _outermost(paths: tuple[bytes, ...]) -> list[bytes]:
    """The directories that are not inside others of the list."""
    found: list[bytes] = []
    for path in sorted(set(paths)):
        if not found or not path.startswith(found[-1].rstrip(b"/") + b"/"):
            found.append(path)
    return found


def _remove_tree(path: bytes) -> None:
    """Remove what the last command left, directories without permissions included."""
    if os.path.lexists(path):
        from gg.host.emptying import remove

        remove(path)
