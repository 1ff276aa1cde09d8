"""Which commands of a shell's text run at once because the text does something that lasts behind them: `set -e; gcc …; echo x > f`,
`gcc … || exit 1; ./publish`, `gcc … && touch f`. Had such a command failed, the text would not have come so far, and nobody takes
the effect back when the failure is told later.

A further step with what was made does no harm, for it fails as well. Words on the terminal do none either. A make before such an
effect answers as a whole (`gg.record.whole_makes`). SCons and Waf are let go on: run again they are told of the failure, and end as
they would have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set

from gg.models.tool_names import tool_name
from gg.record.hearers.shellcommands import ShellWords

NOTHING = 0
"""What follows in a recipe of make: `gg.record.hearers.makefile` knows what make goes by."""
BY_HAND = 1
"""In a command of ninja: what it makes by hand, for ninja goes by the outputs."""
ALL = 2

_GO_ON = frozenset((b"scons", b"waf"))
_BUILDS = frozenset(b"make gmake remake bmake ninja ninja-build samu cmake meson".split()) | _GO_ON
_CARRIES = frozenset((b"mv", b"cp", b"ln", b"rm", b"install", b"chmod", b"strip", b"ranlib"))
_PASSES = frozenset(
    b". : [ [[ alias basename break cat cd cmp command continue date declare diff dirname du echo exit export expr false file"
    b" getopts grep hash head hexdump kill ldd let local ls mkdir od popd printf pushd pwd read readelf return sed set shift size"
    b" sleep sort stat strings tail test times trap true type typeset ulimit umask uname unset wait wc which".split()
)
"""What only looks, or prints, or is the shell's own. `sed -i` changes a file."""
_FIRST, _LAST = -1, 1 << 40  # places of what is in a function


class Effects:
    """Learns of a text's commands in their order. `which`: what counts as lasting."""

    def __init__(self, which: int) -> None:
        self._which = which
        self._at: dict[int, int] = {}
        self._lasting: set[int] = set()
        self._latest = self._count = 0
        self._made: set[bytes] = set()
        self._before: list[ShellWords] = []

    def saw(self, command: ShellWords, *, writes: bool, anded: Sequence[ShellWords], in_function: bool) -> None:
        """`writes`: into a file, by a redirection. `anded`: what must have gone well for it. A function may be called anywhere."""
        number = self._count = self._count + 1
        self._at[id(command)] = _FIRST if in_function else number
        if self._lasts(command, writes):
            self._lasting.add(id(command))
            self._latest = max(self._latest, _LAST if in_function else number)
            self._before += anded
        if tool_name(os.path.basename(command[0])):
            self._made |= _names(command) | {b"a.out"}

    def repeated(self, commands: Iterable[ShellWords]) -> None:
        """The body of a loop: what lasts in one turn comes before the next turn."""
        commands = list(commands)
        if self.any_lasts(commands):
            self._at |= dict.fromkeys(map(id, commands), _FIRST)

    def guarded(self, commands: Sequence[ShellWords], by: Sequence[ShellWords]) -> None:
        """`commands`, in braces or parentheses, run only if `by` went well."""
        if self.any_lasts(commands):
            self._before += by

    def any_lasts(self, commands: Iterable[ShellWords]) -> bool:
        return not self._lasting.isdisjoint(map(id, commands))

    def needed(self, every: Iterable[ShellWords], ends_by: Set[int], functions: Set[bytes]) -> list[ShellWords]:
        """The commands whose truth must be known. `ends_by`: ids of those by whose failure the text ends, or a function of it;
        `functions`: of the text, whose commands are among `every` themselves.
        """
        if not self._which:
            return []
        before = {id(command) for command in self._before}
        return [
            each
            for each in every
            if (id(each) in before or (id(each) in ends_by and self._at[id(each)] < self._latest))
            and not (os.path.basename(each[0]) in _GO_ON or each[0] in functions)
        ]

    def _lasts(self, command: ShellWords, writes: bool) -> bool:
        name = os.path.basename(command[0])
        if not self._which or builds(command):
            return False
        if tool_name(name):
            return False
        if writes or name == b"touch":
            return self._made.isdisjoint(_names(command)) or writes
        if self._which == BY_HAND:
            return False
        if name in _CARRIES:
            return self._made.isdisjoint(_names(command))
        return name not in _PASSES or (name == b"sed" and any(word.startswith(b"-i") for word in command))


def builds(command: Sequence[bytes]) -> bool:
    """Whether it is a make, or a program like it, whose outputs the command does not tell."""
    return os.path.basename(command[0]) in _BUILDS


def _names(command: ShellWords) -> set[bytes]:
    """The files that a command is about, without directories: those that it is given, and the objects that are made of them."""
    given = {os.path.basename(word) for word in command[1:] if not word.startswith(b"-")}
    return given | {name.rpartition(b".")[0] + b".o" for name in given if b"." in name}
