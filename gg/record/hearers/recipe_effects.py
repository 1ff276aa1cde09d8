"""What the lines of a recipe change by hand besides the target: `echo built > log`, `cp p dist/`, `rm -f old`.

Behind a command that fails plain make would not have come so far. So each change is undone when the failure is told
(`gg.workspace.stamps`). What several recipes change alike cannot be undone for one of them: a call before such a line is told the
truth at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from gg.light.named import NamedTuple
from gg.light.regex import regex
from gg.models.tool_names import tool_name
from gg.record.hearers.recipes import MERE, PARTS, Recipe, calls_a_tool, words_of

_WRITES = regex(rb"(?<![<>&\\-])(?:\d|&)?>{1,2}\|?[ \t]*([^\s;&|<>()]+)")
_SAID = regex(rb"'[^'>]*>[^']*'|\"[^\">]*>[^\"]*\"")
_DIRECTORY, _INSTALLS = (b"-t", b"--target-directory"), b"install"
_CARRY = (b"cp", b"mv", b"ln", _INSTALLS)
_MAKE = (b"touch", b"tee", b"truncate", b"mkdir")
_SUFFIX_RULE = regex(rb"\.\w+(?:\.\w+)?$")
_MAY_CHANGE = regex(rb">|\b(?:cp|mv|ln|rm|install|touch|tee|truncate|mkdir|sed)\b")
_OWN = regex(rb"\$(?:\(@\)|\{@\}|@)")
_BEFORE = (b"if", b"then", b"else", b"do", b"{", b"(", b"!", b"exec", b"command", b"sudo", b"env", b"nice")
_MERE = (MERE - {b"strip"}) | {*_CARRY, *_MAKE, b"cat", b"date", b"sed", b"grep", b"sort", b"awk"}
_TEMPORARY = (b"/dev/", b"/proc/")


class _Part(NamedTuple):
    """A command of a recipe's line. `changes`: files, by hand; `calls`: it may call a tool; `tool`: it does."""

    line: bytes
    words: frozenset[bytes]
    changes: Sequence[bytes]
    calls: bool
    tool: bool
    writes: bool


class RecipeEffects(NamedTuple):
    """Of one recipe. `behind`: its lines, and files changed by hand behind each, also the target if a tool is called there;
    `every`: its target, and all that it changes by hand; `shared`: lines behind which recipes of many targets write into one file.
    """

    behind: Sequence[tuple[bytes, bytes]] = ()
    every: Sequence[tuple[bytes, bytes]] = ()
    shared: Sequence[bytes] = ()


def effects(recipe: Recipe) -> RecipeEffects:
    """All that a recipe changes by hand, as far as its text tells."""
    if not recipe.targets:
        return RecipeEffects()
    parts = _parts(recipe.lines)
    if not any(part.changes for part in parts) and sum(part.tool for part in parts) < 2:
        return RecipeEffects()
    following = list(_following(parts))
    if not _is_of_files(recipe):
        return RecipeEffects(shared=[line for line, names, _ in following if any(b"$" not in name for name in names)])
    target = recipe.names[0]
    found = [(line, name) for line, names, tools in following for name in (*names, *([target] if tools else ()))]
    every = [(target, _own(name, target)) for part in parts for name in part.changes]
    return RecipeEffects([(line, _own(name, target)) for line, name in found], every)


def changed(part: bytes) -> list[bytes]:
    """The files that a command changes by hand, as far as its words tell; none of a tool's own, which are deferred with it."""
    part = _SAID.sub(b"''", part) if b">" in part else part
    written = [name.strip(b"\"'") for name in _WRITES.findall(part)] if b">" in part else []
    words = words_of(_WRITES.sub(b" ", part) if written else part)
    while words and (words[0] in _BEFORE or b"=" in words[0]):
        del words[0]
    name = os.path.basename(words[0]) if words else b""
    if words and not tool_name(name):
        written += _operands(name, words[1:])
    return [each for each in written if each and not each.startswith(_TEMPORARY) and each[:1] not in b"&-"]


def _operands(name: bytes, words: Sequence[bytes]) -> list[bytes]:
    plain = [word for word in words if word[:1] != b"-"]
    if name == b"mkdir" and any(word[:1] == b"-" and b"p" in word for word in words):
        return [each for word in plain for each in _with_parents(word)]
    if name in _MAKE or name == b"rm" or (name == _INSTALLS and b"-d" in words):
        return plain
    if name == b"sed" and any(word.startswith((b"-i", b"--in-place")) for word in words):
        return plain[-1:]
    if name not in _CARRY or len(plain) < 2 or any(word.startswith(_DIRECTORY) for word in words):
        return []
    *sources, to = plain
    inside = [os.path.join(to, os.path.basename(each)) for each in sources]
    moved = sources if name == b"mv" else []
    return [*moved, *inside] if to.endswith((b"/", b".")) or len(sources) > 1 else [*moved, to, *inside]


def _with_parents(path: bytes) -> Iterator[bytes]:
    while path.strip(b"./"):
        yield path
        path = os.path.dirname(path)


def _following(parts: Sequence[_Part]) -> Iterator[tuple[bytes, list[bytes], bool]]:
    """Each line that may call a tool, what is changed by hand behind it, and whether a tool is called behind it.

    A further step with what the line itself names (`mv x.Tpo x.Po`) is no change: it fails as well.
    """
    for place, part in enumerate(parts):
        if part.calls:
            later = parts[place + 1 :]
            names = [
                name
                for each in later
                if each.changes and (each.writes or part.words.isdisjoint(each.words))
                for name in each.changes
            ]
            tools = any(each.tool for each in later)
            if names or tools:
                yield part.line, list(dict.fromkeys(names)), tools


def _parts(lines: Sequence[bytes]) -> list[_Part]:
    found = []
    for line in lines:
        inside = b""
        for text in PARTS.split(line):
            words = words_of(text)
            if not words:
                continue
            if words[0] == b"cd" and len(words) > 1:
                inside = os.path.join(inside, words[1])
            changes = [os.path.join(inside, name) for name in changed(text)] if _MAY_CHANGE.search(text) else []
            calls = words[0].rpartition(b"/")[2] not in _MERE
            found.append(_Part(line, frozenset(words), changes, calls, calls and calls_a_tool(text), b">" in text))
    return found


def _is_of_files(recipe: Recipe) -> bool:
    """Whether it has one target, which is no pattern."""
    return len(recipe.targets) == 1 == len(recipe.names) and not _SUFFIX_RULE.match(recipe.targets[0])


def _own(name: bytes, target: bytes) -> bytes:
    return _OWN.sub(lambda _: target, name)
