"""Somebody else's SQS on loopback, fast enough to be measured against: fauxqs (npm, Node 22) or ministack (PyPI)."""

from __future__ import annotations

import http.client
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.ports import free_ports
from tests.servers.seaweed import REGION

_START_S = 90.0
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": REGION}


@contextmanager
def sqs(command: str, host: str = "127.0.0.1", before: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    """The server's endpoint and its process. `command`: words that start it, with `{port}` where the port stands if
    not in the environment of fauxqs and ministack; `before`: those that have it start elsewhere.
    """
    (port,) = free_ports(1)
    env = {"FAUXQS_PORT": str(port), "FAUXQS_LOGGER": "false", "FAUXQS_HOST": host}
    env |= {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "0.0.0.0" if before else host,
        "MINISTACK_HOST": host,
        "LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        [*before, *command.replace("{port}", str(port)).split()],
        env={**os.environ, **KEYS, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(host, port, before, process)
        yield f"http://{host}:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(host: str, port: int, before: tuple[str, ...], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if before:
            probe = [*before, "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"]
            if subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return
        else:
            connection = http.client.HTTPConnection(host, port, timeout=5)
            try:
                connection.request("GET", "/health")
                connection.getresponse().read()
                return
            except OSError:
                pass
            finally:
                connection.close()
        time.sleep(0.2)
    raise SystemExit(f"{process.args!r} does not start")


def cpu(pid: int) -> float:
    """Seconds of processor that a process has had."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
