"""The script in a machine's user data, which runs when it starts, and the systemd unit of its worker. Pure.

Amazon Linux 2023 brings bash, curl, systemd and AWS's command line; the script installs Python from its repositories. The machine's
tags hold what differs from launch to launch, and its metadata service shows the tags. So one launch template serves all launches.

A machine ends by itself in three cases: after a number of minutes, when its worker has ended (it had nothing to do, or a notice
came), and when it cannot start at all. The launch template makes a shutdown terminate the machine.
"""

from __future__ import annotations

from gg.deploy.service_files import UNIT_WALLS
from gg.deploy.spot.fleet_plan import FleetPlan

IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"  # of Systems Manager's public parameters
MINUTES_TAG, IDLE_TAG = "gg:minutes", "gg:idle"
EXCHANGE_PORT = 7178
"""at which a machine's worker gives other machines of the fleet what it keeps."""
MOST_BYTES = 16 << 10  # of user data, before it is encoded

_SCRIPT = """\
#!/bin/bash
# Starts a worker of gg; made by `gg deploy spot`.
set -euo pipefail
trap 'shutdown -h now' ERR
metadata=${{AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}}/latest
token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$metadata/api/token")
told() {{ curl -fsS -H "X-aws-ec2-metadata-token: $token" "$metadata/meta-data/$1"; }}
minutes=$(told tags/instance/{minutes_tag})
idle=$(told tags/instance/{idle_tag})
address=$(told local-ipv4)
shutdown -h "+$minutes"
dnf -q -y install {python}
mkdir -p /opt/gg
aws s3 cp --only-show-errors --region {region} 's3://{bucket}/{key}' /opt/gg/worker.zip
echo '{digest}  /opt/gg/worker.zip' | sha256sum -c --quiet
{python} -m zipfile -e /opt/gg/worker.zip /opt/gg/worker
sed "s/@IDLE@/$idle/; s/@ADDRESS@/$address/" >/run/systemd/system/gg-worker.service <<'UNIT'
{unit}UNIT
systemctl daemon-reload
systemctl start gg-worker
"""

_UNIT = """\
[Unit]
Description=gg worker
[Service]
ExecStart=/usr/bin/{python} -P /opt/gg/worker/start.py worker \\
  --queue {queue} --region {region} --idle @IDLE@ --directory /var/cache/gg-worker \\
  --exchange @ADDRESS@:{port}
ExecStopPost=+/usr/sbin/shutdown -h now
Environment=PYTHONPATH=/opt/gg/worker PYTHONDONTWRITEBYTECODE=1 HOME=/var/cache/gg-worker
TimeoutStopSec=120
DynamicUser=yes
CacheDirectory=gg-worker
CacheDirectoryMode=0700
{walls}"""


def user_data(plan: FleetPlan, digest: str) -> str:
    """The script. `digest`: SHA-256 of the parcel that the machine installs, in hex."""
    python = plan.common.runtime.name
    unit = _UNIT.format(
        python=python, queue=plan.queue, region=plan.common.region, port=EXCHANGE_PORT, walls=UNIT_WALLS
    )
    return _SCRIPT.format(
        minutes_tag=MINUTES_TAG, idle_tag=IDLE_TAG, python=python, region=plan.common.region, bucket=plan.common.bucket,
        key=parcel(plan, digest), digest=digest, unit=unit,
    )  # fmt: skip


def parcel(plan: FleetPlan, digest: str) -> str:
    """The key of the object that machines install."""
    return f"{plan.parcels}{digest}.zip"
