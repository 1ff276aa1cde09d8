"""The jail: a command in namespaces of its own sees what it was given, and makes the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from .compiled import Native
from .test_pathmap_tools import Project, learn


def spec(path: Path, *operations: tuple[str | bytes | Path, ...]) -> Path:
    path.write_bytes(b"".join(os.fsencode(word) + b"\0" for operation in operations for word in operation))
    return path


class Jail:
    """A jail with the system's own programs, unless `bare`."""

    def __init__(self, native: Native, where: Path, bare: bool = False) -> None:
        self.native = native
        self.where = where
        self.root = where / "root"
        self.root.mkdir()
        self.system: list[tuple[str | bytes | Path, ...]] = [("root", self.root)]
        if not bare:
            self.system += [("bind", "/usr", "/usr")]
            self.system += [("link", os.readlink(p), p) for p in ("/lib", "/lib64", "/bin") if os.path.islink(p)]

    def run(self, *operations: tuple[str | bytes | Path, ...]) -> subprocess.CompletedProcess[bytes]:
        file = spec(self.where / "spec", *self.system, *operations)
        return subprocess.run(
            [self.native.jail, file], capture_output=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        )

    def sh(self, script: str, *operations: tuple[str | bytes | Path, ...]) -> subprocess.CompletedProcess[bytes]:
        return self.run(*operations, ("exec", "/bin/sh", "sh", "-c", script))


@pytest.fixture
def jail(native: Native, tmp_path: Path) -> Jail:
    return Jail(native, tmp_path)


def test_it_sees_what_it_was_given(jail: Jail, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd \xff\n")
    odd.write_bytes(b"odd\n")
    done = jail.sh(
        "cat a/b/f; cat a/l; ls /; stat -c %a a/b/f a/b/x; pwd; ls -d /empty",
        ("copy", odd, "/w/a/b/f", "640"),
        ("copy", odd, "/w/a/b/x", "755"),
        ("link", "b/f", "/w/a/l"),
        ("dir", "/empty"),
        ("cwd", "/w"),
    )
    assert done.stderr == b""
    assert done.stdout.split() == b"odd odd bin empty lib lib64 usr w 640 755 /w /empty".split()


def test_it_cannot_write_to_what_is_bound(jail: Jail, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("f\n")
    out = tmp_path / "out"
    out.mkdir()
    done = jail.sh(
        "cat /in/f; echo x > /in/f; echo x > /in/new; echo x > /one; cat /one; echo made > /out/f; echo $?",
        ("bind", tree, "/in"),
        ("bind", tree / "f", "/one"),
        ("open", out, "/out"),
    )
    assert done.stdout == b"f\nf\n0\n"
    assert done.stderr.count(b"Read-only file system") == 3
    assert (out / "f").read_text() == "made\n"
    assert (tree / "f").read_text() == "f\n"


def test_what_is_written_in_a_kept_root_stays(native: Native, tmp_path: Path) -> None:
    jail = Jail(native, tmp_path)
    jail.sh("echo x > /f")
    assert list(jail.root.iterdir()) == []
    jail.system[0] = ("keep", jail.root)
    jail.sh("echo x > /f")
    assert (jail.root / "f").read_text() == "x\n"


def test_it_is_alone(jail: Jail) -> None:
    """No other process, no network, no device but the harmless ones; and the user is the same."""
    done = jail.sh("echo $$; id -u; id -g; wc -l < /proc/net/dev; ls /dev", ("dev",), ("proc",))
    lines = done.stdout.split()
    assert int(lines[0]) < 5
    assert lines[1:3] == [str(os.getuid()).encode(), str(os.getgid()).encode()]
    assert lines[3] == b"3"  # two lines of heading, and the loopback
    assert (
        {b"null", b"zero", b"full", b"urandom"}
        <= set(lines[4:])
        <= {*(b"null", b"zero", b"full", b"urandom", b"random", b"tty", b"fd", b"stdin", b"stdout", b"stderr")}
    )


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -SEGV $$", 139), ("kill -ABRT $$", 134)],
)
def test_status(script: str, status: int, jail: Jail) -> None:
    assert jail.sh(script).returncode == status


@pytest.mark.parametrize(
    ("operations", "status", "message"),
    [
        ([("exec", "/nothing", "x")], 127, b"/nothing: No such file"),
        ([("copy", "/etc/hostname", "/f", "644"), ("exec", "/f", "x")], 126, b"/f: Permission denied"),
        ([("exec", "/bin/sh")], 125, b"no command"),
        ([("dir", "/x")], 125, b"cut short"),
        ([("dir", "relative"), ("exec", "/bin/sh", "sh")], 125, b"relative"),
        ([("fly", "/x"), ("exec", "/bin/sh", "sh")], 125, b"unknown operation fly"),
        ([("copy", "/no/such", "/f", "644"), ("exec", "/bin/sh", "sh")], 125, b"/no/such: No such file"),
        ([("cwd", "/none"), ("exec", "/bin/sh", "sh")], 125, b"/none: No such file"),
    ],
)
def test_trouble_is_one_line(operations: list[tuple[str, ...]], status: int, message: bytes, jail: Jail) -> None:
    done = jail.run(*operations)
    assert done.returncode == status
    assert done.stderr.startswith(b"gg-jail: ")
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_where_namespaces_are_refused_it_says_so(native: Native, tmp_path: Path) -> None:
    """Inside a user namespace that allows no further ones."""
    marker = tmp_path / "ran"
    root = tmp_path / "root"
    root.mkdir()
    file = spec(tmp_path / "spec", ("root", root), ("exec", "/bin/touch", "touch", marker))
    done = subprocess.run(
        [
            "unshare",
            "-Ur",
            "sh",
            "-c",
            'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
            "sh",
            native.jail,
            file,
        ],
        capture_output=True,
    )
    assert done.returncode == 124
    assert done.stderr.startswith(b"gg-jail: namespaces are refused here: ")
    assert not marker.exists()


def test_an_ordinary_user_may(native: Native, tmp_path: Path) -> None:
    """Root here is nobody there; anyone else is themselves."""
    if os.getuid() != 0:
        assert Jail(native, tmp_path).sh("id -u").stdout == b"%d\n" % os.getuid()
        return
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        where.chmod(0o777)
        program = shutil.copy(native.jail, where / "gg-jail")
        jail = Jail(native, where)
        jail.root.chmod(0o777)
        file = spec(where / "spec", *jail.system, ("dev",), ("exec", "/usr/bin/id", "id", "-u"))
        done = subprocess.run([program, file], capture_output=True, user=1234, group=1234, extra_groups=[])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1234\n", b"")


def test_the_command_dies_with_the_jail(jail: Jail, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    file = spec(
        tmp_path / "spec",
        *jail.system,
        ("dev",),
        ("open", out, "/out"),
        ("exec", "/bin/sh", "sh", "-c", "(while :; do echo x >> /out/f; sleep 0.01; done) & wait"),
    )
    child = subprocess.Popen([jail.native.jail, file])
    for _ in range(1000):
        if (out / "f").exists():
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.1)
    size = (out / "f").stat().st_size
    time.sleep(0.2)
    assert (out / "f").stat().st_size == size


def test_the_same_bytes(native: Native, tmp_path: Path) -> None:
    """A compile with what the path map found to be read, and nothing else."""
    project = Project(tmp_path / "proj")
    argv = ("gcc", "-g", "-O2", "main.c", "other.c", "-o", "prog")
    plain = project.plain(*argv, makes="prog")
    jail = Jail(native, tmp_path, bare=True)
    jail.system = [("keep", jail.root)]
    operations: list[tuple[str | bytes | Path, ...]] = [("dir", "/tmp"), ("dev",), ("cwd", project.where)]
    for kind, path, target in learn(native, tmp_path, project, *argv):
        if kind == "F":
            operations.append(("copy", path, path, "755" if os.access(path, os.X_OK) else "644"))
        else:
            operations.append(("link", target, path) if kind == "L" else ("dir", path))
    done = jail.run(*operations, ("exec", "/usr/bin/gcc", *argv))
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path(f"{jail.root}{project.where}/prog").read_bytes() == plain
