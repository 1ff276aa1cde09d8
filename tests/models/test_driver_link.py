"""Links by a compiler driver."""

from __future__ import annotations

import pytest

from gg.core.thunk import Work
from gg.models.drafts import Draft, Writes
from tests.models.driver_probe import PLAIN, SYSTEM, FakeFacts, answer, draft, machine, scan, words

CRT = "/usr/lib/crt1.o"
LIBC = "/usr/lib/libc.a"


def test_objects() -> None:
    line = "gcc -O2 -Llibs main.o util.o -lfoo -o prog -Wl,-Map,prog.map"
    assert answer(line, machine(line, "libs/libfoo.a")) == draft(
        line,
        inputs=f"{CRT} main.o util.o libs/libfoo.a {LIBC}",
        outputs=(Writes(b"prog", executable=True), Writes(b"prog.map")),
        tools="link",
        work=Work.LINK,
        directories=(b"libs",),
    )


def test_placeholders_are_not_read() -> None:
    line = "gcc main.o libx.a -o prog"
    result = answer(line, machine("gcc", placeholders=("main.o", "libx.a")))
    assert isinstance(result, Draft)
    assert result.inputs == words(f"{CRT} main.o libx.a {LIBC}")


def test_sources_compiled_and_linked_at_once() -> None:
    line = "gcc -g a.c b.c c.o -o prog -lm"
    assert answer(line, machine(line, "/usr/lib/libm.a")) == draft(
        line,
        inputs=f"a.c b.c {CRT} c.o /usr/lib/libm.a {LIBC}",
        outputs=(Writes(b"prog", executable=True),),
        tools="as c link",
        work=Work.LINK,
        directories=SYSTEM,
        scans=(scan(line, "a.c b.c", PLAIN, "-g a.c b.c"),),
    )


OUTPUTS = [
    ("gcc a.c", "a.out", True),
    ("gcc -shared -fPIC a.o -o liba.so.1", "liba.so.1", True),
    ("gcc -r a.o b.o -o both.o", "both.o", False),
    ("gcc -nostdlib -r a.c -o a2.o", "a2.o", False),
    ("gcc -static-pie a.o -o p", "p", True),
]


@pytest.mark.parametrize(("line", "output", "executable"), OUTPUTS)
def test_what_is_executable(line: str, output: str, executable: bool) -> None:
    result = answer(line)
    assert isinstance(result, Draft), result
    assert result.outputs == (Writes(output.encode(), executable=executable),)


BESIDE = [
    ("gcc --coverage src/a.c -o o/prog", "o/prog o/prog-a.gcno"),
    ("gcc --coverage src/a.c -o o/a", "o/a o/a.gcno"),
    ("gcc --coverage src/a.c -o o/a.exe", "o/a.exe o/a.gcno"),
    ("gcc --coverage src/a.c b.o -o o/a", "o/a o/a-a.gcno"),
    ("gcc --coverage src/a.c", "a.out a.gcno"),
    ("gcc --coverage src/b.c", "a.out a-b.gcno"),
    ("gcc --coverage src/a.c src/b.c", "a.out a-a.gcno a-b.gcno"),
    ("gcc --coverage -shared src/b.c -o libb.so", "libb.so libb.so-b.gcno"),
    ("gcc --coverage a.o -o p", "p"),
    ("gcc -save-temps src/a.c s.s -o prog", "prog prog-a.i prog-a.s prog-a.o prog-s.o"),
    ("gcc -save-temps=cwd src/a.c -o o/prog", "o/prog prog-a.i prog-a.s prog-a.o"),
    ("gcc -MD src/a.c -o o/prog.exe", "o/prog.exe o/prog.d"),
    ("gcc -MD src/b.c", "a.out a-b.d"),
    ("gcc -MD src/a.c src/b.c -o o/prog", "o/prog o/prog.d"),
    ("gcc -MD a.o -o o/prog", "o/prog"),
    ("clang -MD src/b.c", "a.out b.d"),
    ("clang -save-temps src/a.c -o o/prog", "o/prog a.i a.bc a.s a.o"),
    ("gcc a.o -o p -Wl,--dependency-file=p.d", "p p.d"),
]


@pytest.mark.parametrize(("line", "outputs"), BESIDE)
def test_files_beside_a_program(line: str, outputs: str) -> None:
    result = answer(line)
    assert isinstance(result, Draft), result
    assert tuple(w.path for w in result.outputs) == words(outputs)


def test_what_the_driver_is_asked_about() -> None:
    facts = FakeFacts("gcc", (12, 2, 0))
    line = (
        "gcc -Wall -O2 -g -pthread -fopenmp -fsanitize=address -flto=auto -fuse-ld=gold -static-libgcc -Ldir -Iinc "
        "-Wl,-z,now a.o -o x"
    )
    result = answer(line, facts=facts)
    assert isinstance(result, Draft), result
    flags = words("-pthread -fopenmp -fsanitize=address -flto=auto -fuse-ld=gold -static-libgcc")
    assert facts.asked == [("link", flags)]
    assert result.tools == words("/tools/link /tools/lto /tools/gold")
    assert b"-flto=auto" in result.argv


def test_scripts_and_version_scripts() -> None:
    line = "gcc -nostdlib -T link.ld -Wl,--version-script=v.map -u start -e start a.o -o kernel"
    result = answer(line, machine(line, "v.map"))
    assert isinstance(result, Draft), result
    assert set(result.inputs) == set(words("link.ld v.map a.o"))


def test_words_for_the_linker_in_all_spellings() -> None:
    spellings = ("-Wl,-Map,m", "-Wl,-Map=m", "-Xlinker -Map -Xlinker m", "-Wl,-Map -Wl,m", "--for-linker=-Map=m")
    for words_for_linker in spellings:
        result = answer(f"gcc a.o -o x {words_for_linker}")
        assert isinstance(result, Draft), words_for_linker
        assert result.outputs == (Writes(b"x", executable=True), Writes(b"m"))


def test_libraries_in_both_spellings() -> None:
    for spelling in ("-lfoo -Llibs", "-l foo -L libs", "--library-directory=libs -lfoo"):
        line = f"gcc a.o {spelling} -o x"
        result = answer(line, machine(line, "libs/libfoo.a"))
        assert isinstance(result, Draft)
        assert b"libs/libfoo.a" in result.inputs


def test_a_library_that_is_not_there() -> None:
    result = answer("gcc a.o -lnothere -o x")
    assert not isinstance(result, Draft)
    assert result.why == "-lnothere is not found"
