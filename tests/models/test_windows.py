"""Programs for Windows: their names, their libraries, and the time that is written into them."""

from __future__ import annotations

import pytest

from gg.models.drafts import Draft, RunReal, Writes
from gg.models.linking.entry import Linked, makes_windows, resolve
from tests.models.binutils_probe import FakeProbe
from tests.models.driver_probe import FakeFacts, answer

DATE = {b"SOURCE_DATE_EPOCH": b"1"}


def linked(line: str, *files: str, env: dict[bytes, bytes] | None = None) -> Linked:
    probe = FakeProbe({b"/w/" + name.encode(): b"" for name in ("x.o", *files)})
    search, args = (b"/lib",), tuple(line.encode().split())
    return resolve(
        args, cwd=b"/w", search_dirs=search, sysroot=b"", probe=probe, flavour="bfd", env=env or {}, windows=True
    )


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("gcc --no-such a.c", ""),
        ("gcc a.c", "a.exe"),
        ("gcc a.c -o prog", "prog.exe"),
        ("gcc a.c -o v1.2/prog", "v1.2/prog.exe"),
        ("gcc a.c -o prog.bin", "prog.bin"),
        ("gcc -shared a.c -o a.dll", "a.dll"),
        ("gcc -c a.c -o a", "a"),
    ],
)
def test_gcc_adds_the_suffix_to_programs(line: str, output: str) -> None:
    facts = FakeFacts("gcc", (12, 2, 0), target=b"x86_64-w64-mingw32")
    result = answer(line, facts=facts)
    if not output:
        assert isinstance(result, RunReal)
        return
    assert isinstance(result, Draft), result
    assert result.outputs == (Writes(output.encode(), executable="-c" not in line),)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("l/libz.a", "l/libz.dll.a", "l/z.dll"), "l/libz.dll.a"),
        (("l/libz.a", "l/z.dll.a"), "l/z.dll.a"),
        (("l/libz.a", "l/libz.dll", "l/libz.so"), "l/libz.a"),
        (("l/z.dll", "l/libz.dll"), "l/libz.dll"),
        (("l/z.dll",), "l/z.dll"),
        (("l/z.lib", "l/libz.dll"), "l/z.lib"),
    ],
)
def test_what_a_library_is(files: tuple[str, ...], found: str) -> None:
    assert linked("x.o -Ll -lz -o x.exe", *files, env=DATE).inputs == (b"x.o", found.encode())


def test_a_static_library() -> None:
    got = linked("-Bstatic x.o -Ll -lz -o x.exe", "l/libz.dll.a", "l/libz.a", env=DATE)
    assert got.inputs == (b"x.o", b"l/libz.a")


def test_the_time_of_the_link() -> None:
    why = "writes the time into a program for Windows"
    assert linked("x.o -o x.exe").run_real == why
    assert linked("x.o --no-insert-timestamp -o x.exe").run_real == ""
    assert linked("x.o -o x.exe", env=DATE).run_real == ""
    assert linked("-r x.o -o y.o").run_real == ""


def test_how_a_linker_for_windows_is_told() -> None:
    own: dict[tuple[bytes, ...], bytes] = {(b"--verbose",): b"OUTPUT_FORMAT(pei-x86-64)"}
    assert makes_windows(FakeProbe({}, answers=own), b"/usr/bin/x86_64-w64-mingw32-ld")
    assert not makes_windows(FakeProbe({}, answers={(b"--verbose",): b"OUTPUT_FORMAT(elf64)"}), b"/usr/bin/ld")
    assert makes_windows(FakeProbe({}), b"/usr/bin/ld", emulation=b"i386pep")
    assert not makes_windows(FakeProbe({}), b"/usr/bin/ld", emulation=b"elf_x86_64")
