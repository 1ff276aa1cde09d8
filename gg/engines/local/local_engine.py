"""Runs thunks on this machine, one in each of a few threads."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gg.core.ids import BlobId, SandboxPath
from gg.core.placeholder import Placeholder
from gg.core.thunk import Directory, File, Made, Reduction, Thunk
from gg.engines.engine import Answer, Failure, Post, Printed, Submission, Tell
from gg.engines.local.declared_files import DeclaredFiles
from gg.engines.undeclared import Undeclared
from gg.errors import FREE_SOME, GGError, InputChanged, MissingObject, NoRoom, ends_run, machine_error
from gg.host.machine import KernelKills, memory_total
from gg.host.trees import hash_file
from gg.light.slotted import replace
from gg.run.expand import Groups
from gg.run.jail import JailRefused
from gg.run.job import Isolation, Job, RunResult
from gg.run.process import Killed
from gg.run.reducing import Blame, blame, left_as_they_were, reduction_of
from gg.run.runner import Runner
from gg.schedule.events import EngineCaps, Fault
from gg.store.base import blob_key

if TYPE_CHECKING:
    from gg.core.renaming import Renaming
    from gg.engines.local.own_commands import Inside
    from gg.host.filedb import FileDB
    from gg.store.base import Store
    from gg.workspace.later import Later
    from gg.workspace.older import Older

_FAULTS = {Blame.OWN: Fault.TOOL, Blame.MEMORY: Fault.MEMORY, Blame.KILLED: Fault.LOST}
_FULL = 64 << 20  # bytes: what a command had written is mostly removed again by the time that we look
_FULL_FILES = 1000
_TRIES = 40  # a command that is shown more each time, or less; each try adds at least one path


class LocalEngine:
    """The machine that the driver runs on. `files` remembers digests, so that what a command has read can be checked.

    `tmp` is for scratch, best on the store's file system. `memory`: bytes for all attempts together, 0 for what the machine
    has. `dot`: the store that dynamic thunks make further thunks in; without it they cannot. `renaming`: how thunks call the
    workspace, if not by its own path. `later`: tells what came after a thunk was recorded; without it, all that is there is
    for all. `older`: what stood at a thunk's outputs before. `printed`: told what closed thunks'
    commands print while they run.
    """

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
        printed: Printed | None = None,
    ) -> None:
        self.slots = slots
        self.caps = EngineCaps(memory_total=memory or memory_total(), independent=False)
        self._store = store
        self._files = files
        self._groups = groups
        self._tmp = tmp
        self._isolation = isolation
        self._dot = dot
        self._inputs = DeclaredFiles(store, files, groups, renaming)
        self._later = later
        self._older = older
        self._printed = printed
        self._directories: dict[SandboxPath, Directory] = {}
        self._inside: Inside | None = None
        self._queue: queue.SimpleQueue[tuple[Submission, Post] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, Runner] = {}
        self._waiting: set[int] = set()
        self._cancelled: set[int] = set()
        self._closed = False
        self._runners: list[Runner] = []
        self._threads: list[threading.Thread] = []
        self._kills = KernelKills()

    def expect(self, thunks: Sequence[Thunk]) -> None:
        """All is here."""

    def follow(self, tell: Tell) -> None:
        """This machine does not come and go."""

    def submit(self, submission: Submission, post: Post) -> None:
        with self._lock:
            self._waiting.add(submission.attempt)
        if len(self._threads) < self.slots:
            self._add_thread()
        self._queue.put((submission, post))

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
            submission, post = item
            result: Reduction | Failure
            try:
                runner = runner or self._new_runner(number)
                result = self._attempt(runner, submission)
            except Killed:
                result = Failure(Fault.CANCELLED, "cancelled")
            except InputChanged as error:
                result = Failure(Fault.CHANGED, f"{error.what}: {error.hint}")
            except MissingObject as error:
                result = Failure(Fault.MISSING_INPUT, str(error))
            except JailRefused as error:
                result = Failure(Fault.TOO_BIG, f"{error}; {error.hint}")
            except (OSError, GGError) as error:
                result = Failure(Fault.INFRA, str(error), setup=ends_run(error, self._tmp))
            except Exception as error:  # an attempt that is never answered would make the force wait for ever
                known = machine_error(error)
                words = known.what if known else f"internal error: {type(error).__name__}: {error}"
                result = Failure(Fault.INFRA, words, setup=ends_run(error, self._tmp))
            except BaseException as error:  # what would end this thread ends the run, and others may still wait for it
                ended = GGError(
                    f"internal error: {type(error).__name__} in an engine's thread", hint="this is a bug in gg"
                )
                result = Failure(Fault.INFRA, str(ended), setup=ended)
            if not self._closed:
                post(Answer(submission.attempt, result))

    def _new_runner(self, number: int) -> Runner:
        runner = Runner(os.path.join(self._tmp, f"a{os.getpid()}-{id(self):x}-{number}"), self._groups)
        with self._lock:
            if not self._closed:
                self._runners.append(runner)
                return runner
        runner.close()
        raise Killed

    def _attempt(self, runner: Runner, submission: Submission) -> Reduction | Failure:
        with self._lock:
            self._waiting.discard(submission.attempt)
            if submission.attempt in self._cancelled:
                self._cancelled.discard(submission.attempt)
                raise Killed
            runner.begin()
            self._running[submission.attempt] = runner
        late = threading.Event()
        timer: threading.Timer | None = None
        if submission.deadline is not None:
            timer = threading.Timer(submission.deadline, self._expire, (runner, submission.attempt, late))
            timer.daemon = True
            timer.start()
        try:
            return self._run(runner, submission)
        except Killed:
            if late.is_set() and submission.attempt not in self._cancelled:
                return Failure(Fault.TIMEOUT, f"took longer than {submission.deadline:.0f} s")
            raise
        finally:
            if timer:
                timer.cancel()
            with self._lock:
                del self._running[submission.attempt]
                self._cancelled.discard(submission.attempt)

    def _expire(self, runner: Runner, attempt: int, late: threading.Event) -> None:
        with self._lock:  # the runner may be at another attempt by now
            if self._running.get(attempt) is runner:
                late.set()
                runner.kill()

    def _run(self, runner: Runner, submission: Submission) -> Reduction | Failure:
        asked = self._undeclared(submission)
        moved = self._inputs.renamed(submission.thunk)
        for _ in range(_TRIES):
            try:
                ran = runner.run(self._job(submission, moved, asked))
            except OSError:
                gone = self._inputs.gone(submission.thunk, moved)  # its program perhaps
                if not gone:
                    raise
                moved.update({file.path: self._inputs.blob(file) for file in gone})
                continue
            with self._lock:
                if submission.attempt in self._cancelled:
                    raise Killed
            changed = self._inputs.changed(submission.thunk, ran)
            if changed:
                for file in changed:
                    moved[file.path] = self._inputs.blob(file)
                continue
            again = asked.look(ran)
            if asked.needs:
                needs, extra = tuple(asked.needs), tuple(asked.extra.values())
                return Failure(Fault.UNDECLARED, "reads what is not made yet", needs=needs, extra=extra)
            if again:
                continue
            if ran.status:
                if gone := self._inputs.gone(submission.thunk, ran.mapped):
                    moved.update({file.path: self._inputs.blob(file) for file in gone})
                    continue
                if asked.show_again():
                    continue
                return self._failed_at(runner, submission, moved, asked, ran)
            return self._reduction(submission.thunk, ran, asked.extra.values())
        return Failure(Fault.INFRA, "its inputs keep changing while it runs")

    def _undeclared(self, submission: Submission) -> Undeclared:
        return Undeclared(
            submission.id,
            submission.thunk,
            submission.extra,
            store=self._store,
            groups=self._groups,
            files=self._files,
            here=self._inputs.here,
            later=self._later,
            directories=self._directories,
        )

    def _job(self, submission: Submission, moved: dict[SandboxPath, str], asked: Undeclared) -> Job:
        thunk = submission.thunk
        job = Job(
            thunk=thunk,
            place=self._inputs.place,
            moved=moved,
            extra=(*asked.extra.values(), *self._directories.values()),
            hidden=tuple(asked.hidden),
            isolation=self._isolation,
            misses=self._inputs.renaming is not None,
            said=partial(self._printed, submission.id) if self._printed and thunk.closed else None,
        )
        if not thunk.dynamic or not self._dot:
            return job
        if self._inside is None:
            from gg.engines.local.own_commands import Inside

            self._inside = Inside.of(self._dot)
        inside = self._inside
        env = inside.environment(dict(thunk.env))
        return replace(job, passed=inside.passed, libraries=inside.libraries, env=env)

    # Outcomes

    def _failed(self, ran: RunResult) -> Failure:
        why = blame(ran, lambda ran: self._kills.since(ran.started), self._is_full)
        if why is Blame.SPACE:
            full = NoRoom(f"no space left for what a command writes in {self._tmp}", hint=FREE_SOME)
            return Failure(Fault.INFRA, str(full), ran.status, ran.stdout, ran.stderr, setup=full)
        return Failure(_FAULTS[why], why.value, ran.status, ran.stdout, ran.stderr)

    def _failed_at(
        self, runner: Runner, submission: Submission, moved: dict[SandboxPath, str], asked: Undeclared, ran: RunResult
    ) -> Failure:
        failure = self._failed(ran)
        if failure.fault is not Fault.TOOL:
            return failure
        return replace(failure, leaves=self._left_alone(runner, submission, moved, asked))

    def _left_alone(
        self, runner: Runner, submission: Submission, moved: dict[SandboxPath, str], asked: Undeclared
    ) -> frozenset[SandboxPath]:
        """The older outputs that the command, which fails, leaves as they are: it fails once more, where it can see them."""
        if self._older is None:
            return frozenset()
        kept = {o.path: self._older.of(Placeholder(submission.id, i)) for i, o in enumerate(submission.thunk.outputs)}
        older = {path: os.fsdecode(place) for path, place in kept.items() if os.path.isfile(place)}
        if not older:
            return frozenset()
        job = self._job(submission, {**moved, **older}, asked)
        ran = runner.run(
            replace(job, extra=(*job.extra, *(File(path, hash_file(place)) for path, place in older.items())))
        )
        return frozenset(older).difference(ran.removed, ran.written) if ran.status else frozenset()

    def _is_full(self) -> bool:
        room = os.statvfs(self._tmp)
        return room.f_bavail * room.f_frsize < _FULL or (room.f_files > 0 and room.f_favail < _FULL_FILES)

    def _reduction(self, thunk: Thunk, ran: RunResult, extra: Collection[File]) -> Reduction:
        made: dict[SandboxPath, Made] = {}
        files: dict[BlobId, bytes] = {}
        for path, (place, executable) in ran.written.items():
            blob = hash_file(place)
            made[path] = Made(blob, executable)
            files[blob] = os.fsencode(place)
        if files:
            self._store.put_files(files, consume=True)
        for file in left_as_they_were(thunk, ran):
            if not self._store.has([blob_key(file.blob)]):
                self._store.put_files({file.blob: self._inputs.here(file.path)})
        return reduction_of(thunk, ran, made, extra, self.name)
