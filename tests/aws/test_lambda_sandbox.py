"""The sandbox of the Lambda service: what a function can see, do and use up there, and what its caller is told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.functions_for_tests import create, until, zipped
from tests.servers.lambda_service.client import LambdaService, lambda_service


@pytest.fixture(scope="module")
def service() -> Iterator[LambdaService]:
    with lambda_service() as running:
        create(running.client())
        yield running


def _invoke(service: LambdaService, name: str = "f", **event: object) -> tuple[Any, str]:
    """What came back, and the type of the error."""
    answer = service.client().invoke(FunctionName=name, Payload=json.dumps(event))
    made = json.loads(answer["Payload"].read())
    return made, made["errorType"] if answer.get("FunctionError") else ""


def test_nothing_of_the_hosts_usr_is_there(service: LambdaService) -> None:
    seen, _ = _invoke(
        service, do="ls", paths=["/", "/usr", "/usr/bin", "/usr/lib", "/usr/include", "/usr/lib/gcc", "/opt"]
    )
    assert set(seen["/"]) == {"bin", "dev", "etc", "lib", "lib64", "opt", "proc", "sbin", "tmp", "usr", "var"}
    assert seen["/usr"] == ["bin", "lib", "lib64", "sbin"]
    assert seen["/usr/bin"] == ["bash", "cat", "cp", "env", "ls", "mkdir", "mv", "rm", "sh", "sleep"]
    assert not {"/usr/include", "/usr/lib/gcc"} & set(seen)
    assert not {"gcc", "cc", "ld", "as", "clang"} & set(seen["/usr/bin"])


def test_only_tmp_can_be_written(service: LambdaService) -> None:
    paths = ["/tmp/x", "/x", "/var/task/x", "/usr/x", "/etc/passwd", "/var/lang/x", "/opt/x"]
    written, _ = _invoke(service, do="write", paths=paths)
    assert written == {path: "written" if path == "/tmp/x" else "EROFS" for path in paths}


def test_the_calls_that_lambda_refuses_are_refused(service: LambdaService) -> None:
    made, _ = _invoke(service, do="calls")
    refused = dict.fromkeys(("unshare", "chroot", "ptrace", "mount", "no_new_privs", "seccomp"), "EPERM")
    assert made == {
        **refused,
        "fallocate": "ENOTSUP",
        "openpty": "ENOENT",
        "set_name": "0",
        "fork": "0",
        "uid": 993,
        "limits": 1024,
    }


def test_the_environment_is_lambdas(service: LambdaService) -> None:
    made, _ = _invoke(service, do="context")
    environment = made["environment"]
    assert environment["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == made["memory"] == "256"
    assert environment["LAMBDA_TASK_ROOT"] == "/var/task"
    assert made["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:f"
    assert 8_000 < made["left"] < 10_000
    assert not [name for name in environment if name.startswith(("GG_", "VIRTUAL_ENV", "HOME"))]


def test_a_warm_environment_is_used_again_and_stands_still_between(service: LambdaService) -> None:
    create(service.client(), "warm")
    first, _ = _invoke(service, "warm", do="tick")
    time.sleep(0.5)
    longest, _ = _invoke(service, "warm", do="tick")
    assert first < 0.4 <= longest
    assert _invoke(service, "warm", do="context")[0]["calls"] == 3


def test_the_disk_is_full_at_its_size(service: LambdaService) -> None:
    assert _invoke(service, do="fill", mb=500)[0] is None
    assert _invoke(service, do="fill", mb=600)[0] == "ENOSPC"


def test_the_log_comes_back_and_no_more_than_4096_bytes(service: LambdaService) -> None:
    client = service.client()
    answer = client.invoke(FunctionName="f", Payload=b'{"do": "print", "text": "hello"}', LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[1:3] == ["hello", "to stderr"]
    assert "Memory Size: 256 MB" in lines[4]
    long = client.invoke(FunctionName="f", Payload=json.dumps({"do": "print", "text": "x" * 9000}), LogType="Tail")
    assert len(base64.b64decode(long["LogResult"])) == 4096


def test_what_a_function_raises_is_told(service: LambdaService) -> None:
    made, kind = _invoke(service, do="raise", text="no")
    assert (kind, made["errorMessage"]) == ("ValueError", "no")
    assert made["stackTrace"]


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        ({"do": "exit", "status": 3}, "Runtime.ExitError", "exit status 3"),
        ({"do": "exit", "status": 0}, "Runtime.ExitError", "without providing a reason"),
        ({"do": "memory", "mb": 400}, "Runtime.OutOfMemory", "signal: killed"),
        ({"do": "big", "size": 6_291_600}, "Function.ResponseSizeTooLarge", "6291556 bytes"),
    ],
)
def test_a_broken_environment_is_replaced(service: LambdaService, event: dict[str, Any], kind: str, text: str) -> None:
    made, error = _invoke(service, **event)
    assert error == kind
    assert text in made["errorMessage"]
    assert _invoke(service, do="context")[0]["calls"] == 1


def test_a_child_out_of_memory_is_the_functions_own_affair(service: LambdaService) -> None:
    assert _invoke(service, do="child_memory", mb=400) == (-9, "")


def test_the_largest_answer_passes(service: LambdaService) -> None:
    made, error = _invoke(service, do="big", size=6_291_554)
    assert (len(made), error) == (6_291_554, "")


def test_a_timeout_is_told_and_the_environment_replaced(service: LambdaService) -> None:
    create(service.client(), "short", Timeout=1)
    made, kind = _invoke(service, "short", do="sleep", seconds=5)
    assert kind == "Sandbox.Timedout"
    assert made["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert _invoke(service, "short", do="sleep", seconds=0)[0] == 1


def test_errors_before_the_first_call_are_told(service: LambdaService) -> None:
    create(service.client(), "nothing", Handler="missing.handler")
    assert _invoke(service, "nothing", do="echo")[1] == "Runtime.ImportModuleError"
    create(service.client(), "unreadable", code=zipped(mode=0o600))
    assert _invoke(service, "unreadable", do="echo")[1] == "PermissionError"


def test_new_code_takes_the_place_of_old(service: LambdaService) -> None:
    client = service.client()
    create(client, "changing", code=zipped({"app.py": "def handler(event, context): return 1"}))
    assert _invoke(service, "changing")[0] == 1
    client.update_function_code(
        FunctionName="changing", ZipFile=zipped({"app.py": "def handler(event, context): return 2"})
    )
    client.get_waiter("function_updated_v2").wait(
        FunctionName="changing", WaiterConfig={"Delay": 0.05, "MaxAttempts": 400}
    )
    assert _invoke(service, "changing")[0] == 2


def test_layers_are_in_opt(service: LambdaService) -> None:
    client = service.client()
    published = client.publish_layer_version(
        LayerName="l", Content={"ZipFile": zipped({"python/inlayer.py": "value = 7"})}
    )
    code = zipped({"app.py": "import inlayer\ndef handler(event, context): return inlayer.value"})
    create(client, "layered", code=code, Layers=[published["LayerVersionArn"]])
    assert _invoke(service, "layered") == (7, "")


def test_nothing_is_left_when_the_service_ends() -> None:
    before = set(_processes())
    with lambda_service() as running:
        create(running.client())
        _invoke(running, do="echo")
        started = {p for p in _processes() if "awslambdaric" in p} - before
        assert len(started) >= 2  # bubblewrap and the runtime in it
    until(lambda: not started & set(_processes()))
    assert not Path(f"/proc/{running.pid}").exists()


def _processes() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(f"{path.parent.name} {path.read_bytes().decode(errors='replace')}")
        except OSError:
            continue
    return found
