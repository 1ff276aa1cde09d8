"""A worker: requests in, replies out, on any host, with nothing of that host but its kernel and a directory to write to.

    worker = Worker("/tmp/gg", connect)
    reply = worker.handle(request)

Everything that can go wrong with a request is told in its reply. An exception is a fault of the worker itself, and `Spoilt`
says that its process must end. Requests are handled one after the other, as Lambda gives them to one environment.

Between two tasks nothing of the first is left (`gg.worker.between`). Coordinators are kept apart too: when another one asks,
the worker removes the objects of the former one, except those that the new one names by their digests.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import zstandard

import gg
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId, SandboxPath
from gg.core.reduction import encode_reduction
from gg.core.thunk import Directory, File, Made, Thunk
from gg.errors import GGError
from gg.host.trees import hash_file
from gg.run.elsewhere import Elsewhere, Lacking, PlacedGroups, Static
from gg.run.job import Job, RunResult
from gg.run.process import Killed, TooMuch
from gg.run.reducing import Blame, blame, reduction_of
from gg.schedule.events import Fault
from gg.store.base import Key, blob_key
from gg.wire.compressed import decompress
from gg.wire.reply import (
    CacheUse,
    Refused,
    Reply,
    Span,
    Succeeded,
    TaskResult,
    ToolFailed,
    WorkerInfo,
    encode_outputs,
    encode_reply,
    encode_wrong_version,
)
from gg.wire.request import (
    MOST_CARRIED,
    MOST_EXPANDED,
    RAW,
    ZSTD,
    BucketLocation,
    Limits,
    PackReference,
    Request,
    Task,
    WrongVersion,
    decode_objects,
    decode_request,
)
from gg.worker.between import Between, Spoilt
from gg.worker.disk_cache import Cache
from gg.worker.layer_objects import LayerObjects
from gg.worker.objects import Absent, GroupObjects, InputFetcher, Nowhere, ObjectSource
from gg.worker.writable import Writable

_LEAST_ROOM = 1 << 20  # bytes: with so much room left, a full disk was not what made a command fail
_COMPRESS_FROM = 512  # bytes
_OWN = (b"objects", b"run", b"libraries")  # the entries of a worker's directory

Connect = Callable[[BucketLocation, tuple[PackReference, ...]], ObjectSource]
StopEvent = threading.Event
_CANCELLED = Refused(Fault.CANCELLED, "cancelled")


@dataclass(slots=True)
class _Books:
    """The books of one request: times, outputs, room."""

    begun: int = field(default_factory=time.monotonic_ns)
    spans: list[Span] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    room: int = 0
    here: int = 0

    def elapsed(self) -> float:
        """Seconds since the request came."""
        return (time.monotonic_ns() - self.begun) / 1e9

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        begun = time.monotonic_ns()
        try:
            yield
        finally:
            self.spans.append(Span(name, begun - self.begun, time.monotonic_ns() - begun))


class Worker:
    """One environment, and this process's only purpose. `connect` gives the source of the objects that a request names.

    `memory`: bytes that commands may use. `layer`: a directory of objects that came with it. `alone`: see `Between`.
    """

    def __init__(
        self,
        directory: str,
        connect: Connect = lambda place, packs: Nowhere(),
        *,
        memory: int = 0,
        cache: int = 0,
        layer: str = "",
        alone: bool = False,
    ) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self._directory = directory
        self._connect = connect
        self._memory = memory
        self._between = Between(directory, alone=alone)
        objects = os.path.join(directory, "objects")
        self._cache = Cache(objects, cache, LayerObjects(layer))
        libraries = os.path.join(directory, "libraries")
        os.makedirs(libraries, exist_ok=True)
        self._begin(b"")
        self._between.keep(
            Writable(directory, lambda: _OWN),
            Writable(objects, self._cache.names),
            Writable(libraries, lambda: self._runner.libraries()),
            *[Writable(path, keeps) for path, keeps in self._runner.scratch().items()],
        )
        self._between.restore()  # removes what an earlier process has left
        self._name = os.urandom(8).hex()
        self._requests = 0

    def _begin(self, coordinator: bytes) -> None:
        """Begin to serve this coordinator, with nothing known of any other."""
        self._coordinator = coordinator
        self._groups = PlacedGroups(GroupObjects(self._cache), self._cache.place)
        self._inputs = InputFetcher(self._cache, self._groups)
        scratch, libraries = os.path.join(self._directory, "run"), os.path.join(self._directory, "libraries")
        self._runner = Elsewhere(
            scratch, self._groups, self._cache.place, libraries, self._memory, after=self._between.end
        )
        self._cache.disown()

    def handle(
        self,
        data: bytes,
        seconds: float | None = None,
        *,
        source: ObjectSource | None = None,
        stop: StopEvent | None = None,
    ) -> bytes:
        """The reply to one request. `seconds`: the time until the platform ends this environment. `source`: where the request's
        objects are, if the request itself does not say. `stop`: set before `cancel` is called.
        """
        self._stop = stop
        try:
            request = decode_request(data)
        except WrongVersion as error:
            return encode_wrong_version(f"this worker is of gg {gg.__version__}: {error}")
        if request.coordinator != self._coordinator:
            self._runner.leave()
            self._begin(request.coordinator)
        self._requests += 1
        books = _Books(room=request.limits.reply)
        counted = _Counted(source or self._connect(request.place, request.packs))
        results = tuple([self._result(task, request, counted, books, seconds) for task in request.tasks])
        objects = encode_outputs(books.outputs)
        codec = RAW
        if len(objects) >= _COMPRESS_FROM:
            codec, objects = ZSTD, zstandard.compress(objects, 1)
        who = WorkerInfo(gg.__version__, self._name, self._requests == 1, self._memory)
        use = counted.use(books.here, self._cache.evicted)
        return encode_reply(Reply(who, results, tuple(books.spans), use, codec, objects), data)

    def cancel(self) -> None:
        """End the running command of the current request, and skip its later tasks. From another thread."""
        self._runner.kill()

    def close(self) -> None:
        self._runner.close()

    # One task

    def _result(
        self, task: Task, request: Request, source: _Counted, books: _Books, seconds: float | None
    ) -> TaskResult:
        left = None if seconds is None else seconds - books.elapsed()
        if left is not None and left <= 0.0:
            return Refused(Fault.CANCELLED, "the thunks before it took all the time")
        if self._stopped():
            return _CANCELLED
        try:
            thunk = decode_thunk(task.thunk)
            with books.span("fetch"):
                self._bring(thunk, task, request, source)
            books.here += self._inputs.here
            return self._run(thunk, task, request, source, books, seconds)
        except Absent as error:
            lacking = tuple([(int(key.kind), key.digest) for key in error.keys])
            return Refused(Fault.MISSING_INPUT, str(error), lacking=lacking)
        except Static as error:
            return Refused(Fault.TOO_BIG, f"{error} is linked statically: it can only run where there are namespaces")
        except Lacking as error:
            return Refused(Fault.MISSING_INPUT, f"{error} is not declared", missing=error.paths)
        except Killed:
            return _CANCELLED if self._stopped() else Refused(Fault.TIMEOUT, "took longer than its deadline")
        except TooMuch as error:
            return Refused(Fault.TOO_BIG, str(error))
        except (OSError, GGError) as error:
            return _CANCELLED if self._stopped() else Refused(Fault.INFRA, f"worker: {error}")

    def _stopped(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def _bring(self, thunk: Thunk, task: Task, request: Request, source: _Counted) -> None:
        if self._requests_objects is not request.objects:
            objects = request.objects if request.codec == RAW else _expanded(request.objects)
            self._inputs.put(decode_objects(objects))
            self._requests_objects = request.objects
        own = [e for e in (*thunk.entries, *task.extra) if isinstance(e, File)]
        self._needed = self._inputs.bring(thunk.groups, own, source)
        self._cache.remove_foreign(self._needed)

    def _check_disk(self) -> None:
        """OSError if this machine may be why a command ended as it did: its inputs were spoilt, or it had no room to write."""
        if self._cache.altered(self._needed):
            raise OSError("inputs were changed while it ran")
        found = os.statvfs(self._directory)
        if found.f_bavail * found.f_frsize < _LEAST_ROOM:
            raise OSError("the disk is full")

    _needed: Collection[Key] = ()
    _requests_objects: bytes = b""
    _stop: StopEvent | None = None

    def _run(
        self, thunk: Thunk, task: Task, request: Request, source: _Counted, books: _Books, seconds: float | None
    ) -> TaskResult:
        directories = tuple([Directory(path) for path in request.directories])
        job = Job(thunk=thunk, place=self._cache.place, extra=(*task.extra, *directories), observe=False)
        left = None if seconds is None else max(0.1, seconds - books.elapsed())
        try:
            with books.span("exec"), self._deadline(task.milliseconds, left):
                ran = self._runner.run(job)
            self._check_disk()
            if ran.status:
                return self._failed(ran)
            with books.span("upload"):
                made = self._keep(ran, thunk, request.limits, source, books)
            reduction = reduction_of(thunk, ran, made, task.extra, request.engine)
            return Succeeded(encode_reduction(reduction, self._groups.universe(thunk)), tuple(ran.missing))
        finally:
            self._forget()

    def _forget(self) -> None:
        """Remove everything that a command has left. Spoilt."""
        self._between.restore()
        try:
            self._runner.doubt()
        except OSError as error:
            raise Spoilt(f"libraries that cannot be removed: {error}") from error
        self._cache.doubt()

    @contextmanager
    def _deadline(self, milliseconds: int, seconds: float | None) -> Iterator[None]:
        self._runner.begin()
        if self._stopped():  # before there was a command to end
            self._runner.kill()
        times = [t for t in (milliseconds / 1000 or None, seconds) if t is not None]
        timer = threading.Timer(min(times), self._runner.kill) if times else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            if timer:
                timer.cancel()

    def _failed(self, ran: RunResult) -> TaskResult:
        why = blame(ran, lambda ran: bool(self._memory) and ran.usage.memory > self._memory // 2, lambda: False)
        if why is Blame.MEMORY:
            return Refused(Fault.MEMORY, f"took {ran.usage.memory >> 20} MiB and more")
        if why is Blame.KILLED:
            return Refused(Fault.LOST, "the command was killed")
        return ToolFailed(ran.status, ran.stdout, ran.stderr, ran.usage, tuple(ran.missing))

    # Outputs

    def _keep(
        self, ran: RunResult, thunk: Thunk, limits: Limits, source: _Counted, books: _Books
    ) -> dict[SandboxPath, Made]:
        """Put the outputs where the coordinator finds them: into the reply, or into the store."""
        made: dict[SandboxPath, Made] = {}
        seen: set[BlobId] = set()
        for path, (place, executable) in ran.written.items():
            if os.stat(place).st_size > self._cache.limit:  # a sparse file: nobody wrote so many bytes
                raise TooMuch(f"its output {os.fsdecode(path)} has more bytes than there is room for")
            blob = hash_file(place)
            made[path] = Made(blob, executable)
            if blob not in seen:
                seen.add(blob)
                self._send(blob, place, limits, source, books)
        return made

    def _send(self, blob: BlobId, place: str, limits: Limits, source: _Counted, books: _Books) -> None:
        if blob.size <= limits.inline and blob.size <= books.room:
            with open(place, "rb") as file:
                data = file.read()
            if BlobId.of(data) != blob:
                raise OSError(f"{place} changed while it was read")
            books.outputs.append(data)
            books.room -= blob.size
            self._cache.put(blob_key(blob), data)  # the next task may be a link of it
        else:
            source.put_file(blob_key(blob), place)


class _Counted:
    """A source that counts what comes from it."""

    def __init__(self, source: ObjectSource) -> None:
        self._source = source
        self.fetched = 0
        self.fetched_bytes = 0

    @property
    def requests(self) -> int:
        return self._source.requests

    @property
    def puts(self) -> int:
        return self._source.puts

    def use(self, here: int, evicted: int) -> CacheUse:
        return CacheUse(here, self.fetched, self.fetched_bytes, self.requests, evicted, self.puts)

    def fetch(self, keys: Sequence[Key], cache: Cache) -> None:
        before = cache.size
        self._source.fetch(keys, cache)
        self.fetched += len(keys)
        self.fetched_bytes += max(0, cache.size - before)

    def put_file(self, key: Key, path: str) -> None:
        self._source.put_file(key, path)


def _expanded(data: bytes) -> bytes:
    return decompress(data, max(MOST_CARRIED, MOST_EXPANDED * len(data)))
