"""The pack: many objects in one compressed, indexed object that is named by its own digest. Pure; version 1.

  pack      magic, blocks, index, footer
  magic     b"gg-pack1"
  block     a slice of the *stream*, raw or as one zstd frame
  index     one zstd frame of a msgpack array: [kinds, digests, sizes, codecs, lengths, raw lengths]
            kinds and digests are columns of the members, a byte and 32 bytes each; codecs of the blocks, a byte each
  footer    16 bytes, big-endian: where the index begins (8), its length (4), and the first 4 of its BLAKE3 digest

The stream is the members' bytes one after the other. Small members share a block, so that they compress as one; a block
is closed when it has 256 KiB, and a large member takes blocks of 4 MiB of its own. So one member is read by fetching a
block or a few, in parallel if need be, and whoever wants most of a pack fetches it whole.

A pack's name is the BLAKE3 digest of all its bytes. Nobody needs to trust it, though: each member is content-addressed
and compared with its key when it is read.

Readers need the index, which they have from the tail of the pack or from the catalog, and `Index.spans`, the ranges to fetch.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import BinaryIO

from blake3 import blake3
from msgpack import packb

from gg.core.bounded import MOST_NUMBER, BoundedReader
from gg.core.ids import DIGEST_SIZE
from gg.errors import FormatError
from gg.light.named import NamedTuple
from gg.store.base import KINDS, Key, matches
from gg.wire.compressed import decompress

MAGIC = b"gg-pack1"
FOOTER_SIZE = 16
SMALL_BLOCK = 256 << 10
LARGE_BLOCK = 4 << 20
LEVEL = 5
MOST_MEMBERS = 1 << 16
"""The most members of one pack. A reader makes an object of each before it knows who wrote the pack."""
MOST_RAW = 8 << 20
"""The most bytes of one block. A block of small members is closed at 256 KiB, and its last member has less than 4 MiB."""
_MOST_BLOCKS = 1 << 16
_MOST_INDEX = 8 << 20

_FOOTER = struct.Struct(">QI4s")
_RAW, _ZSTD = 0, 1


class Block(NamedTuple):
    """A slice of the stream as it lies in the pack. Offsets and lengths in bytes."""

    start: int
    length: int
    raw_start: int
    raw_length: int
    codec: int


class Member(NamedTuple):
    """Where in the stream an object is."""

    start: int
    size: int


class Index(NamedTuple):
    """The index of a pack. `size`: the whole pack's; `encoded`: the index's bytes; `starts`: where blocks begin, uncompressed."""

    members: dict[Key, Member]
    blocks: tuple[Block, ...]
    starts: tuple[int, ...]
    size: int
    encoded: bytes

    @property
    def tail(self) -> int:
        """The bytes at the pack's end that hold index and footer."""
        return len(self.encoded) + FOOTER_SIZE

    def blocks_of(self, keys: Collection[Key]) -> list[Block]:
        """The blocks that hold these members, in order. Keys that are not in the pack are passed over."""
        wanted: set[int] = set()
        for key in keys:
            member = self.members.get(key)
            if member is not None and member.size:
                first = bisect_right(self.starts, member.start) - 1
                last = bisect_right(self.starts, member.start + member.size - 1) - 1
                wanted.update(range(first, last + 1))
        return [self.blocks[i] for i in sorted(wanted)]

    def spans(self, keys: Collection[Key], *, gap: int = 128 << 10, most: int = 8 << 20) -> list[tuple[int, int]]:
        """The ranges (start, end) of the pack that hold these members.

        Ranges less than `gap` bytes apart are fetched as one, up to about `most` bytes: a request costs more than that.
        """
        spans: list[tuple[int, int]] = []
        for block in self.blocks_of(keys):
            end = block.start + block.length
            if spans and block.start - spans[-1][1] < gap and end - spans[-1][0] <= most:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((block.start, end))
        return spans


class Sealed(NamedTuple):
    """A pack that was written."""

    digest: bytes
    contents: Index


def pack_name(digest: bytes) -> str:
    """The object that is a pack; the first digits spread packs over the bucket's partitions."""
    digits = digest.hex()
    return f"packs/{digits[:2]}/{digits}"


def blob_name(digest: bytes) -> str:
    """The object that is one blob alone, as workers put it."""
    digits = digest.hex()
    return f"blobs/{digits[:2]}/{digits}"


# Writing


class Writer:
    """Writes one pack to `out`, from its present position: add members, then `seal`.

    A member's bytes must match its key. The caller has checked that, and readers will.
    """

    def __init__(self, out: BinaryIO, *, level: int = LEVEL) -> None:
        from zstandard import ZstdCompressor

        self._out = out
        self._compressor = ZstdCompressor(level=level, write_checksum=False)
        self._hasher = blake3()
        self._position = 0
        self._raw_position = 0
        self._members: dict[Key, Member] = {}
        self._blocks: list[Block] = []
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._write(MAGIC)

    @property
    def size(self) -> int:
        """Bytes written so far, and pending bytes uncompressed."""
        return self._position + self._pending_size

    def add(self, key: Key, data: bytes) -> None:
        """Add a member; one that is there already is left as it is."""
        self.add_stream(key, len(data), [data])

    def add_stream(self, key: Key, size: int, parts: Iterable[bytes]) -> None:
        """Add a member of `size` bytes that is given in parts. FormatError if they come to another size."""
        if key in self._members:
            return
        start = self._raw_position + self._pending_size
        if size >= LARGE_BLOCK:
            self._flush()
        for part in parts:
            self._append(part, LARGE_BLOCK if size >= LARGE_BLOCK else SMALL_BLOCK)
        if self._raw_position + self._pending_size != start + size:
            raise FormatError(f"the {key.kind.name.lower()} {key.digest.hex()} is not of {size} bytes")
        if size >= LARGE_BLOCK:
            self._flush()
        self._members[key] = Member(start, size)

    def seal(self) -> Sealed:
        """Write index and footer. The answer is the pack's name and index."""
        self._flush()
        encoded = self._encoded_index()
        start = self._position
        self._write(encoded)
        self._write(_FOOTER.pack(start, len(encoded), _check(encoded)))
        return Sealed(self._hasher.digest(), _index(self._members, tuple(self._blocks), self._position, encoded))

    def _append(self, part: bytes, most: int) -> None:
        if most == LARGE_BLOCK:
            view = memoryview(part)
            while view:
                taken = view[: most - self._pending_size]
                self._pending.append(bytes(taken))
                self._pending_size += len(taken)
                view = view[len(taken) :]
                if self._pending_size >= most:
                    self._flush()
            return
        self._pending.append(part)
        self._pending_size += len(part)
        if self._pending_size >= most:
            self._flush()

    def _flush(self) -> None:
        if not self._pending_size:
            return
        raw = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        data, codec = self._compressor.compress(raw), _ZSTD
        if len(data) > len(raw) * 15 // 16:
            data, codec = raw, _RAW
        self._blocks.append(Block(self._position, len(data), self._raw_position, len(raw), codec))
        self._raw_position += len(raw)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._hasher.update(data)
        self._position += len(data)

    def _encoded_index(self) -> bytes:
        columns = [
            bytes([key.kind for key in self._members]),
            b"".join([key.digest for key in self._members]),
            [member.size for member in self._members.values()],
            bytes([block.codec for block in self._blocks]),
            [block.length for block in self._blocks],
            [block.raw_length for block in self._blocks],
        ]
        return self._compressor.compress(packb(columns))


# Reading


def read_tail(tail: bytes, size: int) -> Index | int:
    """The index, from the last bytes of a pack of `size` bytes; if `tail` is too short, the number of bytes that are needed."""
    if size < len(MAGIC) + FOOTER_SIZE or len(tail) < FOOTER_SIZE:
        raise FormatError("a pack is too short to be one")
    start, length, check = _FOOTER.unpack(tail[-FOOTER_SIZE:])
    if start + length + FOOTER_SIZE != size:
        raise FormatError("a pack's footer does not fit its size")
    if length + FOOTER_SIZE > len(tail):
        return int(length) + FOOTER_SIZE
    encoded = tail[-FOOTER_SIZE - length : -FOOTER_SIZE]
    if _check(encoded) != check:
        raise FormatError("a pack's index is damaged")
    return decode_index(encoded, size)


def decode_index(encoded: bytes, size: int) -> Index:
    """The index that `encoded` stands for, of a pack of `size` bytes; FormatError for anything else, and for one that says
    more than a pack can hold.
    """
    reader = BoundedReader(decompress(encoded, _MOST_INDEX), "a pack's index")
    reader.array(6, 6)
    kinds = reader.octets()
    if len(kinds) > MOST_MEMBERS or not set(kinds) <= KINDS.keys():
        raise reader.damaged()
    digests = reader.octets(DIGEST_SIZE * len(kinds))
    sizes = reader.numbers(len(kinds), len(kinds))
    codecs = reader.octets()
    if len(codecs) > _MOST_BLOCKS or not set(codecs) <= {_RAW, _ZSTD}:
        raise reader.damaged()
    lengths = reader.numbers(len(codecs), len(codecs))
    raw_lengths = reader.numbers(len(codecs), len(codecs))
    reader.end()
    fits = len(MAGIC) + sum(lengths) + len(encoded) + FOOTER_SIZE == size <= MOST_NUMBER
    fits &= all(length <= raw <= MOST_RAW for length, raw in zip(lengths, raw_lengths, strict=True))
    if not fits or sum(sizes) != sum(raw_lengths):
        raise reader.damaged()
    keys = [Key(KINDS[kind], digests[i * DIGEST_SIZE : (i + 1) * DIGEST_SIZE]) for i, kind in enumerate(kinds)]
    members = dict(zip(keys, _members(sizes), strict=True))
    return _index(members, _blocks(codecs, lengths, raw_lengths), size, encoded)


def _index(members: dict[Key, Member], blocks: tuple[Block, ...], size: int, encoded: bytes) -> Index:
    return Index(members, blocks, tuple([block.raw_start for block in blocks]), size, encoded)


def _members(sizes: list[int]) -> Iterator[Member]:
    start = 0
    for size in sizes:
        yield Member(start, size)
        start += size


def _blocks(codecs: bytes, lengths: list[int], raw_lengths: list[int]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    start, raw_start = len(MAGIC), 0
    for codec, length, raw_length in zip(codecs, lengths, raw_lengths, strict=True):
        blocks.append(Block(start, length, raw_start, raw_length, codec))
        start += length
        raw_start += raw_length
    return tuple(blocks)


def extract(index: Index, keys: Collection[Key], fetched: Mapping[int, bytes]) -> dict[Key, bytes]:
    """The sound members in the fetched bytes. `fetched`: ranges of the pack, by where they start."""
    return dict(extract_each(index, keys, fetched))


def extract_each(index: Index, keys: Collection[Key], fetched: Mapping[int, bytes]) -> Iterator[tuple[Key, bytes]]:
    """As `extract`, one at a time: a member whose blocks were not all fetched, or are damaged, is left out."""
    opened: dict[int, bytes | None] = {}
    spans = sorted(fetched)
    for key in keys:
        member = index.members.get(key)
        if member is None:
            continue
        parts: list[bytes] = []
        for block in index.blocks_of([key]):
            if block.start not in opened:
                opened[block.start] = _opened(block, spans, fetched)
            raw = opened[block.start]
            if raw is None:
                break
            begin = max(member.start - block.raw_start, 0)
            parts.append(raw[begin : member.start + member.size - block.raw_start])
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(data) == member.size and matches(key, data):
            yield key, data


def _opened(block: Block, spans: list[int], fetched: Mapping[int, bytes]) -> bytes | None:
    """A block's slice of the stream; None if it was not fetched or is damaged."""
    index = bisect_right(spans, block.start) - 1
    if index < 0:
        return None
    start = spans[index]
    return open_block(block, fetched[start][block.start - start : block.start - start + block.length])


def open_block(block: Block, data: bytes) -> bytes | None:
    """The slice of the stream that lies in a block's bytes; None if they are damaged."""
    if len(data) != block.length:
        return None
    if block.codec == _RAW:
        return data
    try:
        raw = decompress(data, block.raw_length)
    except FormatError:
        return None
    return raw if len(raw) == block.raw_length else None


def _check(encoded: bytes) -> bytes:
    return blake3(encoded).digest(length=4)
