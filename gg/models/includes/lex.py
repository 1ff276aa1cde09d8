"""What a C source names: a file's text becomes the short list of names it may read, whatever its `#if`s say.

The forms of a directive are those of `gg.models.includes.directives`.

The list is a superset: a directive in a comment or a string is listed too, which costs nothing unless the file
exists. Only a name that must be computed is looked at twice, with comments and strings taken out, since an
unresolved one makes the whole unit costly. Line continuations are joined first, as in translation phase 2;
trigraphs are not honoured. Directives in the text of a kept result are joined by newlines, which no name contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gg.light.regex import regex
from gg.models.includes.directives import Form

_BLANK = rb"[ \t\f\v\r\0]"
# Only what is one character wide is repeated by `*+`: of more, Python before 3.11.5 matches that wrongly (its issue 106052).
_COMMENT_START = rb"/\*[^*]*+(?:\*++[^*/][^*]*+)*"
_COMMENT = _COMMENT_START + rb"\*++/"
_WS = rb"(?>(?:" + _BLANK + rb"++|" + _COMMENT + rb")*)"
_IDENT = rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*"
_NAMED = rb"\"([^\"\n]{0,1024})\"|<([^>\n]{0,1024})>"  # longer ones nobody writes; the path map would tell
_OPERAND = rb"(?:" + _NAMED + rb"|([^\s\0]))"
# Each begins with a literal, for which the matcher falls back on memchr; most of the text is never looked at.
_WORD = rb"(include_next|include|import|embed)(?![\w$])" + _WS + _OPERAND
_HASH = regex(rb"#" + _WS + _WORD, re.DOTALL)
_DIGRAPH = regex(rb"%:" + _WS + _WORD, re.DOTALL)
_DIRECTIVE_LINE = regex(rb"#[^\n]*")
_DIGRAPH_LINE = regex(rb"%:[^\n]*")
_HAS = regex(
    rb"__has_(include_next|include|embed)(?:__)?" + _WS + rb"\(" + _WS + rb"(?:" + _NAMED + rb"|(" + _IDENT + rb"))",
    re.DOTALL,
)
_DEPENDENCY = regex(rb"GCC" + _WS + rb"dependency" + _WS + rb"(?:" + _NAMED + rb")", re.DOTALL)
_ASSEMBLER = regex(rb"\.inc(bin|lude)(?:[ \t]|\\t)*\\?\"([^\"\n]*)", re.IGNORECASE)
_COMPUTED_BYTES = regex(rb"\.incbin(?>(?:[ \t]|\\t)+)(?=[\w%$&(]|\\(?!\"))", re.IGNORECASE)
_BETWEEN_LITERALS = regex(rb"(?<!\\)\"\s*+\"")
_SPLICE = regex(rb"\\[ \t\f\v\r]*\n")
_DATE = regex(rb"DATE__")
_TIME = regex(rb"TIME(?:STAMP)?__")
_HAZARD = regex(rb"\b__(?:(D)ATE|(T)IME|TIME(S)TAMP)__(?![\w$])")
_CONDITION = regex(rb"^" + _BLANK + rb"*(?:#|%:)" + _BLANK + rb"*(?:el)?if[^\n]*", re.MULTILINE)
_ASKED_CLOCK = regex(
    rb"(?<![\w$])(?:defined" + _BLANK + rb"*\(?|(?:el)?ifn?def)" + _BLANK + rb"*__(?:DATE|TIME|TIMESTAMP)__(?![\w$])"
)
_COMPUTED = regex(
    rb"^"
    + _BLANK
    + rb"*(?:#|%:)"
    + _BLANK
    + rb"*(include_next|include|import|embed)(?![\w$])"
    + _BLANK
    + rb"*([^\n]*)",
    re.MULTILINE,
)
# Comments, literals, and numbers (whose digit separators are no quotes). Literals end with their line.
_LITERAL = rb"(?<!\\)\"(?:[^\"\\\n]++|\\.)*\"|(?<!\\)'(?:[^'\\\n]++|\\.)*'|\b[0-9][\w.']*+"
_NOISE = regex(
    rb"(?P<comment>" + _COMMENT + rb"|//[^\n]*)"
    rb"|\bR\"(?P<raw>[^()\\\s]{0,16})\(.*?\)(?P=raw)\"|" + _LITERAL,
    re.DOTALL,
)
# Each opening of a comment or literal that never ends costs a search to the end of the text. A text with many is read so.
_OFTEN = 256
_NOISE_WITHOUT_END = regex(rb"(?P<comment>" + _COMMENT_START + rb"(?:\*++/?)?|//[^\n]*)|" + _LITERAL, re.DOTALL)
_LATE = regex(rb"(?:#|%:|\(|include|include_next|import|embed|GCC|dependency)" + _BLANK + rb"*+/\*")
_QUOTED = {
    b"include": Form.QUOTED,
    b"import": Form.QUOTED,
    b"include_next": Form.NEXT_QUOTED,
    b"embed": Form.EMBEDDED_QUOTED,
}
_ANGLED = {
    b"include": Form.BRACKETED,
    b"import": Form.BRACKETED,
    b"include_next": Form.NEXT_BRACKETED,
    b"embed": Form.EMBEDDED_BRACKETED,
}
_HAS_QUOTED = {
    b"include": Form.ASKED_QUOTED,
    b"include_next": Form.ASKED_NEXT_QUOTED,
    b"embed": Form.ASKED_QUOTED,
}
_HAS_ANGLED = {
    b"include": Form.ASKED_BRACKETED,
    b"include_next": Form.ASKED_NEXT_BRACKETED,
    b"embed": Form.ASKED_BRACKETED,
}


def spliced(data: bytes) -> bytes:
    """`data` with each backslash that ends a line (blanks after it allowed) and that line's end taken out."""
    return _SPLICE.sub(b"", data)


def _bare(match: re.Match[bytes]) -> bytes:
    text = match[0]
    if match.lastgroup == "comment":
        return b" "
    return b'""' if text.endswith(b'"') else b"''" if text.endswith(b"'") else b"0"


def bare(data: bytes) -> bytes:
    """`data`, already spliced, without comments and with the content of each literal taken out."""
    return _noise(data).sub(_bare, data)


def without_comments(data: bytes) -> bytes:
    """`data`, already spliced, with each comment a blank; literals stay."""
    return _noise(data).sub(lambda m: b" " if m.lastgroup == "comment" else m[0], data)


def _noise(data: bytes) -> re.Pattern[bytes]:
    ended = data.rfind(b"*/") + 1
    return _NOISE if data.count(b"/*", ended) + data.count(b'R"') < _OFTEN else _NOISE_WITHOUT_END


def encode(directives: Iterable[bytes]) -> bytes:
    """The kept form of a list of directives: each once, in order, without those whose name no file can have."""
    return b"\n".join(dict.fromkeys(d for d in directives if b"\n" not in d and b"\0" not in d))


def lex_c(data: bytes) -> bytes:
    """The directives of a C, C++ or Objective-C source, or of assembly that is preprocessed."""
    return encode(_lex_c(spliced(data)))


def _lex_c(data: bytes) -> Iterator[bytes]:
    computed = False
    if data.count(b"/*") > _OFTEN and len(_LATE.findall(data)) > _OFTEN:
        data = without_comments(data)
    lines = _DIRECTIVE_LINE.findall(data)
    digraphs = _DIGRAPH_LINE.findall(data)
    for pattern in (_HASH, _DIGRAPH) if digraphs else (_HASH,):
        for word, quoted, angled, other in pattern.findall(data):
            if quoted:
                yield _QUOTED[word] + quoted
            elif angled:
                yield _ANGLED[word] + angled
            computed = computed or bool(other)
    text = b"\n".join(lines + digraphs)
    if b"__has_" in text or b"dependency" in text:
        yield from _asked(text)
    stripped = b""
    if computed:
        stripped = bare(data)
        yield from _computed(stripped)
    yield from assembler(data)
    yield from _computed_bytes(data)
    if _DATE.search(data) or _TIME.search(data):
        telling = _CONDITION.sub(lambda m: _ASKED_CLOCK.sub(b"", m[0]), stripped or bare(data))
        letters = {b"".join(found) for found in _HAZARD.findall(telling)}
        if letters:
            yield Form.CLOCKS + b"".join(sorted(letters))


def _asked(lines: bytes) -> Iterator[bytes]:
    """Names in __has_include and its kin, and in `#pragma GCC dependency`: both stand in directives only."""
    for word, quoted, angled, macro in _HAS.findall(lines):
        if quoted:
            yield _HAS_QUOTED[word] + quoted
        elif angled:
            yield _HAS_ANGLED[word] + angled
        elif macro:
            yield Form.ASKED_MACRO + macro
    for quoted, angled in _DEPENDENCY.findall(lines):
        yield Form.ASKED_QUOTED + quoted if quoted else Form.ASKED_BRACKETED + angled


def _computed(stripped: bytes) -> Iterator[bytes]:
    """The includes of `stripped` (without comments and literals' content) whose name is no literal."""
    for word, rest in _COMPUTED.findall(stripped):
        operand = rest.strip(b" \t\f\v\r\0")
        if not operand or operand[:1] in (b'"', b"<"):
            continue
        name = re.match(_IDENT, operand)
        if name is None or (name[0] in (b"L", b"u", b"U", b"u8") and operand[name.end() :][:1] == b'"'):
            continue  # no macro stands here: the compiler refuses it, or a false `#if` hides it
        after = operand[name.end() :].lstrip()
        if not after or (word == b"embed" and not after.startswith(b"(")):
            yield Form.MACRO + name[0]
        else:
            yield Form.MACRO_CALL + name[0] if after.startswith(b"(") else Form.UNRESOLVED + operand


def assembler(data: bytes) -> Iterator[bytes]:
    """Names in .incbin and .include, the quotes escaped (inline assembly in a C string) or not."""
    for found in _ASSEMBLER.finditer(data):
        word, written = found.groups()
        name = written[:-1] if written.endswith(b"\\") else written
        ends = data[found.start(2) - 2 :][:1] != b"\\" and _in_literal(data, found.start())
        if not name or ends or b"\\" in name or b"%" in name:
            yield Form.OPAQUE + name
        else:
            yield (Form.ASSEMBLER_BYTES if word.lower() == b"bin" else Form.ASSEMBLER) + name


def _in_literal(data: bytes, at: int) -> bool:
    """Whether a literal that begins in this line goes on at `at`, so the next quote ends it."""
    line = data[data.rfind(b"\n", 0, at) + 1 : at]
    return (line.count(b'"') - line.count(b'\\"')) % 2 == 1


def preprocessed_assembler(text: bytes) -> tuple[bytes, ...]:
    """The directives of the assembler in what the preprocessor has made of a source, where no name is a macro's any more.

    Neighbouring literals are one.
    """
    joined = _BETWEEN_LITERALS.sub(b"", spliced(text))
    return tuple(dict.fromkeys([*assembler(joined), *_computed_bytes(joined)]))


def _computed_bytes(data: bytes) -> Iterator[bytes]:
    if _COMPUTED_BYTES.search(data):
        yield Form.OPAQUE
