"""Calls to a cluster. gRPC carries bytes; `gg.engines.reapi.messages` codes the messages."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc

import gg
from gg.engines.reapi import cluster_errors as errors
from gg.engines.reapi.cluster import ClusterConfig
from gg.engines.reapi.messages import RequestMetadata, ToolDetails, decode, encode
from gg.errors import FormatError
from gg.schedule.events import Fault

T = TypeVar("T")

_API = "/build.bazel.remote.execution.v2."
CAPABILITIES, ACTION_CACHE, EXECUTION = _API + "Capabilities/", _API + "ActionCache/", _API + "Execution/"
CAS = _API + "ContentAddressableStorage/"
BYTESTREAM, OPERATIONS = "/google.bytestream.ByteStream/", "/google.longrunning.Operations/"

_METADATA = "build.bazel.remote.execution.v2.requestmetadata-bin"
_CALL_S = 60.0
_PAUSES_S = (0.2, 0.8, 2.0)
_MOST_MESSAGE = 64 << 20
_ALIVE_MS = 60_000
OPTIONS = (
    ("grpc.max_receive_message_length", _MOST_MESSAGE),
    ("grpc.keepalive_time_ms", _ALIVE_MS),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", "gg"),
)


class Handle:
    """Lets one thread end what another thread waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._call: Any = None
        self._ended = threading.Event()

    @property
    def cancelled(self) -> bool:
        return self._ended.is_set()

    def cancel(self) -> None:
        with self._lock:
            self._ended.set()
            if self._call is not None:
                self._call.cancel()

    def sleep(self, seconds: float) -> None:
        """Wait for so long, or until this is cancelled."""
        self._ended.wait(seconds)

    @contextmanager
    def during(self, call: Any) -> Iterator[None]:
        """Meanwhile the thread waits for `call`: to cancel this is to cancel the call."""
        with self._lock:
            self._call = call
            if self.cancelled:
                call.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._call = None


class Channel:
    """A connection to one cluster, for any thread. `what`, for people: what a call asks the cluster for."""

    def __init__(self, cluster: ClusterConfig) -> None:
        self.cluster = cluster
        self._channel = _open(cluster)
        tool = RequestMetadata(ToolDetails("gg", gg.__version__), str(uuid.uuid4()))
        self._metadata = ((_METADATA, encode(tool)), *cluster.headers)

    def ask(self, method: str, request: object, answer: type[T], what: str, seconds: float = _CALL_S) -> T:
        """One call, repeated if that may help. Raises the errors of `cluster_errors.error_of`."""
        call = self._channel.unary_unary(method, request_serializer=encode, response_deserializer=None)
        return self._repeated(
            lambda: self._answer(call(request, timeout=seconds, metadata=self._metadata), answer), what
        )

    def read(self, method: str, request: object, answer: type[T], what: str, most: int) -> list[T]:
        """A call with several messages for an answer: all of them, if they have no more than `most` bytes. Repeats it as `ask`
        does.
        """
        call = self._channel.unary_stream(method, request_serializer=encode, response_deserializer=None)

        def once() -> list[T]:
            coming = call(request, timeout=10 * _CALL_S, metadata=self._metadata)
            found: list[T] = []
            left = most
            for data in coming:
                left -= max(len(data), 1)
                if left < 0:
                    coming.cancel()
                    raise errors.ClusterFault(
                        Fault.INFRA, errors.INTERNAL, f"{self.cluster}, {what}: there is no end to it"
                    )
                found.append(self._answer(data, answer))
            return found

        return self._repeated(once, what)

    def write(self, method: str, requests: Callable[[], Iterator[object]], answer: type[T], what: str) -> T:
        """A call of several messages; `requests` gives them anew for each repetition."""
        call = self._channel.stream_unary(method, request_serializer=encode, response_deserializer=None)
        return self._repeated(
            lambda: self._answer(call(requests(), timeout=10 * _CALL_S, metadata=self._metadata), answer), what
        )

    def follow(self, method: str, request: object, answer: type[T], handle: Handle) -> Iterator[T]:
        """The messages of a call's answer, as they come. grpc.RpcError."""
        call = self._channel.unary_stream(method, request_serializer=encode, response_deserializer=None)(
            request, metadata=self._metadata
        )
        with handle.during(call):
            for data in call:
                yield self._answer(data, answer)

    def tell(self, method: str, request: object, seconds: float) -> None:
        """Make a call once whose answer says nothing. grpc.RpcError."""
        call = self._channel.unary_unary(method, request_serializer=encode, response_deserializer=None)
        call(request, timeout=seconds, metadata=self._metadata)

    def close(self) -> None:
        self._channel.close()

    def _answer(self, data: bytes, kind: type[T]) -> T:
        try:
            return decode(kind, data)
        except FormatError as error:
            raise errors.ClusterFault(Fault.INFRA, errors.INTERNAL, f"{self.cluster}: {error}") from error

    def _repeated(self, once: Callable[[], T], what: str) -> T:
        for pause in (*_PAUSES_S, None):
            try:
                return once()
            except grpc.RpcError as error:
                code = errors.code_of(error)
                said = _details(error)
                if pause is None or code not in errors.PASSING or errors.is_full(code, said):
                    raise errors.error_of(code, said, what, self.cluster) from error
                time.sleep(pause)
        raise AssertionError


def _details(error: Any) -> str:
    return str(error.details() or "")


def _open(cluster: ClusterConfig) -> Any:
    if not cluster.secure:
        return grpc.insecure_channel(cluster.address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=cluster.ca or None,
        private_key=cluster.key or None,
        certificate_chain=cluster.certificate or None,
    )
    return grpc.secure_channel(cluster.address, credentials, options=OPTIONS)
