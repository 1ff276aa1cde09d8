"""as, nasm and yasm."""

from __future__ import annotations

import pytest

from gg.core.thunk import Work
from gg.models.drafts import Depfile, Draft, Lexer, RunReal, Scan, SearchPath, Writes
from tests.models.binutils_probe import FakeProbe, answer, draft


def gas_scan(sources: tuple[bytes, ...], *dirs: bytes) -> tuple[Scan, ...]:
    return (Scan(Lexer.GAS, sources, SearchPath((), (b".", *dirs), len(dirs) + 1)),)


GAS = [
    ("as -o x.o x.s", "x.s", "x.o", ()),
    ("as x.s", "x.s", "a.out", ()),
    ("as --64 -o x.o x.s", "x.s", "x.o", ()),
    ("as -I . -I inc -Iarch/x86 --64 -g -o x.o x.s", "x.s", "x.o", (b".", b"inc", b"arch/x86")),
    ("as --32 -march=i686+sse2 -mtune=generic32 --defsym A=1 -o x.o x.s", "x.s", "x.o", ()),
    ("as -gdwarf-5 --gdwarf-sections --debug-prefix-map /a=/b -o x.o x.s", "x.s", "x.o", ()),
    ("as -EL -mabi=lp64 -o x.o a.s b.s", "a.s b.s", "x.o", ()),
    ("as -ahls=x.lst -o x.o x.s", "x.s", "x.o x.lst", ()),
    ("as -a=x.lst x.s", "x.s", "a.out x.lst", ()),
    ("as -al=x.lst x.s", "x.s", "a.out x.lst", ()),
    ("as -v --noexecstack -W -o x.o x.s", "x.s", "x.o", ()),
    ("as -Qy -O2 --fatal-warnings -o x.o x.s", "x.s", "x.o", ()),
    ("as @args", "args x.s", "x.o", ()),
]


@pytest.mark.parametrize(("line", "inputs", "outputs", "dirs"), GAS)
def test_as(line: str, inputs: str, outputs: str, dirs: tuple[bytes, ...]) -> None:
    sources = tuple(name for name in inputs.encode().split() if name.endswith(b".s"))
    expected = draft(
        line,
        model="as/1",
        work=Work.ASSEMBLE,
        inputs=inputs,
        outputs=outputs,
        directories=b" ".join(dirs).decode(),
        scans=gas_scan(sources, *dirs),
    )
    assert answer(line, FakeProbe({b"/w/args": b"-o x.o x.s"})) == expected


def test_as_writes_a_rule() -> None:
    expected = draft(
        "as --MD x.d -o x.o x.s",
        model="as/1",
        work=Work.ASSEMBLE,
        inputs="x.s",
        outputs=(Writes(b"x.o"), Writes(b"x.d", soft=True)),
        scans=gas_scan((b"x.s",)),
        depfile=Depfile(b"x.d", (b"x.o",)),
    )
    assert answer("as --MD x.d -o x.o x.s") == expected


@pytest.mark.parametrize(
    ("line", "probe"),
    [
        ("as -o x.o", False),
        ("as -o x.o -", False),
        ("as -o x.o --", False),
        ("as -v", True),
        ("as --version", True),
        ("as --help", True),
        ("as -al x.s", False),
        ("as -o /dev/null x.s", True),
        ("as -o conftest.o conftest.s", True),
        ("as --unheard-of x.s", False),
        ("as -mnope x.s", False),
    ],
)
def test_as_calls_that_run_for_real(line: str, probe: bool) -> None:
    got = answer(line)
    assert isinstance(got, RunReal)
    assert got.probe is probe


def scan(
    source: bytes, dirs: tuple[bytes, ...], forced: tuple[bytes, ...] = (), defines: tuple[bytes, ...] = ()
) -> Scan:
    return Scan(Lexer.NASM, (source,), SearchPath((), (b".", *dirs), len(dirs) + 1), forced, defines)


NASM = [
    ("nasm -f elf64 -o x.o x.asm", "x.o", scan(b"x.asm", ())),
    ("nasm -felf64 -ox.o -Iinc/ -i sub/ x.asm", "x.o", scan(b"x.asm", (b"inc/", b"sub/"))),
    (  # FFmpeg
        "nasm -f elf64 -g -F dwarf -I./ -Ilibavutil/x86/ -Pconfig.asm -DPIC -o a.o a.asm",
        "a.o",
        scan(b"a.asm", (b"./", b"libavutil/x86/"), (b"config.asm",), (b"PIC",)),
    ),
    (  # libjpeg-turbo, x264
        "nasm -DELF -DPIC -D__x86_64__ -Ox -w-orphan-labels -Worphan-labels -O2 -f elf64 -l x.lst x.asm -o x.o",
        "x.o x.lst",
        scan(b"x.asm", (), (), (b"ELF", b"PIC", b"__x86_64__")),
    ),
    ("nasm -f elf64 sub/x.asm", "sub/x.o", scan(b"sub/x.asm", ())),
    ("nasm -f win64 x.asm", "x.obj", scan(b"x.asm", ())),
    ("nasm x.asm", "x", scan(b"x.asm", ())),
    ("nasm boot", "nasm.out", scan(b"boot", ())),
    ("nasm -f bin boot.asm -o boot.img --prefix=_ --reproducible", "boot.img", scan(b"boot.asm", ())),
    (
        "yasm -f elf64 -m amd64 -I inc -P pre.asm -DX=1 -o x.o x.asm",
        "x.o",
        scan(b"x.asm", (b"inc",), (b"pre.asm",), (b"X=1",)),
    ),
    ("yasm --oformat=elf --objfile=x.o -l x.lst --mapfile=x.map sub/x.asm", "x.o x.lst x.map", scan(b"sub/x.asm", ())),
    ("yasm -f elf32 sub/x.asm", "x.o", scan(b"sub/x.asm", ())),
]


@pytest.mark.parametrize(("line", "outputs", "scanned"), NASM)
def test_nasm_and_yasm(line: str, outputs: str, scanned: Scan) -> None:
    expected = draft(
        line,
        model=line.split()[0] + "/1",
        work=Work.ASSEMBLE,
        inputs=scanned.sources,
        outputs=outputs,
        directories=b" ".join(scanned.search.bracket[1:]).decode(),
        scans=(scanned,),
    )
    assert answer(line) == expected


@pytest.mark.parametrize(
    ("options", "depfile"),
    [
        ("-MD x.d", Depfile(b"x.d", (b"x.o",))),
        ("-MD -MF y.d", Depfile(b"y.d", (b"x.o",))),
        ("-MD", Depfile(b"x.o.d", (b"x.o",))),
        ("-MD x.d -MT t.o -MP", Depfile(b"x.d", (b"t.o",), phony=True)),
        ("-MD -MP -MQ a$b -MF x.d", Depfile(b"x.d", (b"a$$b",), phony=True)),
    ],
)
def test_rules_that_nasm_writes(options: str, depfile: Depfile) -> None:
    got = answer(f"nasm {options} -f elf64 -o x.o x.asm")
    assert isinstance(got, Draft)
    assert got.depfile == depfile
    assert got.outputs == (Writes(b"x.o"), Writes(depfile.path, soft=True))
    assert got.inputs == (b"x.asm",)


def test_a_rule_that_is_only_named_is_not_written() -> None:
    got = answer("nasm -f elf64 -MQ x.obj -MF x.ndep x.asm -o x.obj")  # Meson
    assert isinstance(got, Draft)
    assert got.depfile is None
    assert got.outputs == (Writes(b"x.obj"), Writes(b"x.ndep", optional=True))


def test_more_options_come_from_the_environment_and_from_files() -> None:
    probe = FakeProbe({b"/w/args": b"-f elf64\n-o x.o\n"})
    got = answer("nasm -@ args x.asm", probe, {b"NASMENV": b"-Iinc/"})
    assert isinstance(got, Draft)
    assert got.outputs == (Writes(b"x.o"),)
    assert got.inputs == (b"args", b"x.asm")
    assert got.scans[0].search.bracket == (b".", b"inc/")
    assert got.env[b"NASMENV"] == b"-Iinc/"


def test_a_gas_source_for_yasm() -> None:
    got = answer("yasm -p gas -f elf64 -o x.o x.s")
    assert isinstance(got, Draft)
    assert got.scans[0].lexer is Lexer.GAS


def test_a_preprocessed_source_into_a_file() -> None:
    got = answer("nasm -E -o x.i x.asm")
    assert isinstance(got, Draft)
    assert (got.work, got.outputs) == (Work.PREPROCESS, (Writes(b"x.i"),))


@pytest.mark.parametrize(
    ("line", "probe"),
    [
        ("nasm -v", True),
        ("nasm -hf", True),
        ("nasm -M x.asm", True),
        ("nasm -MG x.asm", True),
        ("nasm -E x.asm", True),
        ("nasm", True),
        ("nasm -f elf64 -o /dev/null x.asm", True),
        ("nasm -f elf64 -o conftest.o conftest.asm", True),
        ("nasm -f unheard x.asm", False),
        ("nasm -f unheard -o x.o x.asm", False),
        ("nasm --unheard x.asm", False),
        ("nasm -@ none x.asm", False),
        ("yasm --version", True),
        ("yasm -f help", True),
        ("yasm -M x.asm", True),
        ("yasm -r cpp x.asm", False),
        ("yasm -f elf64 -", False),
    ],
)
def test_assemblers_that_run_for_real(line: str, probe: bool) -> None:
    got = answer(line)
    assert isinstance(got, RunReal)
    assert got.probe is probe
