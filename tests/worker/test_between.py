"""What a worker puts back after a command, a piece at a time. `tests/aws/test_intruder.py` has all of it at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.host.emptying import empty
from gg.worker import own_limits
from gg.worker.own_limits import OwnLimits
from gg.worker.writable import Writable


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    directory = tmp_path / "top"
    directory.mkdir()
    fd = os.open(directory, os.O_RDONLY)
    yield fd
    os.close(fd)


def in_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own, whose state is its own business."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_tree_of_any_depth_goes(top: int) -> None:
    """Deeper than a path may be long, closed to everybody, with links that lead out of it."""
    at = os.dup(top)
    for number in range(3000):
        os.mkdir("a-name-that-is-rather-long", 0o700, dir_fd=at)
        if number % 1000 == 0:
            os.symlink("/", "link", dir_fd=at)
            os.mkfifo("fifo", dir_fd=at)
            os.mkdir(".gg-gone-1", 0o700, dir_fd=at)
        below = os.open("a-name-that-is-rather-long", os.O_RDONLY, dir_fd=at)
        os.fchmod(at, 0o700 if number == 0 else 0)
        os.close(at)
        at = below
    os.close(at)
    os.mkdir("kept", dir_fd=top)
    empty(top, [b"kept"])
    assert os.listdir(top) == ["kept"]


def test_a_directory_is_put_back(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir(mode=0o750)
    place = Writable(str(directory), lambda: {b"kept"})
    (directory / "kept").mkdir()
    for _ in range(2):
        (directory / "left").mkdir()
        (directory / "left\n").write_text("x")
        os.chmod(directory, 0)
        assert place.restored()
        assert [each.name for each in directory.iterdir()] == ["kept"]
        assert directory.stat().st_mode & 0o777 == 0o750
    directory.rename(tmp_path / "other")
    directory.mkdir()
    assert not place.restored()
    place.close()


def test_a_directory_is_looked_into_when_it_changed(tmp_path: Path) -> None:
    asked: list[bool] = []

    def keeps() -> tuple[bytes, ...]:
        asked.append(True)
        return ()

    place = Writable(str(tmp_path), keeps)
    time.sleep(0.06)
    for _ in range(3):
        assert place.restored()
    assert len(asked) == 1
    (tmp_path / "left").write_text("x")
    assert place.restored()
    assert (len(asked), os.listdir(tmp_path)) == (2, [])
    place.close()


def test_files_that_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`autogroup` is empty for a process that is in none, as where the kernel makes none for sessions."""
    (tmp_path / "autogroup").write_text("")
    monkeypatch.setattr(own_limits, "_FILES", (str(tmp_path / "autogroup"), "oom_score_adj"))
    assert OwnLimits().restored()


CREDENTIALS = """
import os
os.environ["AWS_SESSION_TOKEN"] = "of this process"
from gg.worker.hidden import take
print(take(["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "NOT_THERE"]))
print(sorted(name for name in os.environ if name.startswith("AWS_SE")))
print(b"secret" in open("/proc/self/environ", "rb").read(), b"PATH=" in open("/proc/self/environ", "rb").read())
"""


def test_credentials_are_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret too")
    done = in_process(CREDENTIALS)
    taken = {"AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "of this process", "NOT_THERE": ""}
    assert done.stdout.splitlines() == [str(taken), "[]", "False True"], done.stderr


ENDING = """
import os, subprocess, sys, time
from gg.run.ending import end_descendants
from gg.worker.hidden import hide
hide()
started = time.monotonic()
for code in sys.argv[1:]:
    subprocess.run(["sh", "-c", code])
print(end_descendants(everybody=False), time.monotonic() - started < 20)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("none")
"""


def test_no_process_is_left() -> None:
    """Also none that has a session of its own, no parent, or ignores all that can be ignored. Nobody else's is touched."""
    other = subprocess.Popen(["sleep", "60"])
    done = subprocess.run(
        [
            *(sys.executable, "-c", ENDING),
            "setsid sleep 100 & (setsid sh -c 'sleep 100 & setsid sleep 100 & wait' &) & true",
            "(trap '' TERM HUP INT; for i in 1 2 3 4 5 6 7 8 9; do setsid sh -c 'sleep 100; sleep 100' & done) &",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == ["True True", "none"], done.stderr
    assert other.poll() is None
    other.kill()
    other.wait()


KEYS = """
import ctypes, subprocess, sys
from gg.worker.kernel_keys import Keys
libc = ctypes.CDLL(None, use_errno=True)
keys = Keys()
add = "import ctypes; print(sum(ctypes.CDLL(None).syscall(248, b'user', b'gg-left', b'x', 1, ring) > 0 for ring in (-3, -4, -5)))"
look = "import ctypes; print(sum(ctypes.CDLL(None).syscall(250, 10, ring, b'user', b'gg-left', 0) > 0 for ring in (-3, -4, -5)))"
for code in (add, look):
    subprocess.run([sys.executable, "-c", code])
print(keys.cleared(), flush=True)
subprocess.run([sys.executable, "-c", look])
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of its calls")
def test_no_key_of_the_kernels_is_left() -> None:
    done = in_process(KEYS)
    assert sorted(done.stdout.split()) in (["0", "3", "3", "True"], ["0", "0", "0", "True"]), (
        done.stderr
    )  # or there are none
    assert done.stdout.split()[-1] == "0"


STREAMS = """
import ctypes, os, sys
from gg.run.process import Slot
spoil = "import fcntl, os; fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK); fcntl.flock(0, fcntl.LOCK_EX)"
look = "import fcntl; print(fcntl.fcntl(0, fcntl.F_GETFL)); fcntl.flock(open('/dev/null'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
slot, python = Slot(), os.fsencode(sys.executable)
for code in (look, spoil, look):
    ended = slot.run(python, (python, b"-c", code.encode()), os.environb, "/")
    print(ended.status, ended.stdout.decode().strip())
"""


def test_what_a_command_does_to_its_input_is_nobody_elses() -> None:
    done = in_process(STREAMS)
    first, _, last = done.stdout.splitlines()
    assert first == last, done.stderr
    assert first.startswith("0 ")
