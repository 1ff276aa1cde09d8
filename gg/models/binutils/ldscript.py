"""Linker scripts, read for the files that they name: INPUT, GROUP, AS_NEEDED, STARTUP, SEARCH_DIR, INCLUDE, OUTPUT.

The grammar is that of the ld manual, chapter "Linker Scripts", as far as files go; all else is passed over.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gg.formats.archive import ARCH, THIN
from gg.formats.elf_header import MAGIC
from gg.light.regex import regex
from gg.light.slotted import slotted

_TOKEN = regex(rb'/\*[^*]*+(?:\*++[^*/][^*]*+)*(?:\*++/?)?|"([^"]*)"|([^\s"(),;{}]+)|([(){},;])', re.DOTALL)
_GROUPS = frozenset((b"INPUT", b"GROUP", b"AS_NEEDED", b"STARTUP"))
_SINGLE = frozenset((b"SEARCH_DIR", b"OUTPUT"))


@slotted()
class Script:
    """What a script names, in order. `inputs` are as written: paths, `-lname`, perhaps a `=` for the sysroot."""

    inputs: tuple[bytes, ...] = ()
    search_dirs: tuple[bytes, ...] = ()
    includes: tuple[bytes, ...] = ()
    output: bytes = b""


def looks_like_script(data: bytes) -> bool:
    """Whether a linker would read `data` as a script: it has no format's magic and is text."""
    head = data[:512]
    return not head.startswith((MAGIC, ARCH, THIN, b"BC\xc0\xde", b"MZ")) and b"\0" not in head


@lru_cache(maxsize=256)
def read_script(data: bytes) -> Script:
    """The files that the script `data` names."""
    inputs: list[bytes] = []
    dirs: list[bytes] = []
    includes: list[bytes] = []
    output = b""
    tokens = [name or quoted or mark for quoted, name, mark in _TOKEN.findall(data) if name or quoted or mark]
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == b"INCLUDE" and at < len(tokens):
            includes.append(tokens[at])
            at += 1
        elif token in _SINGLE and tokens[at : at + 1] == [b"("] and at + 1 < len(tokens):
            if token == b"OUTPUT":
                output = tokens[at + 1]
            else:
                dirs.append(tokens[at + 1])
            at += 3
        elif token in _GROUPS and tokens[at : at + 1] == [b"("]:
            at = _names(tokens, at + 1, inputs)
    return Script(tuple(inputs), tuple(dirs), tuple(includes), output)


def _names(tokens: list[bytes], at: int, inputs: list[bytes]) -> int:
    """Take the names up to the closing parenthesis, AS_NEEDED ones too; the place after it."""
    depth = 1
    while at < len(tokens) and depth:
        token = tokens[at]
        if token == b"(":
            depth += 1
        elif token == b")":
            depth -= 1
        elif token != b"," and not (token == b"AS_NEEDED" and tokens[at + 1 : at + 2] == [b"("]):
            inputs.append(token)
        at += 1
    return at
