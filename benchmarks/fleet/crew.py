"""A fleet of workers on loopback that answer and run nothing, and builds for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.coordinator.workload import make, tell
from benchmarks.fleet.servers import KEYS, sqs
from benchmarks.timing import clean_environment
from tests.e2e.project import SCRIPTS
from tests.servers.seaweed import REGION, Seaweed, seaweed


class Ran(NamedTuple):
    """A thunk on a slot: from when to when, and of which tree."""

    begin: float
    end: float
    tree: str


class Crew:
    """`env` leads to the servers and the queue. `ran` is there when the workers have ended."""

    def __init__(self, bucket: Seaweed, endpoint: str, server: int) -> None:
        self.env = {
            **KEYS,
            **bucket.environment(),
            "AWS_ENDPOINT_URL_SQS": endpoint,
            "GG_QUEUE": "crew",
            "GG_SHARE": "false",
        }
        self.store = f"s3://{bucket.make_bucket()}/p?region={REGION}&endpoint={bucket.endpoint}"
        self.server = server
        self.workers: list[subprocess.Popen[str]] = []
        self.ran: list[Ran] = []

    def start(self, workers: int, slots: int) -> None:
        words = [sys.executable, "-m", "benchmarks.fleet.answering", "crew", str(slots)]
        pipe = subprocess.PIPE
        env = {**os.environ, **self.env}
        self.workers = [subprocess.Popen(words, env=env, stdout=pipe, text=True) for _ in range(workers)]
        for worker in self.workers:
            assert worker.stdout is not None
            if worker.stdout.readline() != "ready\n":
                raise SystemExit("a worker does not start")

    def end(self) -> None:
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            for line in worker.communicate()[0].splitlines():
                begin, end, tree = line.split(" ", 2)
                self.ran.append(Ran(float(begin), float(end), tree))
        self.workers = []

    def force(self, top: Path, jobs: int, *targets: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        words = [
            *before,
            str(SCRIPTS / "gg-force"),
            "--engine",
            "spot",
            "--fallback",
            "never",
            "--jobs",
            str(jobs),
            *targets,
        ]
        env = clean_environment({**self.env, "GG_STORAGE_URI": self.store, "HOME": str(top)})
        with open(top / "log", "ab") as log:
            return subprocess.Popen(words, cwd=top / "tree", env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def build(top: Path, thunks: int, seconds: float) -> Path:
    """A recorded build of so many thunks, each of which takes so long."""
    top.mkdir()
    tell(top / "told", make(top / "tree", thunks), seconds)
    return top


def wait(process: subprocess.Popen[bytes], top: Path, thunks: int) -> None:
    """Until it has ended; SystemExit unless so many were made."""
    if process.wait():
        raise SystemExit((top / "log").read_text()[-2000:])
    made = {path.read_bytes() for path in (top / "tree" / "out").iterdir()} if thunks else set()
    if len(made) != thunks or any(len(data) != 64 for data in made):
        raise SystemExit(f"{len(made)} outputs of {thunks}")


@contextmanager
def crew(command: str) -> Iterator[Crew]:
    import boto3

    with seaweed() as bucket, sqs(command) as (endpoint, server):
        made = Crew(bucket, endpoint, server)
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": REGION}
        boto3.session.Session().client("sqs", endpoint_url=endpoint, **keys).create_queue(QueueName="crew")
        try:
            yield made
        finally:
            made.end()


def now() -> float:
    return time.time()
