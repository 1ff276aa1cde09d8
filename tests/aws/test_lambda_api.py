"""The Lambda service as boto3 sees it: who may call, what is deployed, and what is refused with which words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.servers.functions_for_tests import create, until, zipped
from tests.servers.lambda_service.auth import Auth, Identity
from tests.servers.lambda_service.client import ROLE, LambdaService, beside, lambda_service
from tests.servers.lambda_service.config import Config, Limits
from tests.servers.lambda_service.errors import Refused
from tests.servers.lambda_service.http import Request
from tests.servers.lambda_service.image import PYTHON
from tests.servers.seaweed import Seaweed

_FIRST = Identity(access_key="AKIAFIRST", secret_key="first")
_EXPIRED = Identity(access_key="ASIAEXPIRED", secret_key="old", token="token", expires=1.0)
_READER = Identity(access_key="AKIAREADER", secret_key="reader", name="reader", allow=("lambda:GetFunction",))


@pytest.fixture(scope="module")
def service(seaweed_server: Seaweed) -> Iterator[LambdaService]:
    config = Config(identities=(_EXPIRED, _READER), limits=Limits(concurrency=20, ramp=20))
    with lambda_service(beside(seaweed_server, config)) as running:
        create(running.client())
        yield running


def _refused(call: Any, **arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_wrong_secret(service: LambdaService) -> None:
    client = service.client(aws_secret_access_key="wrong")
    status, code, text = _refused(client.list_functions)
    assert (status, code) == (403, "InvalidSignatureException")
    assert text.startswith("The request signature we calculated does not match")
    assert _refused(client.invoke, FunctionName="f")[:2] == (403, "InvalidSignatureException")


def test_unknown_keys_and_a_wrong_token(service: LambdaService) -> None:
    for other in (
        Identity(access_key="AKIANOBODY", secret_key="x"),
        Identity(access_key="ASIAEXPIRED", secret_key="old", token="t"),
    ):
        assert _refused(service.client(other).list_functions)[:2] == (403, "UnrecognizedClientException")


def test_an_expired_token(service: LambdaService) -> None:
    refusal = (403, "ExpiredTokenException", "The security token included in the request is expired")
    assert _refused(service.client(_EXPIRED).invoke, FunctionName="f") == refusal


def test_another_region(service: LambdaService) -> None:
    refused = _refused(service.client(region_name="eu-west-1").list_functions)
    assert refused[1:] == ("InvalidSignatureException", "Credential should be scoped to a valid region: 'us-east-1'.")


@pytest.mark.parametrize(("off", "text"), [(-400, "Signature expired: "), (400, "Signature not yet current: ")])
def test_a_clock_that_is_wrong(off: int, text: str) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", "http://127.0.0.1/2015-03-31/functions/", headers={"Host": "127.0.0.1"})
    SigV4Auth(Credentials("AKIAFIRST", "first"), "lambda", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    auth, asked = Auth((_FIRST,), "us-east-1"), Request("GET", "/2015-03-31/functions/", headers, b"")
    assert auth.check(asked) == _FIRST
    with pytest.raises(Refused, match=text):
        auth.check(asked, time.time() - off)


def test_a_right_that_is_missing(service: LambdaService) -> None:
    client = service.client(_READER)
    assert client.get_function(FunctionName="f")["Configuration"]["FunctionName"] == "f"
    status, code, text = _refused(client.invoke, FunctionName="f")
    assert (status, code) == (403, "AccessDeniedException")
    assert (
        "not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:f"
        in text
    )


def test_a_new_function_is_pending_then_active(service: LambdaService) -> None:
    client = service.client()
    made = client.create_function(
        FunctionName="new", Runtime=PYTHON, Role=ROLE, Handler="a.b", Code={"ZipFile": zipped()}
    )
    assert (made["State"], made["LastUpdateStatus"]) == ("Pending", "InProgress")
    assert _refused(client.invoke, FunctionName="new")[:2] == (409, "ResourceConflictException")
    assert _refused(client.update_function_configuration, FunctionName="new", Timeout=4)[0] == 409
    until(lambda: client.get_function_configuration(FunctionName="new")["State"] == "Active")
    changed = client.update_function_configuration(FunctionName="new", Timeout=4, MemorySize=1769, Layers=[])
    assert (changed["Timeout"], changed["MemorySize"], changed["LastUpdateStatus"]) == (4, 1769, "InProgress")
    assert _refused(client.update_function_code, FunctionName="new", ZipFile=zipped())[0] == 409
    assert (
        _refused(
            client.create_function, FunctionName="new", Runtime=PYTHON, Role=ROLE, Handler="a.b", Code={"ZipFile": b""}
        )[0]
        == 409
    )
    client.delete_function(FunctionName="new")
    assert _refused(client.get_function, FunctionName="new")[:2] == (404, "ResourceNotFoundException")


def test_settings_that_lambda_has_not(service: LambdaService) -> None:
    client = service.client()
    right: dict[str, Any] = {
        "FunctionName": "bad", "Runtime": PYTHON, "Role": ROLE, "Handler": "a.b", "Code": {"ZipFile": zipped()}
    }  # fmt: skip
    wrong: list[dict[str, Any]] = [
        {"Runtime": "python2.7"},
        {"MemorySize": 20000},
        {"Timeout": 901},
        {"EphemeralStorage": {"Size": 20000}},
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        {"Code": {"ZipFile": b"no zip"}},
        {"Code": {"S3Bucket": "nobodys", "S3Key": "k"}},
        {"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:none:1"]},
    ]
    for each in wrong:
        assert _refused(client.create_function, **{**right, **each})[:2] == (400, "InvalidParameterValueException")


def test_code_from_s3(service: LambdaService, seaweed_server: Seaweed) -> None:
    bucket = seaweed_server.make_bucket()
    seaweed_server.client().put_object(Bucket=bucket, Key="worker.zip", Body=zipped())
    client = service.client()
    client.create_function(
        FunctionName="stored",
        Runtime=PYTHON,
        Role=ROLE,
        Handler="app.handler",
        Code={"S3Bucket": bucket, "S3Key": "worker.zip"},
    )
    until(lambda: client.get_function_configuration(FunctionName="stored")["State"] == "Active")
    assert client.invoke(FunctionName="stored", Payload=b'{"do": "echo"}')["Payload"].read() == b'{"do": "echo"}'


def test_listing_tags_layers_concurrency_and_account(service: LambdaService) -> None:
    client = service.client()
    create(client, "tagged", Tags={"a": "1"})
    arn = client.get_function(FunctionName="tagged")["Configuration"]["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"b": "2"})
    client.untag_resource(Resource=arn, TagKeys=["a"])
    assert client.list_tags(Resource=arn)["Tags"] == {"b": "2"}
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 1})
    assert {"f", "tagged"} <= {f["FunctionName"] for page in pages for f in page["Functions"]}
    assert (
        client.put_function_concurrency(FunctionName="tagged", ReservedConcurrentExecutions=3)[
            "ReservedConcurrentExecutions"
        ]
        == 3
    )
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 17
    assert _refused(client.put_function_concurrency, FunctionName="tagged", ReservedConcurrentExecutions=20)[0] == 400
    client.delete_function_concurrency(FunctionName="tagged")
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="tagged")
    published = client.publish_layer_version(LayerName="l", Content={"ZipFile": zipped()}, CompatibleRuntimes=[PYTHON])
    assert client.get_layer_version(LayerName="l", VersionNumber=published["Version"])["CompatibleRuntimes"] == [PYTHON]
    assert client.list_layers()["Layers"][0]["LayerName"] == "l"
    client.delete_layer_version(LayerName="l", VersionNumber=published["Version"])
    assert _refused(client.get_layer_version, LayerName="l", VersionNumber=published["Version"])[0] == 404


def test_what_lambda_refuses_of_layers(service: LambdaService, seaweed_server: Seaweed) -> None:
    client = service.client()
    client.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    bucket = seaweed_server.make_bucket()
    large = zipped({"large": "0" * (200 << 20)})
    seaweed_server.client().put_object(Bucket=bucket, Key="large.zip", Body=large)
    stored = {"S3Bucket": bucket, "S3Key": "large.zip"}
    arns = [client.publish_layer_version(LayerName=name, Content=stored)["LayerVersionArn"] for name in ("l1", "l2")]
    again = client.publish_layer_version(
        LayerName="l1", Content={"ZipFile": zipped()}, CompatibleArchitectures=["arm64"]
    )
    others = [f"{again['LayerArn']}-{number}:1" for number in range(6)]
    for layers, text in (
        (arns, "exceeds the maximum allowed size of 262144000 bytes. The actual size is 4194"),
        ([arns[0], again["LayerVersionArn"]], "Two different versions of the same layer"),
        (others, "Cannot reference more than 5 layers"),
        (others[:1], "does not exist"),
    ):
        status, code, said = _refused(client.update_function_configuration, FunctionName="f", Layers=layers)
        assert (status, code) == (400, "InvalidParameterValueException")
        assert text in said
    assert [v["Version"] for v in client.list_layer_versions(LayerName="l1")["LayerVersions"]] == [2, 1]
    fit = client.list_layer_versions(LayerName="l1", CompatibleArchitecture="arm64")["LayerVersions"]
    assert [v["Version"] for v in fit] == [2]
    client.delete_layer_version(LayerName="l1", VersionNumber=2)
    assert client.publish_layer_version(LayerName="l1", Content={"ZipFile": zipped()})["Version"] == 3
    refusal = _refused(client.publish_layer_version, LayerName="l", Content={"ZipFile": b"0" * (51 << 20)})
    assert refusal[:2] == (413, "RequestEntityTooLargeException")
    assert refusal[2].endswith("for the PublishLayerVersion operation")


def test_requests_that_are_too_large_or_no_json(service: LambdaService) -> None:
    client = service.client()
    body = b'{"do": "echo", "x": "%b"}'
    status, code, text = _refused(client.invoke, FunctionName="f", Payload=body % (b"x" * 6_291_456))
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert text == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    assert (
        _refused(client.invoke, FunctionName="f", InvocationType="Event", Payload=body % (b"x" * (1 << 20)))[0] == 413
    )
    assert _refused(client.invoke, FunctionName="f", Payload=b"\x00")[1] == "InvalidRequestContentException"


def test_an_event_is_accepted_and_run_again_when_it_fails(service: LambdaService) -> None:
    client = service.client()
    before = service.state()
    assert (
        client.invoke(FunctionName="f", InvocationType="Event", Payload=b'{"do": "exit", "status": 1}')["StatusCode"]
        == 202
    )
    until(lambda: service.state()["invocations"] - before["invocations"] == 3, 20)
    assert client.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204


def test_both_kinds_of_429(service: LambdaService) -> None:
    from concurrent.futures import ThreadPoolExecutor

    client = service.client()
    create(client, "capped")
    client.put_function_concurrency(FunctionName="capped", ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        client.invoke(FunctionName="capped")
    assert error.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with lambda_service(Config(limits=Limits(concurrency=2))) as small:
        other = small.client()
        create(other)
        with ThreadPoolExecutor(4) as pool:
            reasons = list(pool.map(lambda _: _reason(other), range(4)))
    assert sorted(reasons) == ["", "", *["ConcurrentInvocationLimitExceeded"] * 2]


def _reason(client: Any) -> str:
    try:
        client.invoke(FunctionName="f", Payload=b'{"do": "sleep", "seconds": 1}')
    except ClientError as error:
        return str(error.response["Reason"])
    return ""
