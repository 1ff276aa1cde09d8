"""All of AWS that gg uses, on loopback: S3 by seaweedfs, Lambda by our service, the rest by moto."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.servers.lambda_service.client import LambdaService, beside, lambda_service
from tests.servers.lambda_service.config import Config
from tests.servers.moto import Moto, moto
from tests.servers.seaweed import Seaweed


class Cloud(NamedTuple):
    """The three servers."""

    s3: Seaweed
    functions: LambdaService
    rest: Moto

    def environment(self) -> dict[str, str]:
        """What boto, and so gg, reads to come here and nowhere else."""
        rest = self.rest.environment("iam", "sts", "cloudwatch logs")
        return {**self.s3.environment(), **self.functions.environment(), **rest}


@contextmanager
def cloud(server: Seaweed, config: Config | None = None, **changes: Any) -> Iterator[Cloud]:
    """The servers; `config` is the Lambda service's, whose functions have the S3 server's keys."""
    with moto() as rest, lambda_service(beside(server, config, **changes)) as functions:
        yield Cloud(server, functions, rest)
