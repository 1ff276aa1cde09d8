"""A cluster in this process that speaks the Remote Execution API: CAS, action cache, execution, in a directory that is not `/`.

Its workers are plain processes in a directory, with this machine's files around them. Tests say what it refuses, and when.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import grpc
import zstandard

from gg.engines.reapi import messages as m
from gg.engines.reapi.cas import digest_of
from gg.engines.reapi.grpc_channel import ACTION_CACHE, BYTESTREAM, CAPABILITIES, CAS, EXECUTION, OPERATIONS
from tests.servers.plain_worker import PlainWorker

_RESPONSE = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
_METADATA = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata"


class _Job:
    """An action that was asked for."""

    def __init__(self) -> None:
        self.name = f"operations/{uuid.uuid4()}"
        self.stage = m.QUEUED
        self.response: m.ExecuteResponse | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.cancelled = False
        self.changed = threading.Condition()


class ReapiCluster:
    """`refuse`: by the end of a method's name, statuses to answer instead, one a call, each a code and a text. `token`: what the
    header `authorization` must be. `room`: bytes that the CAS takes. `broken_streams`: how many streams of an execution end early.
    `holds_open`: the name of a file that somebody has open for writing for a while after it was laid out.
    """

    def __init__(self, *, slots: int = 4, tls: Any = None) -> None:
        self.instance = ""
        self.token = ""
        self.room = 1 << 40
        self.broken_streams = 0
        self.forgets_jobs = False
        self.holds_open = ""
        self._holding: list[subprocess.Popen[bytes]] = []
        self.refuse: dict[str, list[tuple[grpc.StatusCode, str]]] = {}
        self.capabilities = m.ServerCapabilities(
            m.CacheCapabilities((m.SHA256,), 1 << 20, (m.ZSTD,), (m.ZSTD,)),
            m.ExecutionCapabilities(m.SHA256, True),
            m.SemVer(2),
            m.SemVer(2, 3),
        )
        self.calls: list[str] = []
        self.requests: list[m.ExecuteRequest] = []
        self.actions: list[m.ActionMessage] = []
        self.blobs: dict[str, bytes] = {}
        self.results: dict[str, m.ActionResult] = {}
        self.jobs: dict[str, _Job] = {}
        self._pool = ThreadPoolExecutor(slots, "cluster")
        self._worker = PlainWorker(self._get, self._put, self._hold)
        self._server = grpc.server(ThreadPoolExecutor(64, "cluster-grpc"))
        for name, call in self._services().items():
            self._server.add_generic_rpc_handlers((_handler(name, call),))
        self.port = (
            self._server.add_secure_port("127.0.0.1:0", tls) if tls else self._server.add_insecure_port("127.0.0.1:0")
        )
        self._server.start()

    @property
    def ran(self) -> int:
        """How many actions were really run."""
        return len(self.actions)

    @property
    def running(self) -> int:
        return sum(job.process is not None and job.process.poll() is None for job in self.jobs.values())

    def close(self) -> None:
        for job in list(self.jobs.values()):
            self._kill(job)
        for each in self._holding:
            each.wait()
        self._server.stop(0.2).wait()
        self._pool.shutdown()

    def _services(self) -> dict[str, _Call]:
        return {
            CAPABILITIES + "GetCapabilities": _Call(self._capabilities, m.GetCapabilitiesRequest),
            CAS + "FindMissingBlobs": _Call(self._find_missing, m.FindMissingBlobsRequest),
            CAS + "BatchUpdateBlobs": _Call(self._update, m.BatchUpdateBlobsRequest),
            CAS + "BatchReadBlobs": _Call(self._batch_read, m.BatchReadBlobsRequest),
            BYTESTREAM + "Read": _Call(self._read, m.ReadRequest, streams=True),
            BYTESTREAM + "Write": _Call(self._write, m.WriteRequest, streamed=True),
            ACTION_CACHE + "GetActionResult": _Call(self._known, m.GetActionResultRequest),
            EXECUTION + "Execute": _Call(self._execute, m.ExecuteRequest, streams=True),
            EXECUTION + "WaitExecution": _Call(self._wait, m.WaitExecutionRequest, streams=True),
            OPERATIONS + "CancelOperation": _Call(self._cancel, m.CancelOperationRequest),
        }

    def admit(self, method: str, context: Any) -> None:
        """Before each call: what it is refused for."""
        name = method.rpartition("/")[2]
        self.calls.append(name)
        told = dict(context.invocation_metadata())
        if self.token and told.get("authorization") != self.token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token has expired")
        if self.refuse.get(name):
            context.abort(*self.refuse[name].pop(0))

    def _check(self, instance: str, context: Any) -> None:
        if instance != self.instance:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no instance named {instance!r}")

    def _capabilities(self, request: m.GetCapabilitiesRequest, context: Any) -> m.ServerCapabilities:
        self._check(request.instance_name, context)
        return self.capabilities

    # The CAS

    def _find_missing(self, request: m.FindMissingBlobsRequest, context: Any) -> m.FindMissingBlobsResponse:
        self._check(request.instance_name, context)
        return m.FindMissingBlobsResponse(tuple([d for d in request.blob_digests if d.hash not in self.blobs]))

    def _keep(self, digest: m.Digest | None, data: bytes) -> m.Status:
        if digest_of(data) != digest:
            return m.Status(3, "not the bytes of that digest")
        if sum(map(len, self.blobs.values())) + len(data) > self.room:
            return m.Status(8, "no room is left")
        self.blobs[hashlib.sha256(data).hexdigest()] = data
        return m.Status()

    def _update(self, request: m.BatchUpdateBlobsRequest, context: Any) -> m.BatchUpdateBlobsResponse:
        self._check(request.instance_name, context)
        return m.BatchUpdateBlobsResponse(
            tuple(
                [
                    m.UpdatedBlob(
                        each.digest,
                        self._keep(
                            each.digest,
                            zstandard.decompress(each.data) if each.compressor == m.ZSTD else each.data,
                        ),
                    )
                    for each in request.requests
                ]
            )
        )

    def _batch_read(self, request: m.BatchReadBlobsRequest, context: Any) -> m.BatchReadBlobsResponse:
        self._check(request.instance_name, context)
        found = []
        for digest in request.digests:
            data = self.blobs.get(digest.hash)
            if data is None:
                found.append(m.BlobRead(digest, b"", m.Status(5, "not there")))
            elif m.ZSTD in request.acceptable_compressors:
                found.append(m.BlobRead(digest, zstandard.compress(data), None, m.ZSTD))
            else:
                found.append(m.BlobRead(digest, data))
        return m.BatchReadBlobsResponse(tuple(found))

    def _read(self, request: m.ReadRequest, context: Any) -> Iterator[m.ReadResponse]:
        words = request.resource_name.split("/")
        data = self.blobs.get(words[-2])
        if data is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "not there")
            return
        body = zstandard.compress(data) if "compressed-blobs" in words else data
        for at in range(0, len(body), 100_000):
            yield m.ReadResponse(body[at : at + 100_000])

    def _write(self, requests: Iterator[m.WriteRequest], context: Any) -> m.WriteResponse:
        name, parts = "", []
        for request in requests:
            name = name or request.resource_name
            parts.append(request.data)
        words, body = name.split("/"), b"".join(parts)
        data = zstandard.ZstdDecompressor().decompressobj().decompress(body) if "compressed-blobs" in words else body
        status = self._keep(m.Digest(words[-2], int(words[-1])), data)
        if status.code:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if status.code == 8 else grpc.StatusCode.INVALID_ARGUMENT
            context.abort(code, status.message)
        return m.WriteResponse(len(body))

    # Actions

    def _known(self, request: m.GetActionResultRequest, context: Any) -> m.ActionResult:
        self._check(request.instance_name, context)
        found = self.results.get((request.action_digest or m.Digest()).hash)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "not known")
            raise AssertionError
        return found

    def _execute(self, request: m.ExecuteRequest, context: Any) -> Iterator[m.Operation]:
        self._check(request.instance_name, context)
        self.requests.append(request)
        digest = (request.action_digest or m.Digest()).hash
        missing = self._missing(digest)
        if missing:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"MISSING {missing}")
        job = _Job()
        self.jobs[job.name] = job
        self._pool.submit(self._run, job, digest)
        yield from self._tell(job, context)

    def _wait(self, request: m.WaitExecutionRequest, context: Any) -> Iterator[m.Operation]:
        job = self.jobs.get(request.name)
        if job is None or self.forgets_jobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such operation")
            return
        self._break(context)
        yield from self._tell(job, context)

    def _tell(self, job: _Job, context: Any) -> Iterator[m.Operation]:
        last = -1
        while True:
            with job.changed:
                if job.stage == last:
                    job.changed.wait(0.1)
            if not context.is_active():
                return
            if job.stage != last:
                last = job.stage
                response = m.Anything(_RESPONSE, m.encode(job.response)) if job.response else None
                stage = m.Anything(_METADATA, m.encode(m.ExecuteOperationMetadata(last)))
                yield m.Operation(job.name, stage, response is not None, None, response)
                self._break(context)
                if response is not None:
                    return

    def _break(self, context: Any) -> None:
        if self.broken_streams:
            self.broken_streams -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    def _missing(self, digest: str) -> str:
        """A blob of the action that is not there."""
        wanted = [digest]
        action = m.decode(m.ActionMessage, self.blobs[digest]) if digest in self.blobs else m.ActionMessage()
        wanted += [d.hash for d in (action.command_digest, action.input_root_digest) if d]
        while wanted:
            each = wanted.pop()
            if each not in self.blobs and each != hashlib.sha256(b"").hexdigest():
                return each
            if action.input_root_digest and each == action.input_root_digest.hash:
                wanted += list(self._below(each))
        return ""

    def _below(self, digest: str) -> Iterator[str]:
        directory = m.decode(m.DirectoryMessage, self.blobs.get(digest, b""))
        yield from [file.digest.hash for file in directory.files if file.digest]
        for each in directory.directories:
            if each.digest:
                yield each.digest.hash
                yield from self._below(each.digest.hash)

    def _run(self, job: _Job, digest: str) -> None:
        action = m.decode(m.ActionMessage, self.blobs[digest])
        self.actions.append(action)

        def laid_out() -> bool:
            self._move(job, m.EXECUTING)
            return not job.cancelled

        result = self._worker.run(action, laid_out, lambda process: setattr(job, "process", process))
        status = m.Status(1, "cancelled") if job.cancelled else None
        if not result.exit_code and not job.cancelled:
            self.results[digest] = result
        job.response = m.ExecuteResponse(result, False, status)
        self._move(job, m.COMPLETED)

    @staticmethod
    def _move(job: _Job, stage: int) -> None:
        with job.changed:
            job.stage = stage
            job.changed.notify_all()

    def _get(self, digest: m.Digest | None) -> bytes:
        return self.blobs[digest.hash] if digest and digest.size_bytes else b""

    def _hold(self, name: str, file: BinaryIO) -> None:
        if self.holds_open == name:
            self._holding.append(subprocess.Popen(["sleep", "0.3"], pass_fds=[file.fileno()]))

    def _put(self, data: bytes) -> m.Digest:
        self.blobs[hashlib.sha256(data).hexdigest()] = data
        return digest_of(data)

    def _cancel(self, request: m.CancelOperationRequest, context: Any) -> m.WaitExecutionRequest:
        job = self.jobs.get(request.name)
        if job is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such operation")
            raise AssertionError
        self._kill(job)
        return m.WaitExecutionRequest()  # as empty as google.protobuf.Empty

    @staticmethod
    def _kill(job: _Job) -> None:
        job.cancelled = True
        if job.process is not None and job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGKILL)


class _Call:
    """A method: what it does, and the class of its request. `streams`: it answers by several messages; `streamed`: is asked so."""

    def __init__(
        self, does: Callable[[Any, Any], object], request: type, *, streams: bool = False, streamed: bool = False
    ) -> None:
        self.does = does
        self.request = request
        self.streams = streams
        self.streamed = streamed


def _handler(name: str, call: _Call) -> Any:
    owner: Any = call.does.__self__  # type: ignore[attr-defined]

    def unary(request: Any, context: Any) -> object:
        owner.admit(name, context)
        return call.does(request, context)

    def stream(request: Any, context: Any) -> Iterator[object]:
        owner.admit(name, context)
        answers: Any = call.does(request, context)
        yield from answers

    kinds: Sequence[Any] = (
        grpc.unary_unary_rpc_method_handler,
        grpc.unary_stream_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler,
    )
    kind = kinds[1 if call.streams else 2 if call.streamed else 0]
    service, _, method = name.strip("/").partition("/")
    made = kind(
        stream if call.streams else unary,
        request_deserializer=lambda data: m.decode(call.request, data),
        response_serializer=m.encode,
    )
    return grpc.method_handlers_generic_handler(service, {method: made})
