"""Command lines parsed by tables, as getopt_long and getopt_long_only parse them.

A table is text, one effect a line, then the spellings that have it, with their arity as getopt writes it:

    output  -o: --output=          an argument is required, attached or the next word
    flag    -g  --gc-sections      none
    flag    -a:: --build-id[=]     optional, and then attached

What is not in the table is not guessed at: parsing ends with `Unmodelled`, and the caller answers `RunReal`. An
abbreviated long option is taken if it stands for just one option of the table.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import Enum

from gg.light.named import NamedTuple
from gg.light.slotted import slotted

OPERAND = "operand"


class Unmodelled(Exception):
    """The command line has something that the table does not know; the text says what."""


class Arity(Enum):
    NONE = 0
    REQUIRED = 1
    OPTIONAL = 2


class Option(NamedTuple):
    effect: str
    arity: Arity


class Arg(NamedTuple):
    """One option or operand as it was understood."""

    effect: str
    value: bytes
    name: bytes = b""


class Style(Enum):
    """How long options are written."""

    GNU = 0  # two dashes; one dash starts a cluster of short ones
    LONG_ONLY = 1  # getopt_long_only: one dash will do
    LD = 2  # as LONG_ONLY, but -l… and -o… are always the short options
    EXACT = 3  # as LD, and nothing may be abbreviated (gold, lld, mold)


@slotted()
class OptionTable:
    """The options of one tool."""

    style: Style
    long: dict[bytes, Option]
    short: dict[bytes, Option]
    names: tuple[bytes, ...]  # the long ones, sorted
    prefixes: tuple[tuple[bytes, Option], ...] = ()  # single-dash options known by how they start: -m…

    def effects(self) -> set[str]:
        every = [*self.long.values(), *self.short.values(), *(option for _, option in self.prefixes)]
        return {option.effect for option in every}


def read_table(text: str, style: Style = Style.GNU) -> OptionTable:
    """The table that `text` spells; later lines override earlier ones. `-m*` stands for all words that start so."""
    long: dict[bytes, Option] = {}
    short: dict[bytes, Option] = {}
    prefixes: list[tuple[bytes, Option]] = []
    for line in text.splitlines():
        effect, *spellings = line.partition("#")[0].split() or [""]
        for word in spellings:
            name, arity = _spelling(word)
            option = Option(effect, arity)
            if name.endswith("*"):
                prefixes.append((name[:-1].encode(), option))
            elif name.startswith("--"):
                long[name[2:].encode()] = option
            else:
                short[name[1:].encode()] = option
    return OptionTable(style, long, short, tuple(sorted(long)), tuple(prefixes))


def _spelling(word: str) -> tuple[str, Arity]:
    if word.endswith("[=]"):
        return word[:-3], Arity.OPTIONAL
    if word.endswith("=") and word.startswith("--"):
        return word[:-1], Arity.REQUIRED
    if word.endswith("::"):
        return word[:-2], Arity.OPTIONAL
    if word.endswith(":"):
        return word[:-1], Arity.REQUIRED
    return word, Arity.NONE


def parse(table: OptionTable, args: Sequence[bytes]) -> Iterator[Arg]:
    """The options and operands of `args` (without argv[0]) in order; Unmodelled for what the table does not have."""
    words = iter(args)
    for word in words:
        if word[:1] != b"-" or word == b"-":
            yield Arg(OPERAND, word)
        elif word == b"--":
            for rest in words:
                yield Arg(OPERAND, rest)
        elif word[1:2] == b"-":
            yield _long(table, word[2:], words)
        else:
            yield from _single_dash(table, word, words)


def _single_dash(table: OptionTable, word: bytes, words: Iterator[bytes]) -> Iterator[Arg]:
    if table.style is not Style.GNU and len(word) > 2 and not _always_short(table, word):
        name = word[1:].partition(b"=")[0]
        if name in table.long:
            yield _long(table, word[1:], words)
            return
        if table.style is not Style.EXACT and len(_starting(table, name)) > 0:
            raise Unmodelled(f"abbreviated option {_text(word)}")
    for prefix, option in table.prefixes:
        if word.startswith(prefix):
            yield Arg(option.effect, word[len(prefix) :], prefix)
            return
    yield from _cluster(table, word, words)


def _always_short(table: OptionTable, word: bytes) -> bool:
    return table.style is not Style.LONG_ONLY and word[1:2] in (b"l", b"o")


def _cluster(table: OptionTable, word: bytes, words: Iterator[bytes]) -> Iterator[Arg]:
    at = 1
    while at < len(word):
        name = word[at : at + 1]
        at += 1
        option = table.short.get(name)
        if option is None or (table.style is not Style.GNU and option.arity is Arity.NONE and len(word) > 2):
            raise Unmodelled(f"unknown option {_text(word)}")
        if option.arity is Arity.NONE:
            yield Arg(option.effect, b"", b"-" + name)
            continue
        value = word[at:]
        if not value and option.arity is Arity.REQUIRED:
            value = _next(words, word)
        yield Arg(option.effect, value, b"-" + name)
        return


def _long(table: OptionTable, body: bytes, words: Iterator[bytes]) -> Arg:
    name, equals, value = body.partition(b"=")
    option = table.long.get(name)
    if option is None:
        matches = _starting(table, name) if table.style is not Style.EXACT else ()
        if len({table.long[match] for match in matches}) != 1:
            raise Unmodelled(f"unknown option --{_text(name)}")
        name = matches[0]
        option = table.long[name]
    if option.arity is Arity.NONE and equals:
        raise Unmodelled(f"--{_text(name)} takes no argument")
    if option.arity is Arity.REQUIRED and not equals:
        value = _next(words, name)
    return Arg(option.effect, value, name)


def _starting(table: OptionTable, name: bytes) -> tuple[bytes, ...]:
    low = bisect_left(table.names, name)
    return table.names[low : bisect_left(table.names, name + b"\xff", low)]


def _next(words: Iterator[bytes], word: bytes) -> bytes:
    value = next(words, None)
    if value is None:
        raise Unmodelled(f"{_text(word)} lacks its argument")
    return value


def _text(word: bytes) -> str:
    return word.decode("utf-8", "backslashreplace")
