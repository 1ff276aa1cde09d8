"""How a compiler on another machine is told what -march=native means on this one. Pure.

The thunk's argv stays as it is. GCC's driver asks the processor only because its spec `cc1_cpu` says so, and a spec can be
given again with -specs: cc1 then gets the same words at the same place, so that also what records its command line
(DW_AT_producer, -frecord-gcc-switches, LTO sections) has the same bytes. clang's driver has no specs. There the words take
the place of the -march in argv; the code is the same, and a record of the command line would not be.

`gg.run.processor` obeys. What cannot be told with certainty is compiled on this machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gg.light.regex import regex
from gg.models.driver.command import DriverCommand, Stage
from gg.models.driver.flags import GCC

SPECS = b"specs"
INSTEAD = b"instead"
_X86 = regex(rb"x86_64-|i[3-6]86-")
_PLAIN = regex(rb"[\w.,+=-]+")  # no character that a spec file knows
_NATIVE = (b"-march=native", b"-mtune=native")
_RECORDS = (b"-grecord-command-line", b"-frecord-command-line", b"-grecord-gcc-switches", b"-frecord-gcc-switches")


def elsewhere(command: DriverCommand, argv: Sequence[bytes], target: bytes, meaning: Sequence[bytes]) -> bytes:
    """The words that make a compiler on any machine do what `native` means on this one; empty if that cannot be said.

    `meaning`: all of the call's machine options, as the driver passes them on here. Of the words in the answer the first says
    how the others are given to the compiler.
    """
    flags = [word for word in command.kept if word.startswith(b"-m")]
    if not _X86.match(target) or not _last_is_native(flags) or b"-v" in argv:
        return b""
    found = _of_gcc(command, flags, meaning) if command.flavour == GCC else _of_clang(command, argv, meaning)
    return b" ".join(found) if all(map(_PLAIN.fullmatch, found)) else b""


def _last_is_native(flags: Sequence[bytes]) -> bool:
    """Whether the last -march= and the last -mtune= are `native`, or there is none of the one kind."""
    last = {flag.partition(b"=")[0]: flag for flag in flags if flag.startswith((b"-march=", b"-mtune=", b"-mcpu="))}
    return bool(last) and all(flag in _NATIVE for flag in last.values())


def _of_gcc(command: DriverCommand, flags: Sequence[bytes], meaning: Sequence[bytes]) -> Sequence[bytes]:
    """The options that stand for the processor: those up to the first -mtune=. The driver adds the call's own options itself."""
    ends = [index for index, word in enumerate(meaning) if word.startswith(b"-mtune=")]
    if command.specs or not ends:
        return ()
    words = meaning[: ends[0] + 1]
    own = Counter(flag for flag in flags if flag not in _NATIVE)
    return () if own - Counter(meaning[ends[0] + 1 :]) else (SPECS, *words)


def _of_clang(command: DriverCommand, argv: Sequence[bytes], meaning: Sequence[bytes]) -> Sequence[bytes]:
    compiles = command.stage is not Stage.LINK and all(source.language.compiled for source in command.sources)
    plain = not any(word.startswith(b"@") or word in _RECORDS or word == b"--" for word in argv)
    return (INSTEAD, *meaning) if compiles and plain and all(word in argv for word in command.native) else ()
