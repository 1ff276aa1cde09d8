"""BuildGrid, a cluster in Python over PostgreSQL, with `bot` for its worker. Its workers' input root is a directory of theirs.

It is installed in an environment of its own, for it brings some forty packages that gg has no use for. PostgreSQL is the
system's (`apt-get install postgresql`); its server runs as the user `postgres` when root starts it, and listens on a socket of
the file system alone.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.bot import Bot, bot
from tests.servers.casd import until_open
from tests.servers.ports import free_ports

VERSION = "0.4.4"
_PACKAGES = (f"buildgrid[database,redis]=={VERSION}", "psycopg[binary]")
_START_S, _STOP_S = 60.0, 10.0
_PR_SET_PDEATHSIG = 1
_CONFIG = """
server:
  - !channel {{address: "127.0.0.1:{port}", insecure-mode: true}}
authorization: {{method: none}}
connections:
  - !sql-connection &sql {{connection-string: "{database}", pool-size: 10, max-overflow: 10}}
storages:
  - !disk-storage &cas {{path: "{where}/cas"}}
caches:
  - !lru-action-cache &cache {{storage: *cas, max-cached-refs: 100000, allow-updates: true, cache-failed-actions: false}}
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    action-cache: *cache
    storage: *cas
    property-set: !dynamic-property-set {{match-property-keys: [OSFamily, ISA], wildcard-property-keys: []}}
    bot-session-keepalive-timeout: 600
    assigners:
      - !priority-age-assigner {{count: 2, interval: 0.05, bot-assignment-strategy: !assign-by-capacity {{}}}}
instances:
  - name: ""
    services:
      - !action-cache {{cache: *cache}}
      - !execution {{scheduler: *scheduler}}
      - !bots {{scheduler: *scheduler}}
      - !cas {{storage: *cas}}
      - !bytestream {{storage: *cas}}
thread-pool-size: 60
"""


def installed(where: Path) -> Path:
    """The environment in `where`, made if it is not there."""
    if not (where / "bin" / "bgd").exists():
        subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
        subprocess.run([str(where / "bin" / "pip"), "install", "-q", *_PACKAGES], check=True)
    return where


@contextmanager
def postgresql(where: Path) -> Iterator[str]:
    """A database in `where`; how SQLAlchemy names it."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    assert programs is not None, "apt-get install postgresql"
    where.mkdir()
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(where, user)
    data = where / "data"
    initialise = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(initialise, check=True, stdout=subprocess.DEVNULL, user=user, cwd=where)
    options = ("listen_addresses=", "fsync=off", "synchronous_commit=off")
    words = [word for option in options for word in ("-c", option)]
    with _process([str(programs / "postgres"), "-D", str(data), "-k", str(where), *words], where / "log", user=user):
        end = time.monotonic() + _START_S
        while subprocess.run([programs / "pg_isready", "-q", "-h", where], check=False).returncode:
            assert time.monotonic() < end, (where / "log").read_text(errors="replace")[-2000:]
            time.sleep(0.1)
        yield f"postgresql+psycopg2://postgres@/postgres?host={where}"


@contextmanager
def buildgrid(where: Path, programs: Path, slots: int = 4) -> Iterator[tuple[str, Bot]]:
    """A cluster on loopback with its data in `where`, and its one bot. `programs`: the environment that it is installed in."""
    with ExitStack() as stack:
        database = stack.enter_context(postgresql(where / "database"))
        subprocess.run([programs / "bin" / "bgd", "migrate", "apply", database], check=True, capture_output=True)
        (port,) = free_ports(1)
        (where / "cas").mkdir(exist_ok=True)
        (where / "config.yml").write_text(_CONFIG.format(port=port, database=database, where=where))
        command = [str(programs / "bin" / "bgd"), "server", "start", str(where / "config.yml")]
        process = stack.enter_context(_process(command, where / "log"))
        until_open(port, process, where / "log")
        yield f"127.0.0.1:{port}", stack.enter_context(bot(f"127.0.0.1:{port}", slots))


@contextmanager
def _process(command: Sequence[str], log: Path, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    libc = ctypes.CDLL(None)
    with (
        open(log, "wb") as out,
        subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            user=user,
            cwd=log.parent,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
