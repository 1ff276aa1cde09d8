"""What was compressed elsewhere, and may be anything; and parts of objects, compressed on their way where that is shorter."""

from __future__ import annotations

from gg.errors import FormatError

_RAW, _ZSTD = b"\0", b"\1"
_FROM = 256  # bytes: of less hardly anything would be saved
_LEVEL = 1  # of zstd: 300 MB a second and more, as fast as networks that one has at home


def pack_part(data: bytes) -> bytes:
    """A byte that says how, and the bytes: as they are, or as one zstd frame."""
    if len(data) >= _FROM:
        from zstandard import ZstdCompressor

        packed = ZstdCompressor(level=_LEVEL).compress(data)
        if len(packed) < len(data):
            return _ZSTD + packed
    return _RAW + data


def unpack_part(packed: bytes, most: int) -> bytes:
    """What was given to `pack_part`; FormatError for anything else, and for more than `most` bytes."""
    if packed[:1] == _ZSTD:
        return decompress(packed[1:], most)
    if packed[:1] != _RAW or len(packed) > most + 1:
        raise FormatError("a part of an object is damaged")
    return packed[1:]


def decompress(data: bytes, most: int) -> bytes:
    """What one zstd frame holds; FormatError if it is damaged or says that it holds more than `most` bytes."""
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    try:
        if not 0 <= frame_content_size(data) <= most:
            raise FormatError("a compressed block is damaged")
        return ZstdDecompressor().decompress(data)
    except ZstdError as error:
        raise FormatError("a compressed block is damaged") from error
