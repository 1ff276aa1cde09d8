"""Each kind of trouble that the Lambda service can be told to make, as a caller meets it; and that a seed repeats it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers.functions_for_tests import create, until
from tests.servers.lambda_service.client import LambdaService, lambda_service
from tests.servers.lambda_service.config import Config, Faults
from tests.servers.lambda_service.faults import Trouble
from tests.servers.lambda_service.limits import ACCOUNT, RESERVED

_BODY = b'{"do": "echo", "text": "0123456789012345678901234567890123456789"}'
_PATH = "/2015-03-31/functions/f/invocations"


@pytest.fixture(scope="module", params=["sandbox", "fast"])
def service(request: pytest.FixtureRequest) -> Iterator[LambdaService]:
    worker = "tests.servers.lambda_service.fast:echo" if request.param == "fast" else ""
    with lambda_service(Config(fast=worker)) as running:
        create(running.client(), Timeout=1)
        _invoke(running)
        yield running


def _ask(service: LambdaService, connection: http.client.HTTPConnection) -> None:
    asked = AWSRequest("POST", service.endpoint + _PATH, data=_BODY)
    keys = Credentials(service.identity.access_key, service.identity.secret_key)
    SigV4Auth(keys, "lambda", "us-east-1").add_auth(asked)
    connection.request("POST", _PATH, _BODY, dict(asked.headers))


def _invoke(service: LambdaService) -> tuple[int, str, bytes]:
    """Status, error type or reason, and body."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    try:
        _ask(service, connection)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    made: Any = json.loads(body) if answer.status != 200 or answer.headers.get("X-Amz-Function-Error") else {}
    return answer.status, made.get("errorType", made.get("Reason", "")), body


def test_without_faults_the_answer_is_right(service: LambdaService) -> None:
    service.faults()
    assert _invoke(service) == (200, "", _BODY)


@pytest.mark.parametrize(
    ("kind", "error"), [("crash", "Runtime.ExitError"), ("hang", "Sandbox.Timedout"), ("memory", "Runtime.OutOfMemory")]
)
def test_the_function_fails(service: LambdaService, kind: str, error: str) -> None:
    service.faults(**{kind: 1, "crash_after_s": 0})
    assert _invoke(service)[:2] == (200, error)
    assert service.state()[f"fault {kind}"] == 1


def test_the_reply_is_lost_or_cut(service: LambdaService) -> None:
    service.faults(lost=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        _invoke(service)
    service.faults(cut=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        _invoke(service)


def test_the_reply_comes_twice(service: LambdaService) -> None:
    service.faults(stray=1)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
    _ask(service, connection)
    came = b""
    with connection.sock as wire:
        while came.count(_BODY) < 2:
            came += wire.recv(4096)
    assert came.count(b"HTTP/1.1 200") == 2


def test_the_function_runs_twice(service: LambdaService) -> None:
    service.faults(twice=1)
    before = service.state()["invocations"]
    assert _invoke(service) == (200, "", _BODY)
    until(lambda: service.state()["invocations"] == before + 2)


def test_the_reply_is_late_or_the_function_slow(service: LambdaService) -> None:
    for shares in ({"late": 1, "late_s": 0.5}, {"slow": 1, "slow_s": 0.5}):
        service.faults(**shares)
        started = time.monotonic()
        assert _invoke(service) == (200, "", _BODY)
        assert time.monotonic() - started >= 0.5


def test_the_reply_is_corrupt(service: LambdaService) -> None:
    service.faults(corrupt=1)
    status, _, body = _invoke(service)
    assert (status, len(body)) == (200, len(_BODY))
    assert body != _BODY


def test_the_service_fails_or_throttles(service: LambdaService) -> None:
    service.faults(server=1)
    assert {_invoke(service)[0] for _ in range(20)} == {500, 502, 503}
    service.faults(throttle=1)
    assert {_invoke(service)[:2] for _ in range(20)} == {(429, ACCOUNT), (429, RESERVED)}


def test_a_storm_passes(service: LambdaService) -> None:
    service.faults(storm=[(0, 0.5)])
    assert _invoke(service)[0] == 429
    until(lambda: _invoke(service)[0] == 200)
    service.faults()


def test_a_seed_repeats_the_choice_and_shares_are_kept() -> None:
    faults = Faults(crash=0.1, lost=0.2, seed=7)
    drawn = [[t.draw(0.0) for _ in range(2000)] for t in (Trouble(faults, 0.0), Trouble(faults, 0.0))]
    assert drawn[0] == drawn[1]
    assert 120 < drawn[0].count("crash") < 280
    assert 300 < drawn[0].count("lost") < 500
    assert set(drawn[0]) == {"", "crash", "lost"}
