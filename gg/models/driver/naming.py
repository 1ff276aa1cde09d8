"""What the drivers call their outputs when nobody says, and the files that they leave beside them.

GCC 11 and later name all such files from one *base* (gcc.cc, `process_command` and `do_spec_1` for %b; the manual under
-dumpbase): the output's directory and its name without suffix; when linking, the program's name, a hyphen and the
source's name without suffix. The hyphenated part is left out for a single source of the program's own name. Earlier
GCCs did it otherwise, so there these calls run for real.

Clang takes each name from the output of the step that writes the file. Under a link the names differ between its
releases, so a link with such files, other than those of -save-temps, runs for real.
"""

from __future__ import annotations

from collections.abc import Iterator

from gg.models.driver.command import DriverCommand, SourceFile, Stage
from gg.models.driver.flags import CLANG

_FIRST_GCC = (11,)
_OWN_SUFFIX = (18,)  # from this version on clang calls precompiled headers .pch (llvm-project's pull request 66165)


def directory(path: bytes) -> bytes:
    """The directory part, with its slash; empty for a name in the current one."""
    return path[: path.rfind(b"/") + 1]


def stem(path: bytes) -> bytes:
    """The name without directory and last suffix."""
    name = path[path.rfind(b"/") + 1 :]
    dot = name.rfind(b".")
    return name[:dot] if dot >= 0 else name


def with_suffix(path: bytes, suffix: bytes) -> bytes:
    """`path` with the last suffix of its name replaced (added, if it has none)."""
    return directory(path) + stem(path) + suffix


def main_output(command: DriverCommand, source: SourceFile, version: tuple[int, ...]) -> bytes:
    """What one source becomes, when the driver, which is of this version, stops before the link."""
    if command.output:
        return command.output
    if source.language.header and command.stage is not Stage.PREPROCESS:
        return source.path + (b".pch" if command.flavour == CLANG and version >= _OWN_SUFFIX else b".gch")
    if command.stage is Stage.ASSEMBLY:
        return stem(source.path) + (b".ll" if command.emit_llvm else b".s")
    return stem(source.path) + (b".bc" if command.emit_llvm else b".o")


def program_output(command: DriverCommand) -> bytes:
    """What a link makes. For Windows GCC adds a suffix to a name without one (gcc.cc, `convert_filename`)."""
    if not command.windows:
        return command.output or b"a.out"
    output = command.output or b"a.exe"
    return output if b"." in output[len(directory(output)) :] else output + b".exe"


def base(command: DriverCommand, source: SourceFile) -> bytes:
    """GCC's base for the files beside the output of `source`, its directory included."""
    if command.stage is not Stage.LINK:
        place = directory(command.output)
        name = stem(command.output or source.path)
    else:
        place = directory(command.output)
        program = program_output(command)[len(place) :]
        for suffix in (b".exe", b".out"):
            program = program.removesuffix(suffix)
        name = stem(source.path)
        alone = len(command.sources) == 1 and not command.objects
        if not (alone and name == program):
            name = program + b"-" + name
    return name if command.beside.temps == b"cwd" else place + name


def beside(command: DriverCommand, version: tuple[int, ...]) -> list[bytes]:
    """The files that are written beside the main outputs; refuses the command when that is not known."""
    if not command.beside.any():
        return []
    if command.stage is Stage.PREPROCESS:
        return []
    if any(source.language.header for source in command.sources):
        command.refuse("files beside a precompiled header")
    if not command.sources and not command.lto:
        return []
    late = command.beside.stack_usage or command.beside.callgraph  # written when optimisation ends
    if command.lto and (command.stage is Stage.LINK or late):
        command.refuse("files beside a link-time optimised output")
    if command.flavour == CLANG:
        return _clang(command)
    if version < _FIRST_GCC:
        command.refuse("files beside the output, as GCC named them before version 11")
    return [name for source in command.sources for name in _gcc(command, source)]


def _gcc(command: DriverCommand, source: SourceFile) -> Iterator[bytes]:
    wanted, language, name = command.beside, source.language, base(command, source)
    if wanted.split_dwarf and command.stage is not Stage.ASSEMBLY:
        yield name + b".dwo"
    if language.compiled:
        if wanted.notes:
            yield wanted.notes_name or name + b".gcno"
        if wanted.stack_usage:
            yield name + b".su"
        if wanted.callgraph:
            yield name + b".ci"
        if wanted.aux_info:
            yield wanted.aux_info
    if wanted.temps is not None:
        if language.preprocessed:
            yield name + language.intermediate
        if language.compiled and command.stage is not Stage.ASSEMBLY:
            yield name + b".s"
        if command.stage is Stage.LINK:
            yield name + b".o"


def _clang(command: DriverCommand) -> list[bytes]:
    wanted, stage = command.beside, command.stage
    named = wanted.notes or wanted.split_dwarf or wanted.stack_usage or wanted.time_trace
    if (named and stage is Stage.LINK) or (wanted.split_dwarf and stage is Stage.ASSEMBLY) or wanted.notes_name:
        command.refuse("clang's files beside a linked program")
    found: list[bytes] = []
    for source in command.sources:
        name = base(command, source)
        if wanted.split_dwarf:
            found.append(name + b".dwo")
        if source.language.compiled:
            found += [name + b".gcno"] * wanted.notes
            found += [name + b".su"] * wanted.stack_usage
            found += [name + b".json"] * wanted.time_trace
        if wanted.temps is not None:
            found += _clang_temps(command, source)
    return found


def _clang_temps(command: DriverCommand, source: SourceFile) -> Iterator[bytes]:
    """Clang's -save-temps: the source's own name, in the current directory, or in the output's (=obj)."""
    place = directory(command.output) if command.beside.temps == b"obj" else b""
    name, language = place + stem(source.path), source.language
    if not language.preprocessed and language.compiled:
        command.refuse("clang -save-temps of preprocessed text")
    if language.preprocessed:
        yield name + language.intermediate
    if language.compiled:
        yield name + b".bc"
        if command.stage is not Stage.ASSEMBLY:
            yield name + b".s"
    if command.stage is Stage.LINK:
        yield name + b".o"
