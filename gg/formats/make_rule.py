"""The make rule that a compiler prints, read back."""

from __future__ import annotations

import re

from gg.light.regex import regex

_NAME = regex(rb"(?:\\[ \t#:]|\$\$|[^\s\\]|\\(?!\n))+")
_ESCAPE = regex(rb"\\([ \t#:])|\$(\$)")


def prerequisites(rule: bytes) -> tuple[bytes, ...]:
    """The prerequisites of all rules in `rule`, each once, in order; quoting undone as make does."""
    text = rule.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    names: dict[bytes, None] = {}
    for line in text.splitlines():
        targets = re.match(rb"(?:\\.|[^\\])*?:(?=\s|$)", line)
        if targets is not None:
            for name in _NAME.findall(line[targets.end() :]):
                names[_ESCAPE.sub(lambda m: m[1] or m[2], name)] = None
    return tuple(names)
