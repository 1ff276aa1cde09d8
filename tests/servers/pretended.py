"""Recorded thunks of a trivial program, and functions that only pretend to run them: what is seen is the coordinator's doing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.coordinator.workload import make, tell
from tests.e2e.project import Project
from tests.servers.functions_for_tests import create
from tests.servers.lambda_service.client import LambdaService, beside, lambda_service
from tests.servers.lambda_service.config import Config, Limits
from tests.servers.seaweed import REGION, Seaweed

FUNCTION = f"gg-worker-{'arm64' if os.uname().machine == 'aarch64' else os.uname().machine}-1769"
SIZE = 64  # of each output


def recorded(directory: Path, units: int, seconds: float) -> Project:
    """A tree with so many thunks, each of which takes so long."""
    root = directory.resolve() / "tree"
    tell(directory / "told", make(root, units), seconds)
    return Project(root, {"PATH": os.environ["PATH"], "HOME": str(directory), "LC_ALL": "C"})


def made(project: Project) -> int:
    """How many of its outputs a function has made."""
    return sum(len(path.read_bytes()) == SIZE for path in (project.root / "out").iterdir())


@contextmanager
def pretended(
    server: Seaweed, directory: Path, region: str = REGION, timeout_s: int = 900, **changes: Any
) -> Iterator[LambdaService]:
    """A Lambda service with a function for the thunks that were recorded in `directory`."""
    limits = Limits(concurrency=1000, ramp=1000)
    config = beside(
        server, Config(fast="benchmarks.coordinator.worker:answer", limits=limits, region=region), **changes
    )
    environment = (*config.worker_environment, ("GG_BENCH", str(directory / "told")))
    with lambda_service(replace(config, worker_environment=environment)) as service:
        create(service.client(), FUNCTION, MemorySize=1769, Timeout=timeout_s)
        yield service


def environment(server: Seaweed, service: LambdaService) -> dict[str, str]:
    """To force there, over a bucket of its own."""
    return {
        **service.environment(),
        "AWS_ENDPOINT_URL_S3": server.endpoint,
        "GG_SHARE": "false",
        "GG_STORAGE_URI": f"s3://{server.make_bucket()}/p?region={REGION}",
    }
