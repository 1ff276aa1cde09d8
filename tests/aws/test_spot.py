"""The spot engine end to end: moto's SQS, seaweedfs as the bucket, workers as processes; and what befalls them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import SCRIPTS, SECONDS, Project
from tests.e2e.test_22_workers import once_it_works, units
from tests.servers.moto import Moto, moto
from tests.servers.seaweed import REGION, Seaweed, seaweed

QUEUE = "gg-jobs"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Seaweed, Moto]]:
    with seaweed() as bucket, moto() as rest:
        yield bucket, rest


class Cloud:
    """A bucket, a queue, and the environment in which both are found."""

    def __init__(self, bucket: Seaweed, rest: Moto, tmp: Path) -> None:
        import boto3

        self.name = f"{QUEUE}-{os.urandom(3).hex()}"
        self.env = {**bucket.environment(), **rest.environment("SQS"), "GG_QUEUE": self.name}
        self.store = f"s3://{bucket.make_bucket()}/p?region={REGION}&endpoint={bucket.endpoint}"
        self.sqs: Any = boto3.session.Session().client(
            "sqs", endpoint_url=rest.endpoint, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y"
        )
        self.url = self.sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self._tmp = tmp

    @contextmanager
    def worker(self, number: int = 0, *options: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        home = self._tmp / f"worker{number}"
        home.mkdir()
        keep = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"}
        process = subprocess.Popen(
            [SCRIPTS / "gg", "worker", "--queue", self.name, *options],
            env={**keep, **self.env, **env},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            assert process.stderr is not None
            assert b"takes work from" in process.stderr.readline()
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            process.communicate(timeout=SECONDS)

    def of_runs(self) -> list[str]:
        found = self.sqs.list_queues().get("QueueUrls", [])
        return [url for url in found if self.name in url and url.rpartition("/")[2] != self.name]


@pytest.fixture
def cloud(servers: tuple[Seaweed, Moto], tmp_path: Path) -> Cloud:
    return Cloud(*servers, tmp_path)


@pytest.fixture
def project(tmp_path: Path, cloud: Cloud) -> Project:
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    made = Project(root, {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", **cloud.env})
    made.env["GG_STORAGE_URI"] = cloud.store
    return made


def test_the_same_bytes_through_queues(project: Project, cloud: Cloud) -> None:
    units(project, 4)
    expected, _ = project.plain("make")
    project.infer("make")
    project.env["GG_QUEUE"] += "?weight=2"
    with cloud.worker(0, "--jobs", "2"):
        forced = project.forced("--engine", "spot", "--fallback", "never")
    project.assert_tree(expected)
    assert {e["engine"] for e in forced.events if e["event"] == "thunk-done"} == {"spot"}
    assert cloud.of_runs() == []  # taken down when the run was over


def test_others_work_while_no_worker_takes_work(project: Project, cloud: Cloud) -> None:
    """Nobody waits for machines that boot, or never come: this machine does what lies in the queue, and gg says so in one line."""
    units(project, 12)
    expected, _ = project.plain("make")
    project.infer("make")
    forced = project.forced("--engine", "spot,local")
    project.assert_tree(expected)
    assert {e["engine"] for e in forced.events if e["event"] == "thunk-done"} == {"local"}
    notes = [str(e["text"]) for e in forced.events if e["event"] == "note"]
    assert sum("no worker takes work from spot" in note for note in notes) == 1
    last: dict[str, Any] = forced.summary
    assert last["wall"] < 60
    assert last["where"]["local"]["thunks"] == last["ran"]
    assert cloud.of_runs() == []


def test_workers_give_each_other_what_they_keep(project: Project, cloud: Cloud) -> None:
    """Half of what a link reads was made by the other worker. Objects that travel in replies are small, others are not."""
    units(project, 8)
    for number in range(4):
        text = project.path(f"unit{number}.c").read_text()
        project.path(f"unit{number}.c").write_text(f"{text}const char large{number}[100000] = {{ {number + 1} }};\n")
    expected, _ = project.plain("make")
    project.infer("make")
    with cloud.worker(0, "--jobs", "1", "--exchange", "127.0.0.1") as one:
        with cloud.worker(1, "--jobs", "1", "--exchange", "127.0.0.1:0") as other:
            project.forced("--engine", "spot", "--fallback", "never")
            other.terminate()
            said = other.communicate(timeout=SECONDS)[1]
        one.terminate()
        said += one.communicate(timeout=SECONDS)[1]
    project.assert_tree(expected)
    given = [int(count) for count in re.findall(rb"other workers gave (\d+) objects", said)]
    assert len(given) == 2, said
    assert sum(given) > 0, said


@pytest.mark.parametrize("options", [("--exchange", "here"), ("--exchange", "203.0.113.7")])
def test_where_nobody_can_be_served(cloud: Cloud, tmp_path: Path, options: tuple[str, ...]) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C", **cloud.env}
    words: list[str | Path] = [SCRIPTS / "gg", "worker", "--queue", cloud.name, *options]
    done = subprocess.run(words, env=env, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 64, done
    assert b"--exchange" in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_interruption_is_noticed(project: Project, cloud: Cloud) -> None:
    """The worker gives back what it has, and ends; this machine does the rest."""
    from tests.servers.metadata import metadata

    units(project, 4)
    expected, _ = project.plain("make")
    project.infer("make")
    with metadata() as service:
        address = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.address}
        with cloud.worker(0, "--jobs", "1", "--grace", "5", **address) as worker:
            noticed = once_it_works(project, service.interrupt)
            project.env["GG_SILENCE"] = "15"
            project.forced("--engine", "spot,local")
            noticed.join()
            assert worker.wait(60) == 0
    project.assert_tree(expected)


def test_nobody_is_there(project: Project, cloud: Cloud) -> None:
    """It is told, and this machine does the work."""
    units(project, 2)
    expected, _ = project.plain("make")
    project.infer("make")
    result = project.run(SCRIPTS / "gg-force", "--engine", "spot", env={"GG_SILENCE": "3"})
    assert b"no worker has taken work from" in result.stderr
    project.assert_tree(expected)


def test_without_a_queue_or_a_store(project: Project, cloud: Cloud) -> None:
    units(project, 1)
    project.infer("make")
    result = project.run(SCRIPTS / "gg-force", "--engine", "spot", status=78, env={"GG_QUEUE": "nothing-such"})
    assert b"there is no queue nothing-such" in result.stderr
    result = project.run(SCRIPTS / "gg-force", "--engine", "spot", status=64, env={"GG_QUEUE": "jobs?weight=-1"})
    assert b"'jobs?weight=-1' is no queue" in result.stderr
    result = project.run(SCRIPTS / "gg-force", "--engine", "spot", status=78, env={"GG_QUEUE": ""})
    assert b"the spot engine needs a queue" in result.stderr
    result = project.run(SCRIPTS / "gg-force", "--engine", "spot", status=78, env={"GG_STORAGE_URI": ""})
    assert b"the spot engine needs a store" in result.stderr
