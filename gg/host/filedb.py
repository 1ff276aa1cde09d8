"""The digest memory: what each file of the workspace and the system was found to hold, by its stat signature.

A digest is remembered with the signature of the file it was computed of, and believed while that signature stands.
The head of `gg.host.files` tells when that is sound: the digest of a file that was changed less than 50 ms before is used
this once and not remembered, so an edit in the same tick of the kernel's clock is not missed.

The memory outlives the process in `files.db`, a SQLite file of its own, because it is a cache: damaged, or of another
version, it is thrown away and made again, and nothing else is touched by that; when it cannot be written, the next
run hashes again. It is loaded whole at the first question and written in batches. Several processes may use it at
once; the last to write a path wins, which is right whoever it is, for an outdated signature matches nothing.

What a source includes, as lexed, is kept beside it by the source's *content*: it holds for every file with these bytes,
and cannot be tied to a file that was edited between reading and lexing.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from gg.core.ids import DIGEST_SIZE, BlobId
from gg.core.ticks import time_settled
from gg.host.databases import close, in_one_transaction, opened
from gg.host.files import PACKED_SIZE, Signature, hash_at_rest, read_at_rest
from gg.light.named import NamedTuple

if TYPE_CHECKING:
    import sqlite3

_VERSION = 1
_BUSY_S = 5.0
_MANY = 50_000  # files in a common memory, above which those that are gone are forgotten
# `known` is a packed signature and a digest; `source` is a digest and the lexer's name.
_SCHEMA = f"""
BEGIN;
CREATE TABLE IF NOT EXISTS file (path BLOB PRIMARY KEY, known BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lexed (source BLOB PRIMARY KEY, data BLOB NOT NULL);
PRAGMA user_version={_VERSION};
COMMIT;
"""
_LARGE = 64 << 20  # bytes
_NULL_DEVICE = os.makedev(1, 3)

T = TypeVar("T")


class FileInfo(NamedTuple):
    """A file as it was found: its blob, whether its owner may execute it, and its signature then."""

    blob: BlobId
    executable: bool
    signature: Signature

    @classmethod
    def of(cls, blob: BlobId, signature: Signature) -> FileInfo:
        return cls(blob, bool(signature.mode & stat.S_IXUSR), signature)


class Common(NamedTuple):
    """A second memory, in `directory`, shared by all workspaces of a user, for files under `prefixes`."""

    directory: bytes
    prefixes: tuple[bytes, ...]


class FileDB:
    """The memory kept in `directory` (a workspace's records); None for a memory that ends with the process. It follows
    symbolic links.

    A digest that it does not know yet it takes over from `common`, if that has it.

    Methods that name a file raise OSError if it cannot be read or is none (a directory, a pipe), and StoreError if it
    changes again and again while it is read.
    """

    def __init__(self, directory: bytes | None, common: Common | None = None) -> None:
        self._database = None if directory is None else directory + b"/files.db"
        self._common = FileDB(common.directory) if common else None
        self._prefixes = common.prefixes if common else ()
        self._known: dict[bytes, FileInfo] = {}
        self._read: dict[bytes, FileInfo] = {}
        self._rows: dict[bytes, bytes] | None = None
        self._lexed: dict[bytes, bytes] | None = None
        self._new_files: dict[bytes, FileInfo] = {}
        self._new_lexed: dict[bytes, bytes] = {}
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self.hits = 0
        self.hashed = 0

    def digest(self, path: bytes) -> FileInfo:
        """What the file at `path` holds now. One `stat` when that is remembered."""
        info = self._known.get(path)
        if info is None:
            info = self._recall(path)
        if info is not None and info.signature.is_of(os.stat(path)):
            self.hits += 1
            return info
        _must_be_readable(path)
        blob, signature, settled = hash_at_rest(path)
        return self._learn(path, FileInfo.of(blob, signature), settled)

    def read(self, path: bytes) -> tuple[bytes, FileInfo]:
        """The file's bytes with its digest, from one reading of it."""
        _must_be_readable(path)
        data, signature, settled = read_at_rest(path)
        info = self._known.get(path) or self._recall(path)
        if info is not None and info.signature == signature:
            self.hits += 1
        else:
            info = self._learn(path, FileInfo.of(BlobId.of(data), signature), settled)
        self._read[path] = info
        return data, info

    def remembered(self, path: bytes) -> FileInfo | None:
        """What is remembered of a file that was asked for in this run. The file is not looked at."""
        return self._known.get(path)

    def note(self, path: bytes, info: FileInfo) -> None:
        """Remember a file that gg itself has just put at `path`, with the signature that it has there.

        It is remembered only if its modification time was set to the past before it got its name (as when a file takes over
        its placeholder's time). Whoever writes to it later moves that time, and the signature shows it. Any other file is
        hashed when next asked for.
        """
        if time_settled(info.signature.mtime_ns, time.time_ns()):
            self._learn(path, info, settled=True)

    def get_lexed(self, path: bytes, kind: str) -> bytes | None:
        """The lexer's result for the bytes that the file holds now, from this file or another, this run or an earlier one.

        None if the file is not remembered, without reading it: whoever asks will read it next.
        """
        info = self._known.get(path) or self._recall(path)
        try:
            if info is None or not info.signature.is_of(os.stat(path)):
                return None
        except OSError:
            return None
        source = info.blob.digest + kind.encode()
        lexed = self._all_lexed().get(source)
        if lexed is None and (common := self._common_of(path)):
            lexed = common._all_lexed().get(source)
            if lexed is not None:
                self._lexed_as(source, lexed)
        return lexed

    def set_lexed(self, path: bytes, kind: str, data: bytes) -> None:
        """Keep a lexer's result for the bytes that `read(path)` gave last. `kind`: the lexer's name and version.

        Nothing is kept for a path that was not read: nobody knows for sure which bytes were lexed.
        """
        info = self._read.get(path)
        if info is not None:
            source = info.blob.digest + kind.encode()
            self._lexed_as(source, data)
            if common := self._common_of(path):
                common._lexed_as(source, data)

    def _lexed_as(self, source: bytes, data: bytes) -> None:
        self._all_lexed()[source] = self._new_lexed[source] = data

    def _all_lexed(self) -> dict[bytes, bytes]:
        if self._lexed is None:
            self._lexed = self._load("SELECT source, data FROM lexed")
        return self._lexed

    def flush(self) -> None:
        """Write what is new in one transaction. Trouble with the database is no error: this is a cache."""
        if self._common is not None:
            self._common._flush_common()
        with self._lock:
            files, self._new_files = self._new_files, {}
            lexed, self._new_lexed = self._new_lexed, {}
        if files or lexed:
            rows = [(path, info.signature.pack() + info.blob.digest) for path, info in files.items()]
            self._write(
                ("INSERT OR REPLACE INTO file VALUES (?, ?)", rows),
                ("INSERT OR REPLACE INTO lexed VALUES (?, ?)", list(lexed.items())),
            )

    def _flush_common(self) -> None:
        """As `flush`, for the common memory: it may have no directory yet, and nobody else tidies it."""
        if self._database is not None and (self._new_files or self._new_lexed):
            with suppress(OSError):
                os.makedirs(os.path.dirname(self._database), mode=0o700, exist_ok=True)
            self.prune() if len(self._rows or ()) > _MANY else self.flush()

    def prune(self) -> int:
        """Forget files that are gone, and lexers' results for contents that no file has. The answer is how many files."""
        self.flush()
        rows = self._load("SELECT path, known FROM file")
        gone = [path for path in rows if not os.path.exists(path)]
        alive = {known[-DIGEST_SIZE:] for path, known in rows.items() if path not in set(gone)}
        stale = [source for source in self._load("SELECT source, data FROM lexed") if source[:DIGEST_SIZE] not in alive]
        self._write(
            ("DELETE FROM file WHERE path = ?", [(path,) for path in gone]),
            ("DELETE FROM lexed WHERE source = ?", [(source,) for source in stale]),
        )
        return len(gone) + len(stale)

    def close(self) -> None:
        self.flush()
        if self._common is not None:
            self._common.close()
        with self._lock:
            db, self._db = self._db, None
        if db is not None and self._database is not None:
            close(db, self._database)

    def _recall(self, path: bytes) -> FileInfo | None:
        if self._rows is None:
            self._rows = self._load("SELECT path, known FROM file")
        # Made into an object only when asked for: this run may need little of what an earlier one has seen.
        known = self._rows.pop(path, None)
        if known is None and (common := self._common_of(path)):
            return self._take_over(path, common)
        if known is None or len(known) != PACKED_SIZE + DIGEST_SIZE:
            return None
        signature = Signature.unpack(known[:-DIGEST_SIZE])
        info = self._known[path] = FileInfo.of(BlobId(known[-DIGEST_SIZE:], signature.size), signature)
        return info

    def _common_of(self, path: bytes) -> FileDB | None:
        """The common memory, if this path is one of its."""
        return self._common if path.startswith(self._prefixes) else None

    def _take_over(self, path: bytes, common: FileDB) -> FileInfo | None:
        """Take over what the common memory knows. It is as reliable as our own: the signature tells whether it still holds."""
        info = common._recall(path)
        if info is not None:
            with self._lock:
                self._known[path] = self._new_files[path] = info
        return info

    def _learn(self, path: bytes, info: FileInfo, settled: bool) -> FileInfo:
        self.hashed += 1
        if settled:
            with self._lock:  # or `flush` might be walking over what it has just taken away
                self._known[path] = self._new_files[path] = info
            if common := self._common_of(path):
                common._learn(path, info, settled)
        else:
            self._known.pop(path, None)
        return info

    # The database

    def _load(self, query: str) -> dict[bytes, bytes]:
        return self._run(lambda db: dict(db.execute(query).fetchall())) or {}

    def _write(self, *statements: tuple[str, Sequence[tuple[bytes, ...]]]) -> None:
        def write(db: sqlite3.Connection) -> None:
            for statement, rows in statements:
                db.executemany(statement, rows)

        self._run(lambda db: in_one_transaction(db, write))

    def _run(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """The result of `action`, or None if there is no usable database. A damaged one is made anew, once."""
        import sqlite3

        if self._database is None:
            return None
        with self._lock:
            for _ in range(2):
                try:
                    if self._db is None:
                        self._db = opened(self._database, _prepare, _BUSY_S, isolation_level=None)
                    return action(self._db)
                except sqlite3.OperationalError:
                    return None
                except (sqlite3.DatabaseError, _OtherVersion):
                    if self._db is not None:
                        self._db.close()
                        self._db = None
                    _remove(self._database)
        return None


class _OtherVersion(Exception):
    """The database was made by another version of gg."""


def _prepare(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(_SCHEMA)
    elif version != _VERSION:
        raise _OtherVersion
    db.execute("PRAGMA synchronous=NORMAL")


def _remove(path: bytes) -> None:
    for suffix in (b"", b"-wal", b"-shm"):
        try:
            os.unlink(path + suffix)
        except OSError:
            pass


def _must_be_readable(path: bytes) -> None:
    """OSError if the path is no regular file: to open a pipe might wait for ever. /dev/null counts as an empty file.

    Nor may it be of holes. They cost nobody anything, and who reads them fills memory, and the store.
    """
    st = os.stat(path)
    if st.st_size > _LARGE and st.st_blocks * 512 < st.st_size // 8:
        raise OSError(errno.EFBIG, "a file of holes", path)
    if not stat.S_ISREG(st.st_mode) and not (stat.S_ISCHR(st.st_mode) and st.st_rdev == _NULL_DEVICE):
        number = errno.EISDIR if stat.S_ISDIR(st.st_mode) else errno.EINVAL
        raise OSError(number, "not a regular file", path)
