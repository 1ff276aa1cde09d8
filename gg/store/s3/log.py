"""The store's log: what was put, one *entry* for each batch, as objects whose names sort by time. Pure; version 1.

An entry says which packs there are and what is in them, which objects stand alone, what is gone, and holds the records
(reductions, aliases) themselves. Reading the log from where one stopped tells all that is new in a listing and a few gets,
whatever it is; nothing is asked for key by key.

  entry    b"gg-log-1", then msgpack [public key, signature, body], both empty when unsigned
  body     one zstd frame of msgpack [stamp, packs, alone, gone, records]
           stamp: microseconds since the epoch; packs: [digest, size, expiry, index]; alone, gone: objects as columns;
           records: [kind and digest, bytes or nil]
  bundle   b"gg-logs1", then msgpack of [name, entry] pairs: entries as they were, so each keeps its own signature
  name     log/STAMP-DIGEST, 15 hexadecimal digits and 32 of the BLAKE3 digest of the bytes; `-b` after it for a bundle

The signature is over magic and body. What is content-addressed needs none: it is compared with its key when it is read.
Records are believed if the key is trusted; of several that are, the latest stamp counts. The stamp is signed too, so nobody
can bring back an old record by giving it a new name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blake3 import blake3
from msgpack import packb, unpackb

from gg.core.ids import DIGEST_SIZE
from gg.core.named import NamedTuple
from gg.errors import FormatError
from gg.store.base import Key, Kind
from gg.store.s3.pack import decompress

PREFIX = "log/"
_ENTRY, _BUNDLE = b"gg-log-1", b"gg-logs1"
_MOST = 1 << 30
_KINDS = {int(kind): kind for kind in Kind}

Sign = Callable[[bytes], tuple[bytes, bytes]]
Check = Callable[[bytes, bytes, bytes], bool]


class PackNote(NamedTuple):
    """A pack: its name, its size in bytes, when its life ends (seconds since the epoch), its index as encoded."""

    digest: bytes
    size: int
    expires: int
    contents: bytes


class Alone(NamedTuple):
    """An object that is in no pack."""

    key: Key
    size: int
    expires: int


class Entry(NamedTuple):
    """What one batch has changed. A record with None for its bytes is one that was deleted."""

    stamp: int
    packs: tuple[PackNote, ...] = ()
    alone: tuple[Alone, ...] = ()
    gone: tuple[Key, ...] = ()
    records: tuple[tuple[Key, bytes | None], ...] = ()


class Signed(NamedTuple):
    """An entry as it was read. `signer`: the public key whose signature is right; empty when it has none, None when it is
    wrong.
    """

    entry: Entry
    signer: bytes | None


def encode(entry: Entry, sign: Sign | None) -> bytes:
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


def decode(data: bytes, check: Check) -> Signed:
    """The entry that `encode` made `data` of; FormatError for anything else. `check(key, signature, data)`."""
    try:
        if not data.startswith(_ENTRY):
            raise ValueError
        signer, signature, body = unpackb(data[len(_ENTRY) :])
        if signer and not check(signer, signature, _ENTRY + body):
            signer = None
        stamp, packs, alone, gone, records = unpackb(decompress(body, _MOST))
        entry = Entry(
            stamp=_number(stamp),
            packs=tuple(PackNote(_bytes(d, DIGEST_SIZE), _number(s), _number(e), _bytes(c)) for d, s, e, c in packs),
            alone=tuple(Alone(_key(name), _number(size), _number(expires)) for name, size, expires in alone),
            gone=tuple(_key(name) for name in gone),
            records=tuple((_key(name), None if value is None else _bytes(value)) for name, value in records),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError("an entry of the store's log is damaged") from error
    return Signed(entry, signer)


def entry_name(stamp: int, data: bytes) -> str:
    """What an entry is called, below the store's prefix."""
    return f"{PREFIX}{stamp:015x}-{blake3(data).hexdigest(length=16)}"


def stamp_name(stamp: int) -> str:
    """What sorts before every entry of that time."""
    return f"{PREFIX}{max(stamp, 0):015x}"


def stamp_of(name: str) -> int:
    """The time in a name, 0 if there is none."""
    try:
        return int(name.removeprefix(PREFIX)[:15], 16)
    except ValueError:
        return 0


def is_bundle(name: str) -> bool:
    return name.endswith("-b")


def is_named(name: str, data: bytes) -> bool:
    """Whether an object of the log has the bytes that its name says."""
    return name.removesuffix("-b").rpartition("-")[2] == blake3(data).hexdigest(length=16)


def encode_bundle(entries: Sequence[tuple[str, bytes]]) -> bytes:
    return _BUNDLE + bytes(packb([list(pair) for pair in entries]))


def decode_bundle(data: bytes) -> list[tuple[str, bytes]]:
    """The entries in a bundle whose names are theirs; FormatError if it is none."""
    try:
        if not data.startswith(_BUNDLE):
            raise ValueError
        pairs = [(str(name), _bytes(entry)) for name, entry in unpackb(data[len(_BUNDLE) :])]
    except (ValueError, TypeError) as error:
        raise FormatError("a bundle of the store's log is damaged") from error
    return [(name, entry) for name, entry in pairs if is_named(name, entry)]


def _name(key: Key) -> bytes:
    return bytes([key.kind]) + key.digest


def _key(name: object) -> Key:
    raw = _bytes(name, DIGEST_SIZE + 1)
    return Key(_KINDS[raw[0]], raw[1:])


def _bytes(value: object, size: int | None = None) -> bytes:
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise ValueError
    return value


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value
