"""The rest of AWS that a deployment calls, by moto's server: IAM, STS, CloudWatch Logs; and S3, as a second server of it.

moto believes every signature; who is refused is tested against the other two servers.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.servers.ports import free_ports

_START_S, _ATTEMPTS = 60.0, 3


class Moto(NamedTuple):
    """A server that runs."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, *services: str) -> dict[str, str]:
        """What sends boto here for these services."""
        return {f"AWS_ENDPOINT_URL_{service.upper().replace(' ', '_')}": self.endpoint for service in services}


@contextmanager
def moto() -> Iterator[Moto]:
    """A server in a process of its own, with an empty account 123456789012."""
    for _ in range(_ATTEMPTS):
        port = free_ports(1)[0]
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if _ready(port, process):
                yield Moto(port)
                return
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    raise RuntimeError("moto's server does not start: pip install '.[test]'")


def _ready(port: int, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/moto-api/data.json")
            if connection.getresponse().status == 200:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    return False
