"""Set-up that is wrong, as gg-force meets it: one clear line, what to do about it, the documented exit status."""

from __future__ import annotations

import email.utils
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_client.test_aws_http import certificate, serving
from tests.e2e.project import Project
from tests.servers.deployed import Deployed, deployed
from tests.servers.functions_for_tests import create, zipped
from tests.servers.seaweed import Seaweed
from tests.servers.server import Answer, Server

__all__ = ["certificate"]

SOURCES = {"Makefile": "one.o: one.s ; as -o $@ one.s\n", "one.s": ".long 1\n"}


@pytest.fixture(scope="module")
def here(seaweed_server: Seaweed) -> Iterator[Deployed]:
    with deployed(seaweed_server) as running:
        yield running


@pytest.fixture
def project(here: Deployed, tmp_path: Path) -> Project:
    made = here.project(tmp_path, SOURCES)
    made.infer("make")
    return made


def refused(project: Project, status: int, said: str, hint: str, **changes: str) -> None:
    """Force with a changed environment, in which an empty value is none: two lines at most, beside notes."""
    env = {**project.env, **changes}
    project.env = {name: value for name, value in env.items() if value}
    text = project.force("--fallback", "never", status=status).text
    assert said in text, text
    assert hint in text, text
    assert len(text.splitlines()) <= 3, text
    assert project.env.get("AWS_SECRET_ACCESS_KEY", "none") not in text


CASES = {
    "no credentials": ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 77, "no AWS credentials", "aws configure"),
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "wrong-4711"}, 77, "the secret does not belong", "AWS_SECRET_ACCESS_KEY"),
    "unknown key": ({"AWS_ACCESS_KEY_ID": "AKIDNOBODY"}, 77, "", "AWS_ACCESS_KEY_ID"),
    "no such profile": ({"AWS_PROFILE": "nowhere"}, 78, "nowhere", "AWS_PROFILE"),
    "no store": ({"GG_STORAGE_URI": ""}, 78, "needs a store", "gg deploy lambda"),
    "no bucket": ({"GG_STORAGE_URI": "s3://gg-no-such-bucket/x?region=us-east-1"}, 78, "no such bucket", "gg deploy"),
    "no function": ({"GG_FUNCTIONS": "other"}, 78, "there is no function other-", "gg deploy lambda"),
    "no such host": ({"AWS_ENDPOINT_URL_LAMBDA": "http://no-such-host.invalid"}, 75, "no-such-host.invalid", ""),
    "no TLS there": ({"AWS_CA_BUNDLE": "/absent.pem"}, 78, "CA bundle", "AWS_CA_BUNDLE"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(case: str, project: Project) -> None:
    changes, status, said, hint = CASES[case]
    if case == "no TLS there":
        changes = {**changes, "AWS_ENDPOINT_URL_LAMBDA": "https://127.0.0.1:1"}
    refused(project, status, said, hint, **changes)


def test_another_region(project: Project) -> None:
    uri = project.env["GG_STORAGE_URI"].replace("us-east-1", "eu-west-1")
    refused(project, 78, "us-east-1", "region", GG_STORAGE_URI=uri)


def _says(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    shown = (("x-amzn-ErrorType", code), *((name.replace("_", "-"), value) for name, value in headers.items()))
    return Answer(status, json.dumps({"message": message}).encode(), shown)


ANSWERS = {
    "expired token": (_says(403, "ExpiredTokenException"), 77, "the AWS session has expired", ""),
    "no right": (_says(403, "AccessDeniedException"), 77, "no right to run functions", "lambda:InvokeFunction"),
    "clock": (
        _says(
            403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z",
            Date=email.utils.formatdate(time.time() + 1800, usegmt=True),
        ),
        78, "this machine's clock differs", "timedatectl",
    ),
    "proxy": (Answer(407), 78, "407", "PROXY"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_what_lambda_says(case: str, project: Project) -> None:
    answer, status, said, hint = ANSWERS[case]
    with Server(lambda seen: answer) as server:
        changes = {"AWS_ENDPOINT_URL_LAMBDA": server.url}
        if case == "proxy":
            changes = {"AWS_ENDPOINT_URL_LAMBDA": "https://lambda.invalid", "HTTPS_PROXY": server.url}
        refused(project, status, said, hint, **changes)


def test_the_connection(project: Project, certificate: Path) -> None:
    with Server(lambda seen: Answer(500), tls=serving(certificate)) as server:
        refused(project, 78, "is not trusted", "AWS_CA_BUNDLE", AWS_ENDPOINT_URL_LAMBDA=server.url)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        refused(project, 75, "cannot connect to 127.0.0.1", "AWS_ENDPOINT_URL", AWS_ENDPOINT_URL_LAMBDA=url)


def test_a_worker_of_another_version(here: Deployed, project: Project) -> None:
    """Functions that another gg has put there: they say which they are, and nothing else is tried."""
    name = next(f["FunctionName"] for f in here.functions.client().list_functions()["Functions"])
    code = (
        "import base64\ndef handler(event, context):\n"
        "    return base64.b64encode(bytes([0x93, 0xA8]) + b'gg-reply' + bytes([99, 0xA3]) + b'old').decode()\n"
    )
    other = re.sub(r"^gg-worker", "old", name)
    create(here.functions.client(), other, code=zipped({"app.py": code}), MemorySize=1769, Handler="app.handler")
    refused(project, 78, "of another version of gg", "gg deploy lambda", GG_FUNCTIONS="old")
