"""The remote engine over a worker in this process that listens for real, and only pretends to run commands."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gg.aws.loop import LoopThread
from gg.core.codec import decode_thunk
from gg.core.ids import BlobId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.core.thunk import File
from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.engine import Engine
from gg.engines.remote.hosts import Host
from gg.engines.remote.lending import Directly, Lending
from gg.engines.remote.one_machine import Machine
from gg.engines.remote.remote_engines import RemoteEngine
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.schedule.events import Fault
from gg.store.base import Key, Kind, blob_key
from gg.store.directory import DirectoryStore
from gg.wire import frames
from gg.wire.compressed import decompress
from gg.wire.frames import Welcome
from gg.wire.reply import Refused, Reply, Succeeded, ToolFailed, WorkerInfo, encode_outputs, encode_reply
from gg.wire.request import RAW, Request, Task, decode_objects, decode_request
from gg.worker.identity import Identity
from gg.worker.lent_objects import LentObjects
from gg.worker.listen import Listener
from gg.worker.slot_front import Relay
from gg.worker.slots import Handler, Slots
from tests.conformance.engine_suite import PretendedCommands
from tests.support.fake_worker import run_fake
from tests.support.thunks import Graph

MEMORY = 1 << 30


class FakeHandler:
    """A worker without processes: the commands of `tests.support.fake_worker`; what hangs can be ended."""

    hanging = 0
    _counting = threading.Lock()

    def __init__(self, directory: str) -> None:
        self._ended = threading.Event()

    pid = 0

    def handle(self, data: bytes, *, relay: Relay, stop: threading.Event) -> bytes:
        self._ended.clear()
        request = decode_request(data)
        (task,) = request.tasks
        result, outputs = self._result(request, task, relay, stop)
        return encode_reply(Reply(WorkerInfo("test"), (result,), objects=encode_outputs(outputs)), data)

    def cancel(self) -> None:
        self._ended.set()

    def close(self) -> None:
        pass

    def _result(
        self, request: Request, task: Task, relay: Relay, stop: threading.Event
    ) -> tuple[Succeeded | ToolFailed | Refused, list[bytes]]:
        thunk = decode_thunk(task.thunk)
        if thunk.argv[0] == b"half":
            relay.put_part(frames.encode_output(bytes(32), b"the first half"), last=False)
        if thunk.argv[0] in (b"hang", b"half"):
            return self._hang(task, stop), []
        if thunk.argv[0] == b"wait":
            time.sleep(float(thunk.argv[1]))
            thunk = thunk._replace(argv=(b"concat", thunk.argv[1]))
        raw = request.objects if request.codec == RAW else decompress(request.objects, 1 << 28)
        objects = {BlobId.of(data): data for _, data in decode_objects(raw)}
        for file in (*thunk.entries, *task.extra):
            if isinstance(file, File) and file.blob not in objects:
                found = self._lent(blob_key(file.blob), relay)
                if BlobId.of(found) != file.blob:
                    return Refused(Fault.MISSING_INPUT, "lost", ((int(Kind.BLOB), file.blob.digest),)), []
                objects[file.blob] = found
        result, outputs = run_fake(thunk, task, objects)
        big = [data for data in outputs if len(data) > request.limits.inline]
        for data in big:
            half = len(data) // 2
            relay.put_part(frames.encode_output(BlobId.of(data).digest, data[:half][: frames.PART]), last=False)
            for at in range(min(half, frames.PART), len(data), frames.PART - 32):
                part = data[at : at + frames.PART - 32]
                output = frames.encode_output(BlobId.of(data).digest, part)
                relay.put_part(output, last=at + frames.PART - 32 >= len(data))
        return result, [data for data in outputs if data not in big]

    @staticmethod
    def _lent(key: Key, relay: Relay) -> bytes:
        need = frames.encode_need([(int(key.kind), key.digest)])
        return b"".join([frames.decode_object(part)[1] or b"" for part in relay.lend(need)])

    def _hang(self, task: Task, stop: threading.Event) -> Refused:
        with self._counting:
            FakeHandler.hanging += 1
        ended = stop.is_set() or self._ended.wait(task.milliseconds / 1000)
        with self._counting:
            FakeHandler.hanging -= 1
        return Refused(Fault.CANCELLED, "cancelled") if ended else Refused(Fault.TIMEOUT, "took too long")


class ListeningWorker:
    """A worker that listens on loopback, in this process."""

    def __init__(self, where: Path, identity: Identity, cpus: int, make: Callable[[str], Handler] | None = FakeHandler):
        self.slots = Slots(str(where), cpus=cpus, memory=MEMORY, make=make)
        self.said: list[str] = []
        self.welcome = Welcome("0", os.urandom(8).hex(), cpus, MEMORY, os.uname().machine)
        self.identity = identity
        self.lent = LentObjects(str(where), 1 << 30)
        self.listener = Listener(self.slots, self.lent, identity.key.token, self.welcome, self.said.append)
        self.loop = LoopThread("worker")
        self.port = self.loop.run(self.listener.start("127.0.0.1", 0, identity.context()))

    @property
    def host(self) -> Host:
        return Host("127.0.0.1", self.port, self.identity.key)

    def leave(self, seconds: float) -> None:
        self.loop.run(self.listener.leave(seconds))

    def close(self) -> None:
        self.leave(0.0)
        self.slots.close()
        self.loop.close()


class RemoteSubject(PretendedCommands):
    def __init__(self, where: Path, identity: Identity) -> None:
        self.where = where
        (where / "w").mkdir()
        self.store = DirectoryStore(where / ".gg")
        self.groups = Groups(self.store)
        self.graph = Graph(self.store, str(where / "w"))
        self.files = FileDB(None)
        self.identity = identity
        self.workers: list[ListeningWorker] = []

    def worker(self, cpus: int) -> ListeningWorker:
        worker = ListeningWorker(self.where / f"worker{len(self.workers)}", self.identity, cpus)
        self.workers.append(worker)
        return worker

    def engine(self, slots: int = 2) -> LambdaEngine:
        return self.engine_for(self.worker(slots))

    def engine_for(self, worker: ListeningWorker, host: Host | None = None) -> LambdaEngine:
        lending = Lending(self.store, self.groups)
        tmp = str(self.where / ".gg" / "tmp")
        os.makedirs(tmp, exist_ok=True)
        meter = Meter(prices("us-east-1"))
        machine = Machine("remote/here", host or worker.host, worker.welcome, meter, lending, self.store, tmp)
        return RemoteEngine(
            machine,
            store=self.store,
            groups=self.groups,
            files=lambda: self.files,
            remote=Directly(self.store),
            slots=worker.welcome.slots,
            caps=machine.caps,
        )

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.where / "w" / name
        path.write_bytes(PlaceholderWriter(b"/launcher").encode(*found) if isinstance(found, Placeholder) else found)
        return os.fsencode(path)

    def hanging(self, engine: Engine) -> int:
        return FakeHandler.hanging

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
