"""Hosts of their own on this machine, for workers: network namespaces with addresses, on one bridge. As root, with iproute2.

    with hosts(4) as (hub, *names), inside(hub):
        subprocess.run([*on(names[0], home), "gg", "worker", …])

`hub` is the bridge's own host: whoever is inside it reaches the others, and nothing beyond them.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NET = "10.83.7"
HUB = f"{NET}.1"
_CLONE_NEWNET = 0x40000000
_ENTER = """set -e
for each in $GG_KEPT; do mkdir -p "$1/${each#/tmp/}"; mount --bind "$each" "$1/${each#/tmp/}"; done
mount --rbind "$1" /tmp
for each in memory pids; do
  mkdir -p "/sys/fs/cgroup/$each/$2" && echo $$ > "/sys/fs/cgroup/$each/$2/cgroup.procs" || true
done 2>/dev/null
shift 2
exec "$@"
"""


def address(number: int) -> str:
    """Of the host with this number, from 0."""
    return f"{NET}.{11 + number}"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def hosts(count: int) -> Iterator[list[str]]:
    """The names of the hub and of `count` hosts; host n has `address(n)`."""
    mark = f"{os.getpid() % 10000}"
    hub, names = f"gghub{mark}", [f"gg{mark}-{n}" for n in range(count)]
    made: list[str] = []
    try:
        for name in (hub, *names):
            _ip("netns", "add", name)
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "br0", "type", "bridge")
        _ip("-n", hub, "addr", "add", f"{HUB}/24", "dev", "br0")
        _ip("-n", hub, "link", "set", "br0", "up")
        for n, name in enumerate(names):
            _ip("-n", hub, "link", "add", f"v{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", hub, "link", "set", f"v{n}", "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{address(n)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
        yield [hub, *names]
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread is on that host, and so are threads and processes that it starts meanwhile."""
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{name}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def on(name: str, home: Path) -> list[str]:
    """Words before a command that has it run on that host: /tmp, processes, host name and cgroup are its own. `home` is a
    directory for it that is not there yet; it lies outside of /tmp, which is HOME/tmp for the command.
    """
    (home / "tmp").mkdir(parents=True)
    python = " ".join(each for each in sys.path if each.startswith("/tmp/"))
    words = ["ip", "netns", "exec", name, "env", f"GG_KEPT={python}"]
    words += ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*words, "sh", "-c", _ENTER, "sh", str(home / "tmp"), f"gg-{home.name}"]
