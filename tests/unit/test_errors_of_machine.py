"""What an exception of this machine's means, and which ends a run."""

from __future__ import annotations

import errno
import os
import sqlite3

import pytest

from gg.errors import NoRoom, ScarceError, StoreError, ends_run, machine_error


def of(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/some/file")


@pytest.mark.parametrize(
    ("error", "kind", "ends"),
    [
        (of(errno.ENOSPC), NoRoom, True),
        (of(errno.EROFS), StoreError, True),
        (of(errno.EIO), StoreError, False),
        (of(errno.EMFILE), ScarceError, True),
        (of(errno.ENFILE), ScarceError, False),
        (BlockingIOError(errno.EAGAIN, "fork"), ScarceError, False),
        (RuntimeError("can't start new thread"), ScarceError, False),
        (MemoryError(), ScarceError, False),
        (ImportError("libz.so: cannot open shared object file: Too many open files"), ScarceError, True),
        (sqlite3.OperationalError("disk I/O error"), NoRoom, True),
    ],
)
def test_kinds(error: Exception, kind: type[StoreError], ends: bool) -> None:
    known = machine_error(error)
    assert type(known) is kind
    assert known.what
    assert known.hint
    assert (ends_run(error) is not None) == ends


@pytest.mark.parametrize("error", [of(errno.ENOENT), ValueError("x"), ImportError("no such module"), RuntimeError("x")])
def test_what_may_be_a_bug(error: Exception) -> None:
    assert machine_error(error) is None
    assert ends_run(error) is None
