"""Secrets stay with gg: not in a build's environment, not in thunks', and not for other users of the machine to read."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gg.wire.frames import TOKEN_SIZE
from gg.wire.pin import WorkerKey
from tests.e2e.project import SCRIPTS, Project

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
WORKER = WorkerKey(bytes(range(200, 232)), bytes(range(240, 240 + TOKEN_SIZE))).text
SECRETS = {
    "GG_REAPI_HEADERS": "authorization: Bearer $BUILD_TOKEN",
    "BUILD_TOKEN": "secret-5",
    "GG_KEY": "me:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AWS_ACCESS_KEY_ID": "AKIASECRET0",
    "AWS_SECRET_ACCESS_KEY": "secret-1",
    "AWS_SESSION_TOKEN": "secret-2",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret-3",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/secret-4",
}


@pytest.fixture
def small(project: Project) -> Project:
    project.write("m.c", "int main(void) { return 3; }\n")
    return project


def test_a_recorded_build_is_not_given_them(small: Project) -> None:
    small.env |= {**SECRETS, "AWS_PROFILE": "mine", "AWS_REGION": "eu-west-1"}
    told = small.infer("sh", "-c", "env > seen; gcc -c m.c").stderr.decode()
    seen = small.path("seen").read_text()
    assert not [value for value in SECRETS.values() if value in seen]
    assert "AWS_PROFILE=mine\n" in seen
    assert told.startswith("gg: not passed on to the build: AWS_ACCESS_KEY_ID, AWS_CONTAINER_AUTHORIZATION_TOKEN, ")
    assert "GG_KEY" not in told
    assert not [value for value in SECRETS.values() if value in told]
    assert "not passed on" not in small.infer("--quiet", "true").text


ALONE = {
    "AZURE_STORAGE_ACCOUNT_KEY": "secret-6",
    "GOOGLE_SERVICE_ACCOUNT_KEY": "secret-7",
    "GG_ENGINE": f"local,remote=big.example/{WORKER}",
    "GG_WORKERS": f"big.example:7000/{WORKER}",
}


@pytest.mark.parametrize("name", ALONE)
def test_nor_one_that_is_there_alone(small: Project, name: str) -> None:
    small.env = {k: v for k, v in small.env.items() if not k.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
    small.env[name] = ALONE[name]
    told = small.infer("sh", "-c", "env > seen").stderr.decode()
    assert f"{name}=" not in small.path("seen").read_text()
    assert told.startswith(f"gg: not passed on to the build: {name} (")


def test_nor_what_a_header_in_the_users_settings_names(small: Project) -> None:
    """Whether or not it is passed on to the build, no thunk has it."""
    small.settings('[tool.show]\nnames = ["*/show"]\noperands = ["output"]\nprograms = ["env"]\nenvironment = ["*"]\n')
    own = Path(small.env["HOME"]) / ".config" / "gg"
    own.mkdir(parents=True, exist_ok=True)
    (own / "gg.toml").write_text('reapi_headers = ["authorization: Bearer $BUILD_TOKEN"]\n')
    small.write("show", "#!/bin/sh\nenv > $1\n", 0o755)
    small.env |= {"BUILD_TOKEN": "secret-5", "HARMLESS": "yes"}
    small.infer("sh", "-c", "env > seen")
    assert "secret-5" not in small.path("seen").read_text()
    small.env["GG_PASS"] = "BUILD_TOKEN"
    small.infer("sh", "-c", "env > seen; ./show out")
    small.force()
    assert "BUILD_TOKEN=secret-5\n" in small.path("seen").read_text()
    seen = small.path("out").read_text()
    assert "HARMLESS=yes" in seen
    assert "secret-5" not in seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GG_STORAGE_URI", "s3://AKIAX:a/secret-8@bucket/prefix"),
        ("GG_STORAGE_URI", "s3://secret-8@bucket/prefix?region=eu-west-1"),
        ("GG_ENGINE", f"remot=host/{WORKER}"),
        ("GG_ENGINE", f"local,host/{WORKER}"),
    ],
)
def test_no_message_repeats_them(small: Project, name: str, value: str) -> None:
    """What a user has written wrongly is shown, for it has to be found: but a CI's log is read by many."""
    small.infer("gcc", "-c", "m.c")
    small.env[name] = value
    done = small.run(SCRIPTS / "gg-force", status=None)
    assert done.status == 64, done.text
    assert "secret-8" not in done.text
    assert WORKER not in done.text


def test_a_workers_key_is_not_what_others_see_running(small: Project) -> None:
    """Every user of a machine sees the command lines of all processes."""
    small.infer("gcc", "-c", "m.c")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = f"remote=127.0.0.1:{silent.getsockname()[1]}"
        force = small.start(
            SCRIPTS / "gg-force", "--fallback", "never", "--engine", f"{line}/{WORKER},other.example/{WORKER}"
        )
        try:
            silent.settimeout(60)
            silent.accept()[0].close()
            seen = Path(f"/proc/{force.pid}/cmdline").read_text()
            assert force.poll() is None
        finally:
            force.kill()
            force.communicate(timeout=60)
    assert line in seen
    assert WORKER not in seen
    assert "other.example/xxxx" in seen


def test_what_the_build_needs_is_named(small: Project) -> None:
    small.env |= {**SECRETS, "GG_PASS": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"}
    small.infer("sh", "-c", "env > seen")
    seen = small.path("seen").read_text()
    assert [name for name in SECRETS if f"\n{name}=" in f"\n{seen}"] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


def test_no_thunk_has_them(small: Project) -> None:
    """Whatever a tool's table asks for, and whatever is passed on to the build."""
    small.settings('[tool.show]\nnames = ["*/show"]\noperands = ["output"]\nprograms = ["env"]\nenvironment = ["*"]\n')
    small.write("show", "#!/bin/sh\nenv > $1\n", 0o755)
    small.env |= {**SECRETS, "GG_PASS": " ".join(SECRETS), "HARMLESS": "yes"}
    small.infer("./show", "out")
    small.force()
    seen = small.path("out").read_text()
    assert "HARMLESS=yes" in seen
    assert not [value for value in SECRETS.values() if value in seen]


def open_to_others(top: Path) -> list[str]:
    """The directories below which others may look, and files in them that they may read."""
    found = []
    for directory, names, files in os.walk(top):
        if not os.stat(directory).st_mode & 0o77:
            names.clear()
            continue
        found += [os.path.join(directory, name) for name in files]
    return found


@pytest.mark.parametrize("where", ["home", "GG_DIR", "GG_DIR that is there", "in the tree", "no home"])
def test_state_is_closed_to_others(small: Project, where: str) -> None:
    """Also where the umask would have it open, and where it was."""
    state = small.cache
    if where.startswith("GG_DIR"):
        state = small.root.parent / "state"
        small.env["GG_DIR"] = str(state)
        if where.endswith("there"):
            state.mkdir()
            state.chmod(0o777)
    elif where == "in the tree":
        state = small.path(".gg")
        small.gg("init", "--in-tree")
    elif where == "no home":
        small.env |= {"HOME": "/proc/nobody", "TMPDIR": str(small.root.parent / "temporary")}
        Path(small.env["TMPDIR"]).mkdir()
        state = Path(small.env["TMPDIR"]) / f"gg-{os.geteuid()}"
    small.path("m.c").chmod(0o600)
    script = f"umask 0; {SCRIPTS}/gg-infer gcc -c m.c && {SCRIPTS}/gg-force"
    small.run("sh", "-c", script)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert open_to_others(state) == []
    assert small.path("m.c").stat().st_mode & 0o777 == 0o600


@AS_ROOT
def test_a_private_source_is_read_by_nobody_else(small: Project) -> None:
    """Neither in the store nor while it is compiled: asked by a process of another user's that looks everywhere."""
    for directory in (small.root, *small.root.parents):
        if not directory.stat().st_mode & 1:
            directory.chmod(directory.stat().st_mode | 0o711)
    small.write("m.c", 'const char *secret = "XyZZy-42";\n', 0o600)
    small.infer("gcc", "-c", "m.c", "-o", "private/m.o", status=None)
    small.path("private").mkdir(mode=0o700)
    small.infer("gcc", "-c", "m.c", "-o", "private/m.o")
    small.force()
    top = str(small.root.parent)
    assert subprocess.run(["grep", "-rqa", "XyZZy-42", top], check=False).returncode == 0, "it is there"
    found = subprocess.run([*NOBODY, "grep", "-rla", "XyZZy-42", top], capture_output=True, check=False)
    assert found.stdout == b""


ASK = """
import os, socket, struct, sys
os.chdir(os.path.dirname(sys.argv[1]))  # an address is short; and what follows is up to the socket's own mode
if sys.argv[2:]:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
for name in (os.path.basename(sys.argv[1]), "\\0" + sys.argv[1][-90:]):
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(20)
    try:
        caller.connect(name)
        caller.sendall(struct.pack("<I", 4) + b"\\1\\0\\0\\0")
        print("answered" if caller.recv(10) else "refused")
    except OSError as error:
        print("refused" if isinstance(error, (PermissionError, ConnectionError)) else error)
"""


@AS_ROOT
def test_the_recorder_answers_its_own_user(small: Project) -> None:
    """The socket is closed to others; its abstract name, which is there for processes of the build, asks who calls."""
    ask = small.write("ask.py", ASK)
    script = 'echo "$GG_SOCKET" > where.new; mv where.new where; while [ ! -e done ]; do sleep 0.1; done'
    build = small.start(SCRIPTS / "gg-infer", "sh", "-c", script)
    try:
        while not small.path("where").exists():
            assert build.poll() is None
            time.sleep(0.05)
        path = small.path("where").read_text().strip()
        said = [subprocess.check_output([sys.executable, ask, path, *other], text=True) for other in ((), ("other",))]
    finally:
        small.write("done", "")
        build.communicate(timeout=60)
    assert said == ["answered\nanswered\n", "refused\nrefused\n"]


USURP = """
import os, socket, struct, sys
os.setgroups([]), os.setgid(1234), os.setuid(1234)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0" + sys.argv[1][-90:])
listener.listen()
print("ready", flush=True)
while True:
    caller, _ = listener.accept()
    if sys.argv[2:]:
        caller.sendall(b"0:0:" + b"0" * 24 + b":1234")
        caller.settimeout(5)
        try:
            print("was told", caller.recv(1 << 16), flush=True)
        except OSError:
            pass
    words = [b"/bin/sh", b"sh", b"-c", b"echo trapped > trapped"]
    reply = struct.pack("<B3xII", 1, len(words) - 1, 0) + b"".join(word + b"\\0" for word in words)
    try:
        caller.sendall(struct.pack("<I", len(reply)) + reply)
    except OSError:
        pass
"""


@AS_ROOT
@pytest.mark.parametrize("speaks", [(), ("speaks first",)])
def test_another_user_who_takes_the_recorders_name_is_not_obeyed(small: Project, speaks: tuple[str, ...]) -> None:
    """What a build leaves running calls when gg-infer has ended. Everybody can see the name in /proc/net/unix, and take it."""
    script = 'echo "$GG_SOCKET" > where; (while [ ! -e go ]; do sleep 0.05; done; gcc -c m.c; echo > done) & :'
    small.infer("sh", "-c", f"exec > /dev/null 2>&1; {script}")
    words = [sys.executable, "-c", USURP, small.path("where").read_text().strip(), *speaks]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        small.write("go", "")
        end = time.monotonic() + 60
        while not small.path("done").exists() and time.monotonic() < end:
            time.sleep(0.05)
        other.kill()
        assert other.stdout.read().replace("was told b''\n", "") == ""
    assert not small.path("trapped").exists()
    assert small.path("m.o").read_bytes()[:4] == b"\x7fELF"
