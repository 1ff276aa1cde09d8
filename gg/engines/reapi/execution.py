"""Runs an action: looks for a known result first, then follows a stream, and takes it up again when it breaks."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from gg.engines.reapi import cluster_errors as errors
from gg.engines.reapi.grpc_channel import ACTION_CACHE, EXECUTION, OPERATIONS, Channel, Handle
from gg.engines.reapi.messages import (
    EXECUTING,
    UNKNOWN,
    ActionResult,
    CancelOperationRequest,
    Digest,
    ExecuteOperationMetadata,
    ExecuteRequest,
    ExecuteResponse,
    ExecutionPolicy,
    GetActionResultRequest,
    Operation,
    PreconditionFailure,
    Status,
    WaitExecutionRequest,
    decode,
)
from gg.errors import FormatError
from gg.schedule.events import Fault

_RUN = "asked to run an action"
_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 4.0)
_CANCEL_S = 5.0
_RESUMED = errors.PASSING - {errors.DEADLINE_EXCEEDED}


class BlobsLacking(Exception):
    """The cluster lacks blobs of the action."""


class ActionCancelled(Exception):
    """This side has ended the action."""


class Execution:
    """Runs actions on one instance. For any thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._instance = channel.cluster.instance

    def known(self, action: Digest) -> ActionResult | None:
        """The result of an earlier run, for anybody. None if the cluster knows none. AccessError, ClusterFault."""
        try:
            return self._channel.ask(
                ACTION_CACHE + "GetActionResult",
                GetActionResultRequest(self._instance, action),
                ActionResult,
                "asked for a known result",
            )
        except errors.ClusterFault as error:
            if error.code == errors.NOT_FOUND:
                return None
            raise

    def run(
        self, action: Digest, handle: Handle, started: Callable[[], None], *, afresh: bool = False
    ) -> ExecuteResponse:
        """Run an action to its end. Calls `started` when it begins. BlobsLacking, ActionCancelled, AccessError, ClusterFault."""
        policy = ExecutionPolicy(self._channel.cluster.priority) if self._channel.cluster.priority else None
        watch = _Watch(started)
        request: object = ExecuteRequest(self._instance, afresh, action, policy)
        method = EXECUTION + "Execute"
        pauses = iter(_PAUSES_S)
        while True:
            try:
                done = self._follow(method, request, handle, watch)
                if done is not None:
                    return self._response(done)
                broken: grpc.RpcError | None = None
            except grpc.RpcError as error:
                broken = error
            if handle.cancelled:
                self._cancel(watch.name)
                raise ActionCancelled
            pause = next(pauses, None)
            if broken is not None and (pause is None or errors.code_of(broken) not in _RESUMED):
                raise self._lost(broken, resumed=watch.name != "" and method.endswith("WaitExecution"))
            if pause is None:
                raise errors.ClusterFault(
                    Fault.LOST, errors.UNAVAILABLE, f"{self._channel.cluster} ends what it says too early"
                )
            handle.sleep(pause)
            if watch.name:
                method, request = EXECUTION + "WaitExecution", WaitExecutionRequest(watch.name)
            if watch.heard:
                pauses, watch.heard = iter(_PAUSES_S), False

    def _follow(self, method: str, request: object, handle: Handle, watch: _Watch) -> Operation | None:
        for operation in self._channel.follow(method, request, Operation, handle):
            watch.saw(operation)
            if operation.done:
                return operation
        return None

    def _lost(self, error: grpc.RpcError, *, resumed: bool) -> Exception:
        code, message = errors.code_of(error), error.details()
        if code == errors.NOT_FOUND and resumed:
            return errors.ClusterFault(
                Fault.LOST, code, f"{self._channel.cluster} has lost an action: {errors.said(message)}"
            )
        if code == errors.FAILED_PRECONDITION:
            return BlobsLacking(errors.said(message))
        return errors.error_of(code, message, _RUN, self._channel.cluster)

    def _response(self, done: Operation) -> ExecuteResponse:
        status = done.error
        response: ExecuteResponse | None = None
        if done.response is not None and done.response.type_url.endswith("ExecuteResponse"):
            response = decode(ExecuteResponse, done.response.value)
            status = response.status
        if status is not None and status.code:
            raise self._refused(status)
        if response is None or response.result is None:
            raise FormatError("an answer without a result")
        return response

    def _refused(self, status: Status) -> Exception:
        if status.code == errors.FAILED_PRECONDITION and _is_missing(status):
            return BlobsLacking(errors.said(status.message))
        if status.code in (errors.CANCELLED, errors.ABORTED):
            return errors.ClusterFault(
                Fault.CANCELLED, status.code, f"{self._channel.cluster} has ended it: {errors.said(status.message)}"
            )
        return errors.error_of(status.code, status.message, _RUN, self._channel.cluster)

    def _cancel(self, name: str) -> None:
        """Have the cluster end an action, if the cluster can. Nobody waits for the answer any more."""
        if not name:
            return
        try:
            self._channel.tell(OPERATIONS + "CancelOperation", CancelOperationRequest(name), _CANCEL_S)
        except grpc.RpcError:
            return  # the action runs to its end, for nobody


class _Watch:
    """What the cluster has said of an operation."""

    def __init__(self, started: Callable[[], None]) -> None:
        self.name = ""
        self.heard = False
        self._started = started
        self._told = False

    def saw(self, operation: Operation) -> None:
        self.name = operation.name or self.name
        self.heard = True
        stage = UNKNOWN
        if operation.metadata is not None and operation.metadata.type_url.endswith("ExecuteOperationMetadata"):
            stage = decode(ExecuteOperationMetadata, operation.metadata.value).stage
        if not self._told and stage in (UNKNOWN, EXECUTING):
            self._told = True
            self._started()


def _is_missing(status: Status) -> bool:
    """Whether the cluster lacks blobs. True also if it does not say what it lacks."""
    kinds = [
        violation.type
        for each in status.details
        if each.type_url.endswith("PreconditionFailure")
        for violation in decode(PreconditionFailure, each.value).violations
    ]
    return not kinds or "MISSING" in kinds
