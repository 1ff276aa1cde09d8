"""What was compressed elsewhere, and may be anything."""

from __future__ import annotations

from gg.errors import FormatError


def decompress(data: bytes, most: int) -> bytes:
    """What one zstd frame holds; FormatError if it is damaged or says that it holds more than `most` bytes."""
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    try:
        if not 0 <= frame_content_size(data) <= most:
            raise FormatError("a compressed block is damaged")
        return ZstdDecompressor().decompress(data)
    except ZstdError as error:
        raise FormatError("a compressed block is damaged") from error
