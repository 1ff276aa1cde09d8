"""Compile calls of real builds, and the whole Draft that each gives."""

from __future__ import annotations

import pytest

from gg.core.thunk import Work
from gg.models.drafts import Depfile, Draft, Lexer, Scan, SearchPath, Writes
from gg.models.driver.model import DriverModel
from tests.models.driver_probe import (
    CWD,
    PLAIN,
    PLAIN_CXX,
    SYSTEM,
    SYSTEM_CXX,
    FakeFacts,
    FakeToolchain,
    answer,
    call,
    draft,
    facts_of,
    include,
    machine,
    scan,
    words,
)


def test_automake() -> None:
    line = (
        "gcc -DHAVE_CONFIG_H -I. -I.. -I../include -D_FORTIFY_SOURCE=2 -g -O2 -Wall -fPIC -MT foo.o -MD -MP "
        "-MF .deps/foo.Tpo -c -o foo.o foo.c"
    )
    probe = machine(line, "../include/x.h")
    assert answer(line, probe) == draft(
        line,
        inputs="foo.c",
        outputs="foo.o",
        tools="as c",
        directories=(b".", b"..", b"../include", *SYSTEM),
        scans=(
            scan(
                line,
                "foo.c",
                include(b".", b"..", b"../include"),
                "-DHAVE_CONFIG_H -I. -I.. -I../include -D_FORTIFY_SOURCE=2 -g -O2 -Wall -fPIC foo.c",
                defines="HAVE_CONFIG_H _FORTIFY_SOURCE=2",
            ),
        ),
        depfile=Depfile(b".deps/foo.Tpo", (b"foo.o",), system=True, phony=True),
    )


def test_kbuild() -> None:
    line = (
        "gcc -Wp,-MMD,kernel/.fork.o.d -nostdinc -I./arch/x86/include -I./include -include ./include/linux/kconfig.h "
        "-D__KERNEL__ -fno-strict-aliasing -std=gnu11 -mno-sse -m64 -mcmodel=kernel -O2 -Wframe-larger-than=2048 "
        "-DKBUILD_BASENAME='\"fork\"' -c -o kernel/fork.o kernel/fork.c"
    )
    probe = machine(line, "arch/x86/include/asm.h", "include/linux/kconfig.h")
    search = SearchPath((), (b"./arch/x86/include", b"./include"), 2)
    kept = (
        "-nostdinc -I./arch/x86/include -I./include -include ./include/linux/kconfig.h -D__KERNEL__ "
        "-fno-strict-aliasing -std=gnu11 -mno-sse -m64 -mcmodel=kernel -O2 -Wframe-larger-than=2048 "
        '-DKBUILD_BASENAME="fork" kernel/fork.c'
    )
    assert answer(line, probe) == draft(
        line,
        inputs="kernel/fork.c",
        outputs="kernel/fork.o",
        tools="as c",
        directories=(b"./arch/x86/include", b"./include"),
        scans=(
            scan(
                line,
                "kernel/fork.c",
                search,
                kept,
                forced="./include/linux/kconfig.h",
                defines='__KERNEL__ KBUILD_BASENAME="fork"',
            ),
        ),
        depfile=Depfile(b"kernel/.fork.o.d", (b"fork.o",), system=False),
    )


def test_cmake() -> None:
    line = (
        "c++ -DFMT_EXPORT -I/w/include -isystem /w/third -O3 -DNDEBUG -std=gnu++17 "
        "-MD -MT CMakeFiles/fmt.dir/src/format.cc.o -MF CMakeFiles/fmt.dir/src/format.cc.o.d "
        "-o CMakeFiles/fmt.dir/src/format.cc.o -c /w/src/format.cc"
    )
    probe = machine(line, "include/f.h", "third/t.h")
    assert answer(line, probe) == draft(
        line,
        inputs="/w/src/format.cc",
        outputs="CMakeFiles/fmt.dir/src/format.cc.o",
        tools="as c++",
        directories=(b"/w/include", b"/w/third", *SYSTEM_CXX),
        scans=(
            scan(
                line,
                "/w/src/format.cc",
                SearchPath((), (b"/w/include", b"/w/third", *SYSTEM_CXX), 1),
                "-DFMT_EXPORT -I/w/include -isystem /w/third -O3 -DNDEBUG -std=gnu++17 /w/src/format.cc",
                defines="FMT_EXPORT NDEBUG",
            ),
        ),
        depfile=Depfile(b"CMakeFiles/fmt.dir/src/format.cc.o.d", (b"CMakeFiles/fmt.dir/src/format.cc.o",), system=True),
    )


def test_meson() -> None:
    line = (
        "cc -Ilibslirp.so.0.4.0.p -I. -I.. -I../src -fdiagnostics-color=always -Wall -Winvalid-pch -std=gnu99 -O2 -g "
        "-fPIC -pthread -MD -MQ libslirp.so.0.4.0.p/src_arp_table.c.o -MF libslirp.so.0.4.0.p/src_arp_table.c.o.d "
        "-o libslirp.so.0.4.0.p/src_arp_table.c.o -c ../src/arp_table.c"
    )
    result = answer(line, machine(line, "../src/arp_table.c", "../src/x.h"))
    assert isinstance(result, Draft)
    assert result.outputs[0] == Writes(b"libslirp.so.0.4.0.p/src_arp_table.c.o")
    assert result.depfile == Depfile(
        b"libslirp.so.0.4.0.p/src_arp_table.c.o.d", (b"libslirp.so.0.4.0.p/src_arp_table.c.o",)
    )
    assert result.scans[0].search == include(b"libslirp.so.0.4.0.p", b".", b"..", b"../src")
    assert result.directories == (b"libslirp.so.0.4.0.p", b".", b"..", b"../src", *SYSTEM)


def test_ffmpeg() -> None:
    line = (
        "gcc -I. -I./ -D_ISOC99_SOURCE -D_LARGEFILE_SOURCE -DPIC -DZLIB_CONST -std=c11 -fomit-frame-pointer -fPIC "
        "-pthread -g -Wdeclaration-after-statement -Wall -O3 -fno-math-errno -fno-signed-zeros -MMD "
        "-MF libavcodec/aac.d -MT libavcodec/aac.o -c -o libavcodec/aac.o libavcodec/aac.c"
    )
    result = answer(line)
    assert isinstance(result, Draft)
    assert result.depfile == Depfile(b"libavcodec/aac.d", (b"libavcodec/aac.o",), system=False)
    assert result.scans[0].search == include(b".")  # ./ is the same directory
    assert words("libavcodec/aac.o libavcodec/aac.d") == tuple(w.path for w in result.outputs)


def test_libtool() -> None:
    line = 'g++ -DPACKAGE_NAME=\\"my\\ lib\\" -I. -g -O2 -c x.cpp -fPIC -DPIC -o .libs/x.o'
    result = answer(line)
    assert isinstance(result, Draft)
    assert result.argv[1] == b'-DPACKAGE_NAME="my lib"'
    assert result.scans[0].defines == (b'PACKAGE_NAME="my lib"', b"PIC")
    assert result.scans[0].search == SearchPath((), (b".", *SYSTEM_CXX), 1)


def test_assembly_with_and_without_preprocessing() -> None:
    line = "gcc -c -Iinc -Wa,-I,more,--noexecstack -DX start.S -o start.o"
    assert answer(line, machine(line, "inc/x.h")) == draft(
        line,
        inputs="start.S",
        outputs="start.o",
        tools="as asm-cpp",
        work=Work.ASSEMBLE,
        directories=(b"inc", *SYSTEM),
        scans=(scan(line, "start.S", include(b"inc"), "-Iinc -Wa,-I,more,--noexecstack -DX start.S", defines="X"),),
    )
    line = "gcc -c -Iinc -Wa,-I,more fast.s"
    assert answer(line) == draft(
        line,
        inputs="fast.s",
        outputs="fast.o",
        tools="as",
        work=Work.ASSEMBLE,
        directories=(b"inc", b"more"),
        scans=(Scan(Lexer.GAS, (b"fast.s",), SearchPath((), (b".", b"inc", b"more"), 3)),),
    )


def test_preprocess_to_a_file() -> None:
    line = "gcc -E -P -x c -DA=1 vmlinux.lds.S -o vmlinux.lds"
    assert answer(line) == draft(
        line,
        inputs="vmlinux.lds.S",
        outputs="vmlinux.lds",
        tools="c preprocess",
        work=Work.PREPROCESS,
        directories=SYSTEM,
        scans=(scan(line, "vmlinux.lds.S", PLAIN, "-P -x c -DA=1 vmlinux.lds.S", defines="A=1"),),
    )


def test_several_sources_of_several_languages() -> None:
    line = "gcc -c a.c b.c t.cc o.m q.mm s.s"
    result = answer(line)
    assert isinstance(result, Draft)
    assert tuple(w.path for w in result.outputs) == words("a.o b.o t.o o.o q.o s.o")
    assert [(s.lexer, s.sources) for s in result.scans] == [
        (Lexer.C, (b"a.c", b"b.c")),
        (Lexer.C, (b"t.cc",)),
        (Lexer.C, (b"o.m",)),
        (Lexer.C, (b"q.mm",)),
        (Lexer.GAS, (b"s.s",)),
    ]
    assert result.tools == tuple(b"/tools/" + role for role in (b"as", b"c", b"c++", b"objc", b"objc++"))


def test_clang_needs_no_assembler_unless_told() -> None:
    line = "clang -c a.c"
    expected = draft(
        line,
        inputs="a.c",
        outputs="a.o",
        tools="c",
        directories=SYSTEM,
        scans=(scan(line, "a.c", PLAIN, "a.c"),),
    )
    assert answer(line) == expected
    result = answer("clang -no-integrated-as -c a.c")
    assert isinstance(result, Draft)
    assert result.tools == (b"/tools/as", b"/tools/c")


def test_cplusplus_drivers_take_c_for_cplusplus() -> None:
    for tool in ("g++", "c++", "clang++"):
        result = answer(f"{tool} -c a.c")
        assert isinstance(result, Draft)
        assert result.scans[0].search == PLAIN_CXX
        assert b"/tools/c++" in result.tools


def test_cc_that_is_clang() -> None:
    facts = FakeFacts("clang", (14, 0, 6))
    result = answer("cc --target=aarch64-linux-gnu -Qunused-arguments -c a.c", facts=facts)
    assert isinstance(result, Draft)
    assert ("include", "c", (b"--target=aarch64-linux-gnu",)) in facts.asked


SPELLINGS = [
    ("-I inc", "-Iinc"),
    ("--include-directory=inc", "-Iinc"),
    ("--include-directory inc", "-Iinc"),
    ("-iprefix p/ -iwithprefixbefore inc", "-Ip/inc"),
    ("-isystem inc", "-isysteminc"),
    ("-idirafter inc", "-idirafterinc"),
    ("--include-directory-after=inc", "-idirafter inc"),
    ("-iprefix p/ -iwithprefix inc", "-idirafterp/inc"),
    ("-iquoteinc", "-iquote inc"),
    ("--sysroot=/r -I=/inc", "--sysroot /r -I/r/inc"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_the_search_path(one: str, other: str) -> None:
    first, second = answer(f"gcc -c a.c {one}"), answer(f"gcc -c a.c {other}")
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert first.scans[0].search == second.scans[0].search != PLAIN


def test_the_order_of_the_search_path() -> None:
    line = "gcc -c a.c -idirafter z -isystem s -I a -iquote q -I b"
    env = {b"CPATH": b"/c1::/c2", b"C_INCLUDE_PATH": b"/ci", b"CPLUS_INCLUDE_PATH": b"/no"}
    result = answer(line, env=env)
    assert isinstance(result, Draft)
    assert result.scans[0].search == SearchPath(
        (b"q",), (b"a", b"b", b"/c1", b".", b"/c2", b"s", b"/ci", *SYSTEM, b"z"), 5
    )
    assert result.env[b"CPATH"] == b"/c1::/c2"


def test_a_system_directory_stays_one() -> None:
    result = answer("gcc -c a.c -I/usr/include -Ix -Ix/ -isystem y -isystem y")
    assert isinstance(result, Draft)
    assert result.scans[0].search == SearchPath((), (b"x", b"y", *SYSTEM), 1)


def test_forced_includes_and_their_precompiled_header() -> None:
    line = "gcc -include pch.h --imacros=m.h -Iinc -c a.c"
    result = answer(line, machine("gcc a.c", "inc/pch.h", "inc/pch.h.gch"))
    assert isinstance(result, Draft)
    assert result.scans[0].forced == (b"pch.h", b"m.h")
    assert result.optional_inputs == (b"inc/pch.h.gch",)
    result = answer(line, machine("gcc a.c", "inc/pch.h", placeholders=("inc/pch.h.gch",)))
    assert isinstance(result, Draft)
    assert result.optional_inputs == (b"inc/pch.h.gch",)


def test_precompiled_headers_are_made() -> None:
    line = "g++ -x c++-header -O2 src/all.h"
    assert answer(line) == draft(
        line,
        inputs="src/all.h",
        outputs="src/all.h.gch",
        tools="c++",
        directories=SYSTEM_CXX,
        scans=(scan(line, "src/all.h", PLAIN_CXX, "-x c++-header -O2 src/all.h"),),
    )
    line = (
        "clang++ -Xclang -emit-pch -Xclang -include -Xclang cmake_pch.hxx -x c++-header "
        "-o cmake_pch.hxx.pch -c cmake_pch.hxx.cxx"
    )
    result = answer(line)
    assert isinstance(result, Draft)
    assert result.outputs == (Writes(b"cmake_pch.hxx.pch"),)
    line = "clang++ -Xclang -include-pch -Xclang all.pch -Xclang -include -Xclang all.h -c a.cc"
    result = answer(line, machine(line, "all.h", "all.pch"))
    assert isinstance(result, Draft)
    assert b"all.pch" in result.inputs
    assert result.scans[0].forced == (b"all.h",)


@pytest.mark.parametrize(("version", "suffix"), [((14, 0, 6), b".gch"), ((17, 0, 6), b".gch"), ((18, 1, 0), b".pch")])
def test_clang_calls_them_otherwise_since_18(version: tuple[int, ...], suffix: bytes) -> None:
    result = answer("clang -c src/all.h", facts=FakeFacts("clang", version))
    assert isinstance(result, Draft)
    assert [output.path for output in result.outputs] == [b"src/all.h" + suffix]


BESIDE = [
    ("gcc --coverage -c src/a.c", "a.o a.gcno"),
    ("gcc --coverage -c src/a.c -o o/y.x.o", "o/y.x.o o/y.x.gcno"),
    ("gcc -ftest-coverage -fprofile-arcs -c src/a.c -fprofile-note=n.gcno", "a.o n.gcno"),
    ("gcc -fstack-usage -c src/a.c -o o/y.o", "o/y.o o/y.su"),
    ("gcc -fcallgraph-info=su -c src/a.c -o o/y.o", "o/y.o o/y.ci"),
    ("gcc -aux-info protos.X -c src/a.c", "a.o protos.X"),
    ("gcc -save-temps -c src/a.c -o o/y.o", "o/y.o o/y.i o/y.s"),
    ("gcc -save-temps=obj -S src/a.c -o o/y.s", "o/y.s o/y.i"),
    ("gcc -save-temps=cwd --coverage -c src/a.c -o o/y.o", "o/y.o y.gcno y.i y.s"),
    ("g++ -save-temps -c a.cc", "a.o a.ii a.s"),
    ("gcc -save-temps -c p.S s.s", "p.o s.o p.s"),
    ("gcc -Wa,-adhlns=a.lst -c a.c", "a.o a.lst"),
    ("clang --coverage -fstack-usage -ftime-trace -c a.c -o o/y.o", "o/y.o o/y.gcno o/y.su o/y.json"),
    ("clang -save-temps -c src/a.c -o o/y.o", "o/y.o a.i a.bc a.s"),
    ("clang -save-temps=obj -c src/a.c -o o/y.o", "o/y.o o/a.i o/a.bc o/a.s"),
    ("clang -gsplit-dwarf -c src/a.c", "a.o a.dwo"),
    ("clang -emit-llvm -c src/a.c", "a.bc"),
    ("clang -emit-llvm -S src/a.c", "a.ll"),
    ("gcc -gsplit-dwarf=single -c a.c", "a.o"),
    ("gcc -gsplit-dwarf -gno-split-dwarf -c a.c", "a.o"),
]


@pytest.mark.parametrize(("line", "outputs"), BESIDE)
def test_files_beside_the_output(line: str, outputs: str) -> None:
    result = answer(line)
    assert isinstance(result, Draft)
    assert tuple(w.path for w in result.outputs) == words(outputs)


def test_split_dwarf_needs_objcopy() -> None:
    result = answer("gcc -g -gsplit-dwarf -c a.c -o o/y.o")
    assert isinstance(result, Draft)
    assert tuple(w.path for w in result.outputs) == words("o/y.o o/y.dwo")
    assert result.tools[-2:] == (b"/usr/bin/objcopy", b"/usr/bin/objcopy.needed")


DEPENDENCIES = [
    ("gcc -MD -c src/a.c", Depfile(b"a.d", (b"a.o",))),
    ("gcc -MMD -c src/a.c -o o/y.o", Depfile(b"o/y.d", (b"o/y.o",), system=False)),
    ("gcc -MD -c src/a.c -o o/y", Depfile(b"o/y.d", (b"o/y",))),
    ("gcc -MD -S src/a.c", Depfile(b"a.d", (b"a.o",))),
    ("gcc -E -MD -o x.i src/a.c", Depfile(b"x.d", (b"a.o",))),
    ("clang -E -MD -o x.i src/a.c", Depfile(b"x.d", (b"x.i",))),
    ("gcc -MD -MF d -MP -c a.c", Depfile(b"d", (b"a.o",), phony=True)),
    ("gcc --write-dependencies -MFd -c a.c", Depfile(b"d", (b"a.o",))),
    ("gcc --write-user-dependencies -c a.c", Depfile(b"a.d", (b"a.o",), system=False)),
    ("gcc -MD -MT t1 -MQ 'q $1' -MT 't $2' -c a.c", Depfile(b"a.d", (b"t1", b"t $2", rb"q\ $$1"))),
    ("clang -MD -MT t1 -MQ 'q $1' -MT 't $2' -c a.c", Depfile(b"a.d", (b"t1", rb"q\ $$1", b"t $2"))),
    (r"gcc -MD -MQ 'c\ d#e' -MQ a:b -c a.c", Depfile(b"a.d", (rb"c\\\ d\#e", b"a:b"))),
    ("gcc -MD -c a.c -o 'o/a b:c#d$e.o'", Depfile(b"o/a b:c#d$e.d", (rb"o/a\ b:c\#d$$e.o",))),
    ("gcc -Wp,-MD,x.d -c src/a.c -o o/y.o", Depfile(b"x.d", (b"a.o",))),
    ("gcc -Wp,-MMD,x.d,-MT,tt -c src/a.c -o o/y.o", Depfile(b"x.d", (b"tt",), system=False)),
    ("gcc -Xpreprocessor -MD -Xpreprocessor x.d -MT tt -c src/a.c", Depfile(b"x.d", (b"tt",))),
    ("clang -Wp,-MD,x.d -c src/a.c -o o/y.o", Depfile(b"x.d", (b"o/y.o",))),
    ("gcc -MD -c p.S -o o/p.o", Depfile(b"o/p.d", (b"o/p.o",))),
    ("gcc -MD -c s.s -o o/s.o", None),
    ("gcc -MD -c a.i", None),
    ("gcc -MD src/h.h -o o/h.h.gch", Depfile(b"o/h.h.d", (b"o/h.h.gch",))),
    ("gcc -MD -c a.c b.c -MF all.d", Depfile(b"all.d", (b"b.o",))),
]


@pytest.mark.parametrize(("line", "depfile"), DEPENDENCIES)
def test_dependency_files(line: str, depfile: Depfile | None) -> None:
    result = answer(line)
    assert isinstance(result, Draft), result
    assert result.depfile == depfile
    assert [w.path for w in result.outputs if w.soft] == ([depfile.path] if depfile else [])


SAME = [
    ("gcc --compile --output=x.o --define-macro=A --undefine-macro B a.c", "gcc -c -o x.o -DA -UB a.c"),
    ("gcc --assemble a.c", "gcc -S a.c"),
    ("gcc --preprocess --output x.i a.c", "gcc -E -o x.i a.c"),
    ("gcc --language=c++ --compile a.c", "gcc -x c++ -c a.c"),
    ("gcc -c -S a.c", "gcc -S a.c"),
    ("gcc -ox.o -c a.c", "gcc -o x.o -c a.c"),
    ("gcc -x c++ -x none -c a.c", "gcc -c a.c"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_long_spellings(one: str, other: str) -> None:
    first, second = answer(one), answer(other)
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert first.outputs == second.outputs
    assert first.tools == second.tools
    assert [(s.sources, s.search, s.defines) for s in first.scans] == [
        (s.sources, s.search, s.defines) for s in second.scans
    ]


def test_response_files() -> None:
    line = "gcc @args -c 'a b.c'"
    probe = machine("gcc")
    probe.files |= {
        b"/w/args": b"-I 'my dir' -DX=\\\"q\\\"\n@more -o out.o",
        b"/w/more": b'"-DY=1 2"',
        b"/w/a b.c": b"",
    }
    result = answer(line, probe)
    assert isinstance(result, Draft)
    assert result.argv == (b"gcc", b"@args", b"-c", b"a b.c")
    assert result.inputs == (b"a b.c", b"args", b"more")
    assert result.outputs == (Writes(b"out.o"),)
    assert result.scans[0].search.bracket[0] == b"my dir"
    assert result.scans[0].defines == (b'X="q"', b"Y=1 2")


def test_native_processors_are_part_of_the_identity() -> None:
    result = answer("gcc -O2 -march=native -mno-avx -mtune=native -c a.c")
    assert isinstance(result, Draft)
    assert result.env[b"GG_NATIVE"] == b"-march=thiscpu -mno-avx -mtune=thiscpu"
    assert b"-march=native" in result.argv
    plain = answer("gcc -O2 -march=armv8-a -c a.c")
    assert isinstance(plain, Draft)
    assert b"GG_NATIVE" not in plain.env


def test_plugins_profiles_and_lists_are_inputs() -> None:
    line = "gcc -fplugin=./p/check.so -fplugin-arg-check-x=1 -c a.c"
    result = answer(line, machine(line, "./p/check.so"))
    assert isinstance(result, Draft)
    assert result.inputs == (b"a.c", b"./p/check.so")
    assert result.tools[-1] == b"/w/./p/check.so.needed"
    line = "clang -fsanitize=address -fsanitize-ignorelist=ign.txt -c a.c"
    result = answer(line)
    assert isinstance(result, Draft)
    assert result.inputs == (b"a.c", b"ign.txt")
    result = answer("gcc -fauto-profile=p.afdo -c a.c")
    assert isinstance(result, Draft)
    assert result.inputs == (b"a.c", b"p.afdo")


PROFILES = [
    ("gcc -fprofile-use -c src/a.c -o o/y.o", "/w/o/y.gcda"),
    ("gcc -fprofile-use -c src/a.c", "/w/a.gcda"),
    ("gcc -fprofile-use=prof -c src/a.c -o o/y.o", "prof/#w#o#y.gcda"),
    ("gcc -fprofile-use -fprofile-dir=pd -c src/a.c -o o/y.o", "pd/#w#o#y.gcda"),
    ("clang -fprofile-instr-use=x.profdata -c a.c", "x.profdata"),
    ("clang -fprofile-use -c a.c", "default.profdata"),
]


@pytest.mark.parametrize(("line", "profile"), PROFILES)
def test_profiles(line: str, profile: str) -> None:
    result = answer(line)
    assert isinstance(result, Draft)
    assert result.optional_inputs == words(profile)


def test_the_environment() -> None:
    env = {
        b"LANG": b"de_DE.UTF-8",
        b"LC_ALL": b"C",
        b"SOURCE_DATE_EPOCH": b"1",
        b"NIX_CFLAGS_COMPILE": b"-O1",
        b"NIX_PATH": b"x",
        b"CCACHE_DIR": b"/c",
        b"PWD": b"/elsewhere",
    }
    result = answer("gcc -c a.c", env=env)
    assert isinstance(result, Draft)
    assert result.env == {
        b"LANG": b"de_DE.UTF-8",
        b"LC_ALL": b"C",
        b"SOURCE_DATE_EPOCH": b"1",
        b"NIX_CFLAGS_COMPILE": b"-O1",
        b"PATH": b"/usr/bin",
        b"PWD": CWD,
    }


def test_pwd_is_kept_when_it_is_another_name_of_the_directory() -> None:
    probe = machine("gcc -c a.c")
    probe.links[b"/link"] = CWD
    result = answer("gcc -c a.c", probe, env={b"PWD": b"/link"})
    assert isinstance(result, Draft)
    assert result.env[b"PWD"] == b"/link"


def test_a_script_keeps_the_whole_path() -> None:
    facts = FakeFacts("gcc", (12, 2, 0), is_script=True)
    result = answer("c99 -c a.c", facts=facts)
    assert isinstance(result, Draft)
    assert result.env[b"PATH"] == b"/opt/bin:/usr/bin:/bin"


def test_bytes_that_are_no_text() -> None:
    line = "gcc -DN=\udcff -c src/\udcff.c -o \udcff.o"
    probe = machine("gcc")
    probe.files[b"/w/src/\xff.c"] = b""
    result = answer(line, probe)
    assert isinstance(result, Draft)
    assert result.inputs == (b"src/\xff.c",)
    assert result.outputs == (Writes(b"\xff.o"),)


def test_a_warm_call_asks_the_compiler_nothing() -> None:
    """The guard of the hot path: no program is asked again, and little of the disk."""
    line = "gcc -Iinc -O2 -MD -MF d/a.d -o o/a.o -c a.c"
    facts, probe = facts_of("gcc"), machine(line, "inc/x.h", "b.c")
    model = DriverModel(FakeToolchain(facts))
    first = model(call(line), probe)
    asked = len(facts.asked)
    probe.looks.clear()
    second = model(call(line.replace("a.", "b.")), probe)
    assert len(facts.asked) == asked
    assert probe.looks == [b"/w/b.c", b"/w/inc", *SYSTEM]
    assert isinstance(first, Draft)
    assert isinstance(second, Draft)
    assert second.scans[0].search == first.scans[0].search
    assert second.outputs == (Writes(b"o/b.o"), Writes(b"d/b.d", soft=True))
