"""What this machine remembers of the remote store: an SQLite database that can be thrown away.

It is filled from the log. It may be wrong: a lifecycle rule took an object away, somebody has lied. A read that finds this out
has the catalog forget that place, and goes to another one if there is any; if not, the object is sent again when it is next
wanted. If the catalog is damaged or of another version, it is thrown away and read anew from the log.

An object has a *life*, from when it was put until the bucket's lifecycle rule may remove it. It counts as there for the
first nine tenths, so that nothing that a build relies on goes away under it; in the second half of its life whoever wants
it renews it first (`stale`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from blake3 import blake3

from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError, StoreError
from gg.host.databases import opened
from gg.light.named import NamedTuple
from gg.share.s3.log import LogEntry, Signed
from gg.store.base import Key, Kind, Stored

VERSION = 2
_ALONE, _GONE = 0, -1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pack (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL, said BLOB NOT NULL, size INTEGER NOT NULL, contents BLOB NOT NULL,
    UNIQUE (digest, said));
CREATE TABLE IF NOT EXISTS object (
    key BLOB NOT NULL, pack INTEGER NOT NULL, size INTEGER NOT NULL, stamp INTEGER NOT NULL, trusted INTEGER NOT NULL,
    born REAL NOT NULL, expires REAL NOT NULL, PRIMARY KEY (key, pack)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_pack ON object (pack);
CREATE TABLE IF NOT EXISTS record (
    key BLOB NOT NULL, signer BLOB NOT NULL, stamp INTEGER NOT NULL, data BLOB, PRIMARY KEY (key, signer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS suspect (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS loose (name TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS synced (id INTEGER PRIMARY KEY CHECK (id = 0), time REAL NOT NULL);
"""
_MANY = 500
_SAFE_SHARE, _FRESH_SHARE = 0.9, 0.5
_MEMO_S = 600.0
_PUT_OBJECT = f"""
INSERT INTO object SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
WHERE NOT EXISTS (SELECT 1 FROM object WHERE key = ?1 AND pack = {_GONE} AND stamp >= ?4)
ON CONFLICT (key, pack) DO UPDATE SET
size = excluded.size, stamp = excluded.stamp, trusted = excluded.trusted, born = excluded.born, expires = excluded.expires
WHERE excluded.trusted > trusted OR (excluded.trusted = trusted AND excluded.stamp > stamp)
"""
_PUT_GONE = f"""
INSERT INTO object SELECT ?1, {_GONE}, 0, ?2, 1, 0, 0 WHERE true
ON CONFLICT (key, pack) DO UPDATE SET stamp = max(stamp, excluded.stamp)
"""
_PUT_RECORD = """
INSERT INTO record VALUES (?, ?, ?, ?) ON CONFLICT (key, signer) DO UPDATE SET
stamp = excluded.stamp, data = excluded.data WHERE excluded.stamp > stamp
"""
_PUT_PACK = """
INSERT INTO pack (digest, said, size, contents) VALUES (?, ?, ?, ?) ON CONFLICT (digest, said) DO UPDATE SET
size = excluded.size RETURNING id
"""


class ObjectLocation(NamedTuple):
    """Where a remote object should be. `pack`: the pack's digest, empty for an object of its own. `size`: that of the whole pack,
    or of the object of its own. `tail`: the bytes at the pack's end that hold its index. `number`: its number in this catalog.
    """

    pack: bytes
    size: int
    tail: int
    number: int = 0


class Pack(NamedTuple):
    """A pack in the catalog; `contents` is its index as encoded."""

    digest: bytes
    size: int
    contents: bytes


class Catalog:
    """The catalog at `path`. `clock` gives seconds since the epoch. Thread-safe."""

    def __init__(self, path: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.RLock()
        self._db = self._open()
        self._memo: dict[Key, ObjectLocation] = {}
        self._memo_ends = 0.0
        row = self._db.execute("SELECT time FROM synced").fetchone()
        self._synced: float | None = row[0] if row else None

    # The log

    def synced(self) -> None:
        """Note that everything in the log was taken in just now."""
        self._synced = self._clock()
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO synced VALUES (0, ?)", (self._synced,))

    def is_as_of(self, seconds: float) -> bool:
        """Whether any process of this machine took the log in less than `seconds` ago."""
        return self._synced is not None and 0 <= self._clock() - self._synced < seconds

    def keep(self, name: str, data: bytes) -> None:
        """Keep the bytes of an entry, so that it can be bundled without being read again."""
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO loose VALUES (?, ?)", (name, data))

    def kept(self, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of these entries, as far as they were kept."""
        return dict(self._select("SELECT name, data FROM loose WHERE name IN", names))

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the bytes of all other entries, which were bundled."""
        with self._lock, self._db:
            gone = [row for row in self._db.execute("SELECT name FROM loose").fetchall() if row[0] not in names]
            self._db.executemany("DELETE FROM loose WHERE name = ?", gone)

    # Filling

    def apply(self, entries: Iterable[tuple[Sequence[str], Signed]], trusted: Collection[bytes] = ()) -> int:
        """Take in entries of the log, with the names under which they were read. The answer is how many had a wrong signature.

        `trusted`: the keys whose owners may say that something is gone. Places from other signers are used too, but only after
        those from trusted ones, and each read checks them.
        """
        wrong = 0
        with self._lock, self._db:
            for names, (entry, signer, _) in entries:
                self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(name,) for name in names])
                self._apply_objects(entry, signer in trusted)
                if signer is None:
                    wrong += 1
                elif signer:
                    rows = [(_name(key), signer, entry.stamp, data) for key, data in entry.records]
                    self._db.executemany(_PUT_RECORD, rows)
        return wrong

    def _apply_objects(self, entry: LogEntry, trusted: bool) -> None:
        from gg.share.s3.pack import decode_index

        stamp, born = entry.stamp, entry.stamp / 1e6
        for note in entry.packs:
            try:
                members = decode_index(note.contents, note.size).members
            except FormatError:
                continue  # the index cannot be read, whoever wrote this entry
            said = blake3(b"%d %s" % (note.size, note.contents)).digest(length=16)
            (pack,) = self._db.execute(_PUT_PACK, (note.digest, said, note.size, note.contents)).fetchone()
            rows = [(_name(key), pack, m.size, stamp, trusted, born, note.expires) for key, m in members.items()]
            self._db.executemany(_PUT_OBJECT, rows)
        alone = [(_name(o.key), _ALONE, o.size, stamp, trusted, born, float(o.expires)) for o in entry.alone]
        self._db.executemany(_PUT_OBJECT, alone)
        if entry.gone and trusted:
            self._memo.clear()
            gone = [(_name(key), stamp) for key in entry.gone]
            self._db.executemany("DELETE FROM object WHERE key = ? AND stamp <= ?", gone)
            self._db.executemany(_PUT_GONE, gone)

    def mark_seen(self, names: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(name,) for name in names])

    def seen(self, names: Sequence[str]) -> set[str]:
        """The `names` that were taken in."""
        return {name for (name,) in self._select("SELECT name FROM seen WHERE name IN", names)}

    def last_seen(self) -> str:
        """The latest name that was taken in; empty if none was."""
        with self._lock:
            (name,) = self._db.execute("SELECT max(name) FROM seen").fetchone()
        return name or ""

    # Asking

    def has(self, keys: Collection[Key]) -> set[Key]:
        """The objects that are there, and will be for a while."""
        now = self._clock()
        by_name = {_name(key): key for key in keys}
        rows = self._select("SELECT key, pack, born, expires FROM object WHERE key IN", list(by_name))
        return {by_name[name] for name, pack, born, expires in rows if pack != _GONE and _is_safe(born, expires, now)}

    def places(self, keys: Collection[Key]) -> dict[Key, ObjectLocation]:
        """Where objects are. Objects near the end of their life are included: they may still be there. Of several places, one that
        a trusted key names counts first, then the latest. A caller who finds nothing there reports that by `misplaced`.
        """
        by_name = {_name(key): key for key in keys}
        query = (
            "SELECT o.key, o.trusted, o.stamp, o.pack, o.size, p.digest, p.size, length(p.contents) "
            "FROM object o LEFT JOIN pack p ON p.id = o.pack"
        )
        best: dict[bytes, tuple[Any, ...]] = {}
        for row in self._select(query + f" WHERE o.pack != {_GONE} AND o.key IN", list(by_name)):
            if row[0] not in best or row[1:3] > best[row[0]][1:3]:
                best[row[0]] = row
        return {
            by_name[name]: ObjectLocation(b"", size, 0, number)
            if pack is None
            else ObjectLocation(pack, pack_size, length + 16, number)
            for name, _, _, number, size, pack, pack_size, length in best.values()
        }

    def stale(self, keys: Collection[Key]) -> set[Key]:
        """The objects that are there and in the second half of their life: whoever wants them renews them."""
        now = self._clock()
        by_name = {_name(key): key for key in keys}
        rows = self._select("SELECT key, pack, born, expires FROM object WHERE key IN", list(by_name))
        there = [row for row in rows if row[1] != _GONE and _is_safe(row[2], row[3], now)]
        fresh = {name for name, _, born, expires in there if now <= born + _FRESH_SHARE * (expires - born)}
        return {by_name[name] for name, *_ in there if name not in fresh}

    def fresh(self, keys: Collection[Key]) -> dict[Key, ObjectLocation]:
        """Where the objects are that are in the first half of their life.

        Repeated questions are answered from memory: a coordinator asks about each input of each thunk.
        """
        with self._lock:
            memo, now = self._memo, self._clock()
            if now > self._memo_ends:
                memo.clear()
                self._memo_ends = now + _MEMO_S
            unknown = [key for key in keys if key not in memo]
            if unknown:
                stale = self.stale(unknown)
                there = [key for key in self.has(unknown) if key not in stale]
                memo.update(self.places(there))
            return {key: memo[key] for key in keys if key in memo}

    def pack(self, number: int) -> Pack | None:
        with self._lock:
            row = self._db.execute("SELECT digest, size, contents FROM pack WHERE id = ?", (number,)).fetchone()
        return None if row is None else Pack(*row)

    def records(self, keys: Collection[Key], trusted: Collection[bytes]) -> tuple[dict[Key, bytes], dict[Key, bytes]]:
        """The records of trusted signers for `keys`; and, for each other key that has one, an untrusted signer."""
        by_name = {_name(key): key for key in keys}
        best: dict[Key, tuple[int, bytes | None]] = {}
        others: dict[Key, bytes] = {}
        rows = self._select("SELECT key, signer, stamp, data FROM record WHERE key IN", list(by_name))
        for name, signer, stamp, data in rows:
            key = by_name[name]
            if signer not in trusted:
                others[key] = signer
            elif key not in best or stamp > best[key][0]:
                best[key] = (stamp, data)
        found = {key: data for key, (_, data) in best.items() if data is not None}
        return found, {key: signer for key, signer in others.items() if key not in found}

    def signed_by(self, signer: bytes) -> dict[Key, bytes]:
        """The records that the owner of this public key has put."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, data FROM record WHERE signer = ? AND data IS NOT NULL", (signer,)
            ).fetchall()
        return {Key(Kind(name[0]), name[1:]): data for name, data in rows}

    def keys(self, kind: Kind, trusted: Collection[bytes]) -> Iterator[Stored]:
        bounds = (bytes([kind]), bytes([kind + 1]))
        with self._lock:
            objects = self._db.execute(
                "SELECT key, max(size), max(born) FROM object WHERE key >= ? AND key < ? AND pack != ? GROUP BY key",
                (*bounds, _GONE),
            ).fetchall()
            rows = self._db.execute(
                "SELECT key, signer, stamp, data FROM record WHERE key >= ? AND key < ? ORDER BY stamp", bounds
            ).fetchall()
        for name, size, born in objects:
            yield Stored(Key(kind, name[1:]), size, born)
        latest = {name: (stamp, data) for name, signer, stamp, data in rows if signer in trusted}
        for name, (stamp, data) in latest.items():
            if data is not None:
                yield Stored(Key(kind, name[1:]), len(data), stamp / 1e6)

    # Forgetting

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget objects that are not there, or not sound."""
        with self._lock, self._db:
            self._memo.clear()
            self._db.executemany("DELETE FROM object WHERE key = ?", [(_name(key),) for key in keys])

    def misplaced(self, keys: Iterable[Key], place: ObjectLocation) -> None:
        """Forget that objects are at a place: they are not there, or not sound."""
        with self._lock, self._db:
            self._memo.clear()
            rows = [(_name(key), place.number) for key in keys]
            self._db.executemany("DELETE FROM object WHERE key = ? AND pack = ?", rows)

    def forget_pack(self, place: ObjectLocation) -> None:
        """Forget a pack and its members: it is not there, not whole, or not what the log said."""
        with self._lock, self._db:
            self._memo.clear()
            self._db.execute("INSERT OR IGNORE INTO suspect VALUES (?)", (place.pack,))
            self._db.execute("DELETE FROM object WHERE pack = ?", (place.number,))
            self._db.execute("DELETE FROM pack WHERE id = ?", (place.number,))

    def suspect(self, digest: bytes) -> None:
        """Note that the object of this name is damaged: the next `put` of it must replace it."""
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO suspect VALUES (?)", (digest,))

    def is_suspect(self, digest: bytes) -> bool:
        with self._lock:
            return self._db.execute("SELECT 1 FROM suspect WHERE name = ?", (digest,)).fetchone() is not None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _select(self, query: str, values: Sequence[str] | Sequence[bytes]) -> list[Any]:
        """Rows of a query that ends with IN, for any number of values."""
        found: list[Any] = []
        with self._lock:
            for start in range(0, len(values), _MANY):
                part = values[start : start + _MANY]
                found += self._db.execute(f"{query} ({','.join('?' * len(part))})", part).fetchall()
        return found

    def _open(self) -> sqlite3.Connection:
        for again in (False, True):
            try:
                return opened(os.fsdecode(self._path), _prepare, 60.0)
            except sqlite3.OperationalError as error:
                raise StoreError(f"cannot use {os.fsdecode(self._path)}: {error}") from error
            except sqlite3.DatabaseError as error:
                if again:
                    hint = "remove it; it is only a memory"
                    raise StoreError(f"cannot use {os.fsdecode(self._path)}: {error}", hint=hint) from error
            for suffix in (b"", b"-wal", b"-shm"):
                if os.path.exists(self._path + suffix):
                    os.unlink(self._path + suffix)
        raise AssertionError("the second try returned or raised")


def _prepare(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise sqlite3.DatabaseError(f"it is of version {version}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.executescript(_SCHEMA + f"PRAGMA user_version={VERSION};")


def _is_safe(born: float, expires: float, now: float) -> bool:
    return now < born + _SAFE_SHARE * (expires - born)


def _name(key: Key) -> bytes:
    assert len(key.digest) == DIGEST_SIZE
    return bytes([key.kind]) + key.digest
