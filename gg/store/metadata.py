"""The small objects of a directory store in one SQLite file: thunks, groups, reductions, aliases. Format 1.

Two tables.

  object    key (a byte for the kind, 32 bytes), data, used (seconds since the epoch, kept to an hour)
  verified  name of a blob's file, boot, and its stat signature when its bytes were last known to be right

Write-ahead log, `synchronous=NORMAL`: a commit is one `write` to the log (about 50 us) and no fsync. SIGKILL loses
nothing that was committed. A power cut may lose the last commits and never mixes or halves them, for SQLite
checksums the log and syncs it before it is copied into the database. A batch is one transaction: nobody sees half.

Bytes may go bad in the file itself. So a content-addressed object is checked by its digest whenever it is read, and a
record by 8 bytes of a digest over key and data at its end. An object that does not match counts as missing. A database
that SQLite cannot walk is a FormatError that says what to remove.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from blake3 import blake3

from gg.errors import FREE_SOME, FormatError, GGError, NoRoom, StoreError
from gg.host.databases import close, in_one_transaction, opened
from gg.host.files import Signature
from gg.store.base import CONTENT_ADDRESSED, Key, Kind, Stored, TransientStoreError

if TYPE_CHECKING:
    import sqlite3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (key BLOB PRIMARY KEY, data BLOB NOT NULL, used INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS verified (name BLOB PRIMARY KEY, boot BLOB NOT NULL, signature BLOB NOT NULL) WITHOUT ROWID;
"""
# Writes nothing if the object is there already and was used within an hour.
_PUT = """
INSERT INTO object VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET data = excluded.data, used = excluded.used
WHERE data IS NOT excluded.data OR used < excluded.used - 3600
"""
_MARK = b"\xff"  # the key of the rows that are no objects
_PUT_MARK = "INSERT OR REPLACE INTO object VALUES (?, '', ?)"
_GET = "SELECT key, data, used FROM object WHERE key IN (%s)"
_RECALL = "SELECT name, signature FROM verified WHERE boot = ? AND name IN (%s)"
_PREFIXES = [bytes([kind]) for kind in Kind]
_BUSY_S = 60.0
FRESH_S = 3600  # seconds; a use is noted if the last one was noted longer ago
_MANY = 500
_CHECK_SIZE = 8

T = TypeVar("T")


def boot_id() -> bytes:
    """The kernel's name for the time since this machine was started; a random name if it gives none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            return file.read().strip()
    except OSError:
        return os.urandom(16)


class Metadata:
    """The database at `path`, opened when first needed. Thread-safe."""

    def __init__(self, path: bytes, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._lock = RLock()
        self._db: sqlite3.Connection | None = None
        self._boot = boot_id()
        self._verified: dict[bytes, Signature | None] = {}

    def get(self, keys: Sequence[Key], *, peek: bool = False) -> dict[Key, bytes]:
        """The objects that are there; they stay for the next hour at least. With `peek` the question does not count as a use."""
        stale: list[Key] = []
        before = int(time.time()) - FRESH_S
        found: dict[Key, bytes] = {}
        by_name = {_name(key): key for key in keys}
        for name, data, used in self._rows(_GET, list(by_name)):
            key = by_name[name]
            content = _opened(name, data)
            if content is not None:
                found[key] = content
                if used < before:
                    stale.append(key)
        if stale and not (peek or self._read_only):
            for key in self._use(stale):
                del found[key]
        return found

    def _use(self, keys: Sequence[Key]) -> set[Key]:
        """Note the use of objects. The answer is those that were dropped meanwhile; none if the use cannot be noted."""
        here: set[bytes] = set()

        def write(db: sqlite3.Connection) -> None:
            now = int(time.time())
            db.executemany("UPDATE object SET used = ? WHERE key = ?", [(now, _name(key)) for key in keys])

        try:
            self._change(write)
        except StoreError:  # a full disk, for example: the store can still be read
            return set()
        here.update(
            name for (name,) in self._rows("SELECT key FROM object WHERE key IN (%s)", [_name(k) for k in keys])
        )
        return {key for key in keys if _name(key) not in here}

    def has(self, keys: Sequence[Key]) -> set[Key]:
        return set(self.get(keys))

    def put(self, items: Mapping[Key, bytes]) -> None:
        now = int(time.time())
        rows = [(_name(key), _sealed(key, data), now) for key, data in items.items()]
        if rows:
            self._change(lambda db: db.executemany(_PUT, rows))

    def delete(self, keys: Sequence[Key]) -> None:
        rows = [(_name(key),) for key in keys]
        if rows:
            self._change(lambda db: db.executemany("DELETE FROM object WHERE key = ?", rows))

    def drop_unused(self, keys: Sequence[Key], before: float) -> set[Key]:
        """See `gg.store.collection.Collectable`."""
        by_name = {_name(key): key for key in keys}
        used: set[Key] = set()

        def write(db: sqlite3.Connection) -> None:
            query = f"SELECT key FROM object WHERE used >= ? AND key IN ({','.join('?' * len(by_name))})"
            used.update(by_name[name] for (name,) in db.execute(query, (before, *by_name)).fetchall())
            rows = [(name,) for name, key in by_name.items() if key not in used]
            db.executemany("DELETE FROM object WHERE key = ?", rows)

        if by_name:
            self._change(write)
        return used

    def news(self, mark: int) -> tuple[int, dict[Key, bytes]]:
        """See `gg.store.collection.Collectable`. A mark is the number of a row that stays, so new rows have higher numbers."""
        if self._read_only:
            return 0, {}
        if mark < 0:
            return self._run(lambda db: db.execute(_PUT_MARK, (_MARK, int(time.time()))).lastrowid) or 0, {}
        query = "SELECT rowid, key, data FROM object WHERE rowid > ?"
        rows = self._run(lambda db: db.execute(query, (mark,)).fetchall()) or []
        found = {Key(Kind(name[0]), name[1:]): content for _, name, data in rows if (content := _opened(name, data))}
        return max([mark, *(row[0] for row in rows)]), found

    def keys(self, kind: Kind) -> Iterator[Stored]:
        bounds = (bytes([kind]), bytes([kind + 1]))
        extra = 0 if kind in CONTENT_ADDRESSED else _CHECK_SIZE
        rows = self._run(
            lambda db: db.execute(
                "SELECT key, length(data), used FROM object WHERE key >= ? AND key < ?", bounds
            ).fetchall()
        )
        for name, size, used in rows or []:
            yield Stored(Key(kind, name[1:]), size - extra, used)

    def recall(self, names: Sequence[bytes]) -> dict[bytes, Signature]:
        """The signatures that the named files had when they were verified, since this machine was started."""
        unpack = Signature.unpack
        return {name: unpack(packed) for name, packed in self._rows(_RECALL, names, self._boot)}

    def remember(self, name: bytes, signature: Signature | None) -> None:
        """Keep (or with None drop) a verified signature; written down at the next flush."""
        self._verified[name] = signature

    def flush(self) -> None:
        with self._lock:
            verified, self._verified = self._verified, {}
        if self._read_only or not verified:
            return

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM verified WHERE name = ?", [(n,) for n, s in verified.items() if s is None])
            db.executemany(
                "INSERT OR REPLACE INTO verified VALUES (?, ?, ?)",
                [(name, self._boot, signature.pack()) for name, signature in verified.items() if signature is not None],
            )

        self._change(write)

    def close(self) -> None:
        with self._lock:
            try:
                self.flush()
            except GGError:
                pass  # only bookkeeping is lost: blobs are hashed once more
            db, self._db = self._db, None
            if db is not None:
                close(db, self._path)

    def _rows(self, query: str, names: Sequence[bytes], *before: object) -> list[Any]:
        """The rows that `query` finds for the names. `before`: the query's parameters in front of the names."""
        found: list[Any] = []
        for start in range(0, len(names), _MANY):
            part = names[start : start + _MANY]
            text, arguments = query % ",".join("?" * len(part)), (*before, *part)
            found += self._run(lambda db, q=text, a=arguments: db.execute(q, a).fetchall()) or []  # type: ignore[misc]
        return found

    def _change(self, write: Callable[[sqlite3.Connection], object]) -> None:
        """Run `write` in one transaction."""
        self._run(lambda db: in_one_transaction(db, write))

    def _run(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """The result of `action` on the connection; None if this store only reads and there is no database."""
        import sqlite3

        with self._lock:
            try:
                db = self._connection()
                return None if db is None else action(db)
            except sqlite3.Error as error:
                raise self._trouble(error) from error

    def _connection(self) -> sqlite3.Connection | None:
        if self._db is not None:
            return self._db
        location: str | bytes = self._path
        if self._read_only:
            from urllib.parse import quote

            if not os.path.exists(self._path):
                return None
            # Without a log nobody is writing, and SQLite need not make the index file beside it.
            log = self._path + b"-wal"
            mode = "?mode=ro" if os.path.exists(log) and os.path.getsize(log) else "?immutable=1"
            location = "file:" + quote(self._path) + mode
        self._db = opened(location, self._prepare, _BUSY_S, uri=self._read_only, isolation_level=None)
        return self._db

    def _prepare(self, db: sqlite3.Connection) -> None:
        if not self._read_only:
            db.execute("PRAGMA page_size=8192")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA wal_autocheckpoint=4000")
            db.executescript(_SCHEMA)

    def _trouble(self, error: sqlite3.Error) -> Exception:
        name = os.fsdecode(self._path)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        match code:
            case 5 | 6:  # BUSY, LOCKED
                return TransientStoreError(f"{name} is locked by another process", hint="try again when it has ended")
            case 11 | 26:  # CORRUPT, NOTADB
                return FormatError(
                    f"{name} is damaged: {error}",
                    hint=f"remove {name}* (files are kept in blobs/), then record again with gg-infer",
                )
            case 13:  # FULL
                return NoRoom(f"no space to write {name}", hint=FREE_SOME)
            case 8:  # READONLY
                return StoreError(f"{name} is not writable", hint="check who owns it and whether it is writable")
            case _:
                return StoreError(
                    f"cannot use {name}: {error}",
                    hint="is the disk full, the directory unreadable, or too little allowed (ulimit -f, ulimit -n)?",
                )


def _name(key: Key) -> bytes:
    kind, digest = key
    return _PREFIXES[kind] + digest


def _sealed(key: Key, data: bytes) -> bytes:
    return data if key.kind in CONTENT_ADDRESSED else data + _check(_name(key), data)


def _opened(name: bytes, data: bytes) -> bytes | None:
    if name[0] in CONTENT_ADDRESSED:
        return data if blake3(data).digest() == name[1:] else None
    content = data[:-_CHECK_SIZE]
    return content if data[-_CHECK_SIZE:] == _check(name, content) else None


def _check(name: bytes, data: bytes) -> bytes:
    return blake3(name + data).digest(length=_CHECK_SIZE)
