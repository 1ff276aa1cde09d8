"""The recipes in a makefile's text, and which of their lines make has to be told the truth of at once: those that call a tool for
something else than the target, where the recipe goes on to make the target without reading what the tool has made (`touch $@`,
`cp x.c $@`). make would take the target for made for ever.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

from gg.light.named import NamedTuple
from gg.light.regex import regex
from gg.models.tool_names import tool_name

_RECIPE = regex(rb"^([^\t#\n=:][^\n=:]*+)::?(?!=)[^\n]*\n((?:\t[^\n]*\n?|[ ]*\n|#[^\n]*\n)+)", 8)  # re.MULTILINE
_BESIDE = regex(rb"^([^\t#\n=:;][^\n=:;]*+::?(?!=)[^\n=;]*+);[ \t]*([^\n]+)", 8)  # a recipe in its rule's line
_RULE = regex(rb"^([^\t#\n=:][^\n=:]*+)::?(?!=)([^\n;|=]*+)", 8)
_DEFINE, _ENDEF = regex(rb"^[ ]*define[ \t]+[\w.-]+[ \t]*=?[ \t]*\n", 8), regex(rb"\n[ ]*endef\b")
_PREFIX = regex(rb"^\.RECIPEPREFIX[ \t]*:?=[ \t]*(\S)", 8)
_ONE_SHELL = regex(rb"^\.ONESHELL[ \t]*:", 8)
_SPECIAL = regex(rb"\.[A-Z_]+$")
_NAME = regex(rb"[\w.+-]")
PARTS = regex(rb"&&|;|\|\||\n")
_TOOLS = (b"$(CC)", b"$(CXX)", b"${CC}", b"${CXX}", b"$(LD)", b"$(AR)", b"${LD}", b"${AR}")
_TARGET = (b"$@", b"$(@", b"${@")
_ARGUMENT = regex(rb"\$[({]?\d")
MERE = frozenset(b"echo printf test [ cd rm chmod strip ls : true exit set if then fi do done for else sleep".split())
_MADE = (b".o", b".lo", b".so", b".a", b".out", b".s", b".i")
_OUTPUT = regex(rb"-o[ \t]*(\S+)")


class Recipe(NamedTuple):
    """`targets`: as its rule has them; none for the body of a `define`. `lines`: without the marks before them."""

    targets: Sequence[bytes]
    lines: Sequence[bytes]

    @property
    def makes_by_hand(self) -> bool:
        """Whether some line makes the target by hand."""
        its = _about(self)
        return any(_makes(part, its, ()) for line in self.lines for part in PARTS.split(line))

    @property
    def others(self) -> list[bytes]:
        """The lines that are not about the target."""
        its = _about(self)
        return [line for line in self.lines if not its(line)]

    @property
    def names(self) -> list[bytes]:
        """The targets that are files, as far as they can be seen."""
        return [word for word in self.targets if b"%" not in word and not _SPECIAL.match(word)]


def read(text: bytes) -> Iterator[Recipe]:
    """`text`: with its continued lines joined."""
    prefix = _PREFIX.search(text)
    if prefix:
        text = re.sub(rb"^" + re.escape(prefix[1]), b"\t", text, flags=re.MULTILINE)
    if b";" in text:
        text = _BESIDE.sub(rb"\1\n\t\2", text)
    at_once = b".ONESHELL" in text and _ONE_SHELL.search(text) is not None
    found = [(targets.split(), recipe) for targets, recipe in _RECIPE.findall(text) if b"\t" in recipe]
    if b"define" in text:
        found += [([], b"\t" + body.replace(b"\n", b"\n\t")) for body in _defined(text)]
    for targets, recipe in found:
        lines = [line.strip().lstrip(b"@+-").strip() for line in recipe.split(b"\n") if line.startswith(b"\t")]
        lines = [line for line in lines if line and line[:1] != b"#"]
        if lines:
            yield Recipe(targets, [b"\n".join(lines)] if at_once else lines)


def _defined(text: bytes) -> Iterator[bytes]:
    """What is between each `define` and its `endef`. Read once, however many have none."""
    begin = _DEFINE.search(text)
    while begin is not None and (end := _ENDEF.search(text, begin.end())) is not None:
        yield text[begin.end() : end.start()]
        begin = _DEFINE.search(text, end.end())


def rules(text: bytes) -> list[tuple[bytes, bytes]]:
    """The targets and prerequisites of each explicit rule, as they are written."""
    return [
        (targets, needs)
        for targets, needs in _RULE.findall(text)
        if b"%" not in targets and not _SPECIAL.match(targets)
    ]


def untold(recipe: Recipe) -> Iterator[bytes]:
    """The lines that make has to be told the truth of, in a recipe that makes its target by hand."""
    its = _about(recipe)
    parts = [(number, part) for number, line in enumerate(recipe.lines) for part in PARTS.split(line)]
    found: set[int] = set()
    for place, (number, part) in enumerate(parts):
        if calls_a_tool(part) and not its(part):
            made = _outputs(part)
            if any(_makes(other, its, made) for _, other in (*parts[:place], *parts[place + 1 :])):
                found.add(number)
    yield from (recipe.lines[number] for number in sorted(found))


def called(value: bytes) -> bool:
    """Whether the value of a variable, used by `$(call)`, calls a tool and then makes one of its arguments by hand."""
    if not (b"touch" in value or b">" in value) or not (b"$@" in value or _ARGUMENT.search(value)):
        return False  # as most are
    behind = False
    for part in PARTS.split(value):
        if behind and (words_of(part)[:1] == [b"touch"] or b">" in part) and (_ARGUMENT.search(part) or b"$@" in part):
            return True
        behind = behind or calls_a_tool(part)
    return False


def _about(recipe: Recipe) -> Callable[[bytes], bool]:
    """Whether a piece of a line names a target of the recipe."""
    words = [word for word in recipe.targets if b"%" not in word]
    if any(b"cd " in line for line in recipe.lines):
        words += [os.path.basename(word) for word in words if b"$" not in word]
    return lambda piece: any(word in piece for word in _TARGET) or any(_stands_in(word, piece) for word in words)


def _stands_in(word: bytes, piece: bytes) -> bool:
    """Whether it is there, and no mere part of another name."""
    at = piece.find(word) if word else -1
    while at >= 0:
        end = at + len(word)
        if not (_NAME.match(piece[at - 1 : at]) or _NAME.match(piece[end : end + 1])):
            return True
        at = piece.find(word, at + 1)
    return False


def _makes(part: bytes, its: Callable[[bytes], bool], outputs: Sequence[bytes]) -> bool:
    """Whether a piece of a line makes the target, reading none of the tool's `outputs`."""
    first = part.split(maxsplit=1)[:1]
    if not first or (b">" not in part and (first[0] in MERE or first[0] in _TOOLS)) or not its(part):
        return False
    words = words_of(part)
    if any(output in words for output in outputs):
        return False
    by_hand = b">" in part or words[0] == b"touch"
    return (by_hand or not any(word.endswith(_MADE) for word in words[1:])) and not calls_a_tool(part)


def _outputs(part: bytes) -> list[bytes]:
    """What a call of a tool makes, as far as its words tell."""
    named: list[bytes] = _OUTPUT.findall(part)
    return named or [word.rpartition(b".")[0] + b".o" for word in words_of(part) if b"." in word]


def words_of(part: bytes) -> list[bytes]:
    return [word.strip(b"\"'(){}@") for word in part.split()]


def calls_a_tool(part: bytes) -> bool:
    return names_a_tool(part) or any(word in part for word in _TOOLS)


def names_a_tool(line: bytes) -> bool:
    return any(tool_name(base(word)) for word in line.split())


def base(word: bytes) -> bytes:
    return os.path.basename(word.strip(b"\"'();&|"))
