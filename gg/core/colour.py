"""What compilers print, in the form that they have for a terminal, and in the one for everybody else.

A thunk does not say where its words will be shown: today on somebody's terminal, tomorrow, from the store, in a log. So a
compiler that may ask whether it prints to a terminal is told so whenever it runs (`asks`, and `isatty` in
`toolchain-wrappers/pathmap/terminal.c`). Its words are kept with a mark before them, and what they are shown on decides
what is left of colours and links: `shown`. Without those it is what the compiler prints into a pipe, byte for byte. A
terminal's width is not told: lines are as long as in a pipe.

Who passes a call's words on counts too (`By`): a compiler that ninja runs sees no terminal, whatever ninja itself has.

The mark says what hung on the answer. Colours that the command line asks for (`-fdiagnostics-color=always`) are shown
everywhere, and GCC's links to its manual still on terminals alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from gg.light.regex import regex

if TYPE_CHECKING:
    from gg.core.thunk import Thunk

_MARK = b"\x1b_gg:%s\x1b\\"  # an application program command (ECMA-48): no terminal shows it
_MARKED = regex(rb"\x1b_gg:(c?l?)\x1b\\")
_ESCAPE = b"\x1b"
_COLOUR, _LINK = b"cl"
_CONTROL = regex(rb"\x1b(?:\[[^a-zA-Z]*[a-zA-Z]?)?")  # as ninja takes it out
_COLOURS = regex(rb"\x1b\[[\d;]*m(?:\x1b\[K)?")  # GCC ends each with "erase to the end of the line"
_LINKS = regex(rb"\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)")
_COLOURED = regex(rb"-fdiagnostics-color(?!=auto|=never)|color-diagnostics|-fansi-escape-codes")
_LINKED = regex(rb"-fdiagnostics-urls=always")
_UNKNOWN = regex(rb"\0@|-fembed-bitcode")  # files of options; clang keeps those of its parts in the object
_DRIVERS = "gcc/"  # the model's name in the thunks of GCC and clang

TERMINAL = {
    b"TERM": b"xterm-256color",
    # In ncurses' own notation, and no more of it than that there are colours: what clang asks, no file tells.
    b"TERMINFO": b"hex:1A01120000000E0000000000787465726D2D323536636F6C6F727C676700" + 26 * b"FF" + b"0001",
}
"""The environment of a command that is told that it prints to a terminal."""
TERMINFO = (b"/etc/terminfo", b"/lib/terminfo", b"/usr/lib/terminfo", b"/usr/share/terminfo")
"""Where ncurses looks whether there is something, without need."""


class ColourForm(Enum):
    """What is shown of the form for a terminal. LINKS: with GCC's links to its manual, ended by BEL or by ST."""

    PLAIN = "plain"
    COLOURS = "colours"
    LINKS = "links"
    LINKS_ST = "links, st"


class By(IntEnum):
    """Through whose hands a call's words come to where they are shown: nobody's, somebody's who shows them as they are,
    or ninja's, which takes colours out where it shows none.
    """

    NOBODY = 0
    SOMEBODY = 1
    NINJA = 2


def asks(thunk: Thunk) -> bytes:
    """What hangs on whether the thunk's command prints to a terminal, for `marked`; empty: it is not told that it does."""
    line = b"\0" + b"\0".join(thunk.argv)
    if not thunk.model.startswith(_DRIVERS) or _UNKNOWN.search(line):
        return b""
    return b"c" * (not _COLOURED.search(line)) + b"l" * (not _LINKED.search(line))


def marked(words: bytes, asked: bytes) -> bytes:
    """What a command printed that was told that it prints to a terminal, as it is kept."""
    return _MARK % asked + words if asked and _ESCAPE in words else words


def shown(words: bytes, look: ColourForm, by: By = By.NOBODY) -> bytes:
    """`words`, as they are kept, for a place that has this look."""
    words = _shown(words, ColourForm.PLAIN if by else look)
    return _CONTROL.sub(b"", words) if by is By.NINJA and look is ColourForm.PLAIN and _ESCAPE in words else words


def _shown(words: bytes, look: ColourForm) -> bytes:
    mark = _MARKED.search(words) if _ESCAPE in words else None
    if mark is None:
        return words
    words = words[: mark.start()] + words[mark.end() :]
    if _LINK in mark[1]:
        if look is ColourForm.LINKS_ST:
            words = _LINKS.sub(lambda found: found[0].replace(b"\x07", b"\x1b\\"), words)
        elif look is not ColourForm.LINKS:
            words = _LINKS.sub(b"", words)
    return _COLOURS.sub(b"", words) if look is ColourForm.PLAIN and _COLOUR in mark[1] else words


def terminal_look(env: Mapping[str, str]) -> ColourForm:
    """What compilers would show on the terminal of this environment: as GCC decides it, in diagnostic-color.cc."""
    term, kind = env.get("TERM", "dumb"), env.get("COLORTERM")
    if term == "dumb":
        return ColourForm.PLAIN
    if kind in ("xfce4-terminal", "gnome-terminal"):
        return ColourForm.COLOURS
    asked = env.get("GCC_URLS", env.get("TERM_URLS"))
    if asked is None:
        return ColourForm.COLOURS if kind is None and term in ("xterm", "linux") else ColourForm.LINKS
    return {"": ColourForm.COLOURS, "no": ColourForm.COLOURS, "st": ColourForm.LINKS_ST}.get(asked, ColourForm.LINKS)
