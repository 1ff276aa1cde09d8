"""The service: who calls, what is asked, whether it may run now, where it runs, and what of the answer reaches the caller."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from tests.servers.lambda_service.api import Api
from tests.servers.lambda_service.auth import Auth, may
from tests.servers.lambda_service.config import Config, Faults
from tests.servers.lambda_service.errors import Refused, throttled, too_large
from tests.servers.lambda_service.fast import Crowd, load
from tests.servers.lambda_service.faults import Trouble
from tests.servers.lambda_service.functions import Code, Function, Shelf
from tests.servers.lambda_service.http import Exchange, Response
from tests.servers.lambda_service.limits import Admission
from tests.servers.lambda_service.pool import Pool
from tests.servers.lambda_service.runtimeapi import Answer, Call, failure
from tests.servers.lambda_service.sandbox import Ran

MAX_REQUEST, MAX_EVENT, _LOG = 6_291_456, 1 << 20, 4096
_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_HEADROOM_S = 0.02


class Wanted(NamedTuple):
    """One invocation that was let in."""

    function: Function
    generation: int
    payload: bytes
    request_id: str
    trouble: str
    tail: bool


class Service:
    """Handles every request of the server. `directory` is where code is unpacked."""

    def __init__(self, config: Config, directory: Path) -> None:
        self._config = config
        self._auth = Auth(config.identities, config.region)
        self._shelf = Shelf(config.region, config.account, directory)
        self._admission = Admission(config.limits)
        self._trouble = Trouble(config.faults, time.monotonic())
        self._pool = Pool(config, self._shelf)
        self._crowd = Crowd(load(config.fast), config.limits) if config.fast else None
        self._api = Api(config, self._shelf, self._admission)
        self._series, self._numbers = str(uuid.uuid4())[:23], itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        self._answered: list[str] = []

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or later."""
        request_id = f"{self._series}-{next(self._numbers):012x}"
        try:
            if exchange.request.target.startswith("/_service/"):
                exchange.send(self._own(exchange))
            elif found := _INVOKE.fullmatch(exchange.request.path):
                self._invoke(exchange, found[1], request_id)
            else:
                self._operate(exchange, request_id)
        except Refused as refused:
            self._refuse(exchange, refused, request_id)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pool.close()

    async def tidy(self) -> None:
        """From time to time, end sandboxes that nobody uses."""
        while True:
            await asyncio.sleep(min(5.0, self._config.limits.idle_s))
            self._pool.expire(time.monotonic() - self._config.limits.idle_s)

    # What only tests call

    def _own(self, exchange: Exchange) -> Response:
        request = exchange.request
        if request.method == "PUT" and request.path == "/_service/faults":
            self._trouble = Trouble(Faults.load(json.loads(request.body)), time.monotonic())
        elif request.method == "GET" and request.path == "/_service/answered":
            return _json(self._answered)
        elif request.method != "GET" or request.path != "/_service/state":
            return Response(404)
        state = {
            **self.counts,
            **{f"fault {kind}": number for kind, number in self._trouble.counts.items()},
            "most at once": self._admission.most,
            "running": self._admission.running,
            "under way": len(self._tasks),
            "sandboxes": len(self._pool),
        }
        return _json(state)

    # Operations on functions and layers

    def _operate(self, exchange: Exchange, request_id: str) -> None:
        identity = self._auth.check(exchange.request)
        route, parts = self._api.find(exchange.request)
        resource = self._shelf.arn(parts[0]) if parts else "*"
        may(identity, route.action, resource, self._config.account)
        self._start(self._operation(exchange, request_id, route.run(exchange.request, *parts)))

    async def _operation(
        self, exchange: Exchange, request_id: str, work: Coroutine[Any, Any, tuple[int, dict[str, Any] | None]]
    ) -> None:
        try:
            status, body = await work
        except Refused as refused:
            self._refuse(exchange, refused, request_id)
        except (KeyError, TypeError, ValueError) as error:
            malformed = Refused(400, "ValidationException", f"{type(error).__name__}: {error}")
            self._refuse(exchange, malformed, request_id)
        else:
            headers = (("Content-Type", "application/json"), ("x-amzn-RequestId", request_id))
            exchange.send(Response(status, b"" if body is None else json.dumps(body).encode(), headers))

    # Invoke

    def _invoke(self, exchange: Exchange, name: str, request_id: str) -> None:
        request, now = exchange.request, time.monotonic()
        may(self._auth.check(request), "lambda:InvokeFunction", self._shelf.arn(name), self._config.account)
        function = self._function(name)
        kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
        limit = MAX_EVENT if kind == "Event" else MAX_REQUEST
        if len(request.body) > limit:
            raise too_large(limit, "InvokeFunction")
        self._need_json(request.body)
        trouble = self._trouble.draw(now)
        if refusal := self._trouble.refusal(trouble):
            raise refusal
        if kind == "DryRun":
            exchange.send(Response(204))
            return
        tail = request.headers.get("x-amz-log-type") == "Tail"
        wanted = Wanted(function, function.generation, request.body, request_id, trouble, tail)
        if self._crowd is not None:
            self._pretend(exchange, wanted, self._crowd, now)
        elif kind == "Event":
            exchange.send(Response(202, b"", (("x-amzn-RequestId", request_id),)))
            self._start(self._event(wanted))
        else:
            self._start(self._request_response(exchange, wanted))

    def _function(self, name: str) -> Function:
        if self._crowd is not None and name not in self._shelf.functions and ":" not in name:
            nothing = Code(self._shelf.directory, "", 0, 0)
            self._shelf.functions[name] = Function(name, self._shelf.arn(name), {"Timeout": 900}, nothing, "x86_64")
        function = self._shelf.find(name)
        now = time.time()
        if now < function.active_at:
            function.need_settled(now)
        return function

    def _need_json(self, payload: bytes) -> None:
        """Lambda takes nothing but JSON. In fast mode it is believed."""
        if self._crowd is None and payload:
            try:
                json.loads(payload)
            except ValueError as error:
                raise Refused(
                    400, "InvalidRequestContentException", f"Could not parse request body into json: {error}"
                ) from None

    def _enter(self, function: Function, *, warm: bool) -> None:
        reason = self._admission.enter(function.name, time.monotonic(), warm=warm)
        if reason:
            raise throttled(reason)
        self.counts["invocations"] += 1
        self.counts["cold starts"] += not warm

    async def _request_response(self, exchange: Exchange, wanted: Wanted) -> None:
        try:
            if wanted.trouble == "twice":
                self._start(self._event(wanted._replace(trouble="")))
            if wanted.trouble == "slow":
                await asyncio.sleep(self._trouble.faults.slow_s)
            ran, cold_s = await self._run(wanted)
        except Refused as refused:
            self._refuse(exchange, refused, wanted.request_id)
            return
        except Exception:
            self._refuse(
                exchange, Refused(500, "ServiceException", "an error of the test's service"), wanted.request_id
            )
            raise
        log = _log(wanted, ran.took_s, ran.memory, cold_s, ran.log)
        if silence := self._trouble.silence(time.monotonic()):
            self.counts["silenced"] += 1
            await asyncio.sleep(silence)
        self._deliver(exchange, wanted, ran.answer, log)

    async def _event(self, wanted: Wanted) -> None:
        """Run for nobody who waits: again when throttled, and as often as the function wants when it fails."""
        left = wanted.function.retries
        while True:
            try:
                ran, _ = await self._run(wanted)
            except Refused:
                await asyncio.sleep(0.1)
                continue
            if not ran.answer.error or not left:
                return
            left -= 1

    async def _run(self, wanted: Wanted) -> tuple[Ran, float | None]:
        """Run it in a sandbox; and how long the cold start took, if there was one."""
        function = wanted.function
        sandbox = self._pool.take_idle(function)
        cold = sandbox is None
        try:
            self._enter(function, warm=not cold)
        except Refused:
            if sandbox is not None:
                self._pool.put(function, sandbox, wanted.generation)
            raise
        try:
            if sandbox is None:
                sandbox = await self._pool.start(function)
            call = _call(wanted)
            ran = await sandbox.invoke(call, function.timeout_s, wanted.trouble, self._trouble.faults.crash_after_s)
            self._pool.put(function, sandbox, wanted.generation)
            init_s = sandbox.init_s if cold else None
            self._bill(function, ran.took_s, init_s)
            return ran, init_s
        finally:
            self._admission.leave(function.name)

    def _bill(self, function: Function, took_s: float, init_s: float | None) -> None:
        """What this invocation is paid for, whoever hears of it."""
        milliseconds = _billed_ms(took_s, init_s)
        self.counts["billed invocations"] += 1
        self.counts["billed ms"] += milliseconds
        self.counts["billed MB-ms"] += milliseconds * function.memory_mb

    # Fast mode

    def _pretend(self, exchange: Exchange, wanted: Wanted, crowd: Crowd, now: float) -> None:
        name = wanted.function.name
        warm = crowd.take_idle(name, now)
        try:
            self._enter(wanted.function, warm=warm)
        except Refused:
            if warm:
                crowd.put(name, now)
            raise
        seconds, answer = crowd.answer(wanted.payload)
        seconds += 0.0 if warm else self._config.cold_start_s
        if wanted.trouble == "twice":
            self._enter(wanted.function, warm=True)
            self._admission.leave(name)
        elif wanted.trouble:
            seconds, answer = self._pretended_trouble(wanted, seconds, answer)
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, self._pretended, exchange, wanted, crowd, seconds, answer)
        else:
            self._pretended(exchange, wanted, crowd, seconds, answer)

    def _pretended(self, exchange: Exchange, wanted: Wanted, crowd: Crowd, seconds: float, answer: Answer) -> None:
        self._admission.leave(wanted.function.name)
        crowd.put(wanted.function.name, time.monotonic())
        self._bill(wanted.function, seconds, None)
        self._deliver(exchange, wanted, answer, _log(wanted, seconds, 0, None, b"") if wanted.tail else b"")

    def _pretended_trouble(self, wanted: Wanted, seconds: float, answer: Answer) -> tuple[float, Answer]:
        faults, request_id = self._trouble.faults, wanted.request_id
        match wanted.trouble:
            case "crash":
                text = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
                return faults.crash_after_s, failure("Runtime.ExitError", text)
            case "memory":
                text = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
                return faults.crash_after_s, failure("Runtime.OutOfMemory", text)
            case "hang":
                timeout = wanted.function.timeout_s
                text = f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
                return timeout, failure("Sandbox.Timedout", text)
            case "slow":
                return seconds + faults.slow_s, answer
        return seconds, answer

    # The way back

    def _deliver(self, exchange: Exchange, wanted: Wanted, answer: Answer, log: bytes) -> None:
        """Send the answer, or what the trouble leaves of it."""
        payload, trouble = answer.payload, wanted.trouble
        if answer.error:
            self.counts["function errors"] += 1
        if trouble == "corrupt":
            payload = self._trouble.corrupted(payload)
        response = _response(Answer(payload, answer.error), wanted, log)
        if self._config.keeps_answered and not answer.error and trouble not in ("lost", "cut", "corrupt"):
            self._answered.append(wanted.payload.decode())
        match trouble:
            case "lost":
                exchange.drop()
            case "cut":
                encoded = response.encoded()
                exchange.drop(encoded[: len(encoded) - max(1, len(payload) // 2)])
            case "stray":
                exchange.send(response, times=2)
            case "late":
                asyncio.get_running_loop().call_later(self._trouble.faults.late_s, exchange.send, response)
            case _:
                exchange.send(response)

    def _refuse(self, exchange: Exchange, refused: Refused, request_id: str) -> None:
        self.counts[f"{refused.status} {refused.reason or refused.kind}"] += 1
        exchange.send(refused.response(request_id))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.counts["errors of the service itself"] += 1
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a call was not answered", "exception": error}
            )


def _json(value: object) -> Response:
    return Response(200, json.dumps(value).encode(), (("Content-Type", "application/json"),))


def _call(wanted: Wanted) -> Call:
    deadline = int((time.time() + wanted.function.timeout_s - _HEADROOM_S) * 1000)
    number = wanted.request_id.replace("-", "")
    trace = f"Root=1-{int(time.time()):08x}-{number[:24]};Parent={number[:16]};Sampled=0"
    return Call(wanted.request_id, wanted.payload or b"{}", deadline, wanted.function.arn, trace)


def _response(answer: Answer, wanted: Wanted, log: bytes) -> Response:
    headers = [
        ("Content-Type", "application/json"),
        ("x-amzn-RequestId", wanted.request_id),
        ("X-Amz-Executed-Version", "$LATEST"),
    ]
    if answer.error:
        headers.append(("X-Amz-Function-Error", answer.error))
    if wanted.tail:
        headers.append(("X-Amz-Log-Result", base64.b64encode(log[-_LOG:]).decode()))
    return Response(200, answer.payload, tuple(headers))


def _billed_ms(took_s: float, init_s: float | None) -> int:
    return int((took_s + (init_s or 0.0)) * 1000) + 1


def _log(wanted: Wanted, took_s: float, memory: int, cold_s: float | None, own: bytes) -> bytes:
    """The log as the function's log group would have it: its `own` lines between Lambda's."""
    who, billed = wanted.request_id, _billed_ms(took_s, cold_s)
    fields = [f"REPORT RequestId: {who}", f"Duration: {took_s * 1000:.2f} ms", f"Billed Duration: {billed} ms"]
    fields += [f"Memory Size: {wanted.function.memory_mb} MB", f"Max Memory Used: {memory >> 20} MB"]
    if cold_s is not None:
        fields.append(f"Init Duration: {cold_s * 1000:.2f} ms")
    report = "\t".join([*fields, "\n"])
    return b"START RequestId: %b Version: $LATEST\n%bEND RequestId: %b\n%b" % (
        who.encode(),
        own,
        who.encode(),
        report.encode(),
    )
