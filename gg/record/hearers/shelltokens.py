"""The words and operators of a shell's text."""

from __future__ import annotations

from collections.abc import Iterator

from gg.light.regex import regex

ANY = b"\0"
"""Stands in a word for what the shell puts there."""

_TOKEN = regex(
    rb"""[ \t]+|\\\n|(?P<comment>(?<![^\s;&|(){}])\#[^\n]*)|(?P<here><<-?[ \t]*\\?(?P<quote>['"]?)(?P<mark>\w+)(?P=quote))"""
    rb"""|(?P<redirect>[0-9]*(?:>>|>&|<&|>\||[<>])[ \t]*)|(?P<op>&&|\|\||;;|[;&|()\n])|(?P<word>"""
    rb"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]{0,256}\}|[^\s;&|()<>"'`\\])+)|(?P<odd>.)""",
    16,  # re.DOTALL
)
_EXPANSION = regex(rb"`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]{0,256}\}|\$(?:\w+|[@*#?$!-])|[*?\[]", 16)
_QUOTED = regex(rb"'([^']*)'|\"|\\(.)", 16)


def tokens(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Operators and words, and as "file" those that output goes to; other redirections and comments left out."""
    at, marks, redirected = 0, [], b""
    while match := _TOKEN.match(text, at):
        at, kind = match.end(), match.lastgroup or ""
        if match["here"] is not None:
            marks.append(match["mark"])
        elif match["redirect"] is not None:
            redirected = match["redirect"].strip()
        elif match["op"] is not None:
            if match["op"] == b"\n":
                for mark in marks:
                    at = _after_here(text, at, mark)
                marks = []
            yield "op", match["op"]
        elif match["word"] is not None or kind == "odd":
            word = match["word"] or match["odd"]
            if not redirected:
                yield "word", word
            elif redirected.endswith((b">", b">|")) and not word.startswith(b"/dev/"):
                yield "file", word
            redirected = b""


def _after_here(text: bytes, at: int, mark: bytes) -> int:
    """The end of the line that ends the document which begins at `at`."""
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].lstrip(b"\t") == mark:
            return end
        at = end + 1
    return len(text)


def resolved(word: bytes) -> bytes:
    word = _EXPANSION.sub(ANY, word)
    return _QUOTED.sub(lambda m: m[1] if m[1] is not None else (m[2] or b""), word)
