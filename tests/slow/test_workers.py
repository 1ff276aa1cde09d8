"""Four workers on hosts of their own: network namespaces with addresses. As root, with iproute2."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project
from tests.e2e.test_22_workers import units
from tests.e2e.workers import find_line

_SECONDS = 1500.0
_NET = "10.83.7"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def hosts(count: int) -> Iterator[list[str]]:
    """Namespaces on one bridge, which lies in a namespace too, `gghub`; their names."""
    mark = f"{os.getpid() % 10000}"
    hub, names = f"gghub{mark}", [f"gg{mark}-{n}" for n in range(count)]
    made: list[str] = []
    try:
        for name in (hub, *names):
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", hub, "link", "add", "br0", "type", "bridge")
        ip("-n", hub, "addr", "add", f"{_NET}.1/24", "dev", "br0")
        ip("-n", hub, "link", "set", "br0", "up")
        for n, name in enumerate(names):
            ip("-n", hub, "link", "add", f"v{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", hub, "link", "set", f"v{n}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{_NET}.{11 + n}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield [hub, *names]
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextmanager
def worker(name: str, address: str, home: Path) -> Iterator[str]:
    """A worker on a host, with a home and a temporary directory of its own; the host and its key."""
    (home / "tmp").mkdir(parents=True)
    words = ["ip", "netns", "exec", name, str(SCRIPTS / "gg"), "worker", "--listen", address, "--jobs", "1"]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C", "TMPDIR": str(home / "tmp")}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield find_line(process.stdout.readline() + process.stdout.readline()).removeprefix("remote=")
        finally:
            process.terminate()


@pytest.mark.parametrize("count", [60, 300])
def test_the_same_bytes_over_a_network(count: int, tmp_path: Path) -> None:
    project = Project(tmp_path / "tree", {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"})
    project.root.mkdir()
    units(project, count)
    expected, _ = project.plain("make")
    project.infer("make")
    with hosts(4) as (hub, *names), ExitStack() as stack:
        opened = [worker(name, f"{_NET}.{11 + n}", tmp_path / name) for n, name in enumerate(names)]
        lines = [stack.enter_context(each) for each in opened]
        words = ["ip", "netns", "exec", hub, str(SCRIPTS / "gg-force"), "--json", "--fallback", "never"]
        done = subprocess.run(
            [*words, "--engine", "remote=" + ",".join(lines)],
            cwd=project.root,
            env=project.env,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    project.assert_tree(expected)
    engines = {word for word in done.stdout.decode().split('"') if word.startswith("remote/")}
    assert engines == {f"remote/{_NET}.{11 + n}" for n in range(4)}
