"""strip and objcopy: in place, which makes a new thunk on the same path, or into another file.

-p copies the input's times to the output. A placeholder's times are those of its recording, so there is nothing right
to copy: such a call is run for real, on the forced file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from gg.core.thunk import Work
from gg.light.slotted import slotted
from gg.models.binutils.common import VERSION, absolute, environment, expand, in_place, is_trial, text, tools, trial
from gg.models.binutils.options import OPERAND, Arg, OptionTable, Style, Unmodelled, parse, read_table
from gg.models.binutils.thin import thin_members
from gg.models.drafts import Call, Draft, ModelAnswer, Probe, RunReal, Writes

# From `strip --help` and `objcopy --help` of binutils 2.40, those of LLVM 14 and the sources' option tables.
# `section` is NAME=FILE and reads the file, `dump` writes it.
_COMMON = """
target -I: --input-target= -O: --output-target= -F: --target=
value -R: --remove-section= --remove-relocations= -N:
value --strip-symbol= --keep-section= -K: --keep-symbol= -j: --only-section=
times -p --preserve-dates
dated -U --disable-deterministic-archives
flag -D --enable-deterministic-archives -s --strip-all -g -S -d --strip-debug --strip-dwo --strip-unneeded --pure
flag --only-keep-debug -M --merge-notes --no-merge-notes --keep-section-symbols --keep-file-symbols -w --wildcard
flag -x --discard-all -X --discard-locals -v --verbose --strip-all-gnu --strip-sections --strip-non-alloc
flag --allow-broken-links --no-strip-all --strip-section-headers
probe -V --version -h --help --info
"""

_STRIP = (
    _COMMON
    + """
output -o:
"""
)

_OBJCOPY = (
    _COMMON
    + """
architecture -B: --binary-architecture=
value --strip-unneeded-symbol= -L: --localize-symbol= --globalize-symbol= -G:
value --keep-global-symbol= -W: --weaken-symbol= --interleave-width= -b: --byte= --gap-fill= --pad-to= --set-start=
value --change-start= --adjust-start= --change-addresses= --adjust-vma= --change-section-address=
value --adjust-section-vma= --change-section-lma= --change-section-vma= --set-section-flags= --set-section-alignment=
value --rename-section= --long-section-names= --reverse-bytes= --redefine-sym= --srec-len= --add-symbol=
value --alt-machine-code= --prefix-symbols= --prefix-sections= --prefix-alloc-sections= --file-alignment= --heap=
value --image-base= --section-alignment= --stack= --subsystem= --elf-stt-common= --verilog-data-width=
value --set-section-type= --new-symbol-visibility= --remove-symbol-prefix=
flag -S --strip-all -g --strip-debug --debugging --extract-dwo --extract-symbol --localize-hidden --weaken
flag -i:: --interleave[=] --change-warnings --no-change-warnings --adjust-warnings --no-adjust-warnings
flag --change-leading-char --remove-leading-char --srec-forceS3 --writable-text --readonly-text --impure
flag --compress-debug-sections[=] --decompress-debug-sections --extract-main-partition
input --add-gnu-debuglink= --redefine-syms= --strip-symbols= --strip-unneeded-symbols= --keep-symbols=
input --localize-symbols= --globalize-symbols= --keep-global-symbols= --weaken-symbols=
section --add-section= --update-section=
dump --dump-section=
written --split-dwo=
"""
)


_LLVM_TARGETS = frozenset(
    b"binary ihex elf32-i386 elf32-x86-64 elf64-x86-64 elf32-littlearm elf64-littleaarch64 elf64-aarch64 i386".split()
)


@cache
def strip_table() -> OptionTable:
    return read_table(_STRIP, Style.GNU)


@cache
def objcopy_table() -> OptionTable:
    return read_table(_OBJCOPY, Style.GNU)


@slotted()
class _Edit:
    """One file into another; the same name twice when it is changed in place."""

    source: bytes
    target: bytes


def strip(call: Call, probe: Probe) -> ModelAnswer:
    """The model of strip."""
    return _edited(call, probe, strip_table(), _strip_edits)


def objcopy(call: Call, probe: Probe) -> ModelAnswer:
    """The model of objcopy."""
    return _edited(call, probe, objcopy_table(), _objcopy_edits)


def _strip_edits(parsed: Sequence[Arg], operands: Sequence[bytes]) -> list[_Edit]:
    target = next((arg.value for arg in reversed(parsed) if arg.effect == "output"), b"")
    if not target:
        return [_Edit(path, path) for path in dict.fromkeys(operands)]
    if len(operands) != 1:
        raise Unmodelled("one output for several files")
    return [_Edit(operands[0], target)]


def _objcopy_edits(parsed: Sequence[Arg], operands: Sequence[bytes]) -> list[_Edit]:
    if len(operands) > 2:
        raise Unmodelled("more than two files")
    return [_Edit(operands[0], operands[-1])]


def _edited(
    call: Call, probe: Probe, table: OptionTable, edits_of: Callable[[Sequence[Arg], Sequence[bytes]], list[_Edit]]
) -> ModelAnswer:
    try:
        args, response_files = expand(call.argv[1:], call.cwd, probe)
        parsed = list(parse(table, args))
        operands = [arg.value for arg in parsed if arg.effect == OPERAND]
        effects = {arg.effect for arg in parsed}
        if "probe" in effects or not operands:
            return RunReal("asks for help or the version", reads_all=False, probe=True)
        edits = edits_of(parsed, operands)
        read, written = _named_files(parsed)
    except Unmodelled as error:
        return RunReal(str(error))
    reads = (*dict.fromkeys((*response_files, *read, *(edit.source for edit in edits))),)
    if is_trial((*reads, *(edit.target for edit in edits)), call):
        return trial(reads)
    why = _refusal(effects, edits, reads, written) or _unknown(call, probe, parsed) or _dated(call, edits)
    why = why or _unread(call, probe, effects, edits)
    if why:
        return RunReal(why, reads=reads, reads_all=False)
    outputs = [
        Writes(_target(edit, call, probe), executable=_is_program(edit))
        for edit in edits
        if edit.target != b"/dev/null"
    ]
    outputs += [Writes(path) for path in written]
    if not outputs:
        return RunReal("writes nothing", reads=reads, reads_all=False, probe=True)
    members = [m for e in edits if e.source.endswith(b".a") for m in thin_members(probe, absolute(e.source, call.cwd))]
    return Draft(
        model=f"{call.tool.name}/{VERSION}",
        work=Work.EDIT,
        argv=call.argv,
        program=call.tool.path,
        env=environment(call),
        inputs=(*reads, *members),
        outputs=tuple({output.path: output for output in outputs}.values()),
        tools=tools(call, probe),
    )


def _named_files(parsed: Sequence[Arg]) -> tuple[list[bytes], list[bytes]]:
    """The files that options read, and those that they write."""
    read: list[bytes] = []
    written: list[bytes] = []
    for effect, value, _ in parsed:
        if effect == "input":
            read.append(value)
        elif effect == "written":
            written.append(value)
        elif effect in ("section", "dump"):
            name, equals, path = value.partition(b"=")
            if not (name and equals and path):
                raise Unmodelled("a section without a file")
            (read if effect == "section" else written).append(path)
    return [path for path in read if path != b"/dev/null"], [path for path in written if path != b"/dev/null"]


def _refusal(effects: set[str], edits: Sequence[_Edit], reads: Sequence[bytes], written: Sequence[bytes]) -> str:
    if "times" in effects:
        return "copies the times of files"
    if "dated" in effects and any(edit.source.endswith(b".a") for edit in edits):
        return "records the times of files"
    devices = [path for path in (*reads, *written, *(edit.target for edit in edits)) if path.startswith(b"/dev/")]
    if any(path != b"/dev/null" for path in devices) or b"/dev/null" in reads or b"-" in reads:
        return "reads or writes a device"
    return ""


def _unknown(call: Call, probe: Probe, parsed: Sequence[Arg]) -> str:
    """Names a format or processor that this program was not built for, and refuses at once. BFD's programs list those they know."""
    asked = {arg.value.partition(b":")[0] for arg in parsed if arg.effect == "architecture"}
    asked |= {arg.value for arg in parsed if arg.effect == "target"} - {b"default"}
    if not asked:
        return ""
    told = probe.run((call.tool.path, b"--info"), environment(call)).stdout.split()
    unknown = sorted(asked.difference(told or _LLVM_TARGETS))
    return f"does not know {text(unknown[0])}" if unknown else ""


def _unread(call: Call, probe: Probe, effects: set[str], edits: Sequence[_Edit]) -> str:
    """Names an input that exists and whose format the tool does not know: it would fail. Probes that can tell have `is_object`."""
    is_object = getattr(probe, "is_object", None)
    if is_object is None:
        return ""
    for edit in edits:
        source = absolute(edit.source, call.cwd)
        if probe.is_placeholder(source):
            continue
        known = (
            probe.read(source) != b"" if "target" in effects else is_object(source, call.tool.path, environment(call))
        )
        if not known:
            return f"it may not know what is in {text(edit.source)}"
    return ""


def _dated(call: Call, edits: Sequence[_Edit]) -> str:
    """Why the output would hold the time of day: programs for Windows do (bfd/peXXigen.c), unless the environment sets a time."""
    if b"SOURCE_DATE_EPOCH" in call.env:
        return ""
    own = b"mingw" in call.tool.path.rpartition(b"/")[2]
    windows = any(
        name.lower().endswith((b".exe", b".dll")) or (own and not name.endswith((b".o", b".obj", b".a")))
        for edit in edits
        for name in (edit.source, edit.target)
    )
    return "writes the time into a program for Windows" if windows else ""


def _target(edit: _Edit, call: Call, probe: Probe) -> bytes:
    return in_place(edit.target, call.cwd, probe) if edit.source == edit.target else edit.target


def _is_program(edit: _Edit) -> bool:
    """Whether the output is probably executable, by the input's name: the output takes the input's mode, unknown before force."""
    base = edit.source.rpartition(b"/")[2]
    return b"." not in base or base.endswith(b".so") or b".so." in base
