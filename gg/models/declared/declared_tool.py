"""A tool that the user declares, and how its calls are recognised. `gg.models.declared.tables` reads it from `gg.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gg.core.thunk import Work
from gg.light.named import NamedTuple


class Spelled(NamedTuple):
    """One option: its role, and the name under which its argument is known (its first spelling, without arity)."""

    role: str
    name: str
    takes: bool
    optional: bool = False


class WrittenBesides(NamedTuple):
    """A file that the tool writes though no argument names it: a template for its name, and the options it depends on."""

    path: str
    when: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    optional: bool = False
    executable: bool = False


class Declared(NamedTuple):
    """One table. `names` are patterns of base names, or of paths if they hold a slash."""

    name: str
    names: tuple[str, ...]
    script: str = ""
    words: Mapping[bytes, Spelled] = {}
    prefixes: tuple[tuple[bytes, Spelled], ...] = ()
    operands: tuple[str, ...] = ("input...",)
    inputs: tuple[str, ...] = ()
    outputs: tuple[WrittenBesides, ...] = ()
    programs: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    work: Work = Work.OTHER


class Declarations:
    """The declared tools of one session, found by how they are called."""

    def __init__(self, tables: Sequence[Declared]) -> None:
        self.tables = {table.name: table for table in tables}
        self._matchers = [(table, tuple(map(matcher, table.names))) for table in tables]
        self._scripts = {table.name: matcher(table.script) for table in tables if table.script}

    def __bool__(self) -> bool:
        return bool(self.tables)

    def patterns(self) -> tuple[str, ...]:
        """All patterns, for the shims and the interposer, which must know whose calls to catch."""
        return tuple(dict.fromkeys(name for table in self.tables.values() for name in table.names))

    def called(self, path: bytes) -> bool:
        """Whether some table is about a program of this path or base name."""
        return any(_matches(patterns, path) for _, patterns in self._matchers)

    def find(self, called: bytes, program: bytes, argv: Sequence[bytes]) -> Declared | None:
        """The first table that is about this call. `called` is the name that the caller used, `program` the file it leads to."""
        for table, patterns in self._matchers:
            if _matches(patterns, called) or _matches(patterns, program):
                wanted = self._scripts.get(table.name)
                if wanted is None or _matches((wanted,), _script(argv)):
                    return table
        return None


def _script(argv: Sequence[bytes]) -> bytes:
    """What an interpreter is told to run: its first argument that is no option."""
    return next((word for word in argv[1:] if not word.startswith(b"-")), b"")


Matcher = tuple[bool, re.Pattern[bytes]]


def matcher(pattern: str) -> Matcher:
    """Whether the pattern is for whole paths, and the pattern compiled. `*` and `?` are those of a shell, but match slashes too."""
    text = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return "/" in pattern, re.compile(text.encode(), re.DOTALL)


def _matches(patterns: Sequence[Matcher], path: bytes) -> bool:
    base = path[path.rfind(b"/") + 1 :]
    return any(pattern.fullmatch(path if whole else base) for whole, pattern in patterns)
