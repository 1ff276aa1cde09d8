"""Starting and stopping the service, and what a test says to it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.servers.lambda_service.auth import Identity
from tests.servers.lambda_service.config import Config
from tests.servers.lambda_service.image import image
from tests.servers.seaweed import Seaweed

_STOP_S = 20.0
ROLE = "arn:aws:iam::123456789012:role/gg"


@dataclass(frozen=True, slots=True)
class LambdaService:
    """A service that runs."""

    port: int
    config: Config
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def identity(self) -> Identity:
        return self.config.identities[0]

    def environment(self) -> dict[str, str]:
        """What boto reads to come here with the first identity."""
        token = {"AWS_SESSION_TOKEN": self.identity.token} if self.identity.token else {}
        return {
            "AWS_ACCESS_KEY_ID": self.identity.access_key,
            "AWS_SECRET_ACCESS_KEY": self.identity.secret_key,
            "AWS_DEFAULT_REGION": self.config.region,
            "AWS_REGION": self.config.region,
            "AWS_ENDPOINT_URL_LAMBDA": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **token,
        }

    def client(self, identity: Identity | None = None, **settings: Any) -> Any:
        """A boto3 client that asks once and never again, whatever the environment says."""
        import boto3
        from botocore.config import Config as BotoConfig

        who = identity or self.identity
        once = BotoConfig(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=64)
        with_defaults = {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": who.access_key,
            "aws_secret_access_key": who.secret_key,
            "aws_session_token": who.token or None,
            "region_name": self.config.region,
            "config": once,
            **settings,
        }
        return boto3.session.Session().client("lambda", **with_defaults)

    def state(self) -> dict[str, int]:
        """Counts: invocations, cold starts, refusals by status and reason, function errors, faults that were injected. And how
        many calls are under way, also of callers that are gone; `running` are those of them that a function has begun.
        """
        counts: dict[str, int] = self._ask("GET", "state")
        return counts

    def answered(self) -> list[Any]:
        """The payloads of all calls whose answer has been sent, if the service keeps them."""
        return [json.loads(payload) for payload in self._ask("GET", "answered")]

    def faults(self, **shares: object) -> dict[str, int]:
        """From now on, these faults (`config.Faults`) and no others."""
        counts: dict[str, int] = self._ask("PUT", "faults", json.dumps(shares).encode())
        return counts

    def _ask(self, method: str, name: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"{self.endpoint}/_service/{name}", data=body, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return json.load(answer)


def beside(server: Seaweed, config: Config | None = None, **changes: Any) -> Config:
    """A configuration whose callers and functions have the S3 server's keys, and whose functions find that server, unless
    `config` gives them another environment."""
    keys = Identity(access_key=server.access_key, secret_key=server.secret_key)
    return replace(
        config or Config(),
        identities=(keys, *(config.identities if config else ())),
        worker_environment=tuple({**server.environment(), **dict(config.worker_environment if config else ())}.items()),
        s3_endpoint=server.endpoint,
        **changes,
    )


@contextmanager
def lambda_service(config: Config | None = None) -> Iterator[LambdaService]:
    """A service in a process of its own, ended with all its sandboxes afterwards."""
    config = config or Config()
    if not config.identities:
        made = Identity(access_key=f"AKIA{secrets.token_hex(8).upper()}", secret_key=secrets.token_hex(20))
        config = replace(config, identities=(made,))
    if not config.fast:
        image()  # before the clock of any test runs
    root = Path(__file__).parents[3]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.lambda_service", "--config", config.dump()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(root)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("the Lambda service does not start; its standard error says why")
        yield LambdaService(int(line), config, process.pid)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """The end of its input ends it; then it is gone, one way or the other."""
    try:
        process.communicate(timeout=_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RuntimeError("the Lambda service did not end by itself") from None
