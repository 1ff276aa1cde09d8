"""Text of ours as it is shown: the names in it may come from anybody.

A control character is written out, and so are what turns the direction of writing and bytes that are not UTF-8: `\\x1b`. In a line
the end of a line is written out too, or the name of a file could be a line that gg has not written.
"""

from __future__ import annotations

_CONTROLS = {
    c: f"\\x{c & 0xFF:02x}" if c < 256 or c >= 0xDC80 else f"\\u{c:04x}"
    for c in (
        *range(32),
        *range(127, 160),
        0x2028,
        0x2029,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xDC80, 0xDD00),
    )
}
_CHARACTERS = {c: written for c, written in _CONTROLS.items() if c < 0xDC80}
_IN_TEXT = {c: written for c, written in _CONTROLS.items() if chr(c) not in "\n\t"}


def in_text(text: str) -> str:
    """`text`, of one line or several."""
    return text.translate(_IN_TEXT)


def in_line(text: str, *, whole_bytes: bool = False) -> str:
    """`text` as a part of one line. `whole_bytes`: bytes that are not UTF-8 stay, for a reader that is no terminal."""
    return text if text.isprintable() else text.translate(_CHARACTERS if whole_bytes else _CONTROLS)


def encoded(text: str) -> bytes:
    """The bytes of any text. What stands for a byte that is not UTF-8 is that byte; halves of characters, which a JSON text can
    name, are written out.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
