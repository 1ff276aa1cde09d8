"""as, the GNU assembler. Sources are scanned for .include and .incbin; the rest of its options change no path."""

from __future__ import annotations

from functools import cache

from gg.core.thunk import Work
from gg.models.binutils.common import (
    VERSION,
    directory_name,
    environment,
    expand,
    is_trial,
    question_env,
    text,
    tools,
    trial,
)
from gg.models.binutils.options import OPERAND, Arg, OptionTable, Style, Unmodelled, parse, read_table
from gg.models.drafts import Call, Depfile, Draft, Lexer, ModelAnswer, Probe, RunReal, Scan, SearchPath, Writes

# From `as --help` of binutils 2.40 for x86 and the manual's "Machine Dependencies" for the others, whose options that
# start with -m and -x name no file. `--` and a missing operand mean standard input.
_AS = """
output -o:
include -I:
depfile --MD=
listing -a:: --a[=] --al[=]
value --defsym= --debug-prefix-map= --hash-size= --listing-lhs-width= --listing-lhs-width2= --listing-rhs-width=
value --listing-cont-lines= --size-check= --elf-stt-common= --generate-missing-build-notes= --gdwarf-cie-version=
value --multibyte-handling= --itbl= --em=
flag --alternate --compress-debug-sections[=] --nocompress-debug-sections -D --execstack --noexecstack --sectname-subst
flag --gsframe -f -g --gen-debug --gstabs --gstabs+ --gdwarf --gdwarf2 --gdwarf-2 --gdwarf-3 --gdwarf-4 --gdwarf-5
flag --gdwarf-sections -J -K -L --keep-locals -M --mri --nocpp --no-pad-sections -R --reduce-memory-overheads
flag --strip-local-absolute --traditional-format -W --no-warn --warn --fatal-warnings -w -X -Z -Q: -s -k -n -q -O::
flag --32 --64 --x32 --divide --verbose --EB --EL --KPIC --fpic --statistics -m*
flag --n32
probe --help --target-help --version --dump-config
version -v -V
"""


@cache
def as_table() -> OptionTable:
    return read_table(_AS, Style.LONG_ONLY)


def gas(call: Call, probe: Probe) -> ModelAnswer:
    """The model of as."""
    try:
        args, response_files = expand(call.argv[1:], call.cwd, probe)
        if b"--" in args:
            raise Unmodelled("assembles standard input")
        parsed = list(parse(as_table(), args))
    except Unmodelled as error:
        return RunReal(str(error))
    sources = tuple(arg.value for arg in parsed if arg.effect == OPERAND)
    refusal = _refusal(parsed, sources)
    if refusal is not None:
        return refusal
    machine = [arg.name + arg.value for arg in parsed if arg.name == b"-m"]
    if machine and not _accepts(machine, call, probe):
        return RunReal(f"the assembler does not accept {text(b' '.join(machine))}", reads=sources, reads_all=False)
    output = _last(parsed, "output") or b"a.out"
    if output.startswith(b"/dev/"):
        return RunReal("assembles to a device", reads=sources, reads_all=False, probe=True)
    if is_trial((*sources, output), call):
        return trial(sources)
    dirs = (b".", *(arg.value for arg in parsed if arg.effect == "include"))
    listing = [_listing(arg) for arg in parsed if arg.effect == "listing"]
    outputs = [Writes(output), *(Writes(path) for path in dict.fromkeys(listing))]
    rule = _last(parsed, "depfile")
    if rule:
        outputs.append(Writes(rule, soft=True))
    return Draft(
        model=f"as/{VERSION}",
        work=Work.ASSEMBLE,
        argv=call.argv,
        program=call.tool.path,
        env=environment(call) | {b"PWD": directory_name(call, probe)},
        inputs=(*response_files, *sources),
        outputs=tuple(outputs),
        tools=tools(call, probe),
        directories=dirs[1:],
        scans=(Scan(Lexer.GAS, sources, SearchPath((), dirs, len(dirs))),),
        depfile=Depfile(rule, (output,)) if rule else None,
    )


def _accepts(machine: list[bytes], call: Call, probe: Probe) -> bool:
    """Whether the assembler knows these options of its target: asked of it, once a session and set."""
    argv = (call.tool.path, *machine, b"/dev/null", b"-o", b"/dev/null")
    return probe.run(argv, question_env(call.tool.path, call.env)).status == 0


def _refusal(parsed: list[Arg], sources: tuple[bytes, ...]) -> RunReal | None:
    effects = {arg.effect for arg in parsed}
    if "probe" in effects:
        return RunReal("asks the assembler a question", reads_all=False, probe=True)
    if not sources or b"-" in sources:
        # `as -v </dev/null` and the like ask for the version.
        return RunReal("assembles standard input", probe="version" in effects)
    if any(arg.effect == "listing" and not _listing(arg) for arg in parsed):
        return RunReal("prints a listing", reads=sources, reads_all=False)
    return None


def _listing(arg: Arg) -> bytes:
    """The file of a listing option, empty for standard output: -a=F, -al=F, -ahls=F."""
    return arg.value.partition(b"=")[2] if arg.name.startswith(b"-") else arg.value


def _last(parsed: list[Arg], effect: str) -> bytes:
    return next((arg.value for arg in reversed(parsed) if arg.effect == effect), b"")
