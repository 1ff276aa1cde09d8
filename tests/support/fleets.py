"""Four workers on hosts of their own: behind a queue of SQS, or listening."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks.fleet.rough_proxy import RoughProxy
from tests.e2e.project import SCRIPTS
from tests.e2e.workers import find_line
from tests.servers.moto import moto
from tests.servers.seaweed import REGION, seaweed
from tests.support.hosts import HUB, address, hosts, inside, on

WORKERS = 4
_QUEUE = "hosts"


@contextmanager
def queued(homes: Path) -> Iterator[dict[str, str]]:
    """What gg-force is told: `spot`, a queue, and an empty store. This thread is on the hub: SQS and S3 are there."""
    with hosts(WORKERS) as (hub, *names), inside(hub), seaweed() as bucket, moto() as cloud, ExitStack() as stack:
        import boto3

        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": REGION}
        boto3.session.Session().client("sqs", endpoint_url=cloud.endpoint, **keys).create_queue(QueueName=_QUEUE)
        proxy = stack.enter_context(closing(RoughProxy(cloud.endpoint, bucket.endpoint, HUB)))
        ways = [f"http://{HUB}:{port}" for port in proxy.ports]
        env = bucket.environment() | {
            "AWS_ENDPOINT_URL_SQS": ways[0],
            "AWS_ENDPOINT_URL_S3": ways[1],
            "GG_QUEUE": _QUEUE,
        }
        for name in names:
            process = stack.enter_context(_worker(name, homes / name, env, "--queue", _QUEUE))
            assert process.stderr is not None
            said = process.stderr.readline()
            assert b"takes work" in said, said
        store = f"s3://{bucket.make_bucket()}/p?region={REGION}&endpoint={ways[1]}"
        yield env | {"GG_ENGINE": "spot", "GG_STORAGE_URI": store}


@contextmanager
def listening(homes: Path) -> Iterator[dict[str, str]]:
    """What gg-force is told: `remote`, hosts and keys. This thread is on the hub."""
    with hosts(WORKERS) as (hub, *names), inside(hub), ExitStack() as stack:
        lines = []
        for n, name in enumerate(names):
            process = stack.enter_context(_worker(name, homes / name, {}, "--listen", address(n)))
            assert process.stdout is not None
            lines.append(find_line(process.stdout.readline() + process.stdout.readline()).removeprefix("remote="))
        yield {"GG_ENGINE": "remote=" + ",".join(lines)}


@contextmanager
def _worker(name: str, home: Path, env: dict[str, str], *options: str) -> Iterator[subprocess.Popen[bytes]]:
    words = [*on(name, home), str(SCRIPTS / "gg"), "worker", "--jobs", "1", *options]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"} | env
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()  # unshare, which heeds no SIGTERM and takes all of the host's processes along
