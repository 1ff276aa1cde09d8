"""The flag table and what parsing makes of it."""

from __future__ import annotations

from collections import Counter

import pytest

from gg.models.driver.flags import CLANG, GCC, ROWS, Effect, ValuePlace
from gg.models.driver.handlers import HANDLERS
from gg.models.driver.parse import parse, table


@pytest.mark.parametrize("flavour", [GCC, CLANG])
def test_each_option_has_one_meaning(flavour: str) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for row in ROWS:
        if row.only in ("", flavour):
            for spelling in row.spellings.split():
                joined = row.arity in (ValuePlace.JOINED, ValuePlace.BOTH)
                whole = row.arity is not ValuePlace.JOINED
                seen[spelling, "joined"] += joined
                seen[spelling, "whole"] += whole
                seen[spelling + "=", "joined"] += row.arity is ValuePlace.EQUALS
    assert [name for name, count in seen.items() if count > 1] == []


def test_every_effect_is_handled_and_used() -> None:
    assert set(HANDLERS) == set(Effect) - {Effect.NEUTRAL}
    assert {row.effect for row in ROWS} == set(Effect)


def test_spellings_are_options() -> None:
    assert all(spelling.startswith("-") and len(spelling) > 1 for row in ROWS for spelling in row.spellings.split())


CLASSIFIED = [
    ("-Wall", Effect.NEUTRAL, b"all"),
    ("-Wa,-I,x", Effect.TO_ASSEMBLER_LIST, b"-I,x"),
    ("-Wl,-s", Effect.TO_LINKER_LIST, b"-s"),
    ("-Wp,-DX", Effect.TO_PREPROCESSOR_LIST, b"-DX"),
    ("-Wpedantic", Effect.NEUTRAL, b"pedantic"),
    ("-Iinc", Effect.INCLUDE, b"inc"),
    ("-include", Effect.FORCED, b""),
    ("-includex.h", Effect.FORCED, b"x.h"),
    ("-isystem", Effect.SYSTEM, b""),
    ("-isystemx", Effect.SYSTEM, b"x"),
    ("-isysroot", Effect.SYSROOT, b""),
    ("-iprefix", Effect.PREFIX, b""),
    ("-march=native", Effect.NATIVE, b""),
    ("-march=armv8-a", Effect.NEUTRAL, b"arch=armv8-a"),
    ("-fplugin=x/y.so", Effect.PLUGIN, b"x/y.so"),
    ("-fplugin-arg-y-a=1", Effect.NEUTRAL, b"y-a=1"),
    ("-fprofile-use", Effect.PROFILE_USE, b""),
    ("-fprofile-use=d", Effect.PROFILE_USE, b"d"),
    ("-fprofile-partial-training", Effect.NEUTRAL, b"profile-partial-training"),
    ("-flto=auto", Effect.LTO, b"=auto"),
    ("-flto-partition=one", Effect.NEUTRAL, b"one"),
    ("-fno-lto", Effect.NO_LTO, b""),
    ("-fmodules-ts", Effect.MODULES, b"s-ts"),
    ("-fmodulo-sched", Effect.NEUTRAL, b""),
    ("-fno-modulo-sched", Effect.NEUTRAL, b"no-modulo-sched"),
    ("-fdump-rtl-all", Effect.REAL, b"rtl-all"),
    ("-dM", Effect.NEUTRAL, b""),
    ("-dap", Effect.REAL, b"ap"),
    ("-dumpmachine", Effect.QUESTION, b""),
    ("-MD", Effect.MD, b""),
    ("-MMD", Effect.MMD, b""),
    ("-MFx", Effect.MF, b"x"),
    ("-g3", Effect.NEUTRAL, b"3"),
    ("-gsplit-dwarf", Effect.SPLIT_DWARF, b""),
    ("-Ofast", Effect.NEUTRAL, b""),
    ("-O2", Effect.NEUTRAL, b"2"),
    ("-std=c++20", Effect.NEUTRAL, b"c++20"),
    ("-pthread", Effect.NEUTRAL, b""),
    ("-pie", Effect.NEUTRAL, b""),
    ("-save-temps=obj", Effect.SAVE_TEMPS, b"obj"),
    ("-print-multiarch", Effect.QUESTION, b"multiarch"),
    ("-Bdir", Effect.TOOL_DIR, b"dir"),
    ("-Tlink.ld", Effect.LINK_PAIR, b"link.ld"),
    ("-lm", Effect.LIBRARY, b"m"),
]


@pytest.mark.parametrize(("arg", "effect", "value"), CLASSIFIED)
def test_the_longest_spelling_wins(arg: str, effect: Effect, value: bytes) -> None:
    known = table(GCC).get(arg.encode())
    assert known is not None
    assert (known.effect, known.value) == (effect, value)
    assert table(GCC).get(arg.encode()) is known


def test_options_of_one_flavour() -> None:
    for arg in (b"-target", b"-Xclang", b"-Qunused-arguments", b"--target=x", b"-include-pch"):
        assert table(CLANG).get(arg) is not None
    for arg in (b"-Xclang", b"-Qunused-arguments", b"-target", b"--nonsense", b"-rpath"):
        assert table(GCC).get(arg) is None


def test_values_that_look_like_options_or_files() -> None:
    command = parse([b"-D", b"-c", b"-MF", b"a.c", b"-o", b"-x", b"-Xlinker", b"x.o", b"b.c"], GCC)
    assert not command.compile
    assert command.defines == [b"-c"]
    assert command.dependencies.file == b"a.c"
    assert command.output == b"-x"
    assert command.link_words == [b"x.o"]
    assert [source.path for source in command.sources] == [b"b.c"]


def test_what_the_compiler_is_asked_again() -> None:
    """The line without what says where results go, in its order."""
    line = b"-c -O2 -MD -MF d -Ia -o x.o -x c++ a.c -Wl,-s -lm -L. -Wp,-MD,x,-DY -pthread -save-temps -static"
    command = parse(line.split(), GCC)
    assert b" ".join(command.kept) == b"-O2 -Ia -x c++ a.c -pthread -Xpreprocessor -DY"


def test_flags_that_concern_the_toolchain() -> None:
    line = b"-m32 -O2 -mavx2 --sysroot /r -B tools -specs=x.specs -pthread -shared -nostdinc -fuse-ld=lld -Ofast a.c"
    command = parse(line.split(), GCC)
    assert b" ".join(command.header_flags) == b"-m32 --sysroot /r -B tools -specs=x.specs -nostdinc"
    assert b" ".join(command.link_flags) == (
        b"-m32 --sysroot /r -B tools -specs=x.specs -pthread -shared -fuse-ld=lld -Ofast"
    )
    assert b" ".join(command.tool_flags) == b"-m32 --sysroot /r -B tools -specs=x.specs"


def test_the_language_counts_from_where_it_stands() -> None:
    command = parse(b"a.c -x c++ b.c -x none c.c -xassembler d -x none e.o".split(), GCC)
    assert [(s.path, s.language.name) for s in command.sources] == [
        (b"a.c", "c"),
        (b"b.c", "c++"),
        (b"c.c", "c"),
        (b"d", "assembler"),
    ]
    assert command.objects == [b"e.o"]
