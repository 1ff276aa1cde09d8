"""The meaning of an answer of Lambda for an attempt. Pure: one table from status, header and body to Reply or Failure."""

from __future__ import annotations

import base64
import re

from gg.aws.connection import Response
from gg.aws.failures import Passing, RequestContext, code_of, from_no_answer, from_reply
from gg.aws.trouble import Cause, NoAnswer
from gg.core.jsontext import json_from
from gg.engines.awslambda.deployed_functions import gone
from gg.engines.engine import Failure
from gg.engines.worker_reply import damaged_reply, judged
from gg.errors import FormatError, SetupError
from gg.schedule.events import Fault
from gg.wire.reply import Reply

_OLD_WORKER = "the deployed functions are of another version of gg"
_FIX = "bring them up to date with: gg deploy lambda"
_NEVER_STARTS = ("Runtime.ImportModuleError", "Runtime.HandlerNotFound", "Runtime.UserCodeSyntaxError")
_NO_MEMORY = ("Runtime.OutOfMemory", "MemoryError")
_USED = re.compile(rb"Memory Size: (\d{1,9}) MB\tMax Memory Used: (\d{1,9}) MB")
_FULL = 0.95
_MOST_TROUBLE = 1 << 16  # bytes of a runtime's report of an error
_TOO_BIG = ("Function.ResponseSizeTooLarge", "RequestTooLarge", "RequestEntityTooLargeException")


def from_answer(http: Response, asked: RequestContext, function: str, request: bytes) -> Reply | Failure:
    """The meaning of an HTTP answer. `request`: what `gg.wire.reply.asked` gave for the request."""
    error = http.headers.get("x-amz-function-error", "")
    if http.status == 200 and not error:
        return _from_worker(http.body, request)
    if http.status == 200 or error:
        return _from_runtime(http.body, http.headers.get("x-amz-log-result", ""))
    if http.status == 413 or code_of(http) in _TOO_BIG:
        return Failure(Fault.TOO_BIG, "its inputs are too big for a request")
    if missing := gone(http, function, asked.region):
        return Failure(Fault.INFRA, str(missing), setup=missing)
    if http.status in (409, 502):  # the function is being updated; the runtime broke
        return Failure(Fault.INFRA, f"Lambda answers {http.status} {code_of(http)}")
    trouble = from_reply(http, asked)
    if isinstance(trouble, Passing):
        return Failure(Fault.THROTTLED if trouble.throttled and http.status == 429 else Fault.INFRA, str(trouble))
    return Failure(Fault.INFRA, str(trouble), setup=trouble)


def from_silence(error: NoAnswer) -> Failure:
    """The meaning of no HTTP answer. If a connection broke under a request, the function may have run, or may run still."""
    trouble = from_no_answer(error)
    if not isinstance(trouble, Passing):
        return Failure(Fault.INFRA, str(trouble), setup=trouble)
    return Failure(Fault.LOST if maybe_ran(error) else Fault.INFRA, str(trouble))


def maybe_ran(error: NoAnswer) -> bool:
    """Whether the request may have come to a function."""
    return error.cause not in (Cause.NAME, Cause.CONNECT)


def _from_worker(body: bytes, request: bytes) -> Reply | Failure:
    try:
        text = json_from(body, "reply") if body[:1] == b'"' else None
        if not isinstance(text, str):
            raise ValueError("no text")
        reply = base64.b64decode(text, validate=True)
    except (ValueError, FormatError) as error:
        return damaged_reply(error)
    return judged(reply, request, SetupError(_OLD_WORKER, hint=_FIX))


def _was_full(log: str) -> bool:
    """Whether the log's report, in base64, shows that all memory was in use. Lambda's error only says that a process was killed."""
    try:
        found = _USED.search(base64.b64decode(log))
    except ValueError:
        return False
    return found is not None and int(found[2]) >= _FULL * int(found[1])


def _from_runtime(body: bytes, log: str) -> Failure:
    try:
        said = json_from(body[:_MOST_TROUBLE], "report of an error")
        kind, message = str(said.get("errorType", "")), str(said.get("errorMessage", ""))
    except (FormatError, AttributeError):
        kind, message = "", body[:200].decode("latin-1")
    text = f"{kind}: {message}" if kind else message
    if kind == "Sandbox.Timedout" or "Task timed out" in message:
        return Failure(Fault.TIMEOUT, text)
    if kind in _NO_MEMORY or ("signal: killed" in message and _was_full(log)):
        return Failure(Fault.MEMORY, text)
    if kind in _NEVER_STARTS:
        setup = SetupError(f"the deployed function does not start: {message}", hint=_FIX)
        return Failure(Fault.INFRA, text, setup=setup)
    if kind in _TOO_BIG:
        return Failure(Fault.TOO_BIG, "its outputs are too big for a reply")
    if kind.startswith(("Runtime.", "Sandbox.")) or "exited" in message:
        return Failure(Fault.LOST, text)
    return Failure(Fault.INFRA, text)
