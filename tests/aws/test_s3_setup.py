"""Set-up that is wrong: each case is one clear line, a hint, and the documented exit status. The environment is all we change."""

from __future__ import annotations

import email.utils
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.aws import failures as errors
from gg.aws.setup import AwsSession
from gg.errors import AccessError, GGError, SetupError, Unreachable, UsageError
from gg.share.keys import Keyring
from gg.share.s3 import bucket as bucket_module
from gg.share.s3.remote import Remote
from gg.share.s3.store import S3Store
from gg.share.s3.uri import DAY_S, StoreUri, parse
from tests.aws_client.test_aws_http import certificate, serving
from tests.conformance.store_suite import objects
from tests.servers.seaweed import Seaweed
from tests.servers.server import Answer, Seen, Server

__all__ = ["certificate"]

ITEMS = objects(b"x")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDTEST",
        "AWS_SECRET_ACCESS_KEY": "hush-hush-4711",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_module, "pause", lambda failures: 0.01)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Remote]]:
    remotes: list[Remote] = []
    yield remotes
    for remote in remotes:
        remote.close()


def trouble(opened: list[Remote], tmp_path: Path, where: str = "s3://team/cache?region=eu-west-1") -> GGError:
    """What a person is told who puts something."""
    remote = Remote(parse(where), os.fsencode(tmp_path / f"catalog{len(opened)}"), Keyring())
    opened.append(remote)
    with pytest.raises(GGError) as caught:
        S3Store(remote).put(ITEMS)
    error = caught.value
    assert "\n" not in error.what
    assert error.hint
    assert "hush" not in error.what + error.hint
    return error


def test_no_credentials(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    error = trouble(opened, tmp_path)
    assert (type(error), error.exit_code) == (AccessError, 77)
    assert error.what == "there are no AWS credentials"
    assert "aws configure" in error.hint


def test_no_such_profile(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    error = trouble(opened, tmp_path)
    assert (error.exit_code, "nowhere" in error.what, "AWS_PROFILE" in error.hint) == (78, True, True)


def test_no_region(opened: list[Remote], tmp_path: Path) -> None:
    error = trouble(opened, tmp_path, "s3://team/cache")
    assert (error.exit_code, error.what) == (78, "no AWS region is set")
    assert "region=R" in error.hint


def test_a_login_that_has_expired(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / "config").write_text(
        "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n"
    )
    error = trouble(opened, tmp_path)
    assert (error.exit_code, error.what) == (77, "the AWS session has expired")
    assert "aws sso login" in error.hint


ANSWERS = {
    "expired token": (
        Answer(400, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"),
        77, "the AWS session has expired", "AWS_SESSION_TOKEN",
    ),
    "unknown key": (
        Answer(403, b"<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>"),
        77, "AWS does not know the access key AKIDTEST", "AWS_ACCESS_KEY_ID",
    ),
    "wrong secret": (
        Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"),
        77, "does not belong to the access key AKIDTEST", "AWS_SECRET_ACCESS_KEY",
    ),
    "no right": (
        Answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"),
        77, "no right to read s3://team/cache", "s3:",
    ),
    "another region": (
        Answer(301, b"<Error><Code>PermanentRedirect</Code></Error>", (("x-amz-bucket-region", "us-west-2"),)),
        78, "the bucket is in us-west-2, not in eu-west-1", "?region=us-west-2",
    ),
    "another region, signed": (
        Answer(400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>"),
        78, "the bucket is in us-west-2, not in eu-west-1", "?region=us-west-2",
    ),
    "no bucket": (
        Answer(404, b"<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>"),
        78, "there is no such bucket", "gg deploy lambda",
    ),
    "clock": (
        Answer(403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>"),
        78, "this machine's clock differs", "timedatectl",
    ),
    "no S3": (Answer(200, b"<html>Welcome</html>"), 74, "does not answer as S3 does", "AWS_ENDPOINT_URL"),
    "busy": (Answer(503, b"<Error><Code>SlowDown</Code></Error>"), 74, "asks for fewer requests", "try again"),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_what_a_server_says(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    answer, status, what, hint = ANSWERS[case]
    if case == "clock":
        answer = answer._replace(headers=(("Date", email.utils.formatdate(time.time() + 1800, usegmt=True)),))
    with Server(lambda seen: answer) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        error = trouble(opened, tmp_path)
    assert error.exit_code == status
    assert what in error.what
    assert hint in error.hint
    if case == "clock":
        assert re.search(r"by \d\d min", error.what)


def test_a_real_server_refuses(
    seaweed_server: Seaweed, opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in seaweed_server.environment().items():
        monkeypatch.setenv(name, value)
    there_is_none = trouble(opened, tmp_path, "s3://no-such-bucket/x?region=us-east-1")
    assert "no such bucket" in there_is_none.what
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert trouble(opened, tmp_path).exit_code == 77
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNOBODY")
    assert "AKIDNOBODY" in trouble(opened, tmp_path).what


# The network


def test_nobody_there(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{held.getsockname()[1]}")
        error = trouble(opened, tmp_path)
    assert (type(error), error.exit_code) == (Unreachable, 75)
    assert "cannot connect to 127.0.0.1" in error.what
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    error = trouble(opened, tmp_path)
    assert (error.exit_code, "address of no-such-host.invalid" in error.what) == (75, True)


def echo(seen: Seen) -> Answer:
    return Answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")


def test_tls(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    with Server(echo, tls=serving(certificate)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        error = trouble(opened, tmp_path)
        assert (error.exit_code, "is not trusted" in error.what, "AWS_CA_BUNDLE" in error.hint) == (78, True, True)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        assert "no such bucket" in trouble(opened, tmp_path).what
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "absent.pem"))
        assert "cannot read the CA bundle" in trouble(opened, tmp_path).what
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with Server(echo) as plain:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", plain.url.replace("http:", "https:"))
        error = trouble(opened, tmp_path)
        assert "TLS" in error.what or "cannot connect" in error.what
        assert error.exit_code == (75 if "cannot connect" in error.what else 78), "who never answers is not reached"


def test_proxies(opened: list[Remote], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda seen: Answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hush@127.0.0.1:{proxy.port}")
        error = trouble(opened, tmp_path)
        assert (error.exit_code, "407" in error.what, "HTTPS_PROXY" in error.hint) == (78, True, True)
        assert proxy.seen[0].target.startswith("team.s3.eu-west-1.amazonaws.com:443")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert "through the proxy 127.0.0.1:1" in trouble(opened, tmp_path).what
    with Server(echo) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        assert "no such bucket" in trouble(opened, tmp_path).what


# Where a bucket is


def test_buckets_are_addressed_as_boto_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gg.share.s3.bucket import S3Bucket

    def address(where: str) -> tuple[str, str]:
        found = S3Bucket.open(parse(where), AwsSession("eu-west-1"))
        return found._client.endpoint.host, found._base

    assert address("s3://team/x?region=eu-west-1") == ("team.s3.eu-west-1.amazonaws.com", "")
    assert address("s3://team.dots/x?region=eu-west-1") == ("s3.eu-west-1.amazonaws.com", "/team.dots")
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = path\n")
    assert address("s3://team/x?region=eu-west-1") == ("s3.eu-west-1.amazonaws.com", "/team")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9/base/")
    assert address("s3://team/x?region=eu-west-1") == ("127.0.0.1", "/team")


def test_uris() -> None:
    assert parse("s3://b-1.x/a/b/?region=r&expire=7&mode=read") == StoreUri(
        "b-1.x", "a/b", "r", "", 7 * DAY_S, writable=False
    )
    assert str(parse("s3://bucket")) == "s3://bucket"
    for wrong in (
        "bucket",
        "http://b",
        "s3://B_",
        "s3://bucket?regoin=x",
        "s3://bucket?expire=never",
        "s3://bucket?mode=w",
    ):
        with pytest.raises(UsageError) as caught:
            parse(wrong)
        assert caught.value.hint


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_EXTRA", ("zstandard", "no_such_package"))
    with pytest.raises(SetupError, match=r"a store in a bucket needs .* no_such_package") as caught:
        errors.need_extra("a store in a bucket")
    assert "ggbuild[aws]" in caught.value.hint


def test_what_botocore_cannot_reach_has_the_same_status() -> None:
    """Its own clients deploy; whoever does not answer them is no more wrongly set up than for ours."""
    from botocore.exceptions import EndpointConnectionError, NoRegionError

    nobody = errors.from_botocore(EndpointConnectionError(endpoint_url="http://127.0.0.1:1/"))
    assert (nobody.exit_code, "127.0.0.1:1" in nobody.what, "AWS_ENDPOINT_URL" in nobody.hint) == (75, True, True)
    assert errors.from_botocore(NoRegionError()).exit_code == 78
