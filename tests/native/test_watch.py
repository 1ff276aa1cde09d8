"""Static programs read real files too: the kernel tells, and where it does not, arguments are forced before the start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gg.record import protocol
from gg.record.protocol import Op

from .compiled import Native, cc
from .conftest import FakeRecorder
from .test_exec_redirect import PROGRAMS, environment, shims
from .test_force_on_read import REAL, forces, make_placeholder

__all__ = ["environment", "shims"]


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("static") / "readers"
    cc("-static", "-o", program, PROGRAMS / "readers.c")
    return program


@pytest.fixture
def placeholder(native: Native, tmp_path: Path) -> Path:
    return make_placeholder(native, tmp_path / "out.o")


@pytest.mark.parametrize("how", ["open", "openat", "rdwr", "fopen", "mmap"])
def test_a_static_reader(
    how: str, static: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    forces(recorder)
    done = subprocess.run(
        ["sh", "-c", f"{static} {how} {placeholder.name}"], env=environment, cwd=placeholder.parent, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, REAL, b"")
    assert [(r.op, r.path) for r in recorder.requests] == [(Op.FORCE, bytes(placeholder))]


def test_a_static_reader_is_told_why(
    static: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str]
) -> None:
    recorder.answer = lambda request: protocol.reply_failed(1, b"a.c:1:2: error: expected ';'\n")
    done = subprocess.run(["sh", "-c", f"{static} open {placeholder}"], env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (5, b"")  # EIO
    assert done.stderr == b"a.c:1:2: error: expected ';'\n"


def test_where_the_kernel_does_not_tell(
    static: Path, placeholder: Path, recorder: FakeRecorder, environment: dict[str, str], tmp_path: Path
) -> None:
    unwatched = tmp_path / "unwatched"
    cc("-o", unwatched, PROGRAMS / "unwatched.c")
    forces(recorder)
    force = recorder.answer
    recorder.answer = lambda request: protocol.reply_exit(0) if request.op is Op.UNWATCHED else force(request)
    command = f"{static} open {placeholder}"
    done = subprocess.run([unwatched, "sh", "-c", command], env=environment, capture_output=True)
    assert (done.returncode, done.stdout) == (0, REAL)
    assert [(r.op, r.path) for r in recorder.requests] == [
        (Op.UNWATCHED, bytes(static)),
        (Op.FORCE, bytes(placeholder)),
    ]
