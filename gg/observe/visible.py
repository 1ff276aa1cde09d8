"""What a terminal may be shown of text that somebody else wrote: what tools printed, on whatever machine, and names of files.

A terminal takes orders in its text: to move, to hide, to set its title, to answer as if something had been typed. Of all these
compilers use two, and they alone pass: colours (SGR, each of which GCC ends with "erase to the end of the line"), and GCC's links
to its own manual and, by -fanalyzer, to the list of weaknesses (CWE). Any other control character is written out, as `cat -v`
writes it, and so is what turns the direction of writing. What goes to a file or a pipe is not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gg.light.regex import regex

if TYPE_CHECKING:
    import re

_COLOUR = regex(rb"\x1b\[[\d;:]*m")
_OVER = (b"\x1b[m", b"\x1b[0m")
_SUSPECT = regex(rb"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PIECES = regex(
    rb"(?P<turns>\xe2(?:\x80[\xaa-\xae]|\x81[\xa6-\xa9]))|(?P<fine>\x1b\[[\d;:]*m|\x1b\[K|\x1b\]8;[\w=:]*;(?:https://(?:gcc\.gnu|cwe\.mitre)\.org/[!-~]*)?(?:\x07|\x1b\\)|\r\n"
    rb"|\xc2[\xa0-\xbf]|[\xc3-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb"|\xc2?(?P<control>[\x00-\x08\x0b-\x1f\x7f-\x9f])"
)


def visible(words: bytes) -> bytes:
    """`words` as a terminal may show them. No colour goes on behind them."""
    if not _SUSPECT.search(words):
        return words
    words = _PIECES.sub(_written_out, words)
    colours = _COLOUR.findall(words)
    if not colours or colours[-1] in _OVER:
        return words
    text = words.rstrip(b"\r\n")
    return text + b"\x1b[m" + words[len(text) :]


def _written_out(found: re.Match[bytes]) -> bytes:
    if found["fine"] is not None:
        return found["fine"]
    if found["turns"] is not None:
        return b"\\u%04x" % ord(found["turns"].decode())
    code = found["control"][0]
    return (b"M-" if code >= 0x80 else b"") + b"^" + bytes([(code & 0x7F) ^ 0x40])
