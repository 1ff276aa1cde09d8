"""Runs thunks on this machine, one in each of a few threads."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.core.events import Caps, Fault
from gg.core.ids import BlobId, SandboxPath
from gg.core.placeholder import Placeholder
from gg.core.thunk import File, Made, Reduction, Thunk
from gg.engines.base import Answer, Failure, Post, Start
from gg.errors import GGError, MissingObject
from gg.execute.expand import Groups
from gg.execute.job import Isolation, Job, Ran
from gg.execute.process import Killed
from gg.execute.runner import Runner
from gg.files import hash_file
from gg.workspace import read_placeholder

if TYPE_CHECKING:
    from gg.record.filedb import FileDB
    from gg.store.base import Store

_TRIES = 4  # a command that is shown more each time; each try adds at least one file


class LocalEngine:
    """The machine that the driver runs on. `files` remembers digests, so that what a command has read can be checked."""

    name = "local"

    def __init__(
        self, *, store: Store, files: Callable[[], FileDB], groups: Groups, tmp: str, slots: int, isolation: Isolation, memory: int = 0
    ) -> None:
        self.slots = slots
        self.caps = Caps(memory_total=memory or None, independent=False)
        self._store = store
        self._files = files
        self._groups = groups
        self._tmp = tmp
        self._isolation = isolation
        self._queue: queue.SimpleQueue[tuple[Start, Post] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: dict[int, Runner] = {}
        self._cancelled: set[int] = set()
        self._closed = False
        self._runners: list[Runner] = []
        self._threads: list[threading.Thread] = []

    def submit(self, start: Start, post: Post) -> None:
        if len(self._threads) < self.slots:
            self._add_thread()
        self._queue.put((start, post))

    def cancel(self, attempt: int) -> None:
        with self._lock:
            self._cancelled.add(attempt)
            runner = self._running.get(attempt)
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

    def _add_thread(self) -> None:
        number = len(self._threads)
        thread = threading.Thread(target=self._serve, args=(number,), name=f"local-{number}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, number: int) -> None:
        scratch = os.path.join(self._tmp, f"a{os.getpid()}-{id(self):x}-{number}")
        runner: Runner | None = None
        while True:
            item = self._queue.get()
            if item is None or self._closed:
                return
            start, post = item
            try:
                if runner is None:
                    runner = Runner(scratch, self._groups)
                    with self._lock:
                        self._runners.append(runner)
                result = self._attempt(runner, start)
            except Killed:
                result = Failure(Fault.CANCELLED, "cancelled")
            except MissingObject as error:
                result = Failure(Fault.MISSING_INPUT, str(error))
            except (OSError, GGError) as error:
                result = Failure(Fault.INFRA, str(error))
            except Exception as error:  # a bug: said, with its kind, but never an attempt without an answer
                result = Failure(Fault.INFRA, f"{type(error).__name__}: {error}")
            if not self._closed:
                post(Answer(start.attempt, result))

    def _attempt(self, runner: Runner, start: Start) -> Reduction | Failure:
        with self._lock:
            if start.attempt in self._cancelled:
                raise Killed
            self._running[start.attempt] = runner
        timer: threading.Timer | None = None
        if start.deadline is not None:
            timer = threading.Timer(start.deadline, runner.kill)
            timer.start()
        try:
            return self._run(runner, start)
        finally:
            if timer:
                timer.cancel()
            with self._lock:
                del self._running[start.attempt]

    def _run(self, runner: Runner, start: Start) -> Reduction | Failure:
        extra = {f.path: f for f in start.extra}
        moved: dict[SandboxPath, str] = {}
        for _ in range(_TRIES):
            job = Job(
                thunk=start.thunk,
                place=self._place,
                moved=moved,
                extra=tuple(extra.values()),
                isolation=self._isolation,
            )
            ran = runner.run(job)
            with self._lock:
                if start.attempt in self._cancelled:
                    raise Killed
            changed = self._changed(ran)
            if changed:
                for file in changed:
                    moved[file.path] = self._blob(file)
                continue
            own = {output.path for output in start.thunk.outputs}
            needs, more, again = self._undeclared(ran, extra, own)
            if needs:
                return Failure(Fault.UNDECLARED, "reads what is not made yet", needs=needs, extra=tuple(extra.values()))
            extra |= more
            if again:
                continue
            if ran.status:
                return self._failed(start, ran)
            return self._reduction(start.thunk, ran, extra)
        return Failure(Fault.INFRA, "its inputs keep changing while it runs")

    # Inputs

    def _place(self, file: File) -> str | None:
        """A file of the workspace is read in place while it has the bytes that were recorded."""
        try:
            if self._files().digest(file.path).blob == file.blob:
                return None
        except OSError:
            pass
        return self._blob(file)

    def _blob(self, file: File) -> str:
        path = self._store.path(file.blob, executable=file.executable)
        if path is None:
            raise MissingObject(
                f"{os.fsdecode(file.path)} has changed since it was recorded", hint="run gg-infer again"
            )
        return os.fsdecode(path)

    def _changed(self, ran: Ran) -> list[File]:
        """What was read in place and is not, or no longer, what was hashed. Blobs in the store do not change."""
        if ran.reads is None:
            return []
        changed: list[File] = []
        digest = self._files().digest
        for file in ran.reads:
            if file.path in ran.mapped:
                continue
            try:
                if digest(file.path).blob == file.blob:
                    continue
            except OSError:
                pass
            changed.append(file)
        return changed

    def _undeclared(
        self, ran: Ran, extra: dict[SandboxPath, File], own: set[SandboxPath]
    ) -> tuple[tuple[tuple[SandboxPath, Placeholder], ...], dict[SandboxPath, File], bool]:
        """What to wait for, what to declare, and whether the command must run again to be shown it."""
        needs: list[tuple[SandboxPath, Placeholder]] = []
        more: dict[SandboxPath, File] = {}
        again = False
        for path in (*ran.undeclared, *ran.missing):
            if path in extra or path in own or not os.path.isfile(path):
                continue
            placeholder = read_placeholder(path)
            if placeholder:
                needs.append((path, placeholder))
                continue
            try:
                info = self._files().digest(path)
                changed_at = os.stat(path).st_ctime
            except OSError:
                continue
            more[path] = File(path, info.blob, info.executable)
            again = again or changed_at > ran.started - 0.1 or path in ran.missing
        return tuple(needs), more, again

    # Outcomes

    @staticmethod
    def _failed(start: Start, ran: Ran) -> Failure:
        if ran.signal in (9, 24) and start.deadline is not None:
            return Failure(Fault.TIMEOUT, "took too long", ran.status, ran.stdout, ran.stderr)
        if ran.signal == 9:
            return Failure(Fault.LOST, "was killed", ran.status, ran.stdout, ran.stderr)
        return Failure(Fault.TOOL, "failed", ran.status, ran.stdout, ran.stderr)

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
        return Reduction(
            outputs=tuple(made.get(output.path) for output in thunk.outputs),
            stdout=ran.stdout,
            stderr=ran.stderr,
            usage=ran.usage,
            engine=self.name,
            extra_outputs=tuple(sorted((p, m) for p, m in made.items() if p not in declared)),
            extra_inputs=tuple(sorted((f.path, f.blob) for f in extra.values())),
            reads=None if ran.reads is None else tuple(sorted({f.path for f in ran.reads} - set(extra))),
        )

