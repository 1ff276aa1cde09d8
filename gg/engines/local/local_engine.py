"""Runs thunks on this machine, one in each of a few threads."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from gg.core.colour import Look, shown
from gg.core.ids import BlobId, SandboxPath
from gg.core.placeholder import Placeholder
from gg.core.thunk import Directory, File, Made, Reduction, Thunk
from gg.engines.engine import Answer, Failure, Post, Start, Tell
from gg.engines.machine import memory_total, oom_kills
from gg.engines.undeclared import Undeclared
from gg.errors import FREE_SOME, GGError, InputChanged, MissingObject, NoRoom, no_room
from gg.host.trees import hash_file
from gg.light.slotted import replace
from gg.run.expand import Groups
from gg.run.jail import JailRefused
from gg.run.job import Isolation, Job, Ran
from gg.run.process import Killed
from gg.run.runner import Runner
from gg.schedule.events import Caps, Fault
from gg.store.base import blob_key

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.engines.local.own_commands import Inside
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.later import Later
    from gg.workspace.older import Older

_CHILD_KILLED = (
    b"fatal error: Killed signal terminated program ",
    b"terminated with signal 9 [Killed]",
)  # gcc, collect2
_NO_SPACE = b"No space left on device"
_FULL = 64 << 20  # bytes: what a command had written is mostly removed again by the time that we look
_FULL_FILES = 1000
_TRIES = 40  # a command that is shown more each time, or less; each try adds at least one path
_TICK_NS = 10_000_000  # times of files come from the kernel's coarse clock, which is behind by at most this (HZ=100)


class LocalEngine:
    """The machine that the driver runs on. `files` remembers digests, so that what a command has read can be checked."""

    name = "local"

    def __init__(
        self,
        *,
        store: Store,
        files: Callable[[], FileDB],
        groups: Groups,
        tmp: str,
        slots: int,
        isolation: Isolation = Isolation.PATHMAP,
        memory: int = 0,
        dot: str = "",
        renaming: Renaming | None = None,
        later: Later | None = None,
        older: Older | None = None,
    ) -> None:
        """`tmp` is for scratch, best on the store's file system. `memory`: bytes for all attempts together, 0 for what
        the machine has. `dot`: the store that dynamic thunks make further thunks in; without it they cannot.
        `renaming`: how thunks call the workspace, if not by its own path. Of such a file the blob in the store is read.
        `later`: tells what came after a thunk was recorded; without it, all that is there is for all. `older`: what stood at a
        thunk's outputs before.
        """
        self.slots = slots
        self.caps = Caps(memory_total=memory or memory_total(), independent=False)
        self._store = store
        self._files = files
        self._groups = groups
        self._tmp = tmp
        self._isolation = isolation
        self._dot = dot
        self._renaming = renaming
        self._later = later
        self._older = older
        self._directories: dict[SandboxPath, Directory] = {}
        self._inside: Inside | None = None
        self._queue: queue.SimpleQueue[tuple[Start, Post] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, Runner] = {}
        self._waiting: set[int] = set()
        self._cancelled: set[int] = set()
        self._closed = False
        self._runners: list[Runner] = []
        self._threads: list[threading.Thread] = []
        self._oom_kills = [(time.time(), oom_kills())]  # what was counted, and when

    def expect(self, thunks: Sequence[Thunk]) -> None:
        """All is here."""

    def follow(self, tell: Tell) -> None:
        """This machine does not come and go."""

    def submit(self, start: Start, post: Post) -> None:
        with self._lock:
            self._waiting.add(start.attempt)
        if len(self._threads) < self.slots:
            self._add_thread()
        self._queue.put((start, post))

    def cancel(self, attempt: int) -> None:
        with self._lock:
            runner = self._running.get(attempt)
            if runner or attempt in self._waiting:
                self._cancelled.add(attempt)
        if runner:
            runner.kill()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            runners = list(self._runners)
        for runner in runners:
            runner.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        for runner in runners:
            runner.close()
        self._runners = []

    def _add_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._serve, args=(number,), name=f"local-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, number: int) -> None:
        runner: Runner | None = None
        while True:
            item = self._queue.get()
            if item is None or self._closed:
                return
            start, post = item
            result: Reduction | Failure
            try:
                runner = runner or self._new_runner(number)
                result = self._attempt(runner, start)
            except Killed:
                result = Failure(Fault.CANCELLED, "cancelled")
            except InputChanged as error:
                result = Failure(Fault.CHANGED, f"{error.what}: {error.hint}")
            except MissingObject as error:
                result = Failure(Fault.MISSING_INPUT, str(error))
            except JailRefused as error:
                result = Failure(Fault.TOO_BIG, f"{error}; {error.hint}")
            except (OSError, GGError) as error:
                result = Failure(Fault.INFRA, str(error), setup=no_room(error, self._tmp))
            except Exception as error:  # an attempt that is never answered would make the force wait for ever
                result = Failure(Fault.INFRA, f"internal error: {type(error).__name__}: {error}")
            except BaseException as error:  # what would end this thread ends the run, and others may still wait for it
                ended = GGError(
                    f"internal error: {type(error).__name__} in an engine's thread", hint="this is a bug in gg"
                )
                result = Failure(Fault.INFRA, str(ended), setup=ended)
            if not self._closed:
                post(Answer(start.attempt, result))

    def _new_runner(self, number: int) -> Runner:
        runner = Runner(os.path.join(self._tmp, f"a{os.getpid()}-{id(self):x}-{number}"), self._groups)
        with self._lock:
            if not self._closed:
                self._runners.append(runner)
                return runner
        runner.close()
        raise Killed

    def _attempt(self, runner: Runner, start: Start) -> Reduction | Failure:
        with self._lock:
            self._waiting.discard(start.attempt)
            if start.attempt in self._cancelled:
                self._cancelled.discard(start.attempt)
                raise Killed
            runner.begin()
            self._running[start.attempt] = runner
        late = threading.Event()
        timer: threading.Timer | None = None
        if start.deadline is not None:
            timer = threading.Timer(start.deadline, self._expire, (runner, start.attempt, late))
            timer.daemon = True
            timer.start()
        try:
            return self._run(runner, start)
        except Killed:
            if late.is_set() and start.attempt not in self._cancelled:
                return Failure(Fault.TIMEOUT, f"took longer than {start.deadline:.0f} s")
            raise
        finally:
            if timer:
                timer.cancel()
            with self._lock:
                del self._running[start.attempt]
                self._cancelled.discard(start.attempt)

    def _expire(self, runner: Runner, attempt: int, late: threading.Event) -> None:
        with self._lock:  # the runner may be at another attempt by now
            if self._running.get(attempt) is runner:
                late.set()
                runner.kill()

    def _run(self, runner: Runner, start: Start) -> Reduction | Failure:
        asked = self._undeclared(start)
        moved = self._renamed(start.thunk)
        for _ in range(_TRIES):
            try:
                ran = runner.run(self._job(start.thunk, moved, asked))
            except OSError:
                for file in self._gone(start.thunk, moved):  # its program perhaps
                    self._blob(file)
                raise
            with self._lock:
                if start.attempt in self._cancelled:
                    raise Killed
            changed = self._changed(start.thunk, ran)
            if changed:
                for file in changed:
                    moved[file.path] = self._blob(file)
                continue
            again = asked.look(ran)
            if asked.needs:
                needs, extra = tuple(asked.needs), tuple(asked.extra.values())
                return Failure(Fault.UNDECLARED, "reads what is not made yet", needs=needs, extra=extra)
            if again:
                continue
            if ran.status:
                if gone := self._gone(start.thunk, ran.mapped):
                    moved.update({file.path: self._blob(file) for file in gone})
                    continue
                if asked.show_again():
                    continue
                return self._failed_at(runner, start, moved, asked, ran)
            return self._reduction(start.thunk, ran, asked.extra)
        return Failure(Fault.INFRA, "its inputs keep changing while it runs")

    def _undeclared(self, start: Start) -> Undeclared:
        return Undeclared(
            start.id,
            start.thunk,
            start.extra,
            store=self._store,
            groups=self._groups,
            files=self._files,
            here=self._here,
            later=self._later,
            directories=self._directories,
        )

    def _job(self, thunk: Thunk, moved: dict[SandboxPath, str], asked: Undeclared) -> Job:
        job = Job(
            thunk=thunk,
            place=self._place,
            moved=moved,
            extra=(*asked.extra.values(), *self._directories.values()),
            hidden=tuple(asked.hidden),
            isolation=self._isolation,
            misses=self._renaming is not None,
        )
        if not thunk.dynamic or not self._dot:
            return job
        if self._inside is None:
            from gg.engines.local.own_commands import Inside

            self._inside = Inside.of(self._dot)
        inside = self._inside
        env = inside.environment(dict(thunk.env))
        return replace(job, passed=inside.passed, libraries=inside.libraries, env=env)

    # Inputs

    def _here(self, path: SandboxPath) -> bytes:
        """Where on this machine a file is that the thunk calls so."""
        return self._renaming.outside_path(path) if self._renaming else path

    def _renamed(self, thunk: Thunk) -> dict[SandboxPath, str]:
        """Where the files of its groups are that have another path here."""
        names = self._renaming
        if names is None:
            return {}
        nodes = self._groups.below(thunk.groups)
        files = [e for node in nodes for e in node.entries if isinstance(e, File) and names.renames(e.path)]
        return {file.path: self._blob(file) for file in files}

    def _place(self, file: File) -> str | None:
        """A file of the workspace is read in place while it has the bytes that were recorded.

        Not if it was changed just now: it could then not be told from one that is changed while the command runs.
        """
        if self._here(file.path) != file.path:
            return self._blob(file)
        try:
            info = self._files().digest(file.path)
        except OSError:
            return self._blob(file)
        if info.blob != file.blob:
            return self._blob(file)
        if info.signature.ctime_ns < time.time_ns() - 2 * _TICK_NS:
            return None
        path = self._store.path(file.blob, executable=file.executable)
        return None if path is None else os.fsdecode(path)

    def _blob(self, file: File) -> str:
        path = self._store.path(file.blob, executable=file.executable)
        if path is None:
            raise InputChanged(os.fsdecode(self._here(file.path)))
        return os.fsdecode(path)

    def _changed(self, thunk: Thunk, ran: Ran) -> list[File]:
        """What was read in place and may not have been what was hashed. Blobs in the store do not change.

        Right bytes afterwards do not tell what was read, if the file was touched since the command began. Where reading
        was not observed, all that was declared may have been read.
        """
        changed: list[File] = []
        digest = self._files().digest
        begun = int(ran.started * 1e9) - 2 * _TICK_NS
        reads = self._groups.files(thunk).values() if ran.reads is None else ran.reads
        for file in reads:
            if file.path in ran.mapped:
                continue
            try:
                info = digest(self._here(file.path))
                if info.blob == file.blob:
                    if info.signature.ctime_ns < begun:
                        continue
                    self._store.put_files({file.blob: self._here(file.path)})  # the next try reads it there
            except OSError:
                pass
            changed.append(file)
        return changed

    def _gone(self, thunk: Thunk, mapped: Container[SandboxPath]) -> list[File]:
        """Declared files that are not where they were, or have other bytes, `mapped` aside. A command that fails may not have
        come to open them.
        """
        gone: list[File] = []
        for file in self._groups.files(thunk).values():
            if file.path in mapped:
                continue
            try:
                if self._files().digest(self._here(file.path)).blob == file.blob:
                    continue
            except OSError:
                pass
            gone.append(file)
        return gone

    # Outcomes

    def _failed(self, ran: Ran) -> Failure:
        """Whose fault it is. A compiler driver reports as its own failure that the kernel has killed what it ran, or that
        there was no room for what it wrote.
        """
        said = shown(ran.stderr, Look.PLAIN)
        if _NO_SPACE in said and self._is_full():
            full = NoRoom(f"no space left for what a command writes in {self._tmp}", hint=FREE_SOME)
            return Failure(Fault.INFRA, str(full), ran.status, ran.stdout, ran.stderr, setup=full)
        if ran.signal == signal.SIGKILL or any(text in said for text in _CHILD_KILLED):
            if self._memory_ran_out(ran.started):
                return Failure(Fault.MEMORY, "ran out of memory", ran.status, ran.stdout, ran.stderr)
            return Failure(Fault.LOST, "was killed", ran.status, ran.stdout, ran.stderr)
        return Failure(Fault.TOOL, "failed", ran.status, ran.stdout, ran.stderr)

    def _failed_at(
        self, runner: Runner, start: Start, moved: dict[SandboxPath, str], asked: Undeclared, ran: Ran
    ) -> Failure:
        failure = self._failed(ran)
        if failure.fault is not Fault.TOOL:
            return failure
        return replace(failure, leaves=self._left_alone(runner, start, moved, asked))

    def _left_alone(
        self, runner: Runner, start: Start, moved: dict[SandboxPath, str], asked: Undeclared
    ) -> frozenset[SandboxPath]:
        """The older outputs that the command, which fails, leaves as they are: it fails once more, where it can see them."""
        if self._older is None:
            return frozenset()
        kept = {o.path: self._older.of(Placeholder(start.id, i)) for i, o in enumerate(start.thunk.outputs)}
        older = {path: os.fsdecode(place) for path, place in kept.items() if os.path.isfile(place)}
        if not older:
            return frozenset()
        job = self._job(start.thunk, {**moved, **older}, asked)
        ran = runner.run(
            replace(job, extra=(*job.extra, *(File(path, hash_file(place)) for path, place in older.items())))
        )
        return frozenset(older).difference(ran.removed, ran.written) if ran.status else frozenset()

    def _memory_ran_out(self, since: float) -> bool:
        """Whether the kernel has killed for want of memory since then. Of several that are killed at once each is told so."""
        with self._lock:
            before = max(each for each in self._oom_kills if each[0] <= since or each == self._oom_kills[0])
            now = (time.time(), oom_kills())
            self._oom_kills = [*self._oom_kills[-64:], now]
        return now[1] > before[1]

    def _is_full(self) -> bool:
        room = os.statvfs(self._tmp)
        return room.f_bavail * room.f_frsize < _FULL or (room.f_files > 0 and room.f_favail < _FULL_FILES)

    def _reduction(self, thunk: Thunk, ran: Ran, extra: dict[SandboxPath, File]) -> Reduction:
        made: dict[SandboxPath, Made] = {}
        files: dict[BlobId, bytes] = {}
        for path, (place, executable) in ran.written.items():
            blob = hash_file(place)
            made[path] = Made(blob, executable)
            files[blob] = os.fsencode(place)
        if files:
            self._store.put_files(files, consume=True)
        declared = {output.path for output in thunk.outputs}
        unchanged = self._unchanged(thunk, ran, declared - made.keys() - set(ran.removed))
        return Reduction(
            outputs=tuple(made.get(output.path) or unchanged.get(output.path) for output in thunk.outputs),
            stdout=ran.stdout,
            stderr=ran.stderr,
            usage=ran.usage,
            engine=self.name,
            extra_outputs=tuple(sorted((p, m) for p, m in made.items() if p not in declared)),
            extra_inputs=tuple(sorted((f.path, f.blob) for f in extra.values())),
            reads=None if ran.reads is None else tuple(sorted({f.path for f in ran.reads} - set(extra))),
        )

    def _unchanged(self, thunk: Thunk, ran: Ran, paths: set[SandboxPath]) -> dict[SandboxPath, Made]:
        """Inputs that the command was to change in place and left as they were (`ranlib`, of what has an index)."""
        found: dict[SandboxPath, Made] = {}
        for entry in thunk.entries:
            if isinstance(entry, File) and entry.path in paths:
                if not self._store.has([blob_key(entry.blob)]):
                    self._store.put_files({entry.blob: self._here(entry.path)})
                found[entry.path] = Made(entry.blob, entry.executable)
        return found
