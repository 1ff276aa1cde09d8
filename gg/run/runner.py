"""Runs one thunk with only its declared inputs visible.

With the path map (`toolchain-wrappers/pathmap/`) the command runs on the host's own file system, and a preloaded library
answers for every path: declared files are read where they are or in the store, all writing goes to an overlay in the
scratch directory, an undeclared file is reported. With namespaces (`gg.run.jail`) the command sees a root that
holds nothing else. A program that cannot be kept to the path map, because it is linked statically, runs in such a root
too, whatever was asked for.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence

from gg.core.colour import TERMINAL, TERMINFO, asks, marked
from gg.core.ids import SandboxPath
from gg.core.thunk import Directory, File, OutputOf, Symlink, Thunk, Work
from gg.host import native_programs as native
from gg.host.trees import empty_tree, remove_tree
from gg.light.named import NamedTuple
from gg.run import pathmap
from gg.run.expand import ExpandedGroup, Groups
from gg.run.job import Isolation, Job, RunResult
from gg.run.process import Exit, Slot
from gg.run.report import ReportFile, link_inside
from gg.run.start import ExecArguments, Programs

LOADER_FAILED = b"error while loading shared libraries"
_PLAIN_TMP = b"/tmp"
_NOT_PRELOADED = b"from LD_PRELOAD cannot be preloaded"
_PASSED = (b"/dev", b"/proc", b"/sys/devices/system/cpu")
_NO_TERMINFO = tuple(map(pathmap.absent, TERMINFO))
Shown = File | Symlink | Directory


class _Prepared(NamedTuple):
    """A job prepared for the path map: its `own` entries with the `targets` where their bytes are (empty: their own path), the
    entries of its groups, how it is started, and whether it `asked` for colours.
    """

    nodes: Sequence[ExpandedGroup]
    own: Sequence[Shown]
    targets: Sequence[bytes]
    mapped: frozenset[SandboxPath]
    command: ExecArguments
    asked: bytes


class Runner:
    """Runs jobs one after the other in one scratch directory. One object a slot; `cancel` comes from any thread."""

    def __init__(self, scratch: str, groups: Groups) -> None:
        self._scratch = scratch
        self._groups = groups
        self._overlay = os.path.join(scratch, "w")
        self._gone = os.path.join(scratch, "gone")
        self._tmp = os.path.join(scratch, "tmp")
        self._listings = os.path.join(scratch, "ls")
        self._report = ReportFile(os.fsencode(os.path.join(scratch, "report")))
        self._programs = Programs()
        self._map = os.path.join(scratch, "map")
        for directory in (self._overlay, self._gone, self._tmp):
            os.makedirs(directory, exist_ok=True)
        self._preload = os.fsencode(native.pathmap_library())
        self._warden = self._find_warden()
        self._passed = [pathmap.passed(p) for p in (os.fsencode(self._tmp), *_PASSED)]
        self._slot = Slot()
        self._flags = 0

    def _find_warden(self) -> bytes:
        """The path of gg-warden, which ends every process that a command leaves; empty in a runner that does so itself."""
        return os.fsencode(native.warden())

    def run(self, job: Job) -> RunResult:
        """Run to the end. OSError when the host refuses something, JailRefused for a jail, Killed after `cancel`."""
        self._clear()
        self._slot.said = job.said
        if job.isolation is Isolation.PATHMAP:
            ran = self._run_mapped(job)
            if ran is not None and not ran.static:
                return self._settled(job.thunk, ran, self._overlay)
        return self._settled(job.thunk, self._run_jailed(job), os.path.join(self._scratch, "root"))

    def _settled(self, thunk: Thunk, ran: RunResult, root: str) -> RunResult:
        """The result of a run. `root` holds what it wrote."""
        if not thunk.closed:
            return ran
        from gg.run.output_trees import settle

        return settle(thunk, ran, root, self._scratch, self._groups)

    def _run_jailed(self, job: Job) -> RunResult:
        from gg.run.jail import run_in_jail

        ran = run_in_jail(job, self._groups, self._slot, self._scratch)
        self._list_plainly(job.thunk, ran.written)
        ran.stdout, ran.stderr = self._said(ran.stdout), self._said(ran.stderr)
        if ran.status and LOADER_FAILED in ran.stderr:
            # The dynamic loader looks for libraries before the path map can see it: find them out here.
            self._clear()
            seen = self._run_mapped(job)
            if seen is not None:
                ran.missing = (*ran.missing, *seen.undeclared)
        return ran

    def cancel(self) -> None:
        self._slot.cancel()

    def begin(self) -> None:
        """Start another attempt. A `kill` before this meant the last one."""
        self._slot.begin()

    def kill(self) -> None:
        self._slot.kill()

    def leave(self) -> None:
        """Stop using this runner; the scratch directory stays for another one."""
        self._slot.close()

    def close(self) -> None:
        self.leave()
        remove_tree(self._scratch)

    # The path map

    def _run_mapped(self, job: Job) -> RunResult | None:
        """None if the path map cannot work in the program, which then has not been started."""
        prepared = self._prepare(job)
        if prepared is None:
            return None
        map_file = self._write_map(job, prepared)
        command, closed, cwd = prepared.command, job.thunk.closed, job.thunk.cwd
        directory = self._in_overlay(cwd) if closed else self._directory(cwd)
        env = self._environment(job, prepared)
        done = self._slot.run(command.program, command.argv, env, directory, together=closed, warden=self._warden)
        observed = map_file.observed()
        if self._ran_without_map(observed, done):
            raise OSError(
                errno.EIO, "a command has run without the path map: gg was replaced meanwhile?", self._preload
            )
        ran = self._observe(done, observed, prepared)
        self._list_plainly(job.thunk, ran.written)
        return ran

    def _ran_without_map(self, observed: pathmap.Observed, done: Exit) -> bool:
        """Whether the dynamic loader has started the command, or a program that it started, without the path map."""
        if observed.loaded:
            return b"'%b' %b" % (self._preload, _NOT_PRELOADED) in done.stderr
        return done.status == 0 or _NOT_PRELOADED in done.stderr

    def _prepare(self, job: Job) -> _Prepared | None:
        thunk = job.thunk
        nodes = self._groups.below(thunk.groups)
        own: list[Shown] = [*job.extra, *(e for e in thunk.entries if not isinstance(e, OutputOf))]
        if job.moved:
            own += [e for node in nodes for e in node.entries if e.path in job.moved]
        targets = [self._target(job, e) for e in own]
        places = {e.path: target for e, target in zip(own, targets, strict=True) if target}
        command = self._command(thunk, own, places)
        return _Prepared(nodes, own, targets, frozenset(places), command, asks(thunk)) if command.mapped else None

    def _write_map(self, job: Job, prepared: _Prepared) -> pathmap.MapFile:
        own = prepared.own
        records = [pathmap.record(e, target) for e, target in zip(own, prepared.targets, strict=True)]
        records += [node.records for node in prepared.nodes]
        read = {e.path for e in own}
        hidden = [pathmap.absent(o.path) for o in job.thunk.outputs if o.path not in read]
        hidden += map(pathmap.absent, job.hidden)
        if prepared.asked:
            hidden += _NO_TERMINFO
        flags = self._flags | (pathmap.ALIEN * job.thunk.closed) | (pathmap.TERMINAL * bool(prepared.asked))
        passed = (*self._passed, *(pathmap.passed(p) for p in job.passed))
        return pathmap.MapFile(
            self._map,
            flags=flags | (pathmap.OBSERVE * job.observe) | (pathmap.MISSES * job.misses),
            scratch=os.fsencode(self._scratch),
            report=self._report.path,
            records=[*records, *hidden, *passed, *prepared.command.records],
        )

    def _environment(self, job: Job, prepared: _Prepared) -> dict[bytes, bytes]:
        env = dict(job.thunk.env)
        env[b"LD_PRELOAD"] = self._preload
        env[b"GG_MAP"] = os.fsencode(self._map)
        if not job.thunk.closed:
            env[b"TMPDIR"] = os.fsencode(self._tmp)
        if prepared.asked:
            env.update(TERMINAL)
        env.update(job.env)
        env.update(prepared.command.env)
        return env

    def _observe(self, done: Exit, observed: pathmap.Observed, prepared: _Prepared) -> RunResult:
        entries: list[Shown] = list(prepared.own)
        for node in prepared.nodes:
            entries.extend(node.entries)
        limit = len(entries)
        reads = [entries[i] for i in observed.used if i < limit]
        reported, command = self._report.read(), prepared.command
        lacking: tuple[SandboxPath, ...] = ()
        if len(command.needs) > 2:  # a script: its interpreter was started past the path map
            lacking = command.lacking({e.path: e for e in entries})
        return RunResult(
            status=done.status,
            stdout=self._said(done.stdout),
            stderr=marked(self._said(done.stderr), prepared.asked),
            usage=done.usage,
            written=dict(self._written()) if observed.wrote else {},
            removed=tuple([SandboxPath(p) for p in _walk(self._gone)]) if observed.wrote else (),
            reads=tuple(e for e in reads if isinstance(e, File)),
            undeclared=(*reported.undeclared, *lacking),
            directories=reported.directories,
            missing=reported.missing,
            started=done.started,
            signal=done.signal,
            mapped=prepared.mapped,
            static=reported.static,
        )

    def _command(self, thunk: Thunk, own: Sequence[Shown], places: Mapping[SandboxPath, bytes]) -> ExecArguments:
        """How to start the thunk here. `own`: its own entries; `places`: where their bytes are."""
        links = {e.path: e for e in own if isinstance(e, Symlink)}
        for node in self._groups.below(thunk.groups):
            links.update([(e.path, e) for e in node.entries if isinstance(e, Symlink)])
        return self._programs.command(thunk, places, links)

    def _directory(self, cwd: bytes) -> bytes:
        """The directory to start in. One that is not there for real is in the overlay, and the path map gives it its own name."""
        return cwd if os.path.isdir(cwd) else self._in_overlay(cwd)

    def _in_overlay(self, cwd: bytes) -> bytes:
        place = os.fsencode(self._overlay) + cwd
        os.makedirs(place, exist_ok=True)
        return place

    def _said(self, text: bytes) -> bytes:
        """Printed text, with the paths of temporary files as a plain command would print them."""
        return text.replace(os.fsencode(self._tmp), _PLAIN_TMP) if text else text

    def _list_plainly(self, thunk: Thunk, written: Mapping[SandboxPath, tuple[str, bool]]) -> None:
        """Correct those paths in the files in which a link describes itself: maps, and rules for make."""
        for output in thunk.outputs[1:] if thunk.work is Work.LINK else ():
            if output.path in written:
                with open(os.open(written[output.path][0], os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as file:
                    text = file.read()
                    said = text if b"\0" in text else self._said(text)
                    if said is not text:
                        file.seek(0)
                        file.write(said)
                        file.truncate()

    @staticmethod
    def _target(job: Job, entry: Shown) -> bytes:
        if isinstance(entry, File):
            place = job.moved.get(entry.path) or job.place(entry)
            return os.fsencode(place) if place else b""
        return b""

    def _written(self) -> Iterator[tuple[SandboxPath, tuple[str, bool]]]:
        prefix = len(os.fsencode(self._overlay))
        for path in _walk(self._overlay, keep_prefix=True):
            place = link_inside(path[:prefix], path)
            if place is not None:
                yield SandboxPath(path[prefix:]), (os.fsdecode(place), bool(os.stat(place).st_mode & 0o100))

    def _clear(self) -> None:
        """Remove what the last job left, its directories too: the next job would see them undeclared."""
        for directory in (self._overlay, self._gone, self._listings, self._tmp):
            empty_tree(directory)
        self._report.clear()


def _walk(top: str, keep_prefix: bool = False) -> Iterator[bytes]:
    """Every file below `top`, as a path below it with a leading slash, or with `keep_prefix` as a whole path."""
    base = os.fsencode(top)
    if not stat.S_ISDIR(os.lstat(base).st_mode):
        raise NotADirectoryError(
            errno.ENOTDIR, os.strerror(errno.ENOTDIR), top
        )  # a command has put something in its place
    stack = [base]
    while stack:
        directory = stack.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                else:
                    yield entry.path if keep_prefix else entry.path[len(base) :]
