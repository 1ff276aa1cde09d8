"""ar and ranlib, with GCC's and LLVM's versions of them.

A new archive reads its members; a changed one reads itself as well. Whether members' times and owners are recorded is
built into the program (Debian's leaves them out), and asked once: an archive with times is a fact about this machine's
files, so such a call is run for real. Thin archives name their members, whose bytes are read for the symbol index.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from gg.core.thunk import Work
from gg.light.slotted import slotted
from gg.models.binutils.common import (
    VERSION,
    absolute,
    environment,
    expand,
    in_place,
    is_trial,
    own_plugins,
    question_env,
    tools,
    trial,
)
from gg.models.binutils.options import OPERAND, Arg, OptionTable, Style, Unmodelled, parse, read_table
from gg.models.binutils.thin import is_dateless, recall, thin_members
from gg.models.drafts import Call, Draft, ModelAnswer, PathKind, Probe, RunReal, Writes
from gg.models.toolchain import program_files

# `op` letters choose the operation, `mod` ones change it; l and --record-libdeps take a text for the archive itself.
_AR = """
op -d -m -p -q -r -s -t -x
mod -a -b -i -c -D -f -N -o -O -P -S -T -u -U -v -L
mod -l: --record-libdeps=
value --target= --output= --rsp-quoting= --format=
thin --thin
plugin --plugin=
aix -X*
script -M
version -V --version -h --help
"""

_RANLIB = """
flag -D
dated -U -t
aix -X*
plugin --plugin=
version -v -V -h -H --version --help
"""


@cache
def ar_table() -> OptionTable:
    return read_table(_AR)


@cache
def ranlib_table() -> OptionTable:
    return read_table(_RANLIB, Style.GNU)


@slotted()
class ArCommand:
    """An ar command line, understood. `operation` is one letter: "V" for a question, "M" for an MRI script."""

    operation: str
    modifiers: frozenset[str]
    archive: bytes
    files: Sequence[bytes]
    plugins: tuple[bytes, ...]
    thin: bool


def ar(call: Call, probe: Probe) -> ModelAnswer:
    """The model of ar, gcc-ar and llvm-ar."""
    if len(call.argv) < 2:
        return RunReal("asks for its usage", reads_all=False, probe=True)
    try:
        args, response_files = expand(call.argv[1:], call.cwd, probe)
        request = read_request(args)
        return _ar(call, probe, request, response_files)
    except Unmodelled as error:
        return RunReal(str(error))


def read_request(args: Sequence[bytes]) -> ArCommand:
    """The parts of an ar command line (`@file` expanded); Unmodelled for one that ar itself would not take."""
    operation, modifiers, thin = "", set[str](), False
    operands: list[bytes] = []
    plugins: list[bytes] = []
    parsed, rest = _words(args)
    for effect, value, name in parsed:
        match effect:
            case "operand":
                operands.append(value)
            case "op" if name == b"-s":
                modifiers.add("s")
            case "op" if operation not in ("", name[1:].decode()):
                raise Unmodelled("two different operations")
            case "op":
                operation = name[1:].decode()
            case "mod":
                modifiers.add(name.decode().lstrip("-"))
            case "thin":
                thin = True
            case "plugin":
                plugins.append(value)
            case "version" | "script":
                return ArCommand("V" if effect == "version" else "M", frozenset(), b"", (), (), False)
            case _:
                pass
    operands.extend(rest)
    if not operation and not modifiers and operands:  # ar --plugin P cr lib.a x.o
        at = args.index(operands[0])
        return read_request((*args[:at], b"-" + operands[0], *args[at + 1 :]))
    operation = operation or ("s" if "s" in modifiers else "")
    skipped = (not modifiers.isdisjoint("abi")) + ("N" in modifiers)
    if not operation or len(operands) <= skipped:
        raise Unmodelled("no operation or no archive")
    archive, files = operands[skipped], operands[skipped + 1 :]
    return ArCommand(operation, frozenset(modifiers), archive, files, tuple(plugins), thin or "T" in modifiers)


def _words(args: Sequence[bytes]) -> tuple[list[Arg], Sequence[bytes]]:
    """The parsed words up to the last option with its operand, and the operands behind, which may be a thousand, as they are.

    A first word without a dash is option letters.
    """
    if not args:
        raise Unmodelled("no arguments")
    if args[0][:1] != b"-":
        if b"l" in args[0]:
            raise Unmodelled("the l modifier in front of its text")
        args = [b"-" + args[0], *args[1:]]
    last = max(at for at, arg in enumerate(args) if arg[:1] == b"-")
    return list(parse(ar_table(), args[: last + 2])), args[last + 2 :]


def _ar(call: Call, probe: Probe, request: ArCommand, response_files: Sequence[bytes]) -> ModelAnswer:
    if request.operation == "V":
        return RunReal("asks for the version", reads_all=False, probe=True)
    if request.operation == "M":
        return RunReal("an MRI script")
    operands = (request.archive, *request.files)
    if is_trial(operands, call):
        return trial(operands)
    if request.operation in "tpx":
        reads = (request.archive, *thin_members(probe, absolute(request.archive, call.cwd)))
        return RunReal("reads an archive", reads=reads, reads_all=False, probe=request.operation != "x")
    why = _refusal(call, probe, request)
    if why:
        return RunReal(why, reads=(*operands, *response_files), reads_all=False)
    return _draft(call, probe, request, response_files)


def _refusal(call: Call, probe: Probe, request: ArCommand) -> str:
    """Why a change to an archive is not modelled; empty if it is."""
    if "D" not in request.modifiers and ("U" in request.modifiers or not _is_deterministic(call, probe, b"[D]")):
        return "records the times of files"
    archive = absolute(request.archive, call.cwd)
    there = probe.kind(archive)
    if there is PathKind.DIRECTORY or (there is PathKind.MISSING and request.operation not in "qr"):
        return "there is no such archive"
    if "u" in request.modifiers and there is PathKind.FILE and not probe.is_placeholder(archive):
        # A placeholder was made by this model, which records no times: then every file is newer.
        try:
            if not is_dateless(probe.read(archive)):
                return "compares the times of files"
        except OSError:
            return "the archive cannot be read"
    return ""


def _is_deterministic(call: Call, probe: Probe, option: bytes) -> bool:
    """Whether this tool leaves times out by default. `option` asks for that; the tool's help text says whether it must."""
    if call.tool.name.startswith("llvm-"):
        return True
    answer = probe.run((call.tool.path, b"--help"), question_env(call.tool.path, call.env))
    line = next((line for line in answer.stdout.splitlines() if line.lstrip().startswith(option)), b"")
    return b"(default)" in line


def _draft(call: Call, probe: Probe, request: ArCommand, response_files: Sequence[bytes]) -> Draft:
    inputs = [*response_files, *request.plugins]
    output = request.archive
    archive = absolute(output, call.cwd)
    if probe.kind(archive) is PathKind.FILE and (response_files or not _is_run_again(call, probe, request)):
        output = in_place(output, call.cwd, probe)
        inputs.append(request.archive)
        inputs.extend(thin_members(probe, archive))
    if request.operation in "qr":
        inputs.extend(request.files)
        if request.thin or (request.operation == "q" and "L" in request.modifiers):
            for member in request.files:
                if member.endswith(b".a"):
                    inputs.extend(thin_members(probe, absolute(member, call.cwd)))
    return Draft(
        model=f"ar/{VERSION}",
        work=Work.ARCHIVE,
        argv=call.argv,
        program=call.tool.path,
        env=environment(call),
        inputs=tuple(dict.fromkeys(inputs)),
        outputs=(Writes(output),),
        tools=_tools(call, probe),
        plugins=own_plugins(call, probe),
    )


def _is_run_again(call: Call, probe: Probe, request: ArCommand) -> bool:
    """Whether this same command has recorded the archive that is there, and nobody has forced it: then the archive is made anew.

    Replacing each member by itself gives what making the archive anew gives. And if the change were recorded on top, the
    archive would wait for ever for a member that once failed to compile, though its source has been mended since.
    """
    archive = absolute(request.archive, call.cwd)
    if request.operation != "r" or not request.modifiers.isdisjoint("abiN") or request.thin:
        return False
    if not probe.is_placeholder(archive) or in_place(request.archive, call.cwd, probe) != request.archive:
        return False
    made = recall(probe, archive)
    while made is not None and made.before is not None and made.argv[0].endswith(b"ranlib"):
        made = made.before
    return made is not None and made.argv == call.argv and made.cwd == call.cwd and archive not in made.inputs


def _tools(call: Call, probe: Probe) -> tuple[bytes, ...]:
    """The files that run. gcc-ar and its like are drivers: they run the plain tool of the same directory."""
    own = tools(call, probe)
    if not call.tool.name.startswith("gcc-"):
        return own
    plain = call.tool.name[4:].encode()
    directory, _, base = call.tool.path.rpartition(b"/")
    prefix = base.partition(b"gcc-")[0]
    names = dict.fromkeys((plain, prefix + plain))
    behind = [program_files(probe, directory + b"/" + name, plugins=False) for name in names]
    return tuple(dict.fromkeys((*own, *(path for files in behind for path in files))))


def ranlib(call: Call, probe: Probe) -> ModelAnswer:
    """The model of ranlib, gcc-ranlib and llvm-ranlib: each archive is changed in place."""
    try:
        args, response_files = expand(call.argv[1:], call.cwd, probe)
        parsed = list(parse(ranlib_table(), args))
    except Unmodelled as error:
        return RunReal(str(error))
    effects = {arg.effect for arg in parsed}
    archives = tuple(arg.value for arg in parsed if arg.effect == OPERAND)
    if "version" in effects or not archives:
        return RunReal("asks for the version", reads_all=False, probe=True)
    if is_trial(archives, call):
        return trial(archives)
    if "dated" in effects or not _is_deterministic(call, probe, b"-D"):
        return RunReal("records the time", reads=archives, reads_all=False)
    paths = [absolute(archive, call.cwd) for archive in archives]
    if any(probe.kind(path) is not PathKind.FILE for path in paths):
        return RunReal("there is no such archive", reads=archives, reads_all=False)
    plugins = tuple(arg.value for arg in parsed if arg.effect == "plugin")
    members = tuple(member for path in paths for member in thin_members(probe, path))
    return Draft(
        model=f"ranlib/{VERSION}",
        work=Work.ARCHIVE,
        argv=call.argv,
        program=call.tool.path,
        env=environment(call),
        inputs=tuple(dict.fromkeys((*response_files, *plugins, *archives, *members))),
        outputs=tuple(Writes(in_place(archive, call.cwd, probe)) for archive in dict.fromkeys(archives)),
        tools=_tools(call, probe),
        plugins=own_plugins(call, probe),
    )
