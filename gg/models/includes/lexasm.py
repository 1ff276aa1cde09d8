"""What an assembly source names, for the two assemblers: GAS (`.include`, `.incbin`) and NASM or YASM.

The directives are those of `gg.models.includes.directives`. Neither assembler has conditional text that is not lexed, so
the same superset rule holds: false branches count. Words are matched in any case, as both assemblers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gg.light.regex import regex
from gg.models.includes.directives import Form
from gg.models.includes.lex import assembler, encode, spliced

_GAS_COMPUTED = regex(
    rb"^[ \t]*(?:[\w.$]+:[ \t]*)?\.inc(?:bin|lude)\b[ \t]*([^\"\s][^\n]*)?$", re.IGNORECASE | re.MULTILINE
)
_NASM_DIRECTIVE = regex(rb"^[ \t]*%[ \t]*(include|depend|pathsearch)\b[ \t]*([^\n]*)", re.IGNORECASE | re.MULTILINE)
_NASM_INCBIN = regex(rb"^([^;\n]*?)(?<![\w.$%@?#~])incbin(?![\w.$@?#~:])[ \t]*([^\n]*)", re.IGNORECASE | re.MULTILINE)
_NASM_STRING = regex(rb"\"([^\"\n]*)\"|'([^'\n]*)'|`([^`\n]*)`")


def lex_gas(data: bytes) -> bytes:
    """The directives of assembly that is not preprocessed; a name that a macro parameter gives is unresolved."""
    found: list[bytes] = []
    if b".inc" in data.lower():
        for directive in assembler(data):
            found.append(Form.UNRESOLVED + directive[1:] if directive.startswith(Form.OPAQUE) else directive)
        found += [Form.UNRESOLVED + rest for rest in _GAS_COMPUTED.findall(data)]
    return encode(found)


def lex_nasm(data: bytes) -> bytes:
    """The directives of a NASM or YASM source; a name that is no string is unresolved."""
    data = spliced(data)
    lower = data.lower()
    found: list[bytes] = []
    if b"%" in data:
        for word, rest in _NASM_DIRECTIVE.findall(data):
            kind = word.lower()
            if kind == b"pathsearch":
                rest = b"".join(rest.split(None, 1)[1:])
            found += _operand(rest, Form.NASM if kind == b"include" else Form.NASM_READ)
    if b"incbin" in lower:
        for before, rest in _NASM_INCBIN.findall(data):
            if not before.lstrip().startswith(b"%define"):
                found += _operand(rest, Form.NASM_READ)
    return encode(found)


def _operand(rest: bytes, form: bytes) -> Iterator[bytes]:
    rest = rest.strip()
    string = _NASM_STRING.match(rest)
    if string is not None:
        yield form + (string[1] or string[2] or string[3] or b"")
    elif rest and not rest.startswith(b";"):
        yield Form.UNRESOLVED + rest
