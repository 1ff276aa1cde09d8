"""nasm and yasm. Sources are scanned for what they include; -M asks and runs for real, -MD writes its rule beside.

From nasm 2.16's and yasm 1.3's --help, and `process_arg` in nasm's `asm/nasm.c`. nasm takes more options from NASMENV
and from `-@ file`. Without -o, nasm writes beside the source and yasm into the current directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from gg.core.thunk import Work
from gg.models.binutils.common import VERSION, absolute, environment, is_trial, tools, trial
from gg.models.binutils.options import OPERAND, Arg, OptionTable, Style, Unmodelled, parse, read_table
from gg.models.drafts import Call, Depfile, Draft, Lexer, ModelAnswer, Probe, RunReal, Scan, SearchPath, Writes

# `rule` is the -M family, taken apart in `_rules`.
_NASM = """
output -o:
format -f:
listing -l:
errors -Z:
include -I: -i:
forced -P: -p: --include=
define -D: -d:
debug -F:
value -X: -U: -u: --prefix= --gprefix= --suffix= --postfix= --gpostfix= --gsuffix= --lprefix= --lpostfix=
value --lsuffix= --pragma= --before= --limit-passes= --limit-stalled-passes= --limit-macro-levels= --limit-macro-tokens=
value --limit-mmacros= --limit-rep= --limit-eval= --limit-lines= --bits=
debug -g::
optimize -O::
flag -L:: -w:: -W:: -s -t -a -y --keep-all --no-line --reproducible --debug[=]
preprocess -E -e
rule -M::
response -@:
probe -v -h:: --v --version --help
"""

_YASM = """
output -o: --objfile=
format -f: --oformat=
listing -l: --list=
map --mapfile=
errors -E:
include -I: -i:
forced -P:
define -D: -d:
parser -p: --parser=
preproc -r: --preproc=
debug -g: --dformat=
value -a: --arch= -L: --lformat= -m: --machine= -U: -u: -X: --prefix= --suffix= --postfix=
flag --force-strict -w -W:: -s
preprocess -e --preproc-only
probe -M --version --license -h --help
"""

_OBJECT = b".o"
_NASM_SUFFIXES = {
    b"bin": b"", b"ith": b".ith", b"srec": b".srec", b"obj": b".obj", b"win": b".obj", b"win32": b".obj",
    b"win64": b".obj", b"dbg": b".dbg", b"aout": _OBJECT, b"aoutb": _OBJECT, b"coff": _OBJECT, b"elf": _OBJECT,
    b"elf32": _OBJECT, b"elf64": _OBJECT, b"elfx32": _OBJECT, b"as86": _OBJECT, b"macho": _OBJECT,
    b"macho32": _OBJECT, b"macho64": _OBJECT,
}  # fmt: skip
_YASM_SUFFIXES = {
    b"bin": b"", b"dosexe": b".exe", b"elf": _OBJECT, b"elf32": _OBJECT, b"elf64": _OBJECT, b"elfx32": _OBJECT,
    b"coff": _OBJECT, b"macho": _OBJECT, b"macho32": _OBJECT, b"macho64": _OBJECT, b"rdf": b".rdf",
    b"win32": b".obj", b"win64": b".obj", b"x64": b".obj", b"xdf": b".xdf",
}  # fmt: skip


_DEBUG = {  # the debug formats of each format (nasm -hf, yasm -g help); with others the assembler is asked
    "nasm": {b"elf": b"dwarf stabs", b"macho": b"dwarf", b"win": b"cv8", b"obj": b"borland", b"dbg": b"debug"},
    "yasm": {b"elf": b"dwarf2 stabs null", b"win": b"cv8 null", b"x64": b"cv8 null"},
}


@cache
def nasm_table() -> OptionTable:
    return read_table(_NASM, Style.EXACT)


@cache
def yasm_table() -> OptionTable:
    return read_table(_YASM, Style.EXACT)


def nasm(call: Call, probe: Probe) -> ModelAnswer:
    """The model of nasm."""
    try:
        args, files = _nasm_args(call, probe)
        parsed, rules = _rules(list(parse(nasm_table(), args)))
        return _assembled(call, probe, parsed, rules, files)
    except Unmodelled as error:
        return RunReal(str(error))


def yasm(call: Call, probe: Probe) -> ModelAnswer:
    """The model of yasm."""
    try:
        parsed = list(parse(yasm_table(), call.argv[1:]))
        if any(arg.value == b"help" and arg.effect in ("value", "format", "parser", "preproc") for arg in parsed):
            return RunReal("asks for help", reads_all=False, probe=True)
        if _last(parsed, "preproc") == b"cpp":
            raise Unmodelled("preprocesses by another program")
        return _assembled(call, probe, parsed, {}, [])
    except Unmodelled as error:
        return RunReal(str(error))


def _nasm_args(call: Call, probe: Probe) -> tuple[list[bytes], list[bytes]]:
    """The arguments with those of NASMENV in front and `-@` files read; and those files."""
    args: list[bytes] = []
    files: list[bytes] = []
    words = iter((*environment_args(call.env.get(b"NASMENV", b"")), *call.argv[1:]))
    for word in words:
        if not word.startswith(b"-@"):
            args.append(word)
            continue
        name = word[2:] or next(words, b"")
        try:
            text = probe.read(absolute(name, call.cwd))
        except OSError as error:
            raise Unmodelled("a response file cannot be read") from error
        files.append(name)
        args += [part for line in text.splitlines() for part in line.split(None, 1)]
    if any(arg.startswith(b"-@") for arg in args):
        raise Unmodelled("response files in response files")
    return args, files


def environment_args(text: bytes) -> list[bytes]:
    """The options in NASMENV: separated by white space, or by its first character when that is no dash."""
    if text[:1] in (b"-", b""):
        return text.split()
    return [part for part in text.split(text[:1]) if part]


def _rules(parsed: list[Arg]) -> tuple[list[Arg], dict[str, list[bytes]]]:
    """What the -M options say, with the words that belong to them taken out of the operands.

    `file`: the names of -MF and -MD; `write`: -MD; `target`: -MT and quoted -MQ; `phony`: -MP; `ask`: to stdout.
    """
    rest: list[Arg] = []
    rules: dict[str, list[bytes]] = {}
    at = 0
    while at < len(parsed):
        arg = parsed[at]
        at += 1
        if arg.effect != "rule":
            rest.append(arg)
            continue
        following = parsed[at].value if at < len(parsed) and parsed[at].effect == OPERAND else None
        kind = {b"F": "file", b"D": "file", b"T": "target", b"Q": "target", b"P": "phony"}.get(arg.value, "ask")
        if arg.value == b"D":
            rules["write"] = []
        if kind in ("file", "target") and following is not None:
            at += 1
            rules.setdefault(kind, []).append(_quoted(following) if arg.value == b"Q" else following)
        elif kind == "target" or arg.value == b"F":
            raise Unmodelled("-M lacks its argument")
        elif kind != "file":
            rules[kind] = []
    return rest, rules


def _quoted(name: bytes) -> bytes:
    """A target as make wants it (nasm's -MQ)."""
    return name.replace(b"$", b"$$").replace(b"#", b"\\#").replace(b" ", b"\\ ")


def _assembled(
    call: Call, probe: Probe, parsed: list[Arg], rules: dict[str, list[bytes]], files: Sequence[bytes]
) -> ModelAnswer:
    effects = {arg.effect for arg in parsed}
    sources = tuple(arg.value for arg in parsed if arg.effect == OPERAND)
    if "probe" in effects or not sources or "ask" in rules:
        return RunReal("asks the assembler a question", reads=sources, probe=True)
    if len(sources) > 1 or b"-" in sources:
        return RunReal("assembles standard input or many files")
    if why := _unknown(call.tool.name, parsed):
        return RunReal(why, reads=sources)
    preprocess = "preprocess" in effects
    output = _last(parsed, "output")
    if preprocess and not output:
        return RunReal("prints the preprocessed source", reads=sources, probe=True)
    default = _default_output(call.tool.name, sources[0], _last(parsed, "format") or b"bin")
    output = output or default
    if output.startswith(b"/dev/") or output == b"-":
        return RunReal("assembles to a device", reads=sources, probe=True)
    if is_trial((*sources, output), call):
        return trial(sources)
    depfile = _depfile(rules, output)
    dirs = tuple(arg.value for arg in parsed if arg.effect == "include")
    return Draft(
        model=f"{call.tool.name}/{VERSION}",
        work=Work.PREPROCESS if preprocess else Work.ASSEMBLE,
        argv=call.argv,
        program=call.tool.path,
        env=environment(call, (b"NASMENV",)),
        inputs=(*files, *sources),
        outputs=_outputs(parsed, output, depfile, rules),
        tools=tools(call, probe),
        directories=tuple(directory for directory in dirs if directory),
        scans=(_scan(parsed, sources, dirs),),
        depfile=depfile,
    )


def _unknown(tool: str, parsed: list[Arg]) -> str:
    """An option's value that the assembler may not know: it would refuse it before it reads anything."""
    form = (_last(parsed, "format") or b"bin").lower().rstrip(b"0123456789x")
    known = _DEBUG[tool].get(form, b"").split()
    if any(arg.value.lower() not in known for arg in parsed if arg.effect == "debug" and arg.value):
        return "an unknown debug format"
    if any(arg.value.strip(b"0123456789xv") for arg in parsed if arg.effect == "optimize"):
        return "an unknown optimization"
    return ""


def _scan(parsed: list[Arg], sources: tuple[bytes, ...], dirs: tuple[bytes, ...]) -> Scan:
    lexer = Lexer.GAS if _last(parsed, "parser") in (b"gas", b"gnu") else Lexer.NASM
    forced = tuple(arg.value for arg in parsed if arg.effect == "forced")
    defines = tuple(arg.value for arg in parsed if arg.effect == "define")
    return Scan(lexer, sources, SearchPath((), (b".", *dirs), len(dirs) + 1), forced, defines)


def _depfile(rules: dict[str, list[bytes]], output: bytes) -> Depfile | None:
    """The rule that -MD asks for; by itself, -MF only names a file (nasm 2.16)."""
    if "write" not in rules:
        return None
    name = (rules.get("file") or [output + b".d"])[-1]
    return Depfile(name, tuple(rules.get("target", ())[-1:]) or (output,), phony="phony" in rules)


def _outputs(
    parsed: list[Arg], output: bytes, depfile: Depfile | None, rules: dict[str, list[bytes]]
) -> tuple[Writes, ...]:
    outputs = [Writes(output)]
    outputs += [Writes(arg.value) for arg in parsed if arg.effect in ("listing", "map")]
    outputs += [Writes(arg.value, optional=True) for arg in parsed if arg.effect == "errors"]
    if depfile is not None:
        outputs.append(Writes(depfile.path, soft=True))
    else:
        outputs += [Writes(name, optional=True) for name in rules.get("file", ())[-1:]]
    return tuple({written.path: written for written in outputs}.values())


def _default_output(tool: str, source: bytes, form: bytes) -> bytes:
    """The output's name when no -o gives it; Unmodelled for formats whose suffix is not known."""
    suffixes = _YASM_SUFFIXES if tool == "yasm" else _NASM_SUFFIXES
    if form.lower() not in suffixes:
        raise Unmodelled("an unknown output format")
    directory, slash, base = source.rpartition(b"/")
    stem = base.rpartition(b".")[0] or base
    name = stem + suffixes[form.lower()]
    if tool == "yasm":
        return b"yasm.out" if name == source else name
    whole = directory + slash + name
    return b"nasm.out" if whole == source else whole


def _last(parsed: list[Arg], effect: str) -> bytes:
    return next((arg.value for arg in reversed(parsed) if arg.effect == effect), b"")
