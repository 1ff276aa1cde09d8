"""Each request to a bucket says whose it must be, so that one whose name somebody else has taken gets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from gg.aws.http import Endpoint, Response
from gg.aws.sign import Credentials
from gg.deploy.aws_calls import AwsService
from gg.deploy.wanted import Account, Wanted
from gg.engines.awslambda.shipping import S3Shipping
from gg.errors import SetupError, UsageError
from gg.share.s3 import uri
from gg.share.s3.bucket import S3Bucket
from gg.wire.request import BucketLocation

KEY = Credentials("ASIAQNZGKIQY56JQ7WML", "secret", "token")
ACCOUNT = "029608264753"


class Keys:
    """Keys that are renewed before they are first had."""

    def __init__(self) -> None:
        self._key: Credentials | None = None

    def current(self) -> Credentials | None:
        return self._key

    def renew(self) -> Credentials:
        self._key = KEY
        return KEY


def asked(text: str, *, amazon: bool, status: int = 404) -> list[Mapping[str, str]]:
    """The headers of what a bucket is asked by each operation."""
    seen: list[Mapping[str, str]] = []

    async def run() -> None:
        bucket = S3Bucket(
            uri.parse(text), Endpoint("s3.eu-west-1.amazonaws.com", 443), "eu-west-1", Keys(), amazon=amazon
        )

        async def request(*arguments: object, headers: Mapping[str, str] | None = None, **more: object) -> Response:
            seen.append(dict(headers or {}))
            return Response(status, {}, b"<Error><Code>AccessDenied</Code></Error>" if status == 403 else b"")

        bucket._client.request = request  # type: ignore[method-assign]
        await bucket.get("packs/x")
        await bucket.get("packs/x", (0, 3))
        await bucket.touch("packs/x")

    asyncio.run(run())
    return seen


def test_each_request_names_the_owner() -> None:
    """The first one too, for which the keys are had only then."""
    for headers in asked("s3://team/x?region=eu-west-1", amazon=True):
        assert headers["x-amz-expected-bucket-owner"] == ACCOUNT
    for headers in asked("s3://team/x?region=eu-west-1&owner=123456789012", amazon=False):
        assert headers["x-amz-expected-bucket-owner"] == "123456789012"
    for headers in asked("s3://team/x?region=eu-west-1", amazon=False):
        assert "x-amz-expected-bucket-owner" not in headers, "others know no accounts"


def test_workers_are_told_the_owner() -> None:
    bucket = S3Bucket(
        uri.parse("s3://team/x?region=eu-west-1"),
        Endpoint("s3.eu-west-1.amazonaws.com", 443),
        "eu-west-1",
        Keys(),
        amazon=True,
    )
    bucket._keys.renew()
    remote = SimpleNamespace(where=bucket.where, bucket=bucket)
    where = S3Shipping.place.fget(SimpleNamespace(_remote=remote))  # type: ignore[attr-defined]
    assert where == BucketLocation("", "team", "x", "eu-west-1", ACCOUNT)


def test_a_refusal_says_whose_it_must_be() -> None:
    with pytest.raises(SetupError) as caught:
        asked("s3://team/x?region=eu-west-1", amazon=True, status=403)
    assert f"the bucket must belong to account {ACCOUNT}, for another one say &owner=ACCOUNT" in caught.value.hint


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("ASIAQNZGKIQY56JQ7WML", ACCOUNT),
        ("AKIAIOSFODNN7EXAMPLE", ""),  # of a time when keys did not say
        ("AKIAQ", ""),
        ("testing", ""),
        ("AKIAQ00000000000000!", ""),
    ],
)
def test_a_key_says_whose_it_is(key: str, account: str) -> None:
    assert Credentials(key, "secret").account == account


def test_a_store_says_whose_it_is() -> None:
    assert uri.parse("s3://team/x?owner=000000000001").owner == "000000000001"
    for wrong in ("12345678901", "1234567890123", "someone12345", "\u0661" * 12):
        with pytest.raises(UsageError, match="owner is an account, 12 digits"):
            uri.parse(f"s3://team/x?owner={wrong}")


def test_calls_of_a_deployment_name_it() -> None:
    seen: dict[str, dict[str, Any]] = {}

    class Service:
        def __getattr__(self, operation: str) -> Any:
            return lambda **arguments: seen.setdefault(operation, arguments)

    class Session:
        def client(self, service: str) -> Service:
            return Service()

    wanted = Wanted(Account(ACCOUNT), "eu-west-1", "team", "gg", "x86_64", None)  # type: ignore[arg-type]
    calls = AwsService(Session(), "s3", dry=False, owner=wanted.bucket_owner)  # type: ignore[arg-type]
    for operation in ("get_bucket_location", "put_object", "put_bucket_policy", "create_bucket"):
        calls.ask(operation, Bucket="team")
    assert {name for name, arguments in seen.items() if arguments.get("ExpectedBucketOwner") == ACCOUNT} == {
        "get_bucket_location", "put_object", "put_bucket_policy",
    }  # fmt: skip
    assert wanted._replace(owner="123456789012").bucket_owner == "123456789012"
    assert wanted._replace(owner="123456789012").uri.endswith("&owner=123456789012")
