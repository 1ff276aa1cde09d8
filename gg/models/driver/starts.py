"""What the command lines of a build begin with: most have their flags in common, and these are taken apart once."""

from __future__ import annotations

from gg.core.slotted import names_of, replace
from gg.models.driver.command import Command

Words = tuple[bytes, ...]

_WORTH = 8  # arguments: to copy a command costs about as much as to read so many
_MOST = 64


class Starts:
    """The starts that are known, one for each kind of line."""

    def __init__(self) -> None:
        self._last: dict[object, Words] = {}
        self._known: dict[object, tuple[Words, Command]] = {}
        self._lists: tuple[str, ...] = ()

    def find(self, kind: object, words: Words) -> tuple[Command | None, int, int]:
        """The command that a known start of `words` gives, that start's length, and the length to `learn`, if any."""
        known = self._known.get(kind)
        if known is not None and words[: len(known[0])] == known[0]:
            return self._copied(known[1]), len(known[0]), 0
        last = self._last.get(kind, ())
        if len(self._last) >= _MOST:
            self._last.clear()
            self._known.clear()
        self._last[kind] = words
        same = next(
            (i for i, (a, b) in enumerate(zip(words, last, strict=False)) if a != b), min(len(words), len(last))
        )
        return None, 0, same if same >= _WORTH else 0

    def learn(self, kind: object, words: Words, command: Command) -> None:
        """`command` is what `words`, a start of a line of that kind, give."""
        self._known[kind] = words, self._copied(command)

    def _copied(self, command: Command) -> Command:
        """Another command with the same content, none of it shared that a handler may change."""
        if not self._lists:
            self._lists = tuple(name for name in names_of(Command) if type(getattr(command, name)) is list)
        found = replace(command, dependencies=replace(command.dependencies), beside=replace(command.beside))
        for name in self._lists:
            setattr(found, name, [*getattr(command, name)])
        found.dependencies.targets = [*command.dependencies.targets]
        return found
