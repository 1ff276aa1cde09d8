"""The Runtime API: what a runtime in its sandbox asks for its next invocation, and where it leaves the answer.

One server a sandbox, on a port of its own. The runtime's request for the next invocation stays open until there is one.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.servers.lambda_service.http import Exchange, Response, serve

_PREFIX = "/2018-06-01/runtime/"
_ANSWER = re.compile(r"invocation/([^/]+)/(response|error)")
MAX_REPLY = 6_291_556
ACCEPTED = Response(202, b'{"status":"OK"}', (("Content-Type", "application/json"),))


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation as the runtime sees it."""

    request_id: str
    payload: bytes
    deadline_ms: int
    arn: str
    trace: str

    def response(self) -> Response:
        headers = (
            ("Content-Type", "application/json"),
            ("Lambda-Runtime-Aws-Request-Id", self.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(self.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", self.arn),
            ("Lambda-Runtime-Trace-Id", self.trace),
        )
        return Response(200, self.payload, headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function made of a call. `error` is the value of X-Amz-Function-Error, or nothing."""

    payload: bytes
    error: str = ""


def failure(kind: str, message: str) -> Answer:
    return Answer(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


@dataclass(slots=True)
class RuntimeApi:
    """One runtime's side. `on_idle` is called each time it waits for work: the moment at which Lambda freezes it."""

    on_idle: Callable[[], None]
    port: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    init_error: Answer | None = None
    _server: asyncio.Server | None = None
    _waiting: Exchange | None = None
    _call: Call | None = None
    _answer: asyncio.Future[Answer] | None = None

    async def open(self) -> None:
        self._server, self.port = await serve(self._handle)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def give(self, call: Call) -> asyncio.Future[Answer]:
        """Hand the call to the runtime; its answer comes in the future."""
        assert self._waiting is not None, "the runtime does not wait"
        waiting, self._waiting = self._waiting, None
        self.ready.clear()
        self._call = call
        self._answer = asyncio.get_running_loop().create_future()
        waiting.send(call.response())
        return self._answer

    def _handle(self, exchange: Exchange) -> None:
        method, path = exchange.request.method, exchange.request.path.removeprefix(_PREFIX)
        if method == "GET" and path == "invocation/next":
            self._next(exchange)
        elif method == "POST" and path == "init/error":
            self.init_error = Answer(exchange.request.body, "Unhandled")
            self.ready.set()
            exchange.send(ACCEPTED)
        elif method == "POST" and (found := _ANSWER.fullmatch(path)):
            self._answered(exchange, found[1], found[2])
        else:
            exchange.send(Response(404, b'{"errorType":"InvalidRequest","errorMessage":"no such path"}'))

    def _next(self, exchange: Exchange) -> None:
        self._waiting = exchange
        exchange.gone = self._left
        self.ready.set()
        self.on_idle()

    def _left(self) -> None:
        self._waiting = None
        self.ready.clear()

    def _answered(self, exchange: Exchange, request_id: str, kind: str) -> None:
        if self._call is None or self._call.request_id != request_id or self._answer is None or self._answer.done():
            exchange.send(Response(400, b'{"errorType":"InvalidRequestID","errorMessage":"Invalid request ID"}'))
            return
        body = exchange.request.body
        if len(body) > MAX_REPLY:
            message = f"Response payload size exceeded maximum allowed payload size ({MAX_REPLY} bytes)."
            self._answer.set_result(failure("Function.ResponseSizeTooLarge", message))
            exchange.send(
                Response(
                    413, b'{"errorType":"RequestEntityTooLarge","errorMessage":"Exceeded maximum allowed payload size"}'
                )
            )
            return
        self._answer.set_result(Answer(body, "Unhandled" if kind == "error" else ""))
        exchange.send(ACCEPTED)
