"""What a file names, in the form in which it is kept: a letter that tells how the file names it, then the name as written.

One *directive* is one `bytes`. Kept results hold these letters: whoever changes one also changes the name under which the
lexers' results are kept (`gg.models.includes.lexed_files`).
"""

from __future__ import annotations

from typing import Final


class Form:
    """The letters. Plain bytes, no enum: they are compared and joined for each name of each file."""

    QUOTED: Final = b"Q"  # #include or #import "x"
    BRACKETED: Final = b"B"  # … <x>
    NEXT_QUOTED: Final = b"N"  # #include_next "x"
    NEXT_BRACKETED: Final = b"M"
    ASKED_QUOTED: Final = b"H"  # "x" whose existence is asked
    ASKED_BRACKETED: Final = b"I"
    ASKED_NEXT_QUOTED: Final = b"J"  # the same, by __has_include_next
    ASKED_NEXT_BRACKETED: Final = b"K"
    EMBEDDED_QUOTED: Final = b"E"  # #embed "x"
    EMBEDDED_BRACKETED: Final = b"F"
    ASSEMBLER_BYTES: Final = b"A"  # .incbin
    ASSEMBLER: Final = b"G"  # .include of the assembler
    NASM: Final = b"P"  # NASM's %include
    NASM_READ: Final = b"L"  # what NASM only reads or looks for
    MACRO: Final = b"C"  # a macro's name in #include or #embed
    ASKED_MACRO: Final = b"c"  # … in __has_include
    MACRO_CALL: Final = b"X"  # a macro with arguments (`#include F(x)`), its name alone
    UNRESOLVED: Final = b"U"  # #include of something else
    OPAQUE: Final = b"O"  # .incbin or .include of what only preprocessor or assembler will know
    CLOCKS: Final = b"!"  # no name: a letter for each token that tells the time and occurs (`TimeMacro`)
    FORCED: Final = b"f"  # -include of the command line; in no file


class TimeMacro:
    """The letters of tokens that tell the time."""

    DATE: Final = b"D"  # __DATE__
    TIME: Final = b"T"  # __TIME__
    TIMESTAMP: Final = b"S"  # __TIMESTAMP__


HAZARDS: Final = {ord(TimeMacro.DATE): 1, ord(TimeMacro.TIME): 2, ord(TimeMacro.TIMESTAMP): 4}
"""The bit of each such token. In system headers the bit is shifted by SYSTEM_HAZARDS."""
SYSTEM_HAZARDS: Final = 3


def _codes(*forms: bytes) -> frozenset[int]:
    """The first bytes of directives in these forms."""
    return frozenset(b"".join(forms))


# No dependency file lists what was only asked for.
UNLISTED = frozenset((Form.ASKED_QUOTED, Form.ASKED_BRACKETED, Form.ASKED_NEXT_QUOTED, Form.ASKED_NEXT_BRACKETED))
# Looked for in the way of assemblers.
ASSEMBLERS = frozenset((Form.ASSEMBLER_BYTES, Form.ASSEMBLER, Form.NASM, Form.NASM_READ))
# By their codes: forms that do not look beside the file that names them; that go on behind that file; that hold no name.
BRACKET = _codes(Form.BRACKETED, Form.ASKED_BRACKETED, Form.EMBEDDED_BRACKETED, Form.FORCED)
NEXT = _codes(Form.NEXT_QUOTED, Form.NEXT_BRACKETED, Form.ASKED_NEXT_QUOTED, Form.ASKED_NEXT_BRACKETED)
# The form of what goes on behind a file, in a file that has no place on the search path.
FIRST = {
    Form.NEXT_QUOTED: Form.QUOTED,
    Form.NEXT_BRACKETED: Form.BRACKETED,
    Form.ASKED_NEXT_QUOTED: Form.ASKED_QUOTED,
    Form.ASKED_NEXT_BRACKETED: Form.ASKED_BRACKETED,
}
NO_NAME = _codes(Form.CLOCKS, Form.MACRO, Form.ASKED_MACRO, Form.MACRO_CALL, Form.UNRESOLVED, Form.OPAQUE)
CLOCKS = ord(Form.CLOCKS)
