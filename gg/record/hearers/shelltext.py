"""The commands in a shell's text whose failure sends it another way: `gcc … || gcc …`, `if gcc …; then`, `! gcc …`.

One that only passes the failure on (`|| exit 1`, `|| { echo no; exit 1; }`, `else … exit 1; fi`) is none: the whole fails, at
once or when it is forced. This is no shell. What it does not understand it takes for a command that is tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from gg.light.regex import regex
from gg.light.slotted import field, slotted

ANY = b"\0"
"""Stands in a word for what the shell puts there."""

Command = tuple[bytes, ...]

_DEEP = 100  # lists within lists
_MOST = 1 << 20  # bytes of a text that is read
_TESTS = (b"||", b"if", b"!", b"while", b"until")
_TOKEN = regex(
    rb"""[ \t]+|\\\n|(?P<comment>(?<![^\s;&|(){}])\#[^\n]*)|(?P<here><<-?[ \t]*\\?(?P<quote>['"]?)(?P<mark>\w+)(?P=quote))"""
    rb"""|(?P<redirect>[0-9]*(?:>>|>&|<&|>\||[<>])[ \t]*)|(?P<op>&&|\|\||;;|[;&|()\n])|(?P<word>"""
    rb"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]{0,256}\}|[^\s;&|()<>"'`\\])+)|(?P<odd>.)""",
    16,  # re.DOTALL
)
_EXPANSION = regex(rb"`[^`]*`|\$\((?:[^()]|\([^()]*\))*\)|\$\{[^}]{0,256}\}|\$(?:\w+|[@*#?$!-])|[*?\[]", 16)
_QUOTED = regex(rb"'([^']*)'|\"|\\(.)", 16)
_ASSIGNMENT = regex(rb"\w+=")
_PASSES_ON = (
    b"exit",
    b"return",
    b"false",
    b"die",
    b"fail",
    b"error",
    b"fatal",
    b"abort",
    b"err",
    b"bail",
    b"kill",
    b"break",
)
_REMEMBERS = (b"eval",)
_FAILURE = regex(rb"(?:fail\w*|status|rc|ret\w*|err\w*|exit\w*|res|result|st|stat)=", 2)  # re.IGNORECASE
_DESCENDS = (b"cd", b"make", b"gmake", b"test", b"[", b"echo", b":", b"true", b"set")
"""What a makefile does for each of its directories: `(cd $d && make) || eval $failcom`, `|| fail=yes`, `|| case … esac`
remember a failure, or end by it. That is how automake goes down, and nobody does another thing instead.
"""
_BEFORE = (b"exec", b"command", b"time", b"env", b"nice", b"ccache", b"distcc")
_WORDS = (b"then", b"do", b"{", b"else")


@slotted(frozen=False)
class _Group:
    """A list that is being read: in braces, parentheses, an `if`, or at the top."""

    opener: bytes = b""
    commands: list[Command] = field(default_factory=list)  # of the list at hand, up to the last `;`
    every: list[Command] = field(default_factory=list)
    tested: list[Command] = field(default_factory=list)  # by the `if`
    condition: bool = False
    otherwise: bool = False  # in the `else` of the `if`
    before: list[Command] = field(default_factory=list)  # those before the `||` that it stands after
    last: bytes = b""


class _Unclear(Exception):
    """More lists within lists than anybody writes."""


class _Reader:
    def __init__(self) -> None:
        self.found: list[Command] = []
        self.functions: set[bytes] = set()
        self._stack = [_Group()]
        self._words: list[bytes] = []
        self._pending: list[Command] = []  # before a `||` whose right side comes now
        self._negated = False
        self._cases = 0  # that are open
        self._pattern = False  # what comes is a pattern of a `case`
        self._subject = False  # or what a `case` is about

    def read(self, text: bytes) -> None:
        for kind, token in _tokens(text):
            if kind == "op":
                self._operator(token)
            else:
                self._word(token)
        self._operator(b"\n")
        while len(self._stack) > 1:
            self._close()

    def _word(self, word: bytes) -> None:
        if self._pattern or self._subject:
            self._case_word(word)
        elif self._words:
            self._words.append(word)
        elif word == b"case":
            if not _descend(self._pending):
                self.found += self._pending
            self._pending, self._subject = [], True
        elif word == b"esac" and self._cases:
            self._cases -= 1
        elif word == b"!":
            self._negated = True
        elif word in (b"if", b"while", b"until", b"{"):
            self._open(word)
        elif word in (b"fi", b"}"):
            self._close()
        elif word == b"elif":
            self._stack[-1].condition = True
        elif word in _WORDS or word == b"done":
            self._stack[-1].otherwise = word == b"else"
            if self._stack[-1].opener in (b"while", b"until") and word == b"do":
                self.found += self._stack[-1].tested
                self._stack.pop()
            else:
                self._stack[-1].condition = False
        elif _ASSIGNMENT.match(word):
            if self._pending and _FAILURE.match(word) and _descend(self._pending):
                self._pending = []
        elif word not in _BEFORE:
            self._words.append(word)

    def _case_word(self, word: bytes) -> None:
        if self._subject and word == b"in":
            self._subject, self._pattern = False, True
            self._cases += 1
        elif self._pattern and word == b"esac":
            self._pattern = False
            self._cases -= 1

    def _operator(self, op: bytes) -> None:
        if self._pattern or self._subject:
            self._pattern = self._pattern and op != b")"
            return
        if op == b"(":
            if self._words:
                self.functions.update(self._words)
                self._words = []
            else:
                self._open(op)
            return
        self._end_command()
        self._pattern = op == b";;" and self._cases > 0
        top = self._stack[-1]
        if op == b")":
            if top.opener == b"(":
                self._close()
        elif op == b"||":
            self._pending, top.commands = [*self._pending, *top.commands], []
        elif op not in (b"&&", b"|"):
            top.commands = []
            self.found += self._pending
            self._pending = []

    def _end_command(self) -> None:
        if not self._words:
            return
        command, self._words = tuple(self._words), []
        top = self._stack[-1]
        top.last = command[0]
        if self._pending:
            remembered = command[0] in _REMEMBERS and _descend(self._pending)
            if command[0] not in _PASSES_ON and not remembered:
                self.found += self._pending
            self._pending = []
        top.commands.append(command)
        top.every.append(command)
        if self._negated:
            self.found.append(command)
        if top.condition:
            top.tested.append(command)
        self._negated = False

    def _open(self, opener: bytes) -> None:
        if len(self._stack) > _DEEP:
            raise _Unclear
        condition = opener in (b"if", b"while", b"until")
        self._stack.append(_Group(opener, condition=condition, before=self._pending))
        self._pending = []

    def _close(self) -> None:
        self._end_command()
        if len(self._stack) == 1:
            return
        self.found += self._pending
        self._pending = []
        group = self._stack.pop()
        passed_on = group.last in _PASSES_ON
        if not (group.otherwise and passed_on):
            self.found += group.tested
        if not passed_on:
            self.found += group.before
        top = self._stack[-1]
        top.commands += group.every
        top.every += group.every
        top.last = group.last
        if top.condition:
            top.tested += group.every


def _descend(commands: Sequence[Command]) -> bool:
    """Whether all that these do is to have make build other directories."""
    return all(os.path.basename(command[0]) in _DESCENDS for command in commands)


def _tokens(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Operators and words, what is quoted or put in by the shell resolved; redirections and comments left out."""
    at, marks, redirected = 0, [], False
    while match := _TOKEN.match(text, at):
        at, kind = match.end(), match.lastgroup or ""
        if match["here"] is not None:
            marks.append(match["mark"])
        elif match["redirect"] is not None:
            redirected = True
        elif match["op"] is not None:
            if match["op"] == b"\n":
                for mark in marks:
                    at = _after_here(text, at, mark)
                marks = []
            yield "op", match["op"]
        elif match["word"] is not None or kind == "odd":
            word = match["word"] or match["odd"]
            if not redirected:
                yield "word", _resolved(word)
            redirected = False


def _after_here(text: bytes, at: int, mark: bytes) -> int:
    """The end of the line that ends the document which begins at `at`."""
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].lstrip(b"\t") == mark:
            return end
        at = end + 1
    return len(text)


def _resolved(word: bytes) -> bytes:
    word = _EXPANSION.sub(ANY, word)
    return _QUOTED.sub(lambda m: m[1] if m[1] is not None else (m[2] or b""), word)


def tested(text: bytes) -> list[Command]:
    """The tested commands of a shell's text, each as its words."""
    if not any(word in text for word in _TESTS):
        return []
    reader = _Reader()
    try:
        reader.read(text[:_MOST])
    except _Unclear:
        return [(ANY,)]
    if len(text) > _MOST:
        return [(ANY,)]
    return [(ANY,) if command[0] in reader.functions or command[0] == b"eval" else command for command in reader.found]


def may_be(command: Command, argv: Sequence[bytes]) -> bool:
    """Whether a call may be this command, as far as its words tell."""
    if ANY not in command[0] and os.path.basename(command[0]) != os.path.basename(argv[0]):
        return False
    return all(ANY in word or word in argv for word in command[1:])
