"""The names of files that a declared tool reads and writes: templates filled in from a call, and patterns matched on disk.

`{input}` stands for each input among the operands, `{output}` for each output, `{1}` for the first operand, `{-o}` for
what was given with `-o`. A part of it is taken behind a colon: of `src/a.y`, `{input:base}` is `src/a`, `{input:name}`
`a.y`, `{input:stem}` `a`, `{input:dir}` `src` (`.` when there is none), `{input:ext}` `.y`, `{input:below(-I)}` what is
left behind the longest directory given with `-I` that it is in. `{stem}`, `{base}`, `{name}` and `{dir}` are those of
the input. A template is filled in once for each value; with none there is no name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

from gg.models.declared.line import DeclaredLine

_HOLE = re.compile(r"\{([^{}]*)\}")
_BELOW = re.compile(r"below\(([^()]+)\)")
_PARTS: dict[str, Callable[[bytes], bytes]] = {
    "name": os.path.basename,
    "stem": lambda path: os.path.splitext(os.path.basename(path))[0],
    "base": lambda path: os.path.splitext(path)[0],
    "dir": lambda path: os.path.dirname(path) or b".",
    "ext": lambda path: os.path.splitext(path)[1],
}
_MOST_FILES = 50_000


def check(template: str, known: set[str]) -> str:
    """What is wrong with a template of a table whose options are `known`; empty if nothing is."""
    if not template:
        return "is empty"
    for hole in _HOLE.findall(template):
        name, *parts = _pieces(hole)
        if name not in known and name not in ("input", "output") and not name.isdigit():
            return f"{{{hole}}} stands for nothing: an option of the table, input, output or a number"
        for part in parts:
            below = _BELOW.fullmatch(part)
            if part not in _PARTS and (not below or below[1] not in known):
                return f"{part!r} is no part of a name: {', '.join(_PARTS)} or below(OPTION)"
    if "{" in _HOLE.sub("", template) or "}" in _HOLE.sub("", template):
        return "has a brace without its fellow"
    return ""


def _pieces(hole: str) -> list[str]:
    pieces = hole.split(":")
    return ["input", *pieces] if pieces[0] in _PARTS else pieces


def fill(template: str, line: DeclaredLine) -> list[bytes]:
    """The names that `template` stands for in this call, each once."""
    pieces = _HOLE.split(template)  # text, hole, text, …
    holes, between = pieces[1::2], [os.fsencode(text) for text in pieces[0::2]]
    done: dict[bytes, None] = {}
    for chosen in _choices(holes, line):
        done[between[0] + b"".join(a + b for a, b in zip(chosen, between[1:], strict=True))] = None
    return list(done)


def _choices(holes: Sequence[str], line: DeclaredLine) -> Iterator[list[bytes]]:
    """The holes' contents. Holes of the same name go together; of different names, each goes with each."""
    names = list(dict.fromkeys(_pieces(hole)[0] for hole in holes))
    rows: list[dict[str, bytes]] = [{}]
    for name in names:
        rows = [{**row, name: value} for row in rows for value in _values(name, line)]
    for row in rows:
        yield [_part(hole, row, line) for hole in holes]


def _values(name: str, line: DeclaredLine) -> list[bytes]:
    if name == "input":
        return [w.value for w in line.words if not w.option and w.role in ("input", "optional_input")]
    if name == "output":
        return line.of("output")
    if name.isdigit():
        return line.operands()[int(name) - 1 : int(name)] if int(name) else []
    return [value for value in line.values(name) if value]


def _part(hole: str, row: dict[str, bytes], line: DeclaredLine) -> bytes:
    name, *parts = _pieces(hole)
    value = row[name]
    for part in parts:
        below = _BELOW.fullmatch(part)
        value = _inside(value, line.values(below[1])) if below else _PARTS[part](value)
    return value


def _inside(path: bytes, directories: Sequence[bytes]) -> bytes:
    clean = os.path.normpath(path)
    for directory in sorted((os.path.normpath(d) for d in directories), key=len, reverse=True):
        if directory == b".":
            return clean
        if clean.startswith(directory.rstrip(b"/") + b"/"):
            return clean[len(directory.rstrip(b"/")) + 1 :]
    return clean


# Patterns of files

_MAGIC = re.compile(rb"[*?]")
List = Callable[[bytes], tuple[bytes, ...]]
IsDirectory = Callable[[bytes], bool]


def has_magic(path: bytes) -> bool:
    return _MAGIC.search(path) is not None


def matching(pattern: bytes, names: List, is_directory: IsDirectory) -> list[bytes]:
    """The files that an absolute pattern stands for: `*` and `?` within a name, `**` any depth, no hidden names.

    Too many (a pattern like `/**`) is an OSError.
    """
    parts = [part for part in pattern.split(b"/") if part]
    found: dict[bytes, None] = {}
    for path in _walk(b"", parts, names, is_directory):
        found[path] = None
        if len(found) > _MOST_FILES:
            raise OSError(f"{os.fsdecode(pattern)} stands for more than {_MOST_FILES} files")
    return [path for path in found if not is_directory(path)]


def _walk(top: bytes, parts: Sequence[bytes], names: List, is_directory: IsDirectory) -> Iterator[bytes]:
    if not parts:
        yield top
        return
    first, rest = parts[0], parts[1:]
    if not has_magic(first):
        yield from _walk(top + b"/" + first, rest, names, is_directory)
        return
    if first == b"**":
        yield from _walk(top, rest or [b"*"], names, is_directory)
    one = None if first == b"**" else _pattern(first)
    for name in names(top or b"/"):
        path = top + b"/" + name
        if name.startswith(b".") and not first.startswith(b"."):
            continue
        if one is None:
            if is_directory(path):
                yield from _walk(path, parts, names, is_directory)
        elif one.fullmatch(name) and (not rest or is_directory(path)):
            yield from _walk(path, rest, names, is_directory)


def _pattern(text: bytes) -> re.Pattern[bytes]:
    marks = {b"*": b"[^/]*", b"?": b"[^/]"}
    return re.compile(b"".join(marks.get(text[i : i + 1]) or re.escape(text[i : i + 1]) for i in range(len(text))))
