"""A small cloud: what EC2 does with instances and moto's server does not. It boots them, tells them of things, and ends them.

Each instance that moto says is running is booted: its launch template's user data is run by bash, in a mount namespace whose
/opt, /run and /var/cache are its own, with stand-ins for what Amazon Linux brings (dnf, AWS's command line, systemctl,
shutdown). It has a metadata service of its own. When it shuts down, moto is told that the instance is terminated.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.servers.metadata import Metadata, metadata

_LOOK_S = 0.1
_NAMESPACES = ("--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_BOOT = """
set -e
for d in /opt /run /var/cache; do mount -t tmpfs none $d; done
mkdir -p /run/systemd/system
bash "$1" || true
exec sleep infinity
"""
_STAND_INS = {
    "dnf": "exit 0",
    "shutdown": 'case "$2" in now) touch "$MACHINE/over";; *) echo "$2" >"$MACHINE/limit";; esac',
    "aws": 'exec "$GG_TEST_PYTHON" -P "$MACHINE/s3_copy.py" "${@: -2}"',
    "systemctl": """
[ "$1" = start ] || exit 0
unit=$(sed -e ':a' -e '/\\\\$/N; s/\\\\\\n//; ta' /run/systemd/system/$2.service)
line=$(printf '%s\\n' "$unit" | sed -n 's/^ExecStart=//p')
environment=$(printf '%s\\n' "$unit" | sed -n 's/^Environment=//p')
(env $environment $(basename ${line%% *}) ${line#* } >"$MACHINE/worker.log" 2>&1; shutdown -h now) &
""",
}
_COPY = """
import boto3, sys
bucket, _, key = sys.argv[1].removeprefix("s3://").partition("/")
boto3.client("s3").download_file(bucket, key, sys.argv[2])
"""


class _Booted:
    """A machine that was booted: its processes, and where its files are."""

    def __init__(self, process: subprocess.Popen[bytes], directory: Path, service: Metadata) -> None:
        self.process = process
        self.directory = directory
        self.metadata = service

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Machines:
    """All instances of one moto server.

    `environment`: what a machine sees of the cloud. `faster`: by how much machines without work are less patient.
    """

    def __init__(self, ec2: Any, template: str, environment: Mapping[str, str], tmp: Path, faster: float) -> None:
        self._ec2 = ec2
        self._template = template
        self._environment = environment
        self._tmp = tmp
        self._faster = faster
        self.booted: dict[str, _Booted] = {}
        self.ended: list[str] = []
        self.failure: Exception | None = None
        self._services = ExitStack()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for machine in self.booted.values():
            machine.stop()
        self._services.close()
        if self.failure is not None:
            raise self.failure

    def kill(self, id: str) -> None:
        """As when AWS takes it away without a word."""
        self._ec2.terminate_instances(InstanceIds=[id])

    def log(self, id: str) -> str:
        directory = self.booted[id].directory
        parts = [directory / "boot.log", directory / "worker.log"]
        return "".join(part.read_text() for part in parts if part.exists())

    def working(self) -> list[str]:
        return [id for id in self.booted if id not in self.ended and "takes work from" in self.log(id)]

    def wait_for(self, count: int, seconds: float = 120.0) -> list[str]:
        """The machines whose workers take work, once there are so many."""
        until = time.monotonic() + seconds
        while len(self.working()) < count:
            assert self.failure is None, self.failure
            assert time.monotonic() < until, [self.log(id) for id in self.booted]
            time.sleep(_LOOK_S)
        return self.working()

    def wait_for_ends(self, count: int, seconds: float = 120.0) -> None:
        """Until so many machines have ended."""
        until = time.monotonic() + seconds
        while len(self.ended) < count:
            assert self.failure is None, self.failure
            assert time.monotonic() < until, [self.log(id) for id in self.booted]
            time.sleep(_LOOK_S)

    def _work(self) -> None:
        try:
            while not self._over.wait(_LOOK_S):
                self._look()
        except Exception as error:
            self.failure = error

    def _look(self) -> None:
        reservations = self._ec2.describe_instances()["Reservations"]
        states = {each["InstanceId"]: each for one in reservations for each in one["Instances"]}
        for id, each in states.items():
            if each["State"]["Name"] == "running" and id not in self.booted:
                tags = {tag["Key"]: tag["Value"] for tag in each.get("Tags", ())}
                self.booted[id] = self._boot(id, tags)
        for id, machine in self.booted.items():
            gone = states[id]["State"]["Name"] not in ("pending", "running")
            if id not in self.ended and (gone or (machine.directory / "over").exists()):
                machine.stop()
                self.ended.append(id)
                if not gone:
                    self._ec2.terminate_instances(InstanceIds=[id])

    def _boot(self, id: str, tags: dict[str, str]) -> _Booted:
        directory = self._tmp / id
        programs = directory / "bin"
        programs.mkdir(parents=True)
        for name, text in _STAND_INS.items():
            (programs / name).write_text(f"#!/bin/bash\n{text}\n")
            (programs / name).chmod(0o755)
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (programs / python).symlink_to(Path(sys.base_exec_prefix) / "bin" / python)
        (directory / "s3_copy.py").write_text(_COPY)
        (directory / "user-data").write_bytes(base64.b64decode(self._user_data()))
        service = self._services.enter_context(metadata())
        tags["gg:idle"] = str(max(1, int(int(tags["gg:idle"]) / self._faster)))
        service.answers = {f"/latest/meta-data/tags/instance/{key}": value.encode() for key, value in tags.items()}
        service.answers["/latest/meta-data/local-ipv4"] = f"127.0.0.{2 + len(self.booted)}".encode()
        unshare = shutil.which("unshare")
        assert unshare is not None
        with open(directory / "boot.log", "wb") as log:
            process = subprocess.Popen(
                [unshare, *_NAMESPACES, "bash", "-c", _BOOT, "bash", str(directory / "user-data")],
                env=self._seen(directory, programs, service), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, cwd="/",
            )  # fmt: skip
        return _Booted(process, directory, service)

    def _user_data(self) -> str:
        found = self._ec2.describe_launch_template_versions(LaunchTemplateName=self._template, Versions=["$Latest"])
        return str(found["LaunchTemplateVersions"][0]["LaunchTemplateData"]["UserData"])

    def _seen(self, directory: Path, programs: Path, service: Metadata) -> dict[str, str]:
        return {
            **self._environment,
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(directory),
            "MACHINE": str(directory),
            "GG_TEST_PYTHON": sys.executable,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": service.address,
        }


@contextmanager
def machines(
    ec2: Any, template: str, environment: Mapping[str, str], tmp: Path, faster: float = 1.0
) -> Iterator[Machines]:
    running = Machines(ec2, template, environment, tmp, faster)
    try:
        yield running
    finally:
        running.close()
