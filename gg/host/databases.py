"""SQLite databases: opening, one transaction, and closing without waiting for the disk in a process that is about to end.

SQLite copies the log into the database when the last user closes it, and waits for the disk three times: 20 ms when that
is idle, 150 when a link has just written its output. A process that ends without closing leaves the log, as one that
was killed does; the next one reads it, a millisecond a MiB. So a small log is left, and one that has grown is copied.

After a power cut the last commits may be gone, as they may while the process runs; what is there is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

SMALL = 4 << 20  # bytes of log

_left: list[sqlite3.Connection] | None = None  # kept here so that they are not closed when they are forgotten


def end_soon() -> None:
    """Declare that this process ends by `os._exit` when it has closed its stores."""
    global _left
    _left = _left or []


def opened(
    path: str | bytes, prepare: Callable[[sqlite3.Connection], object], timeout: float, **options: Any
) -> sqlite3.Connection:
    """A connection for all threads, after `prepare(connection)`; it is closed if that fails, and when nobody has it any more.

    `timeout`: seconds to wait for others who write. `options`: further ones of sqlite3.connect. sqlite3.Error, and what `prepare`
    raises.
    """
    import sqlite3

    db = sqlite3.connect(path, timeout=timeout, check_same_thread=False, factory=_forgettable(), **options)
    try:
        prepare(db)
    except BaseException:
        db.close()
        raise
    return db


@cache
def _forgettable() -> type[sqlite3.Connection]:
    """From Python 3.13 on, a plain connection that is forgotten warns of that before it closes itself."""
    import sqlite3

    class Forgettable(sqlite3.Connection):
        def __del__(self) -> None:
            try:
                self.close()
            except sqlite3.Error:  # it was never opened
                pass

    return Forgettable


def in_one_transaction(db: sqlite3.Connection, write: Callable[[sqlite3.Connection], object]) -> None:
    """Do all that `write` does, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        write(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def close(db: sqlite3.Connection, path: bytes) -> None:
    """Close the database at `path`, or leave that to the end of the process."""
    if _left is not None and _log_size(path) <= SMALL:
        _left.append(db)
        return
    db.close()
    while _left:  # the last user of a database copies the log, so all users must close
        _left.pop().close()


def _log_size(path: bytes) -> int:
    try:
        return os.stat(path + b"-wal").st_size
    except OSError:
        return 0
