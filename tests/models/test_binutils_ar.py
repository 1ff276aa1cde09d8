"""ar and ranlib: what real command lines read and write."""

from __future__ import annotations

import pytest

from gg.core.thunk import Work
from gg.models.binutils.thin import is_dateless, makes_thin, member_names, thin_members
from gg.models.drafts import Draft, RunReal
from gg.models.linking.entry import Recorded
from tests.models.binutils_probe import AR_HELP_DATED, FakeProbe, answer, draft


def member(name: bytes, data: bytes = b"", time: bytes = b"0", thin: bool = False) -> bytes:
    size = b"%d" % (len(data) or 100)
    header = name.ljust(16) + time.ljust(12) + b"0     0     644     " + size.ljust(10) + b"`\n"
    return header + (b"" if thin else data + b"\n" * (len(data) % 2))


THIN = (
    b"!<thin>\n" + member(b"//", b"sub/dir/one.o/\n../two.o/\n") + member(b"/0", thin=True) + member(b"/15", thin=True)
)
OLD = b"!<arch>\n" + member(b"/", b"\0\0\0\0") + member(b"x.o/", b"xx")
DATED = b"!<arch>\n" + member(b"x.o/", b"xx", time=b"1700000000")


def machine() -> FakeProbe:
    return FakeProbe(
        {b"/w/old.a": OLD, b"/w/dated.a": DATED, b"/w/lib/thin.a": THIN, b"/w/real.a": OLD, b"/w/objs": b"a.o 'b c.o'"},
        placeholders=(b"/w/new.a", b"/w/a.o", b"/w/b.o"),
        links={b"/w/link.a": b"/w/real.a", b"/w/lib/real.a": b"/w/real.a"},
    )


Row = tuple[str, str | tuple[bytes, ...], str]

NEW: list[Row] = [
    ("ar cr lib.a a.o b.o", "a.o b.o", "lib.a"),  # libtool, automake
    ("ar cru lib.a a.o", "a.o", "lib.a"),
    ("ar rcs libz.a adler32.o crc32.o", "adler32.o crc32.o", "libz.a"),  # zlib
    ("ar -rcs lib.a a.o", "a.o", "lib.a"),
    ("ar -r -c -s lib.a a.o", "a.o", "lib.a"),
    ("ar rcD libavutil/libavutil.a a.o", "a.o", "libavutil/libavutil.a"),  # FFmpeg
    ("ar qc CMakeFiles/libx.a a.o b.o", "a.o b.o", "CMakeFiles/libx.a"),  # CMake
    ("ar csrD sub/libx.a sub/libx.a.p/a.c.o", "sub/libx.a.p/a.c.o", "sub/libx.a"),  # Meson
    ("ar csrDT libx.a a.o", "a.o", "libx.a"),
    ("ar --thin -cr libx.a a.o", "a.o", "libx.a"),
    ("ar cDPrST built-in.a a.o b.o", "a.o b.o", "built-in.a"),  # Linux
    ("ar cDPrST built-in.a", "", "built-in.a"),
    ("ar r lib.a a.o", "a.o", "lib.a"),
    ("ar crv lib.a a.o", "a.o", "lib.a"),
    ("ar crf lib.a a_very_long_name.o", "a_very_long_name.o", "lib.a"),
    ("ar cr lib.a @objs", (b"objs", b"a.o", b"b c.o"), "lib.a"),
    ("ar cr --plugin /p/lto.so lib.a a.o", "/p/lto.so a.o", "lib.a"),
    ("ar --plugin /p/lto.so rc lib.a a.o", "/p/lto.so a.o", "lib.a"),
    ("ar --target=elf64-x86-64 cr lib.a a.o", "a.o", "lib.a"),
    ("ar -X32_64 -cr lib.a a.o", "a.o", "lib.a"),
    ("ar crb first.o lib.a a.o", "a.o", "lib.a"),
    ("ar cr lib.a lib/thin.a", "lib/thin.a", "lib.a"),
    ("ar crT lib.a lib/thin.a", "lib/thin.a /w/lib/sub/dir/one.o /w/lib/../two.o", "lib.a"),
    ("ar cr -- lib.a -odd.o", "-odd.o", "lib.a"),
    ("llvm-ar rcs lib.a a.o", "a.o", "lib.a"),
    ("gcc-ar cr lib.a a.o", "a.o", "lib.a"),
]

CHANGED: list[Row] = [
    ("ar r old.a a.o", "old.a a.o", "old.a"),
    ("ar cru old.a a.o", "old.a a.o", "old.a"),
    ("ar cru new.a a.o", "new.a a.o", "new.a"),
    ("ar q new.a a.o", "new.a a.o", "new.a"),
    ("ar d old.a x.o", "old.a", "old.a"),
    ("ar dN 2 old.a x.o", "old.a", "old.a"),
    ("ar m old.a x.o", "old.a", "old.a"),
    ("ar ma y.o old.a x.o", "old.a", "old.a"),
    ("ar s new.a", "new.a", "new.a"),
    ("ar -s new.a", "new.a", "new.a"),
    ("ar r link.a a.o", "link.a a.o", "/w/real.a"),
    ("ar r lib/real.a a.o", "lib/real.a a.o", "/w/real.a"),
    ("ar s lib/thin.a", "lib/thin.a /w/lib/sub/dir/one.o /w/lib/../two.o", "lib/thin.a"),
]


@pytest.mark.parametrize(("line", "inputs", "output"), NEW + CHANGED)
def test_archives(line: str, inputs: str | tuple[bytes, ...], output: str) -> None:
    expected = draft(line, model="ar/1", work=Work.ARCHIVE, inputs=inputs, outputs=output)
    assert answer(line, machine()) == expected


@pytest.mark.parametrize(
    ("line", "why", "reads", "probe"),
    [
        ("ar t old.a", "reads an archive", (b"old.a",), True),
        ("ar tv new.a", "reads an archive", (b"new.a",), True),
        ("ar p old.a x.o", "reads an archive", (b"old.a",), True),
        ("ar x old.a", "reads an archive", (b"old.a",), False),
        ("ar xo lib/thin.a", "reads an archive", (b"lib/thin.a", b"/w/lib/sub/dir/one.o", b"/w/lib/../two.o"), False),
        ("ar crU lib.a a.o", "records the times of files", (b"lib.a", b"a.o"), False),
        ("ar cru dated.a a.o", "compares the times of files", (b"dated.a", b"a.o"), False),
        ("ar d none.a x.o", "there is no such archive", (b"none.a", b"x.o"), False),
        ("ar cr conftest.a conftest.o", "a configure script's trial", (b"conftest.a", b"conftest.o"), True),
        ("ar", "asks for its usage", (), True),
        ("ar --version", "asks for the version", (), True),
        ("ar -V", "asks for the version", (), True),
    ],
)
def test_calls_that_run_for_real(line: str, why: str, reads: tuple[bytes, ...], probe: bool) -> None:
    assert answer(line, machine()) == RunReal(why, reads=reads, reads_all=False, probe=probe)


@pytest.mark.parametrize("line", ["ar cr", "ar zz lib.a", "ar rx lib.a a.o", "ar crl deps lib.a a.o", "ar -M"])
def test_calls_that_are_not_understood_force_all_they_name(line: str) -> None:
    got = answer(line, machine())
    assert isinstance(got, RunReal)
    assert got.reads_all
    assert not got.probe


def test_an_ar_that_records_times_by_default_runs_for_real_unless_told_otherwise() -> None:
    probe = FakeProbe(answers={(b"--help",): AR_HELP_DATED})
    assert isinstance(answer("ar cr lib.a a.o", probe), RunReal)
    assert isinstance(answer("ar crD lib.a a.o", probe), Draft)


def test_a_thousand_objects_are_not_looked_at() -> None:
    probe = machine()
    objects = " ".join(f"o/{n}.o" for n in range(1000))
    got = answer(f"ar cr lib.a {objects}", probe)
    assert isinstance(got, Draft)
    assert len(got.inputs) == 1000
    assert probe.reads == []


RANLIB = [
    ("ranlib old.a", "old.a", "old.a"),
    ("ranlib -D new.a", "new.a", "new.a"),
    ("ranlib new.a old.a", "new.a old.a", "new.a old.a"),
    ("gcc-ranlib new.a", "new.a", "new.a"),
    ("llvm-ranlib new.a", "new.a", "new.a"),
    ("ranlib link.a", "link.a", "/w/real.a"),
    ("ranlib lib/thin.a", "lib/thin.a /w/lib/sub/dir/one.o /w/lib/../two.o", "lib/thin.a"),
]


@pytest.mark.parametrize(("line", "inputs", "outputs"), RANLIB)
def test_ranlib_changes_archives_in_place(line: str, inputs: str, outputs: str) -> None:
    expected = draft(line, model="ranlib/1", work=Work.ARCHIVE, inputs=inputs, outputs=outputs)
    assert answer(line, machine()) == expected


@pytest.mark.parametrize("line", ["ranlib -t old.a", "ranlib -U old.a", "ranlib none.a"])
def test_ranlib_calls_that_run_for_real(line: str) -> None:
    got = answer(line, machine())
    assert isinstance(got, RunReal)
    assert not got.probe
    assert got.reads == (line.split()[-1].encode(),)


def test_ranlib_asked_for_its_version() -> None:
    assert answer("ranlib --version", machine()) == RunReal("asks for the version", reads_all=False, probe=True)


def test_names_in_archives() -> None:
    assert member_names(THIN) == [b"sub/dir/one.o", b"../two.o"]
    assert member_names(OLD) == [b"x.o"]
    assert member_names(b"!<arch>\nrubbish" * 9) == []
    assert is_dateless(OLD)
    assert is_dateless(b"!<arch>\n")
    assert not is_dateless(DATED)
    assert not is_dateless(b"text")


def test_the_members_of_a_thin_archive_that_is_not_made_yet() -> None:
    made = Recorded((b"ar", b"csrDT", b"libx.a", b"a.o", b"b.o"), b"/w", (b"/w/a.o", b"/w/b.o"))
    fat = Recorded((b"ar", b"csrD", b"libT.a", b"a.o"), b"/w", (b"/w/a.o",))
    probe = FakeProbe(placeholders=(b"/w/other.a",), recorded={b"/w/libx.a": made, b"/w/libT.a": fat})
    assert thin_members(probe, b"/w/libx.a") == (b"/w/a.o", b"/w/b.o")
    assert thin_members(probe, b"/w/libT.a") == ()
    assert thin_members(probe, b"/w/other.a") == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ar crT x.a a.o", True),
        ("ar --thin -cr x.a", True),
        ("ar -c -r -T x.a", True),
        ("ar cr T.a T.o", False),
        ("ar cr T", False),
        ("ar cr x.a dir/T", False),
    ],
)
def test_which_command_lines_make_thin_archives(line: str, expected: bool) -> None:
    assert makes_thin(tuple(line.encode().split())) is expected
