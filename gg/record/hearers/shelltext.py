"""What a shell's text does about the failure of its commands: which send it another way (`gcc … || gcc …`, `if gcc …; then`,
`! gcc …`, `gcc …; test $? = 0`), and whose failure it drops, for another command follows and nothing is said of it.

One that only passes the failure on (`|| exit 1`, `|| { echo no; exit 1; }`, `else … exit 1; fi`) is none: the whole fails, at
once or when it is forced. This is no shell. What it does not understand it takes for a command that is tested.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.record.hearers.shellcommands import (
    ShellWords,
    asked_for,
    descend,
    files,
    fits,
    is_a_step,
    is_known,
    only_ends,
)
from gg.record.hearers.shelleffects import NOTHING, Effects, builds
from gg.record.hearers.shelltokens import ANY, resolved, tokens

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
_REDIRECTION = (b":",)
_BEFORE = (b"exec", b"command", b"time", b"env", b"nice", b"ccache", b"distcc")
_TRAPS = regex(rb"\btrap\b[^\n]*\bERR\b")
_WORDS = (b"then", b"{", b"else")


@slotted(frozen=False)
class _Group:
    """A list that is being read: in braces, parentheses, an `if`, or at the top."""

    opener: bytes = b""
    commands: list[ShellWords] = field(default_factory=list)  # of the list at hand, up to the last `;`
    every: list[ShellWords] = field(default_factory=list)
    tested: list[ShellWords] = field(default_factory=list)  # by the `if`
    condition: bool = False
    otherwise: bool = False  # in the `else` of the `if`
    tail: list[ShellWords] = field(default_factory=list)  # of the list before, dropped if anything follows
    ends: list[ShellWords] = field(default_factory=list)  # of branches: each may be the last
    anded: list[ShellWords] = field(default_factory=list)  # those before the `&&` that it stands after
    function: bool = False
    before: list[ShellWords] = field(default_factory=list)  # those before the `||` that it stands after
    last: bytes = b""


class _Unclear(Exception):
    """More lists within lists than anybody writes."""


class _ShellReader:
    """`ends`: the shell ends at the first failure (-e). `lasting`: which effects count (`gg.record.hearers.shelleffects`)."""

    def __init__(self, ends: bool, lasting: int) -> None:
        self._effects = Effects(lasting)
        self._writes = False  # the command that is being read does, into a file
        self.found: list[ShellWords] = []
        self.dropped: list[ShellWords] = []
        self._text = b""
        self._kept: list[ShellWords] = []  # their status is kept in a variable, and passed on
        self._previous: list[ShellWords] = []  # whose status `$?` is
        self._chained = False  # by `&&`: the next command's status is that of all
        self._declares = False  # a function's body comes
        self._ends_on_failure = ends
        self._every: list[ShellWords] = []
        self._anded: list[ShellWords] = []  # the next command runs if these go well
        self._decides: list[ShellWords] = []  # what runs if these go well is no mere further step to the same output
        self._background: list[ShellWords] = []
        self.looked: list[bytes] = []  # words of files whose existence is asked for
        self.sources = False  # it reads other texts
        self.functions: set[bytes] = set()
        self.calls_tools = False  # some function of the text does more than text
        self._stack = [_Group()]
        self._words: list[bytes] = []
        self._pending: list[ShellWords] = []  # before a `||` whose right side comes now
        self._negated = False
        self._cases = 0  # that are open
        self._pattern = False  # what comes is a pattern of a `case`
        self._subject = False  # or what a `case` is about

    def read(self, text: bytes) -> None:
        self._text = text
        for kind, token in tokens(text):
            if kind == "op":
                self._operator(token)
            elif kind == "file":
                self._writes = True
            else:
                if _STATUS.search(token):
                    self._status(token)
                self._word(resolved(token))
        self._operator(b"\n")
        while len(self._stack) > 1:
            self._close()
        goes_on = _ids(self.dropped) & _ids(self._decides)
        self.found += [each for each in self._every if id(each) in goes_on]
        ends_by = _ids(self._every if self._ends_on_failure else self._kept)
        self.found += self._effects.needed(self._every, ends_by - _ids(self.found), self.functions)
        if any(command[0] == b"wait" for command in self.found):
            self.found += self._background

    def split(self) -> tuple[list[ShellWords], list[ShellWords]]:
        """The commands whose status is dropped, and all others. One text may have the same words twice."""
        if self._ends_on_failure:
            return [], []
        dropped = _ids(self.dropped) - _ids(self._kept)
        sides: tuple[list[ShellWords], list[ShellWords]] = [], []
        for each in self._every:
            sides[id(each) not in dropped].append(each)
        return sides

    def _status(self, word: bytes) -> None:
        """A word with `$?` in it. A command that only ends the shell by that status passes the failure on."""
        if self._pending and _FAILURE.match(word) and descend(self._pending):
            return
        name = word.partition(b"=")[0] if _ASSIGNMENT.match(word) and not self._words else b""
        ends = bool(self._words) and self._words[0] in (b"exit", b"return")
        if ends or (name and only_ends(name, self._text)):
            self._kept += self._previous
        else:
            self.found += self._previous

    def _word(self, word: bytes) -> None:
        if self._pattern or self._subject:
            self._case_word(word)
        elif self._words:
            self._words.append(word)
        elif word == b"case":
            if not descend(self._pending):
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
            self._decides += self._anded
            if self._pending and _FAILURE.match(word) and descend(self._pending):
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
        self._anded = list(top.commands) if op == b"&&" else []
        if op in (b";", b"\n", b"&", b";;") and top.commands:
            top.tail = list(top.commands)
            if op == b"&":
                self._background += top.tail
                self._kept += top.tail if _WAITS.search(self._text) else ()
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
        writes, self._writes = self._writes, False
        in_function = any(group.function for group in self._stack)
        if writes or self._words:
            command = tuple(self._words or _REDIRECTION)
            self._effects.saw(command, writes=writes, anded=self._anded, in_function=in_function)
        if not self._words:
            return
        self._words = []
        top = self._stack[-1]
        top.last = command[0]
        self._every.append(command)
        if not is_a_step(command):
            self._decides += self._anded
        self._anded = []
        self.sources = self.sources or command[0] in (b".", b"source")
        self.looked += asked_for(command)
        self._follow(command)
        if self._pending:
            remembered = command[0] in _REMEMBERS and descend(self._pending)
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

    def _follow(self, command: ShellWords) -> None:
        """Another command follows: the status of those before is dropped, unless this one only ends the shell by it."""
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
            _Group(
                opener,
                condition=opener in _CONDITIONS,
                before=self._pending,
                function=self._declares,
                anded=self._anded,
            )
        )
        self._pending, self._anded, self._declares = [], [], False

    def _close(self) -> None:
        self._end_command()
        if len(self._stack) == 1:
            return
        self.found += self._pending
        self._pending = []
        group = self._stack.pop()
        passed_on = group.last in _PASSES_ON
        if not all(map(is_a_step, group.every)):
            self._decides += group.anded
        self._effects.guarded(group.every, group.anded)
        if group.opener == b"do":
            self._effects.repeated(group.every)
        if group.function or group.opener == b"do":  # more may follow
            decides = _ids(self._decides)
            self.dropped += [each for each in (*group.tail, *group.commands) if id(each) in decides]
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


def _ids(commands: Sequence[ShellWords]) -> set[int]:
    return {id(command) for command in commands}


@slotted()
class ShellFacts:
    """What a text does: the commands that it tests, and those whose status it drops."""

    tested: list[ShellWords] = field(default_factory=list)
    dropped: list[ShellWords] = field(default_factory=list)
    heeded: list[ShellWords] = field(default_factory=list)  # all others, where some are dropped
    looked: list[bytes] = field(default_factory=list)  # words of files whose existence it asks for

    def tests(self, argv: Sequence[bytes]) -> bool:
        """Whether what happens next depends on the status of this call: by itself, or by whether its output is there."""
        if any(may_be(command, argv) for command in self.tested):
            return True
        looks = self.looked if builds(argv) else [w for w in self.looked if any(fits(w, each) for each in files(argv))]
        return bool(looks) and self.drops(argv)

    def drops(self, argv: Sequence[bytes]) -> bool:
        """Whether the status of this call is sure to be dropped."""
        dropped = any(may_be(command, argv) for command in self.dropped)
        return dropped and not any(may_be(command, argv) for command in self.heeded)


def read(text: bytes, *, ends: bool = False, lasting: int = NOTHING) -> ShellFacts:
    """`ends`: the shell that runs it ends at the first failure (-e). `lasting`: which effects count, after what may fail."""
    if not (_has_choices(text) or (lasting and b"&&" in text)):
        return ShellFacts()
    reader = _ShellReader(ends, lasting)
    try:
        reader.read(text[:_MOST])
    except _Unclear:
        return ShellFacts([(ANY,)])
    if len(text) > _MOST:
        return ShellFacts([(ANY,)])
    if _TRAPS.search(text):  # each failure is told to a command of the text
        return ShellFacts([(ANY,)])
    functions = reader.functions if reader.calls_tools else set()
    if reader.sources:  # functions of which are of another text
        functions = functions | {command[0] for command in reader.found if not is_known(command[0])}
    found = [(ANY,) if command[0] in functions or command[0] == b"eval" else command for command in reader.found]
    dropped, others = reader.split()
    return ShellFacts(found, dropped, others if dropped else [], reader.looked)


def _has_choices(text: bytes) -> bool:
    """Whether anything may be tested or dropped in it: not in one command, nor in a chain of `&&`, as most recipes are."""
    text = text.strip().replace(b"\\\n", b" ").replace(b"&&", b" ")
    if any(word in text for word in _SEPARATES):
        return True
    return any(word in text for word in _MAY_MATTER) and _MATTERS.search(text) is not None


def may_be(command: ShellWords, argv: Sequence[bytes]) -> bool:
    """Whether a call may be this command, as far as its words tell."""
    if ANY not in command[0] and os.path.basename(command[0]) != os.path.basename(argv[0]):
        return False
    return all(ANY in word or word in argv for word in command[1:])
