"""Words that go past the driver: to the preprocessor by -Wp, and -Xpreprocessor, to clang's cc1 by -Xclang."""

from __future__ import annotations

from collections.abc import Callable

from gg.models.driver.argument import Argument
from gg.models.driver.command import DriverCommand, text
from gg.models.driver.flags import Effect

_FOR_CC1 = frozenset(
    {
        *(Effect.NEUTRAL, Effect.INCLUDE, Effect.QUOTE, Effect.SYSTEM, Effect.AFTER, Effect.FORCED, Effect.DEFINE),
        *(Effect.MF, Effect.MT, Effect.MQ, Effect.MP),
    }
)


def preprocessor_words(command: DriverCommand, get: Callable[[bytes], Argument | None]) -> None:
    """-Wp, and -Xpreprocessor: options of cc1, whose -MD and -MMD take a file."""
    kept: list[bytes] = []
    words = iter(command.preprocessor_words)
    for word in words:
        if word in (b"-MD", b"-MMD"):
            command.dependencies.direct = next(words, b"")
            command.dependencies.system = word == b"-MD"
            continue
        known = get(word) if word[:1] == b"-" else None
        if known is None or known.effect not in _FOR_CC1:
            command.refuse(f"-Wp,{text(word)} is not modelled")
            continue
        value = next(words, b"") if known.takes_next else known.value
        if known.handler is not None:
            known.handler(command, known, value)
        if known.effect is Effect.NEUTRAL:
            command.options += (b"-Xpreprocessor", word, *((b"-Xpreprocessor", value) if known.takes_next else ()))
        if not known.drop:
            kept += (word, value) if known.takes_next else (word,)
    for word in kept:
        command.kept += (b"-Xpreprocessor", word)


_CC1_ALONE = (b"-disable-", b"-fno-", b"-W", b"-mrelax", b"-fdebug", b"-coverage-version=", b"-fuse-", b"-f")
_CC1_WITH_VALUE = (b"-target-feature", b"-mllvm", b"-target-cpu", b"-target-abi")


def cc1_words(command: DriverCommand) -> None:
    """-Xclang: a few options of clang's own cc1, as CMake and others use them."""
    words = iter(command.cc1_words)
    for word in words:
        if word == b"-include-pch":
            command.precompiled.append(next(words, b""))
        elif word == b"-include":
            command.forced.append(next(words, b""))
        elif word == b"-emit-pch":
            command.emit_pch = True
        elif word in _CC1_WITH_VALUE:
            command.options += (b"-Xclang", word, b"-Xclang", next(words, b""))
        elif word.startswith((b"-fmodule", b"-fimplicit")):
            command.refuse("C++ modules")
        elif not word.startswith(_CC1_ALONE) or b"=" in word:
            command.refuse(f"-Xclang {text(word)} is not modelled")
        else:
            command.options += (b"-Xclang", word)
