"""Which header a macro can stand for, in `#include MACRO`.

The answer is a superset too: every definition of the macro that any file of the unit makes, or -D, in any branch.
A macro that nothing defines cannot be expanded to a header's name: the directive is in a false branch, or the
compiler refuses it, so it counts as resolved to nothing. What cannot be told without a preprocessor (a body that
pastes, stringises or calls) makes the unit *unresolved*.

The definitions of one file are kept as text, one a line: "\\nNAME kind body", where kind is `s` (one string or one
<name>), `i` (one identifier), `f` (takes arguments) or `x` (anything else that could become a name).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from gg.light.regex import regex
from gg.light.slotted import slotted
from gg.models.includes.lex import spliced, without_comments

_WS = rb"[ \t\f\v\r]"
_WORD = rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*"
_DEFINE = regex(
    rb"^" + _WS + rb"*(?:#|%:)" + _WS + rb"*define" + _WS + rb"+(" + _WORD + rb")(\(?)([^\n]*)", re.MULTILINE
)
_STRING = regex(rb"\"[^\"]*\"|<[^>]*>")
_IDENTIFIER = regex(_WORD)
_MOST = 200  # macros that one can stand for: each is looked for in the text of all files
# Object-like macros that GNU compilers predefine and whose names stand in header names.
_PREDEFINED = frozenset((b"linux", b"unix", b"i386"))


def definitions(data: bytes) -> bytes:
    """The kept text of the definitions in a C source."""
    found = _DEFINE.findall(without_comments(spliced(data)))
    lines = dict.fromkeys(_line(name, bool(call), body.strip()) for name, call, body in found)
    return b"".join(lines)


def of_command_line(defines: Sequence[bytes]) -> bytes:
    """The kept text of the operands of -D ("NAME", "NAME=body", "F(x)=body")."""
    lines = []
    for define in defines:
        name, _, body = define.partition(b"=")
        lines.append(_line(name.partition(b"(")[0], b"(" in name, body.strip()))
    return b"".join(lines)


def _line(name: bytes, call: bool, body: bytes) -> bytes:
    if call:
        return b"\n" + name + b" f"
    if not body or body[:1].isdigit():
        return b""
    if _STRING.fullmatch(body):
        return b"\n" + name + b" s" + body
    if _IDENTIFIER.fullmatch(body):
        return b"\n" + name + b" i" + body
    return b"\n" + name + b" x"


def lookup(text: bytes, name: bytes) -> frozenset[bytes]:
    """The bodies that `text` defines for `name`, each with its kind's letter in front."""
    needle = b"\n" + name + b" "
    if needle not in text:
        return frozenset()
    return frozenset(part.partition(b"\n")[0] for part in text.split(needle)[1:])


@slotted()
class Expansion:
    """What one macro can stand for: header names with their delimiters. `sure`: there is nothing else."""

    names: tuple[bytes, ...]
    sure: bool


def expand(name: bytes, bodies: Callable[[bytes], frozenset[bytes]], call: bool = False) -> Expansion:
    """What `name` can stand for; `call`: arguments follow it. `bodies` gives what a unit's `lookup`s find together."""
    names: list[bytes] = []
    sure = True
    seen = {name}
    todo = [name]
    while todo:
        for body in sorted(bodies(todo.pop())):
            kind, rest = body[:1], body[1:]
            if call or kind == b"x":
                sure = False
            elif kind == b"s":
                names.append(rest)
                sure = sure and not _expands(rest, bodies)
            elif kind == b"i" and len(seen) > _MOST:
                return Expansion((), False)
            elif kind == b"i" and rest not in seen:
                seen.add(rest)
                todo.append(rest)
    return Expansion(tuple(names), sure)


def _expands(name: bytes, bodies: Callable[[bytes], frozenset[bytes]]) -> bool:
    """A <name> in a macro's body is itself expanded: true if a word of it is a macro."""
    if not name.startswith(b"<"):
        return False
    return any(word in _PREDEFINED or bodies(word) for word in _IDENTIFIER.findall(name))
