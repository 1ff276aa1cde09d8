"""The spot engine over queues of a real server of SQS, and a worker in this process that only pretends to run commands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from gg.aws.failures import RequestContext
from gg.aws.http import Client, Endpoint
from gg.aws.loop import LoopThread
from gg.aws.sign import Credentials, Scope
from gg.aws.sqs import Queues
from gg.core.ids import ThunkId
from gg.core.placeholder import Placeholder, PlaceholderWriter
from gg.cost.meter import Meter
from gg.cost.prices import prices
from gg.engines.awslambda.lambda_engine import LambdaEngine
from gg.engines.engine import Engine
from gg.engines.spot.heard_workers import HeardWorkers
from gg.engines.spot.queue_way import QueueWay
from gg.engines.spot.spot_engines import SpotEngine, spot_caps
from gg.host.filedb import FileDB
from gg.run.expand import Groups
from gg.store.directory import DirectoryStore
from gg.wire.letters import CallLetter, build_queue, decode_call, replies_queue
from gg.worker.queue_worker import QueueWorker
from gg.worker.s3_relay import SharedObjects
from gg.worker.slots import Slots
from tests.conformance.engine_suite import PretendedCommands
from tests.support.fixed_keys import FixedKeys
from tests.support.no_bucket import Bodies, NoBucket
from tests.support.remote_subject import MEMORY, FakeHandler
from tests.support.thunks import Graph

REGION = "us-east-1"


class ReadingWorker:
    """A worker that reads a queue, in this process."""

    def __init__(self, where: Path, port: int, url: str, cpus: int, bodies: Bodies) -> None:
        name = where.name
        self.slots = Slots(str(where), cpus=cpus, memory=MEMORY, make=FakeHandler)
        self.said: list[str] = []
        self.loop = LoopThread("worker")

        async def start() -> QueueWorker:
            bucket = cast("SharedObjects", NoBucket(bodies))
            worker = QueueWorker(self.slots, queues(port), url, bucket, name, "0", self.said.append)
            worker.start()
            return worker

        self.worker = self.loop.run(start())

    def leave(self, seconds: float) -> None:
        self.loop.run(self.worker.leave(seconds))

    def close(self) -> None:
        self.leave(0.0)
        self.slots.close()
        self.loop.close()


def queues(port: int) -> Queues:
    """In a loop."""
    keys = FixedKeys(Credentials("AKIAX", "y"))
    asked = RequestContext(what="pass thunks", right="sqs:*", host="here", region=REGION, access_key="AKIAX")
    return Queues(Client(Endpoint("127.0.0.1", port), Scope(REGION, "sqs"), keys), asked)


class SpotSubject(PretendedCommands):
    def __init__(self, where: Path, port: int) -> None:
        self.where = where
        (where / "w").mkdir()
        self.store = DirectoryStore(where / ".gg")
        self.groups = Groups(self.store)
        self.graph = Graph(self.store, str(where / "w"))
        self.files = FileDB(None)
        self.port = port
        self.silence = 120.0
        self.bodies = Bodies()
        self.workers: list[ReadingWorker] = []
        self.loop = LoopThread("subject")
        self.queues = self.loop.run(self._queues())
        self.url = self.loop.run(self.queues.create(f"jobs-{os.urandom(4).hex()}", {}))

    async def _queues(self) -> Queues:
        return queues(self.port)

    def worker(self, cpus: int) -> ReadingWorker:
        worker = ReadingWorker(self.where / f"worker{len(self.workers)}", self.port, self.url, cpus, self.bodies)
        self.workers.append(worker)
        return worker

    def call(self) -> CallLetter:
        """Of the build that has called."""
        (message,) = self.loop.run(self.queues.receive(self.url, 10, 20, 0))
        return decode_call(message.body)

    def jobs(self) -> str:
        """URL of the queue of the build that has called."""
        return self.beside(build_queue)

    def replies(self) -> str:
        """URL of the queue where that build waits for answers."""
        return self.beside(replies_queue)

    def beside(self, name: Callable[[str, str], str]) -> str:
        before, _, fleet = self.url.rpartition("/")
        return f"{before}/{name(fleet, self.call().build)}"

    def wait(self, name: str, seconds: float) -> ThunkId:
        """A thunk that takes so long."""
        return self.graph.thunk(name, ["wait", str(seconds)])

    def engine(self, slots: int = 2) -> LambdaEngine:
        self.worker(slots)
        return self.engine_alone(slots)

    def engine_alone(self, slots: int = 2) -> LambdaEngine:
        meter = Meter(prices(REGION))
        port = self.port
        way = QueueWay(
            lambda: queues(port),
            self.url,
            meter,
            slots=slots,
            memory=MEMORY,
            silence=self.silence,
            bodies=self.bodies,
            heard=HeardWorkers(str(self.where), self.url),
            caps=spot_caps(),
        )
        return SpotEngine(
            way,
            store=self.store,
            groups=self.groups,
            files=lambda: self.files,
            remote=None,
            slots=slots,
            caps=spot_caps(),
        )

    def undeclared(self, name: str, found: bytes | Placeholder) -> bytes:
        path = self.where / "w" / name
        path.write_bytes(PlaceholderWriter(b"/launcher").encode(*found) if isinstance(found, Placeholder) else found)
        return os.fsencode(path)

    def hanging(self, engine: Engine) -> int:
        """Attempts under way: what was sent cannot be taken back, so it is the engine's own that count."""
        assert isinstance(engine, LambdaEngine)
        return engine.under_way

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.loop.run(self.queues.close())
        self.loop.close()
