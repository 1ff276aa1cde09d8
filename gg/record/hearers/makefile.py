"""The recipe lines of makefiles whose failure counts at once: make ignores it (a line that begins with `-`, and all of them after
`.IGNORE:`), or what follows it in its recipe makes the target by hand (`touch $@`), so that make would take it for made for ever.
Behind another make, which is not told at once, the target goes when a failure is told.

This is no make. A variable whose value cannot be seen in the text may be anything.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from gg.light.named import NamedTuple
from gg.light.plain_files import read_plain
from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.record.hearers import recipe_effects, recipes

_DEFAULT = (b"GNUmakefile", b"makefile", b"Makefile")
_NAMES = {b"CC": b"cc", b"CXX": b"c++", b"CPP": b"cc -E", b"AS": b"as", b"AR": b"ar", b"LD": b"ld", b"RM": b"rm -f"}
_NAMES |= {b"MAKE": b"make", b"SHELL": b"/bin/sh"}
_JOINED = regex(rb"\\\n[ \t]*")
_ASSIGNMENT = regex(rb"^[ ]*(?:export |override )*([\w.-]+)[ \t]*(?::{0,3}|\?|\+)=[ \t]*([^\n]*)", 8)  # re.MULTILINE
_IGNORED = regex(rb"(?:^\t[ \t]*|^[^\t#\n][^\n=:]*+:[^\n=;]*+;[ \t]*)[@+]*-[@+-]*[ \t]*([^\n]+)", 8)
_PARTS = regex(rb"&&|;|\|\|")
_SUFFIXES = regex(rb"\$[({](\w+):([^=(){}$]*)=([^(){}$]*)[)}]")
_PLAIN = regex(rb"\$[({](\w+)[)}]")
_PATSUBST = regex(rb"\$[({]patsubst[ \t]+([^,$]*),([^,$]*),([^,$(){}]*)[)}]")
_MOST_BEFORE = 5000  # files that come before one target
_MOST_CHANGED = 64  # files besides targets that are changed by hand
_EVERY = regex(rb"^\.IGNORE[ \t]*:", 8)
_INCLUDE = regex(rb"^[ ]*[-s]?include[ \t]+([^\n#]+)", 8)
_VARIABLE = regex(rb"\$(?:\(([^()$]+)\)|\{([^{}$]+)\}|\((?:[^()]++|\((?:[^()]++|\([^()]*+\))*\))*\)|(.))")
_PART = rb"((?:[^(){},$]|\$[({][\w.-]+[)}]|\$[@<^?*+|$])*)"  # of a function's call: words, and variables
_IF = regex(rb"\$[({]if[ \t]+" + _PART + b"," + _PART + b"(?:," + _PART + b")?[)}]")
_COMMENT = regex(rb"((?:\s*+(?:\\\s|(?:[^\"'#\\\s]++|\\\S|\"(?:[^\"\\]++|\\.)*\"|'[^']*+')#*+))*)\s+#", 16)  # re.DOTALL
_RUNS = (b"sh", b"bash", b"dash", b"ksh", b"env", b"if", b"for", b"while", b"cd", b"set", b"test", b"[")
_MERE = ([b"touch"], [b"echo"], [b"mkdir"], [b"rm"], [b"cd"], [b":"], [b"printf"], [b"mv"], [b"cp"], [b"date"])
_MOST_WILD = 2  # directories, and a name, with signs for several
_MOST_BYTES = 64 << 20  # of one makefile
_MOST = 200  # files that one makefile includes
_DEEP = 4  # variables within variables
_LONGEST = 1 << 14  # bytes of a line whose variables are put in: a longer one may be anything
_ANY = b"\0"
_SIGNS = b" \t@+-"  # make's own, before a command; a variable may hold them


@slotted()
class MakefileFacts:
    """What matters of one file."""

    ignored: tuple[bytes, ...] = ()
    every: bool = False
    stamped: tuple[bytes, ...] = ()
    by_hand: tuple[tuple[bytes, bytes], ...] = ()  # a recipe's line, and a target that the recipe makes by hand
    rules: tuple[tuple[bytes, bytes], ...] = ()  # of a text with `by_hand`: targets, prerequisites
    others: tuple[tuple[bytes, bytes], ...] = ()  # and lines that are not about their target, and the target
    behind: tuple[tuple[bytes, bytes], ...] = ()  # a line, and a file that its recipe changes by hand behind it
    changed: tuple[tuple[bytes, bytes], ...] = ()  # a target, and a file that its recipe changes by hand
    names: Mapping[bytes, bytes] = field(default_factory=dict)
    included: tuple[bytes, ...] = ()


def read(path: bytes) -> MakefileFacts:
    """OSError."""
    text = _JOINED.sub(b" ", read_plain(path, _MOST_BYTES))
    included = [word for words in _INCLUDE.findall(text) for word in words.split()] if b"include" in text else []
    ignored = tuple(_IGNORED.findall(text))
    names = dict(_ASSIGNMENT.findall(text))
    every = list(recipes.read(text))
    hand_made = [recipe for recipe in every if recipe.makes_by_hand]
    stamped = [line for recipe in hand_made for line in recipes.untold(recipe)]
    stamped += [value for value in names.values() if recipes.called(value)]
    effects = [recipe_effects.effects(recipe) for recipe in every]
    stamped += [line for each in effects for line in each.shared]
    by_hand = [(line, name) for each in hand_made for line in each.lines for name in each.names]
    behind = [pair for each in effects for pair in each.behind]
    changed = [pair for each in effects for pair in each.every]
    rules = recipes.rules(text) if by_hand or changed else ()
    others = [(line, name) for each in every for line in each.others for name in each.names] if by_hand else ()
    return MakefileFacts(
        ignored,
        bool(_EVERY.search(text)),
        tuple(stamped),
        tuple(by_hand),
        tuple(rules),
        tuple(others),
        tuple(behind),
        tuple(changed),
        names,
        tuple(included),
    )


class MakeFacts(NamedTuple):
    """What one make does about its commands (`Makefiles`)."""

    ignored: list[bytes]
    by_hand: list[tuple[bytes, bytes]]
    needed: Mapping[bytes, tuple[bytes, ...]]


class Makefiles:
    """What is ignored in the makefiles of a directory; each file is read once while it stays as it is."""

    def __init__(self) -> None:
        self._texts: dict[bytes, tuple[tuple[int, int], MakefileFacts]] = {}
        self._facts: dict[tuple[object, ...], tuple[list[MakefileFacts], MakeFacts]] = {}

    def of(self, words: Sequence[bytes], directory: bytes) -> MakeFacts:
        """Of `make`, started with these words in `directory`. Remembered: recursive makefiles start one make a target there."""
        goals = _goals(words)
        texts, key = self._all(words, directory), (words[0], *_named(words), directory, *goals)
        known = self._facts.get(key)
        if (
            known is None
            or len(known[0]) != len(texts)
            or any(a is not b for a, b in zip(known[0], texts, strict=True))
        ):
            names = _values(texts, words)
            needed = _needed_for(texts, names, directory, goals)
            by_hand = _made_by_hand(texts, names, needed, directory)
            by_hand += _changed_behind(texts, names, directory)
            facts = MakeFacts(_ignored(texts, names), by_hand, needed)
            known = self._facts[key] = texts, facts
        return known[1]

    def _all(self, words: Sequence[bytes], directory: bytes) -> list[MakefileFacts]:
        wanted = list(_named(words)) or [name for name in _DEFAULT if os.path.exists(os.path.join(directory, name))][:1]
        texts: dict[bytes, MakefileFacts] = {}
        while wanted and len(texts) < _MOST:
            path = os.path.join(directory, wanted.pop())
            if path in texts or path.endswith((b".Po", b".Plo", b".Tpo", b".d")):
                continue
            with suppress(OSError):
                text = texts[path] = self._text(path)
                for name in text.included:
                    full = _expanded(name, {**_NAMES, **text.names})
                    wanted += _those_of(full, directory)
        return list(texts.values())

    def _text(self, path: bytes) -> MakefileFacts:
        info = os.stat(path)
        stamp = info.st_mtime_ns, info.st_size
        known = self._texts.get(path)
        if known is None or known[0] != stamp:
            known = self._texts[path] = stamp, read(path)
        return known[1]


def _those_of(name: bytes, directory: bytes) -> list[bytes]:
    """The files that an `include` names. None if they may be any, or would take long to find: make may pass over it."""
    several = sum(glob.has_magic(part) for part in name.split(b"/"))
    return glob.glob(os.path.join(directory, name)) if _ANY not in name and several <= _MOST_WILD else []


def _ignored(texts: Sequence[MakefileFacts], names: Mapping[bytes, bytes]) -> list[bytes]:
    """Regular expressions of the ignored commands."""
    lines = dict.fromkeys(line for text in texts for line in text.ignored)
    found = [
        _commented(line) for line in (_expanded(line, names).lstrip(_SIGNS) for line in lines) if _may_call_a_tool(line)
    ]
    stamped = dict.fromkeys(_expanded(line, names) for text in texts for line in text.stamped)
    found += [_commented(line) for line in stamped if not line.startswith(_ANY) and recipes.names_a_tool(line)]
    return [b".*"] if any(text.every for text in texts) else found


def _made_by_hand(
    texts: Sequence[MakefileFacts],
    names: Mapping[bytes, bytes],
    needed: Mapping[bytes, tuple[bytes, ...]],
    directory: bytes,
) -> list[tuple[bytes, bytes]]:
    """The targets that `make` makes by hand: regular expressions of the commands of their recipes, and of the recipes of what
    they need, and their paths.
    """
    by_hand = {pair for text in texts for pair in text.by_hand}
    found = []
    for line, target in dict.fromkeys(pair for text in texts for pair in (*text.by_hand, *text.others)):
        paths = [os.path.normpath(os.path.join(directory, path)) for path in _files(target, names)]
        stamps = [
            *(paths if (line, target) in by_hand else ()),
            *(each for path in paths for each in needed.get(path, ())),
        ]
        line = _expanded(line, names)
        if stamps and not line.startswith(_ANY) and _runs_more(line):
            found += [(_commented(line), stamp) for stamp in stamps]
    return found


def _changed_behind(
    texts: Sequence[MakefileFacts], names: Mapping[bytes, bytes], directory: bytes
) -> list[tuple[bytes, bytes]]:
    """What recipes change by hand behind their commands: regular expressions of these, and paths. None of what several change."""
    found: dict[tuple[bytes, bytes], None] = {}
    for line, changed in dict.fromkeys(pair for text in texts for pair in text.behind):
        line = _expanded(line, names)
        if not line.startswith(_ANY) and len(found) < _MOST_CHANGED:
            paths = [os.path.normpath(os.path.join(directory, path)) for path in _files(changed, names)]
            found |= dict.fromkeys((_commented(line), path) for path in paths)
    return list(found)


def _needed_for(
    texts: Sequence[MakefileFacts], names: Mapping[bytes, bytes], directory: bytes, goals: Sequence[bytes]
) -> dict[bytes, tuple[bytes, ...]]:
    """The files that come before targets which `make` makes by hand, by explicit rules, and these targets: paths. Also those before
    what the recipes on the way to `goals` change by hand.
    """
    needs: dict[bytes, list[bytes]] = {}
    rules = [rule for text in texts for rule in text.rules]
    for made, before in rules:
        for target in _files(made, names):
            needs.setdefault(target, []).append(before)
    behind: dict[bytes, list[bytes]] = {}
    for target in dict.fromkeys(target for text in texts for _, target in text.by_hand):
        for path in _files(target, names):
            behind[path] = [path]
    changed = list(dict.fromkeys(pair for text in texts for pair in text.changed))
    wanted = set(goals) & needs.keys() or set(
        _files(names.get(b".DEFAULT_GOAL", rules[0][0] if rules else b""), names)[:1]
    )
    reached = _before(wanted, needs, names) if changed else set()
    for target, file in changed[:_MOST_CHANGED]:
        for path in reached.intersection(_files(target, names)):
            behind.setdefault(path, []).extend(_files(file, names))
    found: dict[bytes, dict[bytes, None]] = {}
    for target, files in behind.items():
        stamps = [os.path.normpath(os.path.join(directory, file)) for file in files]
        for path in _before({target}, needs, names) - {target}:
            full = os.path.normpath(os.path.join(directory, path))
            found.setdefault(full, {}).update(dict.fromkeys(stamps))
    return {path: tuple(stamps) for path, stamps in found.items()}


def _before(targets: set[bytes], needs: Mapping[bytes, list[bytes]], names: Mapping[bytes, bytes]) -> set[bytes]:
    """These and all that comes before them."""
    seen, wanted = set(targets), list(targets)
    while wanted and len(seen) < _MOST_BEFORE:
        new = {path for each in needs.get(wanted.pop(), ()) for path in _files(each, names)} - seen
        wanted += new
        seen |= new
    return seen


def _files(text: bytes, names: Mapping[bytes, bytes]) -> list[bytes]:
    """The words of a rule, as far as they can be seen; `$(X:.c=.o)` and `$(patsubst …)`, too."""
    for _ in range(_DEEP if b"$" in text else 0):
        text = _SUFFIXES.sub(lambda m: _suffixed(m[2], m[3], b"$(" + m[1] + b")"), text)
        text = _PLAIN.sub(lambda m: names.get(m[1], m[0]), text)
        text = _PATSUBST.sub(lambda m: _suffixed(m[1], m[2], m[3]), text)
    return [word for word in _expanded(text, names).split() if _ANY not in word]


def _suffixed(old: bytes, new: bytes, text: bytes) -> bytes:
    """`text` with the ends of its words replaced, once there are just words in it."""
    if b"$" in text:
        return b"$(patsubst %s,%s,%s)" % (old if b"%" in old else b"%" + old, new if b"%" in new else b"%" + new, text)
    (before, _, after), (first, _, last) = old.partition(b"%"), new.partition(b"%")
    fit = [word.startswith(before) and word.endswith(after) for word in text.split()]
    words = [
        word.removeprefix(before).removesuffix(after) if its else word
        for word, its in zip(text.split(), fit, strict=True)
    ]
    return b" ".join(first + word + last if its else word for word, its in zip(words, fit, strict=True))


def _values(texts: Sequence[MakefileFacts], words: Sequence[bytes]) -> dict[bytes, bytes]:
    return {**_NAMES, b"MAKE": words[0], **{name: value for text in texts for name, value in text.names.items()}}


def _runs_more(line: bytes) -> bool:
    """Whether the line may call tools. A line that only makes directories, prints or touches a file does not."""
    return any(part.split(maxsplit=1)[:1] not in ([], *_MERE) for part in _PARTS.split(line))


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


def _goals(words: Sequence[bytes]) -> list[bytes]:
    """What the command line asks for; empty: the default. The arguments of some options may be among it, which does no harm."""
    return [word for word in words[1:] if word[:1] != b"-" and b"=" not in word]


def _expanded(text: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """With the variables that are seen put in, and `_ANY` for the others."""
    for _ in range(_DEEP):
        if b"$" not in text:
            break
        if text.count(b"$") > _MOST or len(text) > _LONGEST:
            return _ANY
        text = _IF.sub(lambda m: _either(m[2], m[3] or b""), text)
        text = _VARIABLE.sub(lambda m: _value(m[1] or m[2] or b"", m[3] or b"", names), text)
    return _VARIABLE.sub(_ANY, text).replace(b"\1", b"$")


def _either(then: bytes, otherwise: bytes) -> bytes:
    """What may be a command of the two: an empty one calls nothing."""
    return _ANY if then.strip() and otherwise.strip() else then.strip() or otherwise


def _value(name: bytes, sign: bytes, names: Mapping[bytes, bytes]) -> bytes:
    if sign == b"$":
        return b"\1"
    value = names.get(name, _ANY) if name else _ANY
    return value if len(value) <= _LONGEST else _ANY


def _may_call_a_tool(line: bytes) -> bool:
    words = line.split()
    if not words or words[0].startswith(_ANY):
        return bool(words)
    if b"/" in words[0] or os.path.basename(words[0]) in _RUNS or words[0][:1] in b"({":
        return True
    return (
        recipes.names_a_tool(line) or any(recipes.base(word) in (b"make", b"gmake") for word in words) or b"\1" in line
    )


def _commented(line: bytes) -> bytes:
    """The pattern of a command that may have a comment behind it. The shell that starts the command leaves the comment out."""
    line = line.lstrip(_SIGNS)
    found = _COMMENT.match(line)
    return _pattern(found[1]) + rb"(?:\s+#.*)?" if found and found[1].strip() else _pattern(line)


def _pattern(line: bytes) -> bytes:
    """A regular expression of the command: as make gives it to a shell, or its words with blanks between. Quotes may be gone."""
    pieces = [
        rb"\s+".join(re.escape(word) for word in _QUOTES.sub(b"", piece).split(b" ")) for piece in line.split(_ANY)
    ]
    first, *others = pieces
    if others:  # each is taken where it comes first, so that time grows with the text alone
        *between, last = others
        first += b"".join(b"(?>.*?" + piece + b")" for piece in between if piece) + b".*" + last
    return first.replace(rb"\s+\s+", rb"\s+").strip()


_QUOTES = regex(rb"[\"'\\]")
