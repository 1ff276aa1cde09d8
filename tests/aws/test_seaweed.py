"""The S3 server that other tests stand on keeps S3's promises, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.seaweed import Seaweed, seaweed


def _refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_an_object_comes_back(seaweed_server: Seaweed) -> None:
    client, bucket = seaweed_server.client(), seaweed_server.make_bucket()
    client.put_object(Bucket=bucket, Key="a/b", Body=b"bytes")
    assert client.get_object(Bucket=bucket, Key="a/b", Range="bytes=1-2")["Body"].read() == b"yt"


def test_of_many_writers_one_wins(seaweed_server: Seaweed) -> None:
    client, bucket = seaweed_server.client(), seaweed_server.make_bucket()

    def write(number: int) -> bool:
        try:
            client.put_object(Bucket=bucket, Key="k", Body=b"%d" % number, IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, range(16)))
    assert won.count(True) == 1
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"%d" % won.index(True)


def test_a_wrong_secret_is_refused(seaweed_server: Seaweed) -> None:
    with pytest.raises(ClientError) as error:
        seaweed_server.client(aws_secret_access_key="0" * 40).list_buckets()
    assert _refused(error) == "SignatureDoesNotMatch"


def test_a_wrong_checksum_is_refused(seaweed_server: Seaweed) -> None:
    client = seaweed_server.client(config=Config(retries={"total_max_attempts": 1}))
    bucket = seaweed_server.make_bucket()
    with pytest.raises(ClientError):
        client.put_object(Bucket=bucket, Key="k", Body=b"bytes", ChecksumSHA256="A" * 43 + "=")
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_two_servers_run_side_by_side_and_are_gone_afterwards(seaweed_server: Seaweed, tmp_path: Path) -> None:
    with seaweed(tmp_path) as other:
        other.make_bucket("mine")
        names = [b["Name"] for b in seaweed_server.client().list_buckets()["Buckets"]]
        assert "mine" not in names
    assert not list(tmp_path.iterdir())
    assert not Path(f"/proc/{other.pid}").exists()


def test_a_killed_owner_leaves_no_server(tmp_path: Path) -> None:
    script = "from tests.servers.seaweed import seaweed; import sys\n"
    script += "with seaweed(sys.argv[1]) as s: print(s.pid, flush=True); input()"
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with owner:
        assert owner.stdout is not None
        server = Path(f"/proc/{int(owner.stdout.readline())}")
        assert server.exists()
        os.kill(owner.pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while server.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not server.exists()
