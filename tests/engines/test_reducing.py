"""What a command came to is judged by one function, for this machine and for workers: the host only tells what it knows."""

from __future__ import annotations

import pytest

from gg.core.ids import BlobId, sandbox_path
from gg.core.thunk import File, Made, Output, Thunk, Usage, Work
from gg.run.job import RunResult
from gg.run.reducing import Blame, blame, left_as_they_were, reduction_of

A, B, LIB = (sandbox_path(b"/w/" + name) for name in (b"a", b"b", b"lib.a"))
OLD, NEW = BlobId.of(b"old"), BlobId.of(b"new")


def ran(*, status: int = 0, signal: int = 0, stderr: bytes = b"", reads: tuple[File, ...] | None = ()) -> RunResult:
    usage = Usage()
    return RunResult(status=status, signal=signal, stdout=b"", stderr=stderr, usage=usage, written={}, reads=reads)


@pytest.mark.parametrize(
    ("signal", "stderr", "memory", "full", "why"),
    [
        (0, b"a.c:1: error: no", True, True, Blame.OWN),
        (0, b"as: No space left on device", False, True, Blame.SPACE),
        (0, b"as: No space left on device", False, False, Blame.OWN),
        (9, b"", True, False, Blame.MEMORY),
        (9, b"", False, False, Blame.KILLED),
        (0, b"gcc: fatal error: Killed signal terminated program cc1", True, False, Blame.MEMORY),
        (0, b"gcc: fatal error: Killed signal terminated program cc1", False, False, Blame.KILLED),
        (0, b"cc1plus: out of memory allocating 65536 bytes", True, False, Blame.MEMORY),
        (0, b"cc1plus: out of memory allocating 65536 bytes", False, False, Blame.OWN),
    ],
)
def test_whose_fault_it_is(signal: int, stderr: bytes, memory: bool, full: bool, why: Blame) -> None:
    assert blame(ran(status=1, signal=signal, stderr=stderr), lambda ran: memory, lambda: full) is why


def test_a_reduction_has_what_was_read_undeclared_apart_and_what_was_left_as_it_was() -> None:
    declared = File(A, OLD, False)
    index = File(LIB, OLD, False)
    thunk = Thunk(
        argv=(b"ranlib",),
        program=sandbox_path(b"/bin/ranlib"),
        cwd=sandbox_path(b"/w"),
        env=(),
        entries=(declared, index),
        groups=(),
        outputs=(Output(LIB),),
        work=Work.ARCHIVE,
        model="binutils/1",
    )
    undeclared = File(B, NEW, False)
    came = ran(reads=(declared, undeclared))
    assert left_as_they_were(thunk, came) == (index,)
    reduction = reduction_of(thunk, came, {}, [undeclared], "local")
    assert reduction.outputs == (Made(OLD, False),)
    assert reduction.extra_inputs == ((B, NEW),)
    assert reduction.reads == (A,)
    assert reduction_of(thunk, ran(reads=None), {}, (), "local").reads is None, "not observed is not: nothing was read"
