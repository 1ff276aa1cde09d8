"""`gg deploy lambda` and `gg undeploy` against the servers on loopback; the dry run's output is kept, word for word."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gg.aws.setup import AwsSession
from gg.cli import deploy as deploy_command
from gg.cli import undeploy as undeploy_command
from gg.deploy import package
from gg.deploy.found import look, remembered
from gg.deploy.runtimes import choose, choose_architecture
from gg.deploy.wanted import function_name
from gg.errors import AccessError, GGError, SetupError, UsageError
from gg.workspace.homes import cache_home
from tests.servers.cloud import Cloud, cloud
from tests.servers.functions_for_tests import create, zipped
from tests.servers.lambda_service.image import PYTHON
from tests.servers.seaweed import Seaweed

_GOLDEN = Path(__file__).parents[1] / "golden" / "deploy-dry-run.txt"
_CACHE = cache_home()  # of this user, not of a test: wheels are downloaded once
_URI = "s3://gg-123456789012-us-east-1/gg?region=us-east-1"


@pytest.fixture(scope="module")
def servers(seaweed_server: Seaweed) -> Iterator[Cloud]:
    with cloud(seaweed_server, role_refusals=2) as running:
        yield running


@pytest.fixture
def here(servers: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A workspace without settings, before these servers."""
    for name in ("GG_STORAGE_URI", "GG_LAMBDA_ROLE", "GG_DIR", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in servers.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", os.path.dirname(_CACHE))
    (tmp_path / ".gg").mkdir()
    monkeypatch.setenv("GG_DIR", str(tmp_path / ".gg"))
    monkeypatch.chdir(tmp_path)
    return servers


def _run(command: Any, *arguments: str) -> str:
    done = CliRunner().invoke(command.command, list(arguments), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return str(done.output)


def _verbs(output: str) -> dict[str, str]:
    """What was said of each thing: its sign."""
    found = re.findall(r"^  ([+~=!-])\s+(.+?)(?:: .*)?$", output, re.MULTILINE)
    return {what: sign for sign, what in found}


def test_a_dry_run_says_all_and_does_nothing(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", here.rest.endpoint)  # moto has all of S3's settings
    said = _run(deploy_command, "lambda", "--dry-run", "--bucket", "team/builds", "--region", "us-east-1")
    said = re.sub(r"zip of [0-9.]+ MB", "zip of N MB", said)
    said = said.replace(PYTHON, "PYTHON").replace("arm64", "ARCH").replace("x86_64", "ARCH")
    assert said == _GOLDEN.read_text()
    assert AwsSession("us-east-1").client("s3").list_buckets()["Buckets"] == []
    assert AwsSession("us-east-1").client("iam").list_roles()["Roles"] == []
    assert here.functions.client().list_functions()["Functions"] == []


def test_deploy_again_change_and_undeploy(here: Cloud, tmp_path: Path) -> None:
    session = AwsSession("us-east-1")
    first = _verbs(_run(deploy_command, "lambda"))
    assert set(first.values()) == {"+", "~", "!"}
    deployed = remembered(str(tmp_path / ".gg"))
    assert [each.store for each in deployed] == [_URI]
    assert look(session, "gg-worker", deployed[0].architecture) == deployed[0]._replace(store="")
    assert [f.memory_mb for f in deployed[0].functions] == [1769, 3008]

    again = _verbs(_run(deploy_command, "lambda"))
    assert set(again.values()) == {"=", "!"}

    other = _verbs(_run(deploy_command, "lambda", "--memory", "512,1769"))
    names = {size: function_name("gg-worker", deployed[0].architecture, size) for size in (512, 1769, 3008)}
    assert other[f"function {names[512]}"] == "+"
    assert other[f"function {names[1769]}"] == "="
    assert other[f"function {names[3008]}"] == "-"
    assert other["its rights"] == "~"

    here.s3.client().put_object(Bucket="gg-123456789012-us-east-1", Key="gg/packs/aa/bb", Body=b"x")
    kept = _verbs(_run(undeploy_command))
    assert kept["bucket gg-123456789012-us-east-1"] == "="
    assert remembered(str(tmp_path / ".gg")) == ()
    gone = _verbs(_run(undeploy_command, "--with-bucket"))
    assert gone["bucket gg-123456789012-us-east-1"] == "-"
    assert _verbs(_run(undeploy_command, "--with-bucket")) == {}
    assert here.functions.client().list_functions()["Functions"] == []
    assert session.client("logs").describe_log_groups()["logGroups"] == []
    assert session.client("iam").list_roles()["Roles"] == []
    with pytest.raises(SetupError, match="no functions gg-worker-"):
        look(session, "gg-worker", deployed[0].architecture)


def test_the_settings_of_a_bucket_of_our_own(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", here.rest.endpoint)
    assert _verbs(_run(deploy_command, "lambda", "--bucket", "own/gg"))["public access"] == "~"
    s3 = AwsSession("us-east-1").client("s3")
    rules = s3.get_bucket_encryption(Bucket="own")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(s3.get_public_access_block(Bucket="own")["PublicAccessBlockConfiguration"].values()) == {True}
    assert _verbs(_run(deploy_command, "lambda", "--bucket", "own/gg"))["public access"] == "="
    _run(undeploy_command, "--bucket", "own/gg", "--with-bucket")


def test_a_bucket_that_was_there_keeps_its_settings_and_rules(here: Cloud) -> None:
    s3 = here.s3.client()
    bucket = here.s3.make_bucket()
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "old/"}, "Expiration": {"Days": 7}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    s3.put_object(Bucket=bucket, Key="old/theirs", Body=b"x")
    said = _run(deploy_command, "lambda", "--bucket", f"{bucket}/gg", "--memory", "512")
    assert "its settings are left" in said
    assert "encryption" not in _verbs(said)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert sorted(rule["ID"] for rule in rules) == ["gg-gg", "theirs"]
    removed = _verbs(_run(undeploy_command, "--bucket", f"{bucket}/gg", "--with-bucket"))
    assert removed[f"bucket {bucket}"] == "="
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["old/theirs"]


def test_a_role_that_was_given_is_used_and_left(here: Cloud) -> None:
    role = "arn:aws:iam::123456789012:role/mine"
    _run(deploy_command, "lambda", "--role", role, "--memory", "512", "--name", "given")
    listed = here.functions.client().list_functions()["Functions"]
    assert [each["Role"] for each in listed] == [role]
    assert AwsSession("us-east-1").client("iam").list_roles()["Roles"] == []
    _run(undeploy_command, "--role", role, "--name", "given", "--with-bucket")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (["--runtime", "python3.8"], UsageError, "no runtime 'python3.8'"),
        (["--arch", "mips"], UsageError, "is no architecture"),
        (["--memory", "64"], UsageError, "no function with 64 MB"),
        (["--bucket", "Big/x"], UsageError, "is no store"),
    ],
)
def test_wrong_options_are_told_before_anything_is_made(
    here: Cloud, arguments: list[str], error: type[GGError], text: str
) -> None:
    with pytest.raises(error, match=text):
        _run(deploy_command, "lambda", *arguments)
    assert here.functions.client().list_functions()["Functions"] == []


def test_a_layer_comes_stays_changes_and_goes(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, (small, large) = "gg-worker-ARCH-toolchain", ("function gg-worker-ARCH-512", "function gg-worker-ARCH-1769")

    def deploy(*arguments: str) -> tuple[dict[str, str], str]:
        said = _run(deploy_command, "lambda", "--memory", "512", *arguments).replace(_architecture(), "ARCH")
        return _verbs(said), said

    planned, said = deploy("--dry-run", "--layer", "ar")
    assert planned[f"layer {layer}"] == "+"
    assert re.search(rf"\+ layer {layer}: ar [4-9]\.\d MB: [4-9]\.\d MB, zip of [1-3]\.\d MB\n", said)
    assert _layers(here) == {}
    made, _ = deploy("--layer", "ar")
    assert (made[f"layer {layer}"], made[small]) == ("+", "+")
    (version,) = _layers(here).values()
    assert version["CompatibleArchitectures"] == [_architecture()]
    for again in (("--layer", "ar"), ()):  # the same once more, and nothing said: it stays
        kept, _ = deploy(*again)
        assert (kept[f"layer {layer}"], kept[small]) == ("=", "=")
        assert _layers(here) == {1: version}
    grown, _ = deploy("--memory", "512,1769")
    assert (grown[small], grown[large]) == ("=", "+")
    assert _attached(here) == [[version["LayerVersionArn"]]] * 2, "a new function has it too"

    monkeypatch.setattr("gg.deploy.layers.MOST_DIRECT", 1 << 20)  # then it goes by the bucket
    theirs = here.functions.client().publish_layer_version(LayerName="theirs", Content={"ZipFile": zipped()})
    arns = [theirs["LayerVersionArn"], version["LayerVersionArn"]]
    _configure(here, f"gg-worker-{_architecture()}-512", arns)
    changed, said = deploy("--layer", "ar,strip", "--memory", "512,1769")
    assert (changed[f"layer {layer}"], changed[small], changed[large]) == ("+", "~", "~")
    assert changed[f"layer {layer}, version 1"] == "-"
    assert "; layers" in said
    assert list(_layers(here)) == [2]
    second = _layers(here)[2]["LayerVersionArn"]
    assert _attached(here) == [[second], [arns[0], second]], "layers of others are left"
    assert here.s3.client().list_objects_v2(Bucket="gg-123456789012-us-east-1").get("Contents", []) == []

    off, _ = deploy("--layer", "none")
    assert (off[small], off[large], off[f"layer {layer}, version 2"]) == ("~", "-", "-")
    assert _attached(here) == [[arns[0]]]
    assert _layers(here) == {}
    deploy("--layer", "ar")
    gone = _verbs(_run(undeploy_command, "--with-bucket").replace(_architecture(), "ARCH"))
    assert gone[f"layer {layer}, version 3"] == "-"
    assert [each["LayerName"] for each in here.functions.client().list_layers()["Layers"]] == ["theirs"]
    here.functions.client().delete_layer_version(LayerName="theirs", VersionNumber=1)


def test_a_layer_that_others_use_is_left_and_told(here: Cloud) -> None:
    client = here.functions.client()
    _run(deploy_command, "lambda", "--memory", "512", "--layer", "ar")
    (version,) = _layers(here).values()
    create(client, "theirs", Layers=[version["LayerVersionArn"]])
    said = _run(undeploy_command, "--with-bucket")
    assert f"version {version['Version']}: function theirs has it" in said
    assert list(_layers(here)) == [version["Version"]]
    client.delete_function(FunctionName="theirs")
    _run(undeploy_command)
    assert _layers(here) == {}


def test_a_layer_that_cannot_be_is_told_before_anything_is_made(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no program 'nothing-cc' on PATH"):
        _run(deploy_command, "lambda", "--layer", "ar,nothing-cc")
    with pytest.raises(UsageError, match="gg does not send 'make' to functions"):
        _run(deploy_command, "lambda", "--layer", "make")
    monkeypatch.setattr("gg.deploy.layer.MOST_UNZIPPED", 14 << 20)
    with pytest.raises(
        UsageError, match=r"unzipped, the layer has \d+\.\d MB and the function \d+\.\d MB, and Lambda"
    ) as e:
        _run(deploy_command, "lambda", "--layer", "ar")
    assert "ar travels with the builds then" in e.value.hint
    monkeypatch.setattr("gg.deploy.layer.MOST_UNZIPPED", 250 << 20)
    monkeypatch.setattr("gg.deploy.layer.MOST_DIRECT", 1 << 20)
    with pytest.raises(UsageError, match="the bucket is in us-east-1, not in eu-west-1"):
        _run(deploy_command, "lambda", "--layer", "ar", "--region", "us-east-1,eu-west-1")
    assert here.functions.client().list_functions()["Functions"] == []
    assert not [b for b in here.s3.client().list_buckets()["Buckets"] if b["Name"].endswith("us-east-1")]


def _layers(here: Cloud) -> dict[int, dict[str, Any]]:
    """The versions that there are of the deployment's layer."""
    name = f"gg-worker-{_architecture()}-toolchain"
    listed = here.functions.client().list_layer_versions(LayerName=name)["LayerVersions"]
    return {each["Version"]: each for each in listed}


def _attached(here: Cloud) -> list[list[str]]:
    """The layers of each function."""
    functions = here.functions.client().list_functions()["Functions"]
    return [[layer["Arn"] for layer in each["Layers"]] for each in functions]


def _configure(here: Cloud, name: str, layers: list[str]) -> None:
    client = here.functions.client()
    client.update_function_configuration(FunctionName=name, Layers=layers)
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})


def test_wrong_keys_and_missing_keys_are_one_clear_error(here: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AccessError, match="the secret does not belong to the access key"):
        _run(deploy_command, "lambda", "--dry-run")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(AccessError, match="credentials"):
        _run(deploy_command, "lambda", "--dry-run")


def test_the_zip_runs_in_the_sandbox(here: Cloud) -> None:
    runtime = choose(PYTHON, (0, 0))
    made = package.build(runtime, _architecture(), _CACHE + "/wheels")
    out = io.BytesIO(made.data)
    probe = zipfile.ZipInfo("app.py")
    probe.external_attr = 0o644 << 16
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(
            probe,
            "import blake3, msgpack, zstandard, gg.worker.handler, gg.run.runner as runner\n"
            "from gg.host import native_programs as native\n"
            "def handler(event, context):\n"
            "    packed = zstandard.compress(msgpack.packb([blake3.blake3(b'x').digest()]))\n"
            "    with open(runner.__cached__, 'rb') as file: file.read(1)\n"
            "    return [len(packed) > 0, runner.__file__, native.pathmap_library()]\n",
        )
    client = here.functions.client()
    create(client, "probe", code=out.getvalue())
    answer = client.invoke(FunctionName="probe", Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == [
        True, "/var/task/gg/run/runner.py", "/var/task/gg/_native/libgg-pathmap.so"
    ]  # fmt: skip
    client.delete_function(FunctionName="probe")


def _architecture() -> str:
    return choose_architecture("", platform.machine())
