"""From a compiler driver's arguments to a `DriverCommand`: one pass, one handler an effect. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gg.models.driver.argument import Argument
from gg.models.driver.command import DriverCommand, SourceFile, text
from gg.models.driver.flags import CLANG
from gg.models.driver.handlers import HANDLERS
from gg.models.driver.languages import LANGUAGES, by_suffix
from gg.models.driver.passed_on import cc1_words, preprocessor_words
from gg.models.driver.table import FlagTable


@cache
def table(flavour: str) -> FlagTable:
    """The flag table of "gcc" or "clang", with these handlers."""
    return FlagTable(flavour, HANDLERS)


def parse(args: Iterable[bytes], flavour: str, *, cplusplus: bool = False, cpp: bool = False) -> DriverCommand:
    """The command line `args` (without argv[0], response files expanded) of a driver of that flavour.

    `cplusplus`: the driver is for C++. `cpp`: it is the preprocessor's (`cpp IN [OUT]`).
    """
    command = DriverCommand(flavour, cplusplus, cpp, preprocess=cpp)
    get = table(flavour).get
    groups: tuple[list[bytes], ...] = (
        [],
        command.options,
        command.link_options,
        command.file_options,
        command.link_operands,
    )
    words = iter(args)
    for arg in words:
        if not arg or arg[0] != 0x2D or len(arg) == 1:
            _operand(command, arg)
            continue
        known = get(arg)
        if known is None:
            command.refuse(f"unknown option {text(arg)}")
            continue
        value = known.value
        if known.takes_next:
            following = next(words, None)
            if following is None:
                command.refuse(f"{text(arg)} without its value")
                break
            value = following
            _keep(command, known, (arg, value), groups[known.group])
        else:
            _keep(command, known, (arg,), groups[known.group])
        if known.handler is not None:
            known.handler(command, known, value)
    if command.preprocessor_words:
        preprocessor_words(command, get)
    if command.cc1_words:
        cc1_words(command)
    return command


def _keep(command: DriverCommand, known: Argument, words: tuple[bytes, ...], group: list[bytes]) -> None:
    """Add an option, with its value if that is a word of its own, to each list of the command that it belongs to."""
    if known.headers:
        command.header_flags += words
    if known.link:
        command.link_flags += words
    if known.tools:
        command.tool_flags += words
    if not known.drop:
        command.kept += words
    group += words


def _operand(command: DriverCommand, path: bytes) -> None:
    if command.cpp and command.sources:
        command.output = command.output or path
        return
    if path == b"-":
        command.stdin = True
        return
    language = command.language or by_suffix(path, clang=command.flavour == CLANG, cplusplus=command.cplusplus)
    if command.cpp and (language is None or not language.preprocessed):
        language = LANGUAGES["c"]  # cpp takes a file of any name for C (gcc/c-family/cppspec.cc)
    if language is None:
        command.objects.append(path)
        command.link_words.append(path)
        return
    if not language.supported:
        command.refuse(f"the language {language.name}")
    command.sources.append(SourceFile(path, language))
    command.kept.append(path)
