"""The dependency file: where it is, and the targets of its rule.

GCC's driver hands `-MD` on with a name made of -o's operand (or of the source's name), and `-MQ` with -o's operand if
neither -MQ nor -MT was given and it is not preprocessing (gcc.cc, `cpp_unique_options`). Whatever goes through -Wp, is
read by cc1 alone, which knows no -o: its default target is the source's name with `.o`. Clang's driver gives all of
it. Both quote the operands of -MQ and the default for make, and leave those of -MT as they are (libcpp/mkdeps.cc).
"""

from __future__ import annotations

from gg.models.drafts import Depfile
from gg.models.driver.command import DriverCommand, SourceFile, Stage
from gg.models.driver.flags import CLANG
from gg.models.driver.naming import base, stem, with_suffix

_SPECIAL = b" \t$#"


def munge(name: bytes) -> bytes:
    """A target as -MQ quotes it: `$$`, `\\#`, blanks with a backslash and those before them doubled."""
    if not any(byte in _SPECIAL for byte in name):
        return name
    quoted = bytearray()
    slashes = 0
    for byte in name:
        if byte in b" \t":
            quoted += b"\\" * (slashes + 1)
        elif byte == 0x24:
            quoted += b"$"
        elif byte == 0x23:
            quoted += b"\\"
        slashes = slashes + 1 if byte == 0x5C else 0
        quoted.append(byte)
    return bytes(quoted)


def depfile(command: DriverCommand) -> Depfile | None:
    """The dependency file that the command writes, None if it writes none; refuses what is not certain."""
    wanted = command.dependencies
    written = [source for source in command.sources if source.language.preprocessed]
    if not written:
        return None
    if not wanted.asked and wanted.direct is None:
        if wanted.targets or wanted.file or wanted.phony:
            command.refuse("options for a dependency file that is not asked for")
        return None
    if wanted.asked and wanted.direct is not None:
        command.refuse("two dependency files")
    path = _path(command, written)
    if path in (b"", b"-") or path.startswith(b"/dev/"):
        command.refuse("a dependency file that is no file")
    return Depfile(path, _targets(command, written[-1]), wanted.system, wanted.phony)


def _path(command: DriverCommand, written: list[SourceFile]) -> bytes:
    wanted = command.dependencies
    if wanted.direct is not None:
        if wanted.file is not None:
            command.refuse("two dependency files")
        return wanted.direct
    if wanted.file is not None:
        return wanted.file
    if command.output:
        return with_suffix(command.output, b".d")
    if len(written) > 1:
        command.refuse("several dependency files")
    if written[-1].language.header:
        command.refuse("the dependency file of a precompiled header without -o")
    source = written[-1]
    return stem(source.path) + b".d" if command.flavour == CLANG else base(command, source) + b".d"


def _targets(command: DriverCommand, source: SourceFile) -> tuple[bytes, ...]:
    wanted = command.dependencies
    if command.flavour == CLANG:
        if wanted.targets:
            return tuple(munge(name) if quoted else name for name, quoted in wanted.targets)
        return (munge(command.output or stem(source.path) + b".o"),)
    if wanted.targets:
        return _gcc_order(wanted.targets)
    past_driver = wanted.direct is not None or command.stage is Stage.PREPROCESS
    if command.output and not past_driver:
        return (munge(command.output),)
    return (munge(stem(source.path) + b".o"),)


def _gcc_order(targets: list[tuple[bytes, bool]]) -> tuple[bytes, ...]:
    """All -MQ come first, then each -MT changes places with the first of those (`deps_add_target`)."""
    ordered = [munge(name) for name, quoted in targets if quoted]
    for place, name in enumerate(name for name, quoted in targets if not quoted):
        if place < len(ordered):
            ordered.append(ordered[place])
            ordered[place] = name
        else:
            ordered.append(name)
    return tuple(ordered)
