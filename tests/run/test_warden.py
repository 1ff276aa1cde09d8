"""What a command leaves in a slot of the local engine: with either isolation, no process and no file for the next one."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gg.core.thunk import Reduction
from gg.engines.engine import Failure
from gg.host import native_programs as native
from gg.run.job import Isolation
from gg.schedule.events import Fault
from tests.conformance.engine_suite import Answers
from tests.conformance.test_engines import LocalSubject

LEAVES = """
(setsid sh -c 'while :; do sleep 1; done' $0 &)
setsid sh -c '(setsid sleep 1000 $0 &) ; sleep 1000' $0 &
(trap '' TERM HUP INT; for i in 1 2 3 4 5; do setsid sh -c 'sleep 1000; sleep 1000' $0 & done)
( (sleep 1000 &) & )
set -m
sleep 1000 &
echo left > /tmp/gg-left-$0
echo done > out
"""


def processes(mark: str) -> list[str]:
    """Those that have it in their environment."""
    found: list[str] = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(Path(f"/proc/{pid}/cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.mark.parametrize("isolation", Isolation)
@pytest.mark.parametrize("ending", ["exit 0", "exit 3", "kill -9 $$", "kill -9 0"])
def test_no_process_and_no_file_is_left(tmp_path: Path, isolation: Isolation, ending: str) -> None:
    local = LocalSubject(tmp_path, isolation)
    answers = Answers(local.engine(), local.graph)
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    result = answers.of(local.shell("out", LEAVES.replace("$0", mark) + ending))
    assert not processes(str(tmp_path)), "its map or its scratch directory is in the environment of each"
    assert not os.path.exists(f"/tmp/gg-left-{mark}")
    if ending == "exit 0":
        assert isinstance(result, Reduction), result
    else:
        assert isinstance(result, Failure)
        assert (result.fault, result.status) == ((Fault.TOOL, 3) if ending == "exit 3" else (Fault.LOST, 137))
    again = answers.of(local.shell("out", f"ls /tmp/gg-left-{mark} 2>/dev/null; echo done > out"))
    assert isinstance(again, Reduction), again
    assert again.stdout == b""
    answers.engine.close()


def warden(*command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    with open(os.memfd_create("trouble"), "r+b", buffering=0) as trouble:
        fd = trouble.fileno()
        return subprocess.run(
            [native.warden(), str(fd), *command], pass_fds=[fd], capture_output=True, timeout=60, check=False
        )


def test_it_ends_as_the_command_did() -> None:
    assert warden("/bin/sh", "sh", "-c", "echo $0 $1; exit 5", "one", "two").returncode == 5
    assert warden("/bin/sh", "sh", "-c", "echo $0 $1", "one", "two").stdout == b"one two\n"
    for number in (signal.SIGSEGV, signal.SIGTERM, signal.SIGKILL, signal.SIGPIPE, signal.SIGINT):
        assert warden("/bin/sh", "sh", "-c", f"kill -{int(number)} $$").returncode == -number
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    warden("/bin/sh", "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun.ru_utime > 0.02, "what it used is counted"


def test_it_passes_on_no_descriptor_and_no_signal_that_is_ignored_or_blocked() -> None:
    done = warden("/bin/sh", "sh", "-c", "readlink /proc/$$/fd/*; exec grep -E '^Sig(Blk|Ign)' /proc/self/status")
    assert b"trouble" not in done.stdout
    signals = [line for line in done.stdout.decode().splitlines() if line.startswith("Sig")]
    assert len(signals) == 2
    assert all(int(line.split()[1], 16) & 1 << (signal.SIGTERM - 1) == 0 for line in signals)


def test_when_its_parent_dies_so_does_the_command(tmp_path: Path) -> None:
    """However: SIGKILL gives nobody time to say anything."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    code = "import os, subprocess, sys; subprocess.run(sys.argv[1:], pass_fds=[2])"
    script = f"setsid sleep 1000 & echo ready; sleep 1000; : {mark}"
    parent = subprocess.Popen(
        ["python3", "-c", code, native.warden(), "2", "/bin/sh", "sh", "-c", script],
        stdout=subprocess.PIPE,
        env={**os.environ, "MARK": mark},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while processes(mark) and time.monotonic() < until:
        time.sleep(0.01)
    assert not processes(mark)
    parent.stdout.close()
