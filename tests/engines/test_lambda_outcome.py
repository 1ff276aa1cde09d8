"""What each answer of Lambda means: the table, row by row."""

from __future__ import annotations

import base64
import json

import pytest

from gg.aws.connection import Response
from gg.aws.failures import RequestContext
from gg.aws.trouble import Cause, NoAnswer
from gg.engines.awslambda.lambda_outcome import from_answer, from_silence
from gg.engines.engine import Failure
from gg.errors import AccessError, SetupError
from gg.schedule.events import Fault
from gg.wire.reply import Reply, WorkerInfo, asked, encode_reply, encode_wrong_version

ASKED = RequestContext(
    "run functions", "lambda:InvokeFunction", "lambda.eu-north-1.amazonaws.com", "eu-north-1", "AKIA"
)


def http(status: int, body: object = None, **headers: str) -> Response:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, text)


def judged(answer: Response) -> Failure:
    result = from_answer(answer, ASKED, "gg-worker-x86_64-1769", b"")
    assert isinstance(result, Failure)
    return result


def test_a_reply() -> None:
    reply = Reply(WorkerInfo("0.1"), ())
    answer = http(200, base64.b64encode(encode_reply(reply, b"request")).decode())
    assert from_answer(answer, ASKED, "f", asked(b"request")) == reply
    other = from_answer(answer, ASKED, "f", asked(b"another"))
    assert isinstance(other, Failure)
    assert (other.fault, other.setup) == (Fault.INFRA, None)


@pytest.mark.parametrize("body", [b"", b"{", b"17", b'"!!"', b'"QUJD"', b'{"errorMessage": 1}', b"null"])
def test_what_is_no_reply_is_the_engines_trouble(body: bytes) -> None:
    assert judged(http(200, body)).fault is Fault.INFRA


def test_a_worker_of_another_version() -> None:
    answer = http(200, base64.b64encode(encode_wrong_version("older")).decode())
    failure = judged(answer)
    assert isinstance(failure.setup, SetupError)
    assert "gg deploy lambda" in failure.setup.hint


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (
            {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: x Error: Task timed out after 3.00 s"},
            Fault.TIMEOUT,
        ),
        ({"errorMessage": "2026-11-22 x Task timed out after 3.00 seconds"}, Fault.TIMEOUT),
        ({"errorType": "Runtime.OutOfMemory", "errorMessage": "signal: killed"}, Fault.MEMORY),
        ({"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}, Fault.LOST),
        ({"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: exit status 1"}, Fault.LOST),
        ({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": "Response payload size"}, Fault.TOO_BIG),
        ({"errorType": "OSError", "errorMessage": "no space left", "stackTrace": []}, Fault.INFRA),
    ],
)
def test_errors_of_the_function(said: dict[str, object], fault: Fault) -> None:
    failure = judged(http(200, said, x_amz_function_error="Unhandled"))
    assert failure.fault is fault
    assert failure.setup is None


@pytest.mark.parametrize(("used", "fault"), [(1021, Fault.MEMORY), (300, Fault.LOST)])
def test_what_was_killed_with_its_memory_full_wants_more(used: int, fault: Fault) -> None:
    report = f"REPORT RequestId: x\tBilled Duration: 9 ms\tMemory Size: 1024 MB\tMax Memory Used: {used} MB\t\n"
    said = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}
    log = base64.b64encode(report.encode()).decode()
    assert judged(http(200, said, x_amz_function_error="Unhandled", x_amz_log_result=log)).fault is fault


def test_a_function_that_never_starts_is_the_set_ups() -> None:
    said = {"errorType": "Runtime.ImportModuleError", "errorMessage": "No module named 'gg'"}
    assert isinstance(judged(http(200, said, x_amz_function_error="Unhandled")).setup, SetupError)


@pytest.mark.parametrize(
    ("status", "code", "fault", "setup"),
    [
        (413, "RequestEntityTooLargeException", Fault.TOO_BIG, None),
        (429, "TooManyRequestsException", Fault.THROTTLED, None),
        (500, "ServiceException", Fault.INFRA, None),
        (502, "", Fault.INFRA, None),
        (503, "", Fault.INFRA, None),
        (409, "ResourceConflictException", Fault.INFRA, None),
        (404, "ResourceNotFoundException", Fault.INFRA, SetupError),
        (403, "AccessDeniedException", Fault.INFRA, AccessError),
        (403, "ExpiredTokenException", Fault.INFRA, AccessError),
        (403, "UnrecognizedClientException", Fault.INFRA, AccessError),
    ],
)
def test_answers_of_the_service(status: int, code: str, fault: Fault, setup: type[Exception] | None) -> None:
    failure = judged(http(status, {"Message": "said"}, x_amzn_errortype=code))
    assert failure.fault is fault
    assert type(failure.setup) is (setup or type(None))


@pytest.mark.parametrize(
    ("cause", "fault", "setup"),
    [
        (Cause.CONNECT, Fault.INFRA, False),
        (Cause.NAME, Fault.INFRA, False),
        (Cause.LOST, Fault.LOST, False),
        (Cause.CERTIFICATE, Fault.INFRA, True),
        (Cause.PROXY, Fault.INFRA, True),
    ],
)
def test_no_answer(cause: Cause, fault: Fault, setup: bool) -> None:
    failure = from_silence(NoAnswer(cause, "host", "why"))
    assert (failure.fault, failure.setup is not None) == (fault, setup)
