"""What a shell's text does about the failure of its commands: which send it another way (`gcc … || gcc …`, `if gcc …; then`,
`! gcc …`, `gcc …; test $? = 0`), and whose failure it drops, for another command follows and nothing is said of it.

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
_CHAINED = 200  # commands, each on the other's status
_MOST = 1 << 20  # bytes of a text that is read
_SEPARATES = (b";", b"|", b"!", b"\n")
_MAY_MATTER = (b"&", b"if", b"while", b"until")
_MATTERS = regex(rb"(?<!>)&(?!>)|\b(?:if|while|until)\b")
_TEXT = (b"printf", b"echo", b"sed", b"test", b"[", b":", b"true", b"false", b"shift")
_CONDITIONS = (b"if", b"while", b"until")
_STATUS = regex(rb"\$(?:\?|\{\?\}|\{?PIPESTATUS\b)")
_PIPES = (b"pipefail", b"PIPESTATUS")
_WAITS = regex(rb"\bwait[ \t]+[\"']?[$%\d]")
_ERREXIT = regex(rb"-[a-zA-Z]*e")
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
_WORDS = (b"then", b"{", b"else")


@slotted(frozen=False)
class _Group:
    """A list that is being read: in braces, parentheses, an `if`, or at the top."""

    opener: bytes = b""
    commands: list[Command] = field(default_factory=list)  # of the list at hand, up to the last `;`
    every: list[Command] = field(default_factory=list)
    tested: list[Command] = field(default_factory=list)  # by the `if`
    condition: bool = False
    otherwise: bool = False  # in the `else` of the `if`
    tail: list[Command] = field(default_factory=list)  # of the list before, dropped if anything follows
    ends: list[Command] = field(default_factory=list)  # of branches: each may be the last
    function: bool = False
    before: list[Command] = field(default_factory=list)  # those before the `||` that it stands after
    last: bytes = b""


class _Unclear(Exception):
    """More lists within lists than anybody writes."""


class _Reader:
    """`ends`: the shell ends at the first failure (-e)."""

    def __init__(self, ends: bool) -> None:
        self.found: list[Command] = []
        self.dropped: list[Command] = []
        self._text = b""
        self._kept: list[Command] = []  # their status is kept in a variable, and passed on
        self._previous: list[Command] = []  # whose status `$?` is
        self._chained = False  # by `&&`: the next command's status is that of all
        self._declares = False  # a function's body comes
        self._ends_on_failure = ends
        self._every: list[Command] = []
        self.functions: set[bytes] = set()
        self.calls_tools = False  # some function of the text does more than text
        self._stack = [_Group()]
        self._words: list[bytes] = []
        self._pending: list[Command] = []  # before a `||` whose right side comes now
        self._negated = False
        self._cases = 0  # that are open
        self._pattern = False  # what comes is a pattern of a `case`
        self._subject = False  # or what a `case` is about

    def read(self, text: bytes) -> None:
        self._text = text
        for kind, token in _tokens(text):
            if kind == "op":
                self._operator(token)
            else:
                if _STATUS.search(token):
                    self._status(token)
                self._word(_resolved(token))
        self._operator(b"\n")
        while len(self._stack) > 1:
            self._close()

    def split(self) -> tuple[list[Command], list[Command]]:
        """The commands whose status is dropped, and all others. One text may have the same words twice."""
        if self._ends_on_failure:
            return [], []
        dropped = _ids(self.dropped) - _ids(self._kept)
        sides: tuple[list[Command], list[Command]] = [], []
        for each in self._every:
            sides[id(each) not in dropped].append(each)
        return sides

    def _status(self, word: bytes) -> None:
        """A word that says `$?`. What only ends by it passes the failure on."""
        if self._pending and _FAILURE.match(word) and _descend(self._pending):
            return
        name = word.partition(b"=")[0] if _ASSIGNMENT.match(word) and not self._words else b""
        ends = bool(self._words) and self._words[0] in (b"exit", b"return")
        if ends or (name and _only_ends(name, self._text)):
            self._kept += self._previous
        else:
            self.found += self._previous

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
        elif word in _CONDITIONS or word == b"{":
            self._open(word)
        elif word in (b"fi", b"}"):
            self._close()
        elif word == b"elif":
            self._stack[-1].condition = True
        elif word == b"do":
            if self._stack[-1].opener in (b"while", b"until"):
                self.found += self._stack[-1].tested
                self._stack.pop()
            self._stack[-1].tail = []
            self._open(word)
        elif word == b"done":
            self._close()
        elif word in _WORDS:
            top = self._stack[-1]
            top.otherwise, top.condition = word == b"else", False
            top.ends += top.tail if word == b"else" else ()
            top.tail = []
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
                self._words, self._declares = [], True
            else:
                self._open(op)
            return
        self._end_command()
        self._pattern = op == b";;" and self._cases > 0
        top = self._stack[-1]
        self._chained = op in (b"&&", b"||")
        if op in (b";", b"\n", b"&", b";;") and top.commands:
            top.tail = list(top.commands)
            if op == b"&" and _WAITS.search(self._text):
                self._kept += top.tail
            if op == b";;":
                top.ends, top.tail = [*top.ends, *top.tail], []
        if op == b"|":
            if any(word in self._text for word in _PIPES):
                self._chained = True
            else:
                self.dropped += self._previous
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
        if len(self._pending) + len(self._previous) > _CHAINED:
            raise _Unclear
        if not self._words:
            return
        command, self._words = tuple(self._words), []
        top = self._stack[-1]
        top.last = command[0]
        self._every.append(command)
        self._follow(command)
        if self._pending:
            remembered = command[0] in _REMEMBERS and _descend(self._pending)
            if command[0] not in _PASSES_ON and not remembered:
                self.found += self._pending
            self._kept += self._pending
            self._pending = []
        top.commands.append(command)
        top.every.append(command)
        if self._negated:
            self.found.append(command)
        if top.condition:
            top.tested.append(command)
        self._negated = False

    def _follow(self, command: Command) -> None:
        """A command comes after what was read of its list: that is dropped, unless this one only ends the shell by its status."""
        top = self._stack[-1]
        if command[0] in (b"exit", b"return") and (len(command) == 1 or command[1:] == (ANY,)):
            top.ends += top.tail
        else:
            self.dropped += top.tail
        top.tail = []
        if command[0] == b"set" and any(word == b"errexit" or _ERREXIT.match(word) for word in command[1:]):
            self._ends_on_failure = True
        if command[0] not in (b"exit", b"return"):
            self._previous = [*(self._previous if self._chained else ()), command]
            self._chained = False

    def _open(self, opener: bytes) -> None:
        if len(self._stack) > _DEEP:
            raise _Unclear
        top = self._stack[-1]
        self.dropped, top.tail = [*self.dropped, *top.tail], []
        self._stack.append(
            _Group(opener, condition=opener in _CONDITIONS, before=self._pending, function=self._declares)
        )
        self._pending, self._declares = [], False

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
        self._kept += [*group.tested, *group.before]
        top = self._stack[-1]
        ends = [*group.ends, *group.tail, *group.commands]
        if group.function:
            self.calls_tools = self.calls_tools or any(each[0] not in _TEXT for each in group.every)
            return
        top.commands += group.every
        top.every += group.every
        self._previous = [*(self._previous if self._chained else ()), *ends]
        self._chained = False
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
                yield "word", word
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


def _ids(commands: Sequence[Command]) -> set[int]:
    return {id(command) for command in commands}


def _only_ends(name: bytes, text: bytes) -> bool:
    """Whether all that is done with a variable is to end the shell, or a function of it, with it."""
    uses = regex(rb"\$\{?" + name + rb"\b").findall(text)
    ends = regex(rb"\b(?:exit|return)[ \t]+\"?\$\{?" + name + rb"\b").findall(text)
    return len(uses) == len(ends) > 0


@slotted()
class Text:
    """What a text does: the commands that it tests, and those whose status it drops."""

    tested: list[Command] = field(default_factory=list)
    dropped: list[Command] = field(default_factory=list)
    heeded: list[Command] = field(default_factory=list)  # all others, where some are dropped

    def tests(self, argv: Sequence[bytes]) -> bool:
        return any(may_be(command, argv) for command in self.tested)

    def drops(self, argv: Sequence[bytes]) -> bool:
        """Whether the status of this call is sure to be dropped."""
        dropped = any(may_be(command, argv) for command in self.dropped)
        return dropped and not any(may_be(command, argv) for command in self.heeded)


def read(text: bytes, *, ends: bool = False) -> Text:
    """`ends`: the shell that runs it ends at the first failure (-e)."""
    if not _has_choices(text):
        return Text()
    reader = _Reader(ends)
    try:
        reader.read(text[:_MOST])
    except _Unclear:
        return Text([(ANY,)])
    if len(text) > _MOST:
        return Text([(ANY,)])
    functions = reader.functions if reader.calls_tools else ()
    found = [(ANY,) if command[0] in functions or command[0] == b"eval" else command for command in reader.found]
    dropped, others = reader.split()
    return Text(found, dropped, others if dropped else [])


def _has_choices(text: bytes) -> bool:
    """Whether anything may be tested or dropped in it: not in one command, nor in a chain of `&&`, as most recipes are."""
    text = text.strip().replace(b"\\\n", b" ").replace(b"&&", b" ")
    if any(word in text for word in _SEPARATES):
        return True
    return any(word in text for word in _MAY_MATTER) and _MATTERS.search(text) is not None


def may_be(command: Command, argv: Sequence[bytes]) -> bool:
    """Whether a call may be this command, as far as its words tell."""
    if ANY not in command[0] and os.path.basename(command[0]) != os.path.basename(argv[0]):
        return False
    return all(ANY in word or word in argv for word in command[1:])
