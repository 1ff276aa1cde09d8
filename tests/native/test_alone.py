"""Without a recorder: tools run for real, and a gg-force beside the shim makes what somebody reads."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gg.core.ids import ThunkId
from gg.core.placeholder import PlaceholderWriter

from .compiled import Native, cc
from .conftest import FakeRecorder

FORCE = """#!/bin/sh
shift
echo "$# $(env | grep -c -e ^GG_ -e LD_PRELOAD) $(pwd)" >>"$LOG"
for name; do
    case $name in *bad*) echo "$name: error" >&2; exit 3 ;; esac
    printf '#!/bin/sh\\necho real\\n' >"$name.new"; chmod +x "$name.new"; mv "$name.new" "$name"
done
"""


class Alone:
    """The native programs beside a gg-force of ours, and an environment whose recorder is gone."""

    def __init__(self, native: Native, where: Path) -> None:
        where.mkdir()
        self.shim = where / "gg-shim"
        self.library = where / "libgg-record.so"
        shutil.copy(native.shim, self.shim)
        shutil.copy(native.record, self.library)
        (where / "gg-force").write_text(FORCE)
        (where / "gg-force").chmod(0o755)
        (where / "shims").mkdir()
        for name in ("cat", "missing"):
            (where / "shims" / name).symlink_to(self.shim)
        self.log = where / "log"
        self.env = {"GG_SOCKET": str(where / "none"), "GG_SHIM": str(self.shim), "GG_SHIMS": str(where / "shims")}
        self.env |= {"PATH": f"{where}/shims:/usr/bin:/bin", "LOG": str(self.log)}

    def placeholder(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PlaceholderWriter(bytes(self.shim)).encode(ThunkId(b"\x01" * 32), 0))
        path.chmod(0o755)
        return path

    def run(self, *argv: str | Path, preload: bool = False, **env: str) -> subprocess.CompletedProcess[bytes]:
        more = {"LD_PRELOAD": str(self.library)} if preload else {}
        return subprocess.run(argv, env={**self.env, **more, **env}, capture_output=True, timeout=60, check=False)


@pytest.fixture
def alone(native: Native, tmp_path: Path) -> Alone:
    return Alone(native, tmp_path / "native-dir")


SHOW = '#!/bin/sh\necho "$0 $PATH ${GG_BYPASS-none}"\n'


def test_the_real_tool_runs(alone: Alone, tmp_path: Path) -> None:
    """Found past the directory of shims, which is no longer on PATH; or the one that was called by its path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "missing").write_text(SHOW)
    (tmp_path / "bin" / "missing").chmod(0o755)
    path = f"{alone.env['GG_SHIMS']}:{tmp_path}/bin:/usr/bin"
    shown = f"{tmp_path}/bin/missing {tmp_path}/bin:/usr/bin 1\n".encode()
    assert alone.run("sh", "-c", "missing", PATH=path).stdout == shown
    assert alone.run("sh", "-c", "missing", PATH=path, GG_SHIMS="/elsewhere").stdout == shown
    by_path = alone.run(alone.shim, GG_EXEC_PATH=str(tmp_path / "bin" / "missing"))
    assert by_path.stdout == f"{tmp_path}/bin/missing /usr/bin:/bin 1\n".encode()


def test_no_tool_of_that_name(alone: Alone) -> None:
    done = alone.run("sh", "-c", "missing")
    assert (done.returncode, done.stderr) == (127, b"gg: missing: command not found\n")


def test_arguments_that_are_placeholders_are_made_in_one_go(alone: Alone, tmp_path: Path) -> None:
    one, two = (alone.placeholder(tmp_path / "in it" / name) for name in ("a.o", "b=c,d.o"))
    out = alone.placeholder(tmp_path / "in it" / "out.o")
    done = subprocess.run(
        ["cat", f"-Wl,{one.name},x=in it", two.name, "-o", out.name],
        executable=alone.shim, cwd=one.parent, env=alone.env, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1  # cat has no such options
    assert alone.log.read_text() == f"2 0 {one.parent}\n"
    assert [path.stat().st_size == 256 for path in (one, two, out)] == [False, False, True]


def test_reading_in_threads_and_executing_after_vfork(alone: Alone, tmp_path: Path) -> None:
    """The program's own children, and its handler for them, see nothing of it."""
    cc("-pthread", "-o", tmp_path / "alone", Path(__file__).parent / "programs" / "alone.c")
    files = [alone.placeholder(tmp_path / "dir" / f"f{n}") for n in range(6)]
    bad = alone.placeholder(tmp_path / "dir" / "bad")
    last = alone.placeholder(tmp_path / "dir" / "last")
    done = alone.run(tmp_path / "alone", *files, bad, last, preload=True)
    assert done.returncode == 0, done
    assert done.stdout == b"#!/bin/sh\necho real\n" * 6 + b"EIO\n" + b"real\n"
    assert (
        done.stderr
        == f"{bad}: error\ngg: {bad}: it is a placeholder, and gg-force could not make the real file\n".encode()
    )
    assert set(alone.log.read_text().splitlines()) == {f"1 0 {tmp_path}/dir"}


def test_executing_what_cannot_be_made(alone: Alone, tmp_path: Path) -> None:
    cc("-pthread", "-o", tmp_path / "alone", Path(__file__).parent / "programs" / "alone.c")
    bad = alone.placeholder(tmp_path / "dir" / "bad")
    assert alone.run(tmp_path / "alone", bad, preload=True).returncode == errno.EIO
    assert alone.run(bad).returncode == 126


def test_who_ignores_his_children(alone: Alone, tmp_path: Path) -> None:
    good = alone.placeholder(tmp_path / "dir" / "good")
    done = alone.run("env", "--ignore-signal=CHLD", "cat", good, preload=True)
    assert done.stdout == b"#!/bin/sh\necho real\n"


@pytest.mark.parametrize("kind", ["tool", "reader"])
def test_a_recorder_that_hangs_up(alone: Alone, recorder: FakeRecorder, tmp_path: Path, kind: str) -> None:
    recorder.answer = lambda request: b""
    good = alone.placeholder(tmp_path / "dir" / "good")
    program = "cat" if kind == "tool" else "/bin/cat"
    done = alone.run("sh", "-c", f"{program} {good}", preload=kind == "reader", GG_SOCKET=os.fsdecode(recorder.path))
    assert done.stdout == b"#!/bin/sh\necho real\n", done
    assert len(recorder.requests) == 1
