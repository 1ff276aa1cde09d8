"""strip, objcopy and the tools that print."""

from __future__ import annotations

import pytest

from gg.core.thunk import Work
from gg.models.drafts import RunReal, Writes
from tests.models.binutils_probe import FakeProbe, answer, draft


def machine() -> FakeProbe:
    files = dict.fromkeys((b"/w/prog", b"/w/real", b"/w/lib.a", b"/w/syms", b"/w/a.out"), b"")
    formats: dict[tuple[bytes, ...], bytes] = {
        (b"--info",): b"BFD header file\nelf64-x86-64\n (little endian)\n  i386\nbinary\n"
    }
    return FakeProbe(files, placeholders=(b"/w/x.o", b"/w/y.o"), links={b"/w/link": b"/w/real"}, answers=formats)


def to(path: bytes, executable: bool = False) -> Writes:
    return Writes(path, executable=executable)


PROG = (to(b"prog", True),)

STRIP = [
    ("strip prog", "prog", PROG),
    ("strip -s prog", "prog", PROG),
    ("strip --strip-unneeded --remove-section=.comment --remove-section=.note libx.so.1.2", "libx.so.1.2", None),
    ("strip --strip-debug --enable-deterministic-archives lib.a", "lib.a", (to(b"lib.a"),)),
    ("strip -g x.o y.o", "x.o y.o", (to(b"x.o"), to(b"y.o"))),
    ("strip -g x.o x.o", "x.o", (to(b"x.o"),)),
    ("strip -o out prog", "prog", (to(b"out", True),)),
    ("strip prog -oout", "prog", (to(b"out", True),)),
    ("strip -K main -N other -R .comment -wx prog", "prog", PROG),
    ("strip --strip-un prog", "prog", PROG),
    ("strip link", "link", (to(b"/w/real", True),)),
    ("llvm-strip --strip-all prog", "prog", PROG),
]


@pytest.mark.parametrize(("line", "inputs", "outputs"), STRIP)
def test_strip(line: str, inputs: str, outputs: tuple[Writes, ...] | None) -> None:
    model = line.split()[0] + "/1"
    expected_outputs = outputs or (to(inputs.encode(), True),)
    assert answer(line, machine()) == draft(line, model=model, work=Work.EDIT, inputs=inputs, outputs=expected_outputs)


OBJCOPY = [
    ("objcopy --only-keep-debug prog prog.debug", "prog", (to(b"prog.debug", True),)),
    ("objcopy --strip-debug --add-gnu-debuglink=prog.debug prog", "prog.debug prog", PROG),
    ("objcopy -O binary -R .note -S vmlinux Image", "vmlinux", (to(b"Image", True),)),
    ("objcopy -I binary -O elf64-x86-64 -B i386:x86-64 data.bin data.o", "data.bin", (to(b"data.o"),)),
    ("objcopy --redefine-syms=syms x.o", "syms x.o", (to(b"x.o"),)),
    ("objcopy --redefine-syms syms x.o y.o", "syms x.o", (to(b"y.o"),)),
    ("objcopy --redefine-sym main=old_main x.o", "x.o", (to(b"x.o"),)),
    ("objcopy --keep-global-symbols=syms --localize-hidden x.o y.o", "syms x.o", (to(b"y.o"),)),
    ("objcopy --add-section .gnu.x=syms --set-section-flags .gnu.x=noload x.o", "syms x.o", (to(b"x.o"),)),
    ("objcopy --update-section .a=syms --add-section=.n=/dev/null x.o", "syms x.o", (to(b"x.o"),)),
    ("objcopy --dump-section .text=text.bin x.o /dev/null", "x.o", (to(b"text.bin"),)),
    ("objcopy --dump-section=.text=text.bin x.o", "x.o", (to(b"x.o"), to(b"text.bin"))),
    ("objcopy --extract-dwo x.o x.dwo", "x.o", (to(b"x.dwo"),)),
    ("objcopy --strip-dwo x.o", "x.o", (to(b"x.o"),)),
    ("objcopy --compress-debug-sections=zlib -j .text -W sym x.o y.o", "x.o", (to(b"y.o"),)),
    ("llvm-objcopy --split-dwo=x.dwo x.o", "x.o", (to(b"x.o"), to(b"x.dwo"))),
]


@pytest.mark.parametrize(("line", "inputs", "outputs"), OBJCOPY)
def test_objcopy(line: str, inputs: str, outputs: tuple[Writes, ...]) -> None:
    model = line.split()[0] + "/1"
    assert answer(line, machine()) == draft(line, model=model, work=Work.EDIT, inputs=inputs, outputs=outputs)


@pytest.mark.parametrize(
    ("line", "why", "reads"),
    [
        ("strip -p prog", "copies the times of files", (b"prog",)),
        ("objcopy -O elf32-tradbigmips prog out", "does not know elf32-tradbigmips", (b"prog",)),
        ("objcopy -I binary -O default -B sparc prog out", "does not know sparc", (b"prog",)),
        ("objcopy --preserve-dates prog", "copies the times of files", (b"prog",)),
        ("strip -U lib.a", "records the times of files", (b"lib.a",)),
        ("objcopy -O binary prog /dev/stdout", "reads or writes a device", (b"prog",)),
    ],
)
def test_edits_that_run_for_real(line: str, why: str, reads: tuple[bytes, ...]) -> None:
    assert answer(line, machine()) == RunReal(why, reads=reads, reads_all=False)


@pytest.mark.parametrize(
    "line", ["strip --unheard-of prog", "strip -o out x.o y.o", "objcopy a b c", "objcopy --add-section=.x prog"]
)
def test_edits_that_are_not_understood(line: str) -> None:
    got = answer(line, machine())
    assert isinstance(got, RunReal)
    assert got.reads_all


@pytest.mark.parametrize("line", ["strip --version", "strip", "objcopy --info", "objcopy -h", "strip -V x.o"])
def test_questions(line: str) -> None:
    assert answer(line, machine()) == RunReal("asks for help or the version", reads_all=False, probe=True)


def test_an_edit_of_a_trial_file_is_answered_at_once() -> None:
    assert answer("strip conftest", machine()) == RunReal(
        "a configure script's trial", reads=(b"conftest",), reads_all=False, probe=True
    )


def test_an_objcopy_that_writes_nothing_runs_for_real() -> None:
    got = answer("objcopy prog /dev/null", machine())
    assert got == RunReal("writes nothing", reads=(b"prog",), reads_all=False, probe=True)


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("nm x.o", (b"x.o",)),
        ("nm -g --defined-only -P x.o y.o", (b"x.o", b"y.o")),
        ("gcc-nm lib.a", (b"lib.a",)),
        ("objdump -d --section .text prog", (b"prog",)),
        ("objdump -f", (b"a.out",)),
        ("readelf -d x.o", (b"x.o",)),
        ("size prog x.o", (b"prog", b"x.o")),
        ("strings -n 8 prog", (b"prog",)),
        ("nm --version", (b"a.out",)),
        ("nm /nowhere", ()),
    ],
)
def test_tools_that_print_run_at_once(line: str, reads: tuple[bytes, ...]) -> None:
    assert answer(line, machine()) == RunReal("prints what is in a file", reads=reads, reads_all=False, probe=True)
