"""Whether the compiler accepts the options of a call: an unknown one must fail now, for a build may act on that failure.

The flag table knows families by how they begin (`-f…`, `-W…`), so it takes `-fnope` for an option. Names that every
compiler of these versions has are `certain`. About any others the compiler is asked, each set of options once a session:
it is started with them on one declaration, and its status is the answer. This also finds values that the compiler does
not take, options that exclude each other, and warnings about options that -Werror makes errors.

What is for the linker is not asked here: the question about the link (`link_line`) fails with a bad one. Clang warns of
what it does not use, so under -Werror it is asked with everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Protocol

from gg.models.driver.certain import certain, is_certain_file_option
from gg.models.driver.command import DriverCommand, Stage, text
from gg.models.driver.flags import CLANG, GCC
from gg.models.driver.languages import Language
from gg.models.driver.refusals import MustRunReal

OptionWords = tuple[bytes, ...]

# A declaration: -Wpedantic warns of a unit without one.
QUESTION = os.path.join(os.path.dirname(os.fsencode(__file__)), b"question.c")
NOTHING = b"/dev/null"

_FOR_X = {"c": b"c", "c++": b"c++", "objc": b"objective-c", "objc++": b"objective-c++", "asm": b"assembler-with-cpp"}
_STAGES = {Stage.PREPROCESS: b"-E", Stage.ASSEMBLY: b"-S"}
_MOST_REMEMBERED = 4096


class AcceptFacts(Protocol):
    """What is asked of the toolchain here."""

    @property
    def flavour(self) -> str: ...
    @property
    def version(self) -> tuple[int, ...]: ...
    def accepts(self, flags: OptionWords, then: OptionWords, cwd: bytes = b"/") -> bool: ...


class Accepted:
    """What one session has learnt of the options that its compilers accept."""

    def __init__(self) -> None:
        self._known: dict[object, str] = {}

    def check(self, command: DriverCommand, facts: AcceptFacts, cwd: bytes) -> None:
        """Raise MustRunReal if the compiler does not accept the options of `command`."""
        languages = tuple(dict.fromkeys(source.language for source in command.sources))
        options = (tuple(command.options), tuple(command.link_options), tuple(command.file_options))
        key = (id(facts), cwd, command.stage, languages, options, tuple(command.assembler_words), _unused(command))
        why = self._known.get(key)
        if why is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            why = self._known[key] = _refusal(command, facts, languages, cwd)
        if why:
            raise MustRunReal(why)


def _refusal(command: DriverCommand, facts: AcceptFacts, languages: Sequence[Language], cwd: bytes) -> str:
    """Why the compiler would not accept the command's options; empty if it does."""
    for flags, then in _questions(command, facts, languages):
        if not facts.accepts(flags, then, cwd):
            doubtful = _doubtful(flags, facts, languages[0].front if languages else "")
            return f"the compiler does not accept {text(b' '.join(doubtful[:4]) or b' '.join(flags[:4]))}"
    return ""


def _questions(
    command: DriverCommand, facts: AcceptFacts, languages: Sequence[Language]
) -> Iterator[tuple[OptionWords, OptionWords]]:
    """The questions to ask: each a set of options, and the words that make a question of them."""
    options = (*command.options, *command.link_options)
    unused = _unused(command)
    all_count = unused or command.stage is not Stage.LINK or facts.flavour == GCC
    tried = (*options, *unused) if all_count else tuple(command.options)
    for language in languages:
        if unused or _doubtful(tried, facts, language.front):
            yield tried, _proper(command, facts, language)
    named = [word for word in command.file_options if not is_certain_file_option(word)]
    linked = not languages or (facts.flavour == CLANG and command.stage is Stage.LINK)
    asked = frozenset(command.link_flags)  # the question about the link has them
    if named or (linked and _doubtful([word for word in options if word not in asked], facts, "")):
        yield (*options, *command.file_options), (b"-###", NOTHING)
    if any(word.startswith(b"-m") for word in command.assembler_words):
        words = tuple(b"-Wa," + word for word in command.assembler_words)
        yield (*options, *words), (b"-c", b"-x", b"assembler", NOTHING, b"-o", NOTHING)


def _unused(command: DriverCommand) -> OptionWords:
    """The link operands of a command that does not link: clang warns that it does not use them, and -Werror makes that an error."""
    if command.flavour != CLANG or command.stage is Stage.LINK or b"-Werror" not in command.options:
        return ()
    return tuple(command.link_operands)


def _doubtful(words: Sequence[bytes], facts: AcceptFacts, front: str) -> list[bytes]:
    sure = certain(facts.flavour, facts.version, front)
    return [word for word in words if not sure(word)]


def _proper(command: DriverCommand, facts: AcceptFacts, language: Language) -> OptionWords:
    """The words that put the question to a language's compiler proper, or to the driver where there is none."""
    if not language.preprocessed and not language.compiled:
        return (b"-###", b"-c", b"-x", b"assembler", NOTHING)
    if language.front == "ir":
        return (b"-###", b"-c", b"-x", b"ir", NOTHING)
    stage = b"-fsyntax-only"
    if facts.flavour == CLANG and b"-Werror" in command.options:
        stage = _STAGES.get(command.stage, b"-c")
    elif language.front == "asm":
        stage = b"-E"
    source = NOTHING if language.front == "asm" else QUESTION
    return (stage, b"-x", _FOR_X[language.front], source, *((b"-o", NOTHING) if stage != b"-fsyntax-only" else ()))


__all__ = ["QUESTION", "AcceptFacts", "Accepted"]
