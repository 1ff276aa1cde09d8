"""The store's log: what was put, one *entry* for each batch, as objects whose names sort by time. Pure; version 1.

An entry says which packs there are and what is in them, which objects stand alone, and what is gone; it holds the records
(reductions, aliases) themselves. A reader who goes on from where it stopped learns everything new by a listing and a few gets,
and asks for nothing key by key.

  entry    b"gg-log-1", then msgpack [public key, signature, body], both empty when unsigned
  body     one zstd frame of msgpack [stamp, packs, alone, gone, records]
           stamp: microseconds since the epoch; packs: [digest, size, expiry, index]; alone, gone: objects as columns;
           records: [kind and digest, bytes or nil]
  bundle   b"gg-logs1", then msgpack of [name, entry] pairs: entries as they were, so each keeps its own signature
  name     log/STAMP-DIGEST, 15 hexadecimal digits and 32 of the BLAKE3 digest of the bytes; `-b` after it for a bundle

The signature covers magic and body. Content-addressed objects need none: they are compared with their keys when they are read.
A record is believed if the signer's key is trusted; of several such records, the one with the latest stamp counts. The stamp is
signed too, so nobody can bring back an old record by giving it a new name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blake3 import blake3
from msgpack import packb

from gg.core.bounded import BoundedReader
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.store.base import KINDS, Key
from gg.wire.compressed import decompress

PREFIX = "log/"
_ENTRY, _BUNDLE = b"gg-log-1", b"gg-logs1"
MOST_RECORDS = 4 << 20
"""Bytes of records in one entry; more records are written as several entries."""
MOST_OBJECT = 24 << 20
"""The most bytes of an entry or a bundle. A larger object was not written by gg."""
_MOST_BODY = 16 << 20
_MOST_ITEMS = 1 << 16
_PUBLIC, _SIGNATURE = 32, 64
_LONGEST_NAME = 64
_HEX = frozenset("0123456789abcdef")

Sign = Callable[[bytes], tuple[bytes, bytes]]
Check = Callable[[bytes, bytes, bytes], bool]


class PackNote(NamedTuple):
    """A pack: its name, its size in bytes, when its life ends (seconds since the epoch), its index as encoded."""

    digest: bytes
    size: int
    expires: int
    contents: bytes


class LooseObject(NamedTuple):
    """An object that is in no pack."""

    key: Key
    size: int
    expires: int


class LogEntry(NamedTuple):
    """What one batch has changed. A record with None for its bytes is one that was deleted."""

    stamp: int
    packs: tuple[PackNote, ...] = ()
    alone: tuple[LooseObject, ...] = ()
    gone: tuple[Key, ...] = ()
    records: tuple[tuple[Key, bytes | None], ...] = ()


class Signed(NamedTuple):
    """An entry as it was read. `signer`: the public key whose signature is right; empty when it has none, None when it is
    wrong. `size`: of its body in bytes, unpacked.
    """

    entry: LogEntry
    signer: bytes | None
    size: int = 0


def encode(entry: LogEntry, sign: Sign | None) -> bytes:
    """The bytes of an entry. `sign(data)` gives the public key and the signature."""
    from zstandard import ZstdCompressor

    columns = [
        entry.stamp,
        [list(pack) for pack in entry.packs],
        [[_name(one.key), one.size, one.expires] for one in entry.alone],
        [_name(key) for key in entry.gone],
        [[_name(key), data] for key, data in entry.records],
    ]
    body = ZstdCompressor(level=5).compress(packb(columns))
    signer, signature = sign(_ENTRY + body) if sign is not None else (b"", b"")
    return _ENTRY + bytes(packb([signer, signature, body]))


def decode(data: bytes, check: Check, most: int = _MOST_BODY) -> Signed:
    """The entry that `encode` made `data` of; FormatError for anything else, and for one whose body has more than `most`
    bytes. `check(key, signature, data)`.
    """
    if not data.startswith(_ENTRY) or len(data) > MOST_OBJECT:
        raise FormatError("an entry of the store's log is damaged")
    outer = BoundedReader(data[len(_ENTRY) :], "an entry of the store's log")
    outer.array(3, 3)
    signer: bytes | None = outer.octets()
    signature, body = outer.octets(), outer.octets()
    outer.end()
    if signer and not (
        len(signer) == _PUBLIC and len(signature) == _SIGNATURE and check(signer, signature, _ENTRY + body)
    ):
        signer = None
    raw = decompress(body, min(most, _MOST_BODY))
    reader = BoundedReader(raw, "an entry of the store's log")
    reader.array(5, 5)
    entry = LogEntry(
        stamp=reader.number(),
        packs=tuple([_pack(reader) for _ in range(reader.array(0, _MOST_ITEMS))]),
        alone=tuple([_alone(reader) for _ in range(reader.array(0, _MOST_ITEMS))]),
        gone=tuple([_key(reader) for _ in range(reader.array(0, _MOST_ITEMS))]),
        records=tuple([_record(reader) for _ in range(reader.array(0, _MOST_ITEMS))]),
    )
    reader.end()
    return Signed(entry, signer, len(raw))


def split(entry: LogEntry) -> list[LogEntry]:
    """`entry`, or several that say the same, each small enough to be read; those with objects come first."""
    parts: list[LogEntry] = []
    records: list[tuple[Key, bytes | None]] = []
    size = 0
    first = entry._replace(records=())
    for key, data in entry.records:
        more = len(data or b"") + DIGEST_SIZE
        if records and (size + more > MOST_RECORDS or len(records) >= _MOST_ITEMS):
            parts.append(first._replace(records=tuple(records)))
            first, records, size = LogEntry(entry.stamp), [], 0
        records.append((key, data))
        size += more
    return [*parts, first._replace(records=tuple(records))]


def entry_name(stamp: int, data: bytes) -> str:
    """The name of an entry, below the store's prefix."""
    return f"{PREFIX}{stamp:015x}-{blake3(data).hexdigest(length=16)}"


def stamp_name(stamp: int) -> str:
    """A name that sorts before every entry of that time."""
    return f"{PREFIX}{max(stamp, 0):015x}"


def stamp_of(name: str) -> int:
    """The time in a name; 0 if it is no name of the log's."""
    digits = name.removeprefix(PREFIX).removesuffix("-b")
    if len(digits) != 48 or digits[15] != "-" or not _HEX.issuperset(digits[:15] + digits[16:]):
        return 0
    return int(digits[:15], 16)


def is_bundle(name: str) -> bool:
    return name.endswith("-b")


def is_named(name: str, data: bytes) -> bool:
    """Whether an object of the log has the digest in its name."""
    return name.removesuffix("-b").rpartition("-")[2] == blake3(data).hexdigest(length=16)


def encode_bundle(entries: Sequence[tuple[str, bytes]]) -> bytes:
    return _BUNDLE + bytes(packb([list(pair) for pair in entries]))


def decode_bundle(data: bytes) -> list[tuple[str, bytes]]:
    """The entries in a bundle that have the digests in their names. FormatError if it is no bundle."""
    if not data.startswith(_BUNDLE) or len(data) > MOST_OBJECT:
        raise FormatError("a bundle of the store's log is damaged")
    reader = BoundedReader(data[len(_BUNDLE) :], "a bundle of the store's log")
    pairs: list[tuple[str, bytes]] = []
    for _ in range(reader.array(0, _MOST_ITEMS)):
        reader.array(2, 2)
        name, entry = reader.text(_LONGEST_NAME), reader.octets()
        if is_named(name, entry):
            pairs.append((name, entry))
    reader.end()
    return pairs


def _name(key: Key) -> bytes:
    return bytes([key.kind]) + key.digest


def _pack(reader: BoundedReader) -> PackNote:
    reader.array(4, 4)
    return PackNote(reader.digest(), reader.number(), reader.number(), reader.octets())


def _alone(reader: BoundedReader) -> LooseObject:
    reader.array(3, 3)
    return LooseObject(_key(reader), reader.number(), reader.number())


def _record(reader: BoundedReader) -> tuple[Key, bytes | None]:
    reader.array(2, 2)
    return _key(reader), reader.octets_or_none()


def _key(reader: BoundedReader) -> Key:
    raw = reader.octets(DIGEST_SIZE + 1)
    if raw[0] not in KINDS:
        raise reader.damaged()
    return Key(KINDS[raw[0]], raw[1:])
