"""gg-force --engine lambda, through the Lambda service and an S3 server: identical bytes from an empty bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.aws.functions_for_tests import create
from tests.aws.lambda_service.client import LambdaService, beside, lambda_service
from tests.aws.seaweed import REGION, Seaweed
from tests.aws.worker_zip import worker_zip
from tests.e2e.project import Project

MAKEFILE = """CFLAGS = -O1 -g -Wall
prog: main.o part.o lib.a ; $(CC) -o $@ main.o part.o lib.a
lib.a: util.o ; ar rcs $@ util.o
%.o: %.c part.h ; $(CC) $(CFLAGS) -c $< -o $@
clean: ; rm -f prog *.o lib.a
"""
SOURCES = {
    "Makefile": MAKEFILE,
    "part.h": "int part(int);\nint util(int);\n",
    "main.c": '#include <stdio.h>\n#include "part.h"\nint main(void) { printf("%d\\n", part(util(2))); return 0; }\n',
    "part.c": '#include "part.h"\nint part(int x) { int unused; return x + 1; }\n',
    "util.c": '#include "part.h"\nint util(int x) { return x * 21; }\n',
}
FUNCTION = f"gg-worker-{'arm64' if os.uname().machine == 'aarch64' else os.uname().machine}-1024"


@dataclass
class Cloud:
    """A Lambda service with the worker deployed, and a bucket beside it."""

    service: LambdaService
    server: Seaweed
    bucket: str
    prefix: str = ""

    def environment(self) -> dict[str, str]:
        uri = f"s3://{self.bucket}/{self.prefix}?region={REGION}"
        more = {"AWS_ENDPOINT_URL_S3": self.server.endpoint, "GG_STORAGE_URI": uri, "GG_ENGINE": "lambda"}
        return {**self.service.environment(), **more}


@pytest.fixture(scope="module")
def deployed(seaweed_server: Seaweed) -> Iterator[Cloud]:
    bucket = seaweed_server.make_bucket()
    with lambda_service(beside(seaweed_server)) as service:
        handler = "gg.worker.handler.handler"
        create(service.client(), FUNCTION, code=worker_zip(), MemorySize=1024, Timeout=60, Handler=handler)
        yield Cloud(service, seaweed_server, bucket)


@pytest.fixture
def cloud(deployed: Cloud, request: pytest.FixtureRequest) -> Cloud:
    deployed.prefix = request.node.name
    return deployed


@pytest.fixture
def project(cloud: Cloud, tmp_path: Path) -> Project:
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    (tmp_path / "home").mkdir()
    made = Project(root, {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "LC_ALL": "C"})
    made.env |= cloud.environment()
    for name, text in SOURCES.items():
        made.write(name, text)
    return made


def invocations(cloud: Cloud) -> int:
    return cloud.service.state().get("invocations", 0)


def test_the_same_bytes_from_an_empty_bucket(cloud: Cloud, project: Project) -> None:
    plain, _ = project.plain("make")
    project.infer("make")
    before = invocations(cloud)
    forced = project.forced("--fallback", "never", "--jobs", "4")
    assert {"main.o", "part.o", "util.o", "lib.a", "prog"} <= set(forced.ran)
    assert "unused" in forced.result.text, "the compiler's warning"
    project.assert_tree(plain)
    assert project.run("./prog").stdout == b"43\n"
    assert invocations(cloud) - before >= 5
    assert b"up to date" in project.make().stdout or project.make().stdout == b""


def test_one_file_is_one_invocation_when_warm(cloud: Cloud, project: Project) -> None:
    project.build("make")
    project.write("util.c", SOURCES["util.c"].replace("21", "22"))
    project.infer("make", "util.o")
    before = invocations(cloud)
    assert project.forced("util.o").ran == ["util.o"]
    assert invocations(cloud) - before == 1


def test_a_compile_error_is_the_users(cloud: Cloud, project: Project) -> None:
    project.write("part.c", "int part(int x) { return y; }\n")
    project.infer("make")
    result = project.force("--fallback", "never", status=1)
    assert "part.c:1:" in result.text
    assert result.text.count("undeclared") == 1


def test_what_cannot_run_there_runs_here_and_is_told(cloud: Cloud, project: Project) -> None:
    plain, _ = project.plain("make", "util.o", "CFLAGS=-O2 -march=native")
    project.infer("make", "util.o", "CFLAGS=-O2 -march=native")
    result = project.force("--fallback", "never", status=75)
    assert "this machine's processor" in result.text
    assert "this machine's processor" in project.gg("force").text
    project.assert_tree(plain)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"GG_FUNCTIONS": "other"}, 78, "there is no function other-"),
        ({"GG_STORAGE_URI": ""}, 78, "needs a store"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, 77, "the secret does not belong"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 77, "no AWS credentials"),
    ],
)
def test_set_up_that_is_wrong_is_one_line(
    changes: dict[str, str], status: int, said: str, cloud: Cloud, project: Project
) -> None:
    project.infer("make")
    project.env |= {name: value for name, value in changes.items() if value}
    for name, value in changes.items():
        if not value:
            del project.env[name]
    result = project.force(status=status)
    assert said in result.text
