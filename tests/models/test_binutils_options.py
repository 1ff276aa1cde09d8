"""The option engine and what the models share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.models.binutils.ar import ar_table, ranlib_table
from gg.models.binutils.common import environment, expand, split_words
from gg.models.binutils.gas import as_table
from gg.models.binutils.in_place import objcopy_table, strip_table
from gg.models.binutils.ldtable import linker_table
from gg.models.binutils.nasm import environment_args, nasm_table, yasm_table
from gg.models.binutils.options import Arg, Style, Unmodelled, parse, read_table
from tests.models.binutils_probe import CWD, FakeProbe, call

TEXT = """
out   -o: --output=
flag  -a -b --alpha --alphabet --beta
maybe -c:: --colour[=]
many  -m*
"""
GNU = read_table(TEXT)
LONG_ONLY = read_table(TEXT, Style.LONG_ONLY)
LD = read_table(TEXT, Style.LD)
EXACT = read_table(TEXT, Style.EXACT)


def spelled(args: list[Arg]) -> str:
    return " ".join(f"{arg.effect}:{arg.value.decode()}" for arg in args)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x -o y z", "operand:x out:y operand:z"),
        ("-oy", "out:y"),
        ("-abo y", "flag: flag: out:y"),
        ("-aboy", "flag: flag: out:y"),
        ("--output=y --output y", "out:y out:y"),
        ("--out y", "out:y"),
        ("--output=", "out:"),
        ("-c x -cx --colour x --colour=x", "maybe: operand:x maybe:x maybe: operand:x maybe:x"),
        ("--beta -- -a --", "flag: operand:-a operand:--"),
        ("- -a", "operand:- flag:"),
        ("-mfoo=bar", "many:foo=bar"),
        ("--alpha", "flag:"),
    ],
)
def test_gnu_getopt(line: str, expected: str) -> None:
    assert spelled(list(parse(GNU, line.encode().split()))) == expected


@pytest.mark.parametrize("line", ["-x", "--nothing", "-o", "--output", "--alpha=1", "-ax"])
def test_what_is_not_in_the_table_is_refused(line: str) -> None:
    with pytest.raises(Unmodelled):
        list(parse(GNU, line.encode().split()))


def test_an_abbreviation_of_several_options_that_mean_the_same_is_taken() -> None:
    assert spelled(list(parse(GNU, [b"--alph"]))) == "flag:"
    with pytest.raises(Unmodelled, match="unknown option --"):
        list(parse(read_table("a --one\nb --only"), [b"--on"]))


def test_one_dash_will_do_for_long_options() -> None:
    assert spelled(list(parse(LONG_ONLY, [b"-beta", b"-output=y", b"-colour"]))) == "flag: out:y maybe:"
    with pytest.raises(Unmodelled, match="abbreviated"):
        list(parse(LONG_ONLY, [b"-bet"]))
    with pytest.raises(Unmodelled, match="unknown option -ab"):
        list(parse(LONG_ONLY, [b"-ab"]))


def test_ld_takes_o_for_the_short_option_always() -> None:
    assert spelled(list(parse(LD, [b"-output=y"]))) == "out:utput=y"
    assert spelled(list(parse(EXACT, [b"-oy", b"-alpha"]))) == "out:y flag:"
    with pytest.raises(Unmodelled):
        list(parse(EXACT, [b"--alph"]))


HANDLED = {
    "ar": {"op", "mod", "value", "thin", "plugin", "aix", "script", "version"},
    "ranlib": {"flag", "dated", "aix", "plugin", "version"},
    "as": {"output", "include", "depfile", "listing", "value", "flag", "probe", "version"},
    "nasm": {"output", "format", "listing", "errors", "include", "forced", "define", "value", "flag", "preprocess"}
    | {"rule", "response", "probe", "debug", "optimize"},
    "yasm": {"output", "format", "listing", "map", "errors", "include", "forced", "define", "parser", "preproc"}
    | {"value", "flag", "preprocess", "probe", "debug"},
    "strip": {"value", "target", "times", "dated", "flag", "probe", "output"},
    "objcopy": {
        "value",
        "target",
        "architecture",
        "times",
        "dated",
        "flag",
        "probe",
        "input",
        "section",
        "dump",
        "written",
    },
    "ld": {"flag", "value", "input", "command", "output", "writes", "map", "depfile", "libdir", "library", "rpath"}
    | {"rpath_link", "script", "just", "static", "dynamic", "push", "pop", "nostdlib", "sysroot", "format", "emulation"}
    | {"relocatable", "shared", "strict", "gpsize", "version", "probe", "printed", "real", "plugin"},
}


def test_every_effect_in_a_table_is_one_that_its_model_knows() -> None:
    tables = {
        "ar": [ar_table()],
        "ranlib": [ranlib_table()],
        "as": [as_table()],
        "nasm": [nasm_table()],
        "yasm": [yasm_table()],
        "strip": [strip_table()],
        "objcopy": [objcopy_table()],
        "ld": [linker_table(flavour) for flavour in ("bfd", "gold", "lld", "mold")],
    }
    for tool, several in tables.items():
        for table in several:
            assert table.effects() <= HANDLED[tool], tool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a b\tc\nd", [b"a", b"b", b"c", b"d"]),
        (b"'a b' \"c d\" e\\ f", [b"a b", b"c d", b"e f"]),
        (b"pre'fix ed'post", [b"prefix edpost"]),
        (b"\"a\\\"b\" 'a\\'b' a\\\\b", [b'a"b', b"a'b", b"a\\b"]),
        (b"", []),
        (b"''", [b""]),
    ],
)
def test_words_of_response_files(text: bytes, expected: list[bytes]) -> None:
    assert split_words(text) == expected


@given(st.lists(st.binary(min_size=1).filter(lambda word: b"\0" not in word)))
def test_quoted_words_come_back(items: list[bytes]) -> None:
    quoted = b" ".join(b"".join(b"\\" + bytes([byte]) for byte in word) for word in items)
    assert split_words(quoted) == items


def test_nested_response_files_are_read_and_named() -> None:
    probe = FakeProbe({b"/w/one": b"a @two d", b"/w/two": b"'b b' c"})
    assert expand([b"x", b"@one", b"@none"], CWD, probe) == (
        [b"x", b"a", b"b b", b"c", b"d", b"@none"],
        [b"one", b"two"],
    )


def test_a_response_file_that_names_itself_ends() -> None:
    with pytest.raises(Unmodelled, match="without end"):
        expand([b"@self"], CWD, FakeProbe({b"/w/self": b"@self"}))


def test_the_environment_is_cut_down() -> None:
    env = {b"LC_ALL": b"C", b"LD_RUN_PATH": b"/r", b"DISPLAY": b":0", b"PWD": b"/elsewhere"}
    kept = environment(call("ld x.o", env), (b"LD_RUN_PATH",))
    expected = {b"LANG": b"de_DE.UTF-8", b"LC_ALL": b"C", b"LD_RUN_PATH": b"/r", b"PATH": b"/usr/bin", b"PWD": b"/w"}
    assert kept == expected


def test_options_in_nasmenv() -> None:
    assert environment_args(b"-Ox -Iinc/") == [b"-Ox", b"-Iinc/"]
    assert environment_args(b"!-Ox!-Ia b/") == [b"-Ox", b"-Ia b/"]
    assert environment_args(b"") == []
