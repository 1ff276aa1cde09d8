"""Our signatures are botocore's, for every kind of request that gg makes."""

from __future__ import annotations

import datetime
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from gg.aws.sign import Credentials, Scope, payload_hash, query_string, quote_path, sign

NOW = 1_790_000_000.0
KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def theirs(
    credentials: Credentials, scope: Scope, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> str:
    url = f"http://host.example{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    auth = S3SigV4Auth if scope.service == "s3" else SigV4Auth
    signer = auth(BotoCredentials(*credentials), scope.service, scope.region)
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


def ours(
    credentials: Credentials, scope: Scope, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> str:
    added = sign(
        credentials,
        scope,
        method=method,
        path=path,
        query=query,
        headers={"Host": "host.example", **headers},
        payload=payload_hash([body]),
        now=NOW,
    )
    return added["Authorization"]


REQUESTS = [
    ("s3", "GET", "/bucket/prefix/packs/ab/cdef", "", {}, b""),
    (
        "s3",
        "GET",
        "/bucket",
        query_string([("list-type", "2"), ("prefix", "a b/~x+&="), ("start-after", "log/ä")]),
        {},
        b"",
    ),
    ("s3", "PUT", quote_path("/bucket/pre fix/ä+b(1)!/x"), "", {"If-None-Match": "*", "Content-Type": "x/y"}, b"body"),
    ("s3", "POST", "/bucket/key", "uploads=", {"x-amz-meta-gg": "  spaces  around "}, b""),
    ("s3", "PUT", "/bucket/key", query_string([("uploadId", "a/b=="), ("partNumber", "12")]), {}, b"\0" * 100),
    ("lambda", "POST", "/2015-03-31/functions/gg-worker/invocations", "", {"X-Amz-Invocation-Type": "Event"}, b"{}"),
    ("lambda", "POST", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu/invocations", "Qualifier=1", {}, b"{}"),
    ("sts", "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=GetCallerIdentity"),
]


@pytest.mark.parametrize("token", ["", "a/session+token=="])
@pytest.mark.parametrize(("service", "method", "path", "query", "headers", "body"), REQUESTS)
def test_as_botocore_signs(
    service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes, token: str
) -> None:
    scope = Scope("eu-west-1", service)
    arguments = (KEY._replace(token=token), scope, method, path, query, headers, body)
    assert ours(*arguments) == theirs(*arguments)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20),
    st.dictionaries(st.text("abAB01-_.~ +/&=%ä", min_size=1, max_size=5), st.text(max_size=8), max_size=4),
)
def test_any_key_and_query(name: str, query: dict[str, str]) -> None:
    path, text = quote_path("/b/" + name), query_string(query.items())
    scope = Scope("us-east-1", "s3")
    assert ours(KEY, scope, "GET", path, text, {}, b"") == theirs(KEY, scope, "GET", path, text, {}, b"")


def test_a_secret_is_not_shown() -> None:
    assert KEY.secret_key not in repr(KEY)
