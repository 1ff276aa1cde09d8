"""The recipe lines of makefiles whose failure make ignores: those that begin with `-`, and all of them after `.IGNORE:`.

This is no make. A variable whose value cannot be seen in the text may be anything.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.models.tool_names import tool_name

_DEFAULT = (b"GNUmakefile", b"makefile", b"Makefile")
_NAMES = {b"CC": b"cc", b"CXX": b"c++", b"CPP": b"cc -E", b"AS": b"as", b"AR": b"ar", b"LD": b"ld", b"RM": b"rm -f"}
_NAMES |= {b"MAKE": b"make", b"SHELL": b"/bin/sh"}
_JOINED = regex(rb"\\\n[ \t]*")
_ASSIGNMENT = regex(rb"^[ ]*(?:export |override )*([\w.-]+)[ \t]*(?::{0,3}|\?|\+)=[ \t]*([^\n]*)", 8)  # re.MULTILINE
_IGNORED = regex(rb"(?:^\t[ \t]*|^[^\t#\n][^\n=:]*+:[^\n=;]*+;[ \t]*)[@+]*-[@+-]*[ \t]*([^\n]+)", 8)
_EVERY = regex(rb"^\.IGNORE[ \t]*:", 8)
_INCLUDE = regex(rb"^[ ]*[-s]?include[ \t]+([^\n#]+)", 8)
_VARIABLE = regex(rb"\$(?:\(([^()$]+)\)|\{([^{}$]+)\}|\((?:[^()]++|\((?:[^()]++|\([^()]*+\))*+\))*+\)|(.))")
_MOST = 200  # files that one makefile includes
_DEEP = 4  # variables within variables
_LONGEST = 1 << 14  # bytes of a line whose variables are put in: a longer one may be anything
_ANY = b"\0"


@slotted()
class Text:
    """What matters of one file."""

    ignored: tuple[bytes, ...] = ()
    every: bool = False
    names: Mapping[bytes, bytes] = field(default_factory=dict)
    included: tuple[bytes, ...] = ()


def read(path: bytes) -> Text:
    """OSError."""
    with open(path, "rb") as file:
        text = _JOINED.sub(b" ", file.read())
    included = [word for words in _INCLUDE.findall(text) for word in words.split()] if b"include" in text else []
    ignored = tuple(_IGNORED.findall(text))
    return Text(ignored, bool(_EVERY.search(text)), dict(_ASSIGNMENT.findall(text)), tuple(included))


class Makefiles:
    """What is ignored in the makefiles of a directory; each file is read once while it stays as it is."""

    def __init__(self) -> None:
        self._texts: dict[bytes, tuple[tuple[int, int], Text]] = {}

    def ignored(self, words: Sequence[bytes], directory: bytes) -> list[bytes]:
        """Regular expressions of the ignored commands of `make`, started with these words in `directory`."""
        texts = self._all(words, directory)
        names = {**_NAMES, **{name: value for text in texts for name, value in text.names.items()}}
        lines = dict.fromkeys(line for text in texts for line in text.ignored)
        found = [_pattern(_expanded(line, names)) for line in lines if _may_call_a_tool(_expanded(line, names))]
        return [b".*"] if any(text.every for text in texts) else found

    def _all(self, words: Sequence[bytes], directory: bytes) -> list[Text]:
        wanted = list(_named(words)) or [name for name in _DEFAULT if os.path.exists(os.path.join(directory, name))][:1]
        texts: dict[bytes, Text] = {}
        while wanted and len(texts) < _MOST:
            path = os.path.join(directory, wanted.pop())
            if path in texts or path.endswith((b".Po", b".Plo", b".Tpo", b".d")):
                continue
            with suppress(OSError):
                text = texts[path] = self._text(path)
                for name in text.included:
                    full = _expanded(name, {**_NAMES, **text.names})
                    wanted += glob.glob(os.path.join(directory, full)) if _ANY not in full else ()
        return list(texts.values())

    def _text(self, path: bytes) -> Text:
        info = os.stat(path)
        stamp = info.st_mtime_ns, info.st_size
        known = self._texts.get(path)
        if known is None or known[0] != stamp:
            known = self._texts[path] = stamp, read(path)
        return known[1]


def _named(words: Sequence[bytes]) -> Iterator[bytes]:
    """The files that the command line names."""
    rest = iter(words[1:])
    for word in rest:
        if word in (b"-f", b"--file", b"--makefile"):
            yield next(rest, b"")
        elif word.startswith((b"--file=", b"--makefile=")):
            yield word.partition(b"=")[2]
        elif word.startswith(b"-f"):
            yield word[2:]


def _expanded(text: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """With the variables that are seen put in, and `_ANY` for the others."""
    for _ in range(_DEEP):
        if b"$" not in text:
            break
        if text.count(b"$") > _MOST or len(text) > _LONGEST:
            return _ANY
        text = _VARIABLE.sub(lambda m: _value(m[1] or m[2] or b"", m[3] or b"", names), text)
    return _VARIABLE.sub(_ANY, text).replace(b"\1", b"$")


def _value(name: bytes, sign: bytes, names: Mapping[bytes, bytes]) -> bytes:
    if sign == b"$":
        return b"\1"
    value = names.get(name, _ANY) if name else _ANY
    return value if len(value) <= _LONGEST else _ANY


def _may_call_a_tool(line: bytes) -> bool:
    words = line.split()
    if not words or words[0].startswith(_ANY):
        return bool(words)
    names = [os.path.basename(word.strip(b"\"'();&|")) for word in words]
    return any(name in (b"make", b"gmake") or tool_name(name) for name in names) or b"\1" in line


def _pattern(line: bytes) -> bytes:
    """Of the command as make gives it to a shell, or its words with a blank between; quotes may be gone."""
    import re

    pieces = [
        rb"\s+".join(re.escape(word) for word in _QUOTES.sub(b"", piece).split(b" ")) for piece in line.split(_ANY)
    ]
    first, *others = pieces
    if others:  # each is taken where it comes first, so that time grows with the text alone
        *between, last = others
        first += b"".join(b"(?>.*?" + piece + b")" for piece in between if piece) + b".*" + last
    return first.replace(rb"\s+\s+", rb"\s+").strip()


_QUOTES = regex(rb"[\"'\\]")
