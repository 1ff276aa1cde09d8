"""What each effect of the flag table does to the `DriverCommand` that is being filled: one small function an effect."""

from __future__ import annotations

from collections.abc import Mapping

from gg.models.driver.argument import Argument, OptionHandler
from gg.models.driver.command import DriverCommand, text
from gg.models.driver.flags import CLANG, Effect
from gg.models.driver.languages import by_name

# What to do


def _compile(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.compile = True


def _assembly(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.assembly = True


def _preprocess(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.preprocess = True


def _question(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.question = command.question or text(known.spelling)


def _real(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.refuse(f"{text(known.spelling)} is not modelled")


def _modules(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.refuse("C++ modules")


def _verbose(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.verbose = True


def _output(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.output = value


def _language(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.language = None if value == b"none" else by_name(value)


def _emit_llvm(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.emit_llvm = True


# The preprocessor


def _include(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.include.append(value)


def _quote(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.quote.append(value)


def _system(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.system.append(value)


def _after(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.after.append(value)


def _prefix(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.prefix = value


def _with_prefix(command: DriverCommand, known: Argument, value: bytes) -> None:
    if not command.prefix:
        command.refuse("-iwithprefix without -iprefix")
    command.after.append(command.prefix + value)


def _with_prefix_before(command: DriverCommand, known: Argument, value: bytes) -> None:
    if not command.prefix:
        command.refuse("-iwithprefixbefore without -iprefix")
    command.include.append(command.prefix + value)


def _sysroot(command: DriverCommand, known: Argument, value: bytes) -> None:
    if known.spelling == b"-isysroot" or not command.sysroot:
        command.sysroot = value


def _forced(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.forced.append(value)


def _include_pch(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.precompiled.append(value)


def _define(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.defines.append(value)


# Dependency files


def _md(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.asked = True
    if command.flavour == CLANG:
        command.dependencies.system = True


def _mmd(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.asked = True
    command.dependencies.system = False


def _mf(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.file = value


def _mt(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.targets.append((value, False))


def _mq(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.targets.append((value, True))


def _mp(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.dependencies.phony = True


# Through to the parts


def _to_preprocessor(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.preprocessor_words.append(value)


def _to_preprocessor_list(command: DriverCommand, known: Argument, value: bytes) -> None:
    words = value.split(b",")
    if command.flavour == CLANG and words[0] in (b"-MD", b"-MMD"):
        # Clang takes these two itself, and -MF from the word behind them if it is the only one.
        (_md if words[0] == b"-MD" else _mmd)(command, known, value)
        if len(words) == 2:
            command.dependencies.file = words[1]
        else:
            command.refuse("-Wp,-MD in another form than -Wp,-MD,FILE")
        return
    command.preprocessor_words += words


def _to_assembler(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.assembler_words.append(value)


def _to_assembler_list(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.assembler_words += value.split(b",")


def _to_linker(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.link_words.append(value)


def _to_linker_list(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.link_words += value.split(b",")


def _to_cc1(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.cc1_words.append(value)


# Linking


def _library(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.link_words.append(b"-l" + value)


def _library_dir(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.library_dirs.append(value)


def _link_word(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.link_words.append(known.spelling)


def _link_pair(command: DriverCommand, known: Argument, value: bytes) -> None:
    spelling = {b"--entry": b"-e", b"--force-link": b"-u"}.get(known.spelling, known.spelling)
    if known.takes_next or spelling != known.spelling:
        command.link_words += (spelling, value)
    else:
        command.link_words.append(spelling + value)


def _relocatable(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.relocatable = True


def _lto(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.lto = True


def _no_lto(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.lto = False


# Files beside the main output


def _notes(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.notes = True


def _notes_name(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.notes_name = value


def _save_temps(command: DriverCommand, known: Argument, value: bytes) -> None:
    if value not in (b"", b"obj", b"cwd"):
        command.refuse(f"unknown option -save-temps={text(value)}")
    command.beside.temps = value


def _split_dwarf(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.split_dwarf = value != b"=single"


def _no_split_dwarf(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.split_dwarf = False


def _stack_usage(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.stack_usage = True


def _time_trace(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.time_trace = True


def _aux_info(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.aux_info = value


def _callgraph(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.beside.callgraph = True


# Further inputs


def _input(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.inputs.append(value)


def _plugin(command: DriverCommand, known: Argument, value: bytes) -> None:
    if b"/" in value:
        command.plugins.append(value)
    else:
        command.refuse("a plugin that the compiler looks for")


def _specs(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.specs.append(value)


def _tool_dir(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.tool_dirs.append(value)


def _profile_use(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.profile_use = value


def _profile_dir(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.profile_dir = value


def _profile_make(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.profile_make = value.removeprefix(b"=")


def _auto_profile(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.inputs.append(value or b"fbdata.afdo")


def _clang_profile(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.profile_use = value.removeprefix(b"=")


def _native(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.native.append(known.spelling)


def _charset(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.converts = True


def _integrated_as(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.integrated_as = True


def _no_integrated_as(command: DriverCommand, known: Argument, value: bytes) -> None:
    command.integrated_as = False


HANDLERS: Mapping[Effect, OptionHandler] = {
    Effect.COMPILE: _compile,
    Effect.ASSEMBLY: _assembly,
    Effect.PREPROCESS: _preprocess,
    Effect.QUESTION: _question,
    Effect.REAL: _real,
    Effect.MODULES: _modules,
    Effect.VERBOSE: _verbose,
    Effect.OUTPUT: _output,
    Effect.LANGUAGE: _language,
    Effect.EMIT_LLVM: _emit_llvm,
    Effect.INCLUDE: _include,
    Effect.QUOTE: _quote,
    Effect.SYSTEM: _system,
    Effect.SYSTEM_AFTER: _after,
    Effect.AFTER: _after,
    Effect.PREFIX: _prefix,
    Effect.WITH_PREFIX: _with_prefix,
    Effect.WITH_PREFIX_BEFORE: _with_prefix_before,
    Effect.SYSROOT: _sysroot,
    Effect.FORCED: _forced,
    Effect.INCLUDE_PCH: _include_pch,
    Effect.DEFINE: _define,
    Effect.MD: _md,
    Effect.MMD: _mmd,
    Effect.MF: _mf,
    Effect.MT: _mt,
    Effect.MQ: _mq,
    Effect.MP: _mp,
    Effect.TO_PREPROCESSOR: _to_preprocessor,
    Effect.TO_PREPROCESSOR_LIST: _to_preprocessor_list,
    Effect.TO_ASSEMBLER: _to_assembler,
    Effect.TO_ASSEMBLER_LIST: _to_assembler_list,
    Effect.TO_LINKER: _to_linker,
    Effect.TO_LINKER_LIST: _to_linker_list,
    Effect.TO_CC1: _to_cc1,
    Effect.LIBRARY: _library,
    Effect.LIBRARY_DIR: _library_dir,
    Effect.LINK_WORD: _link_word,
    Effect.LINK_PAIR: _link_pair,
    Effect.RELOCATABLE: _relocatable,
    Effect.LTO: _lto,
    Effect.NO_LTO: _no_lto,
    Effect.NOTES: _notes,
    Effect.NOTES_NAME: _notes_name,
    Effect.SAVE_TEMPS: _save_temps,
    Effect.SPLIT_DWARF: _split_dwarf,
    Effect.NO_SPLIT_DWARF: _no_split_dwarf,
    Effect.STACK_USAGE: _stack_usage,
    Effect.TIME_TRACE: _time_trace,
    Effect.AUX_INFO: _aux_info,
    Effect.CALLGRAPH: _callgraph,
    Effect.INPUT: _input,
    Effect.PLUGIN: _plugin,
    Effect.SPECS: _specs,
    Effect.TOOL_DIR: _tool_dir,
    Effect.PROFILE_USE: _profile_use,
    Effect.PROFILE_DIR: _profile_dir,
    Effect.PROFILE_MAKE: _profile_make,
    Effect.AUTO_PROFILE: _auto_profile,
    Effect.CLANG_PROFILE: _clang_profile,
    Effect.NATIVE: _native,
    Effect.CHARSET: _charset,
    Effect.INTEGRATED_AS: _integrated_as,
    Effect.NO_INTEGRATED_AS: _no_integrated_as,
}
