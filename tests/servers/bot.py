"""A worker of BuildGrid's: speaks the Remote Workers API (`google/devtools/remoteworkers/v1test2/bots.proto`).

Each slot is a session of its own, which asks for a lease, runs its action in a plain directory, and tells what that came to while
it asks for the next one. BuildGrid's own worker, buildbox-worker, is in no package registry.
"""

from __future__ import annotations

import platform
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from gg.engines.reapi import messages as m
from gg.engines.reapi.capabilities import ask_capabilities
from gg.engines.reapi.cas import Cas, digest_of
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.cluster_errors import ClusterFault
from gg.engines.reapi.grpc_channel import CAS, OPTIONS, Channel
from gg.formats import protobuf
from gg.formats.protobuf import Field
from gg.light.named import NamedTuple
from tests.servers.plain_worker import PlainWorker

_OK, _PENDING, _ACTIVE, _COMPLETED = 1, 1, 2, 4
_POLL_S = 20.0
_BOTS = "/google.devtools.remoteworkers.v1test2.Bots/"
_RESULT = "type.googleapis.com/build.bazel.remote.execution.v2.ActionResult"
_ISA = {"x86_64": "x86-64", "aarch64": "arm64"}


class Pair(NamedTuple):
    key: str = ""
    value: str = ""


class Device(NamedTuple):
    handle: str = ""
    properties: tuple[Pair, ...] = ()


class WorkerMessage(NamedTuple):
    devices: tuple[Device, ...] = ()


class Lease(NamedTuple):
    id: str = ""
    payload: m.Anything | None = None
    result: m.Anything | None = None
    state: int = 0
    status: m.Status | None = None


class BotSession(NamedTuple):
    name: str = ""
    bot_id: str = ""
    status: int = 0
    worker: WorkerMessage | None = None
    leases: tuple[Lease, ...] = ()
    version: str = ""


class CreateBotSession(NamedTuple):
    parent: str = ""
    bot_session: BotSession | None = None


class UpdateBotSession(NamedTuple):
    name: str = ""
    bot_session: BotSession | None = None


_TABLES = {
    **m.TABLES,
    Pair: (Field(1, str), Field(2, str)),
    Device: (Field(1, str), Field(2, Pair, many=True)),
    WorkerMessage: (Field(1, Device, many=True),),
    Lease: (Field(7, str), Field(8, m.Anything), Field(9, m.Anything), Field(2, int), Field(3, m.Status)),
    BotSession: (
        Field(1, str),
        Field(2, str),
        Field(3, int),
        Field(4, WorkerMessage),
        Field(5, Lease, many=True),
        Field(7, str),
    ),
    CreateBotSession: (Field(1, str), Field(2, BotSession)),
    UpdateBotSession: (Field(1, str), Field(2, BotSession)),
}


class Bot:
    """`slots` actions at once for the cluster at an address on loopback. `ran`: how many it has run."""

    def __init__(self, address: str, slots: int) -> None:
        self.ran = 0
        self._ended = threading.Event()
        self._channel = Channel(ClusterConfig(address, secure=False))
        self._grpc = grpc.insecure_channel(address, options=OPTIONS)
        self._cas = Cas(self._channel, ask_capabilities(self._channel))
        self._have_nothing()
        self._had: dict[str, bytes] = {}
        self._calls: set[Any] = set()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._worker = PlainWorker(self._get, self._put)
        self._threads = [threading.Thread(target=self._serve, args=(f"bot-{n}",), daemon=True) for n in range(slots)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended.set()
        with self._lock:
            for call in self._calls:
                call.cancel()
            for process in self._running:
                process.kill()
        for thread in self._threads:
            thread.join(10)
        self._grpc.close()
        self._channel.close()

    def _have_nothing(self) -> None:
        """The empty blob, which every cluster has, is looked for by this one among its files when it knows a result."""
        empty = m.BatchUpdateBlobsRequest("", (m.BlobToUpdate(digest_of(b"")),))
        self._channel.ask(CAS + "BatchUpdateBlobs", empty, m.BatchUpdateBlobsResponse, "sent an empty file")

    def _serve(self, name: str) -> None:
        isa = _ISA.get(platform.machine(), platform.machine())
        device = Device("here", (Pair("OSFamily", "linux"), Pair("ISA", isa)))
        fresh = BotSession("", name, _OK, WorkerMessage((device,)))
        session: BotSession | None = None
        while not self._ended.is_set():
            try:
                if session is None:
                    session = self._ask("CreateBotSession", CreateBotSession("", fresh))
                leases = tuple([self._done(lease) for lease in session.leases])
                session = session._replace(leases=leases)
                session = self._ask("UpdateBotSession", UpdateBotSession(session.name, session))
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    session = None  # a new one, and what was leased is leased again
                    self._ended.wait(0.2)

    def _ask(self, method: str, request: object) -> BotSession:
        call = self._grpc.unary_unary(
            _BOTS + method, request_serializer=lambda each: protobuf.encode(each, _TABLES), response_deserializer=None
        ).future(request, timeout=_POLL_S)
        with self._lock:
            self._calls.add(call)
        try:
            return protobuf.decode(BotSession, call.result(), _TABLES)
        except grpc.FutureCancelledError:
            return BotSession()
        finally:
            with self._lock:
                self._calls.discard(call)

    def _done(self, lease: Lease) -> Lease:
        """The lease, with what its action has come to."""
        if lease.state not in (_PENDING, _ACTIVE) or lease.payload is None or self._ended.is_set():
            return lease
        action = m.decode(m.ActionMessage, lease.payload.value)
        try:
            result = self._worker.run(action, lambda: not self._ended.is_set(), self._started)
        except ClusterFault as error:
            return lease._replace(state=_COMPLETED, status=m.Status(9, error.what))
        with self._lock:
            self.ran += 1
        return lease._replace(state=_COMPLETED, status=m.Status(), result=m.Anything(_RESULT, m.encode(result)))

    def _started(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running = {each for each in self._running if each.poll() is None} | {process}

    def _get(self, digest: m.Digest | None) -> bytes:
        if digest is None or not digest.size_bytes:
            return b""
        if digest.hash not in self._had:
            self._had[digest.hash] = self._cas.read([digest])[digest]
        return self._had[digest.hash]

    def _put(self, data: bytes) -> m.Digest:
        digest = digest_of(data)
        self._cas.ensure({digest: lambda: data})
        return digest


@contextmanager
def bot(address: str, slots: int = 4) -> Iterator[Bot]:
    made = Bot(address, slots)
    try:
        yield made
    finally:
        made.close()
