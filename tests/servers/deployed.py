"""A cloud on loopback with the worker deployed by `gg deploy lambda`, and projects that are forced there."""

from __future__ import annotations

import os
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gg.wire.request import decode_request
from gg.workspace.homes import cache_home
from tests.e2e.project import SCRIPTS, Project
from tests.servers.cloud import Cloud, cloud
from tests.servers.lambda_service.client import LambdaService
from tests.servers.seaweed import REGION, Seaweed

_CACHE = os.path.dirname(cache_home())  # of this user, not of a test


@dataclass(frozen=True)
class Deployed:
    """A cloud, and the place in its bucket that a test has for itself."""

    cloud: Cloud
    bucket: str
    prefix: str

    @property
    def functions(self) -> LambdaService:
        return self.cloud.functions

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}?region={REGION}"

    def at(self, prefix: str) -> Deployed:
        """The same functions, which may read all of the bucket, over an empty store."""
        return replace(self, prefix=prefix)

    def environment(self) -> dict[str, str]:
        return {**self.cloud.environment(), "GG_STORAGE_URI": self.uri, "GG_ENGINE": "lambda"}

    def invocations(self) -> int:
        return self.functions.state().get("invocations", 0)

    def answered(self) -> list[bytes]:
        """The thunks that functions have answered, one after the other. For a service that keeps what it was asked."""
        requests = [decode_request(b64decode(payload)) for payload in self.functions.answered()]
        return [task.thunk for request in requests for task in request.tasks]

    def project(self, directory: Path, sources: dict[str, str]) -> Project:
        """A tree in `directory`, and a home beside it."""
        made = bare_project(directory, sources)
        made.env |= self.environment()
        return made


def bare_project(directory: Path, sources: dict[str, str]) -> Project:
    """A tree that knows of no cloud."""
    root = directory.resolve() / "tree"
    root.mkdir()
    (directory / "home").mkdir(exist_ok=True)
    made = Project(root, {"PATH": os.environ["PATH"], "HOME": str(directory / "home"), "LC_ALL": "C"})
    for name, text in sources.items():
        made.write(name, text)
    return made


def share_wheels(home: Path) -> None:
    """Let who has this home use the wheels that this user has downloaded, and nothing else of this user's."""
    own = home / ".cache" / "gg"
    own.mkdir(parents=True, mode=0o700)
    shared = Path(cache_home()) / "wheels"
    shared.mkdir(parents=True, exist_ok=True)
    (own / "wheels").symlink_to(shared)


def wheels() -> dict[str, str]:
    """The wheels of a deployment are downloaded once, not for each home of a test."""
    return {"XDG_CACHE_HOME": _CACHE}


@contextmanager
def deployed(server: Seaweed, *, memory: str = "1769", layer: str = "none", **changes: Any) -> Iterator[Deployed]:
    """The whole cloud, with functions of these sizes. `changes` are settings of the Lambda service."""
    bucket = server.make_bucket()
    with cloud(server, **changes) as running, tempfile.TemporaryDirectory() as empty:
        command = [str(SCRIPTS / "gg"), "deploy", "lambda", "--bucket", bucket, "--region", REGION, "--memory", memory]
        command += ["--layer", layer]
        env = {"PATH": os.environ["PATH"], "HOME": empty, **wheels(), **running.environment()}
        subprocess.run(command, cwd=empty, env=env, check=True, stdout=subprocess.DEVNULL, timeout=300)
        yield Deployed(running, bucket, "gg")
