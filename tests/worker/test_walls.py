"""What a slot of a worker runs reaches nobody else's, on this machine either, and leaves nothing for whoever comes next."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.errors import SetupError
from gg.worker import walls
from tests.e2e.project import SCRIPTS

BEHIND = """
import ctypes, errno, os, signal, socket, sys
from gg.worker.walls import put_up
own, victim, pid, abstract = sys.argv[1:]
print(put_up(own))
libc = ctypes.CDLL(None, use_errno=True)

def tried(name, what):
    try:
        what()
        print("could", name)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.ENOSYS, errno.EXDEV):
            print("cannot try", name, error)

def call(number, *words):
    ctypes.set_errno(0)
    if libc.syscall(number, *words) == -1:
        raise OSError(ctypes.get_errno(), "")

def wrote(path):
    return lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))

for place in ("/dev/shm", "/tmp", "/var/tmp", "/run/lock", os.path.expanduser("~"), victim):
    tried(place, wrote(place + "/gg-left"))
    tried(place + " directory", lambda: os.mkdir(place + "/gg-left-directory"))
tried("read", lambda: open(victim + "/private").close())
tried("list", lambda: os.listdir(victim))
tried("change", lambda: open(victim + "/private", "r+").close())
tried("truncate", lambda: os.truncate(victim + "/private", 0))
tried("remove", lambda: os.unlink(victim + "/private"))
tried("move", lambda: os.rename(victim + "/private", own + "/private"))
tried("link", lambda: os.link(victim + "/private", own + "/private"))
tried("climb", lambda: open(own + "/../victim/private").close())
os.symlink(victim + "/private", own + "/link")
tried("follow", lambda: open(own + "/link").close())
tried("by its root", lambda: open(f"/proc/{pid}/root{victim}/private").close())
tried("environment", lambda: open(f"/proc/{pid}/environ").close())
tried("memory", lambda: open(f"/proc/{pid}/mem", "rb").close())
tried("adjust", lambda: open(f"/proc/{pid}/oom_score_adj", "w").close())
tried("trace", lambda: call(101, 0x4206, int(pid), 0, 0))
tried("descriptor", lambda: call(438, os.pidfd_open(int(pid)), 0, 0))
if walls_scope := libc.syscall(444, None, 0, 1) >= 6:
    tried("signal", lambda: os.kill(int(pid), 0))
    tried("abstract socket", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + abstract))
tried("shared memory", lambda: call(29, 4711, 100, 0o1600))
tried("semaphores", lambda: call(64, 4711, 1, 0o1600))
tried("queue", lambda: call(68, 4711, 0o1600))
tried("named queue", lambda: call(240, b"gg-left", 0o102, 0o600, None))
tried("key", lambda: call(248, b"user", b"gg-left", b"x", 1, -4))
"""

AT_HOME = """
import os, socket, subprocess, sys
from gg.worker.walls import put_up
own = sys.argv[1]
put_up(own)
os.chdir(own)
os.makedirs("a/b")
os.makedirs("c")
open("a/b/file", "w").write("text")
os.rename("a/b/file", "c/file")
os.link("c/file", "a/linked")
os.symlink("c", "d")
os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
open("/dev/null", "w").write("x")
os.truncate("c/file", 2)
os.chmod("c/file", 0o755)
print(open("d/file").read(), len(os.listdir(".")), subprocess.run(["cat", "a/linked"], capture_output=True, text=True).stdout)
os.environ["TMPDIR"] = own
print(subprocess.run("echo 'int main(void) { return 5; }' > x.c && cc x.c -o x && ./x", shell=True).returncode)
"""


def behind(code: str, *arguments: str | os.PathLike[str]) -> list[str]:
    command = [sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def neighbour() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this user, with something in its environment."""
    process = subprocess.Popen(["sleep", "60"], env={"PRIVATE": "private"})
    yield process
    process.kill()
    process.wait()


def test_nothing_of_others_is_reached(tmp_path: Path, neighbour: subprocess.Popen[bytes]) -> None:
    own, victim = tmp_path / "own", tmp_path / "victim"
    victim.mkdir()
    (victim / "private").write_text("private")
    name = f"gg-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        assert behind(BEHIND, own, victim, str(neighbour.pid), name) == ["[]"]
    assert (victim / "private").read_text() == "private"


def test_its_own_directory_is_a_directory_like_any_other(tmp_path: Path) -> None:
    assert behind(AT_HOME, tmp_path / "own") == ["te 5 te", "5"]


SYSTEM = """
import os, sys
from gg.worker import walls
own, etc, *paths = sys.argv[1:]
walls._CONFIGURED = (*walls._CONFIGURED, etc)
walls.put_up(own)
for path in paths:
    try:
        print(os.path.basename(path), len(os.listdir(path) if os.path.isdir(path) else open(path).read()) > 0)
    except OSError as error:
        print(os.path.basename(path), error.strerror)
"""


def test_of_the_system_it_reads_what_everybody_may(tmp_path: Path) -> None:
    """A worker of root's could read /etc/shadow and the private keys of the machine."""
    etc = tmp_path / "etc"
    for name, mode, above in (
        ("all/below/file", 0o644, 0o755),
        ("some/open", 0o644, 0o755),
        ("some/closed", 0o640, 0o755),
        ("private/key", 0o644, 0o700),
        ("hidden/file", 0o644, 0o711),
    ):
        (etc / name).parent.mkdir(parents=True, exist_ok=True)
        (etc / name).write_text("text")
        (etc / name).chmod(mode)
        (etc / name).parent.chmod(above)
    (etc / "all" / "link").symlink_to("../some/closed")
    names = ("all", "all/below/file", "all/link", "some/open", "some/closed", "private/key", "hidden/file")
    said = behind(SYSTEM, tmp_path / "own", etc, *(etc / name for name in names), "/etc/passwd", "/etc/shadow")
    refused = "Permission denied"
    assert said == [
        "all True", "file True", f"link {refused}", "open True", f"closed {refused}", f"key {refused}", "file True",
        "passwd True", f"shadow {refused}",
    ]  # fmt: skip
    assert walls.everybodys(str(etc / "all")) == [str(etc / "all")]


# Kernels that have less

LESS = """
import ctypes, os, struct, sys
from gg.worker.offline import _ALLOW, _EQUAL, _ERRNO, _LOAD, _RETURN, _op, no_new_privileges
refused = [int(each) for each in sys.argv[1].split(",")]
code = _op(_LOAD, 0)
for number in refused:
    code += _op(_EQUAL, number, 0, 1) + _op(_RETURN, _ERRNO | 38)
if "filter" in sys.argv[2]:
    code += _op(_EQUAL, 157, 0, 3) + _op(_LOAD, 16) + _op(_EQUAL, 22, 0, 1) + _op(_RETURN, _ERRNO | 22)
code += _op(_RETURN, _ALLOW)
buffer = ctypes.create_string_buffer(code, len(code))
no_new_privileges()
assert not ctypes.CDLL(None).prctl(22, 2, struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)), 0, 0)
os.execv(sys.argv[3], sys.argv[3:])
"""
LANDLOCK, SECCOMP = "444,445,446", "317"


@pytest.fixture
def worker_command(tmp_path: Path) -> list[str]:
    return [os.fspath(SCRIPTS / "gg"), "worker", "--listen", "127.0.0.1:0", "--directory", str(tmp_path / "worker")]


def started(command: list[str], calls: str, what: str, home: Path) -> subprocess.Popen[str]:
    """A worker on a kernel that has not these calls."""
    words = [sys.executable, "-c", LESS, calls, what, *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env={**os.environ, "HOME": str(home)})


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of its calls")
def test_a_worker_does_not_start_where_thunks_would_have_the_network(tmp_path: Path, worker_command: list[str]) -> None:
    worker = started(worker_command, SECCOMP, "filter", tmp_path)
    out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (SetupError.exit_code, "")
    assert "the network" in err
    assert "gg worker --exposed" in err


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of its calls")
@pytest.mark.parametrize(
    ("calls", "what", "options", "says"),
    [(SECCOMP, "filter", ["--exposed"], "what a thunk runs has the network"), (LANDLOCK, "", [], "no Landlock")],
)
def test_it_says_what_it_has_not(
    tmp_path: Path, worker_command: list[str], calls: str, what: str, options: list[str], says: str
) -> None:
    worker = started([*worker_command, *options], calls, what, tmp_path)
    assert worker.stdout is not None
    assert "takes work" in worker.stdout.readline()
    time.sleep(0.2)
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=60)
    assert says in err


def test_a_slot_that_cannot_be_walled_in_does_not_serve(tmp_path: Path) -> None:
    slot = [sys.executable, "-P", "-m", "gg.worker.slot_process", str(tmp_path / "slot"), "0", "0"]
    process = started(slot, SECCOMP, "filter", tmp_path)
    out, _ = process.communicate("", timeout=60)
    assert (process.returncode, out) == (SetupError.exit_code, "")


def test_what_is_tried_says_nothing_where_all_is_there(tmp_path: Path) -> None:
    assert walls.check(str(tmp_path / "slot"), exposed=False) == []
