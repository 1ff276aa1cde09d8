"""Calls that run for real, and why."""

from __future__ import annotations

import pytest

from gg.models.drafts import Draft, RunReal
from tests.models.driver_probe import FakeFacts, answer, machine

QUESTIONS = [
    "gcc --version",
    "gcc -v",
    "gcc -dumpmachine",
    "gcc -dumpversion",
    "gcc -dumpspecs",
    "gcc -print-prog-name=ld",
    "gcc -print-search-dirs",
    "gcc --print-multi-os-directory",
    "gcc -print-file-name=libc.so",
    "gcc --help=optimizers -Q",
    "gcc -### a.c -o x",
    "gcc -E a.c",
    "gcc -E -dM -x c /dev/null",
    "gcc -E -",
    "gcc -x c -c - -o x.o",
    "gcc -M a.c",
    "gcc -MM -MG a.c",
    "gcc -MM -MF x.d a.c",
    "gcc -fsyntax-only a.c",
    "gcc -Werror -c -x c /dev/null -o .tmp_1/tmp",
    "gcc -c a.c -o /dev/null",
    "gcc -S a.c -o -",
    "gcc",
    "gcc -Iinc",
    "gcc -Wl,--version",
    "gcc -c conftest.c",
    "gcc -o conftest -g -O2 conftest.c -lm",
    "gcc -c -g conftest.cpp",
    "g++ -o conftest2 a.o conftest1.cc",
    "cc -o CMakeFiles/cmTC_12ab.dir/testCCompiler.c.o -c a.c",
    "cc -c /w/CMakeFiles/CMakeScratch/TryCompile-aB/src.c -o src.o",
    "cc -c /w/CMakeFiles/3.25.1/CompilerIdC/CMakeCCompilerId.c",
    "cc /w/build/meson-private/tmpabc/testfile.c -o /w/build/meson-private/tmpabc/output.exe",
    "cc sanity.c -o meson-private/sanitycheckc.exe",
    "gcc -c ztest1234.c",
    "gcc -O2 -c -o /tmp/ffconf.x1/test.o /tmp/ffconf.x1/test.c",
    "gcc -c .sconf_temp/conftest_0.c -o .sconf_temp/conftest_0.o",
    "clang --autocomplete=-f",
    "clang -target x86_64-linux-gnu --version",
]


@pytest.mark.parametrize("line", QUESTIONS)
def test_questions_are_no_missed_chance(line: str) -> None:
    result = answer(line)
    assert isinstance(result, RunReal), result
    assert result.probe, result.why


def test_a_trial_is_told_by_the_directory_too() -> None:
    line = "cc -o prog a.c"
    cwd = b"/w/CMakeFiles/CMakeScratch/TryCompile-xy"
    result = answer(line, machine(line), cwd=cwd)
    assert isinstance(result, RunReal)
    assert result.probe


def test_a_build_below_tmp_is_no_trial() -> None:
    line = "gcc -c /tmp/ws/src/a.c -o /tmp/ws/build/a.o"
    assert isinstance(answer(line, machine(line), cwd=b"/tmp/ws/build"), Draft)
    result = answer(line, machine(line), cwd=b"/home/u", env={b"PWD": b"/home/u"})
    assert isinstance(result, RunReal)
    assert result.probe
    line = "gcc -c /scratch/t/a.c"
    assert isinstance(answer(line, machine(line)), Draft)
    assert isinstance(answer(line, machine(line), env={b"TMPDIR": b"/scratch"}), RunReal)


REASONS = [
    ("gcc --nonsense -c a.c", "unknown option --nonsense"),
    ("gcc -rpath /x a.o", "unknown option -rpath"),
    ("gcc -emit-llvm -target x -c a.c", "unknown option -target"),
    ("gcc -c a.c -o", "-o without its value"),
    ("gcc -fnope -c a.c", "the compiler does not accept -fnope"),
    ("gcc -O2 -Wnope -gnope -c a.c", "the compiler does not accept -Wnope -gnope"),
    ("gcc -fnope a.o -o x", "the compiler does not accept -fnope"),
    ("gcc -mnope -c a.s", "the compiler does not accept -mnope"),
    ("gcc -fprofile-list=nope -c a.c", "the compiler does not accept"),
    ("gcc -Wp,-fnope -c a.c", "the compiler does not accept -Xpreprocessor -fnope"),
    ("gcc -Wa,-mnope -c a.c", "the compiler does not accept -Wa,-mnope"),
    ("clang -Xclang -fnope -c a.c", "the compiler does not accept -Xclang -fnope"),
    ("clang -Werror -Wl,-nope -c a.c", "the compiler does not accept -Wl,-nope"),
    ("gcc -v -c a.c", "-v prints how it works"),
    ("gcc -fdump-tree-all -c a.c", "-fdump- is not modelled"),
    ("gcc -da -c a.c", "-d is not modelled"),
    ("gcc -wrapper gdb,--args -c a.c", "-wrapper is not modelled"),
    ("gcc -dumpbase x -c a.c", "-dumpbase is not modelled"),
    ("gcc -I- -c a.c", "-I- is not modelled"),
    ("gcc -iwithprefix x -c a.c", "-iwithprefix without -iprefix"),
    ("gcc -I=inc -c a.c", "a directory under the sysroot, and none is given"),
    ("gcc -MD -MG -c a.c", "-MG is not modelled"),
    ("gcc -MF x.d -c a.c", "options for a dependency file that is not asked for"),
    ("gcc -MD -MF - -c a.c", "a dependency file that is no file"),
    ("gcc -MD -c a.c b.c", "several dependency files"),
    ("gcc -MD -Wp,-MD,x.d -c a.c", "two dependency files"),
    ("clang -Wp,-MD,x.d,-MT,t -c a.c", "-Wp,-MD in another form than -Wp,-MD,FILE"),
    ("gcc -Wp,-M -c a.c", "-Wp,-M is not modelled"),
    ("gcc -Wa,-al -c a.c", "-Wa,-a prints a listing"),
    ("gcc -Wa,-MD,x.d -c a.c", "-Wa: an option that changes what is read or written"),
    ("gcc -Wa,@opts -c a.c", "-Wa,@file"),
    ("gcc -fplugin=annobin -c a.c", "a plugin that the compiler looks for"),
    ("g++ -fmodules-ts -c a.cc", "C++ modules"),
    ("clang++ -fmodules -c a.cc", "C++ modules"),
    ("clang++ --precompile m.cppm", "C++ modules"),
    ("clang++ -c m.cppm", "the language C++ modules"),
    ("gcc -c x.f90", "the language Fortran"),
    ("gcc -x ada -c x.c", "the language ada"),
    ("gcc -c a.c b.c -o x.o", "one output for several sources"),
    ("gcc -c a.c b.o", "files for the linker, and no link"),
    ("gcc -E -o x.i a.s", "preprocesses what needs no preprocessing"),
    ("gcc -S start.S", "compiles assembly to assembly"),
    ("gcc a.h b.o", "a header among what is linked"),
    ("gcc -MD src/h.h", "the dependency file of a precompiled header without -o"),
    ("gcc -save-temps src/h.h", "files beside a precompiled header"),
    ("gcc -flto --coverage a.o -o x", "files beside a link-time optimised output"),
    ("clang --coverage a.c -o x", "clang's files beside a linked program"),
    ("clang -Xclang -load -Xclang p.so -c a.c", "-Xclang -load is not modelled"),
    ("clang -MJ x.json -c a.c", "-MJ is not modelled"),
    ("clang -Xarch_host -O2 -c a.c", "-Xarch_ is not modelled"),
]


@pytest.mark.parametrize(("line", "why"), REASONS)
def test_what_is_not_modelled_runs_for_real(line: str, why: str) -> None:
    result = answer(line)
    assert isinstance(result, RunReal), result
    assert result.why.startswith(why)
    assert not result.probe
    assert result.reads_all


@pytest.mark.parametrize("name", ["DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES", "CCC_OVERRIDE_OPTIONS"])
def test_an_environment_that_writes_files(name: str) -> None:
    result = answer("gcc -c a.c", env={name.encode(): b"x"})
    assert isinstance(result, RunReal)
    assert result.why == f"{name} is set"


def test_a_missing_source() -> None:
    result = answer("gcc -c a.c", machine("gcc"))
    assert result == RunReal("a source that is not there")


def test_old_gcc_named_files_otherwise() -> None:
    old = FakeFacts("gcc", (9, 4, 0))
    assert isinstance(answer("gcc -c a.c", facts=old), Draft)
    result = answer("gcc --coverage -c a.c", facts=old)
    assert isinstance(result, RunReal)
    assert "before version 11" in result.why


def test_libraries_that_are_not_made_yet_are_forced() -> None:
    probe = machine("gcc", placeholders=("libs/libfoo.a", "libs/libbar.a"))
    result = answer("gcc conftest.c -Llibs -lfoo -lm -o conftest", probe)
    assert result == RunReal("a configure step's trial", reads=(b"libs/libfoo.a",), probe=True)


def test_what_is_neither_gcc_nor_clang() -> None:
    result = answer("cc -c a.c", facts=FakeFacts("", ()))
    assert result == RunReal("neither GCC nor clang")


def test_programs_in_a_relative_tool_directory() -> None:
    line = "gcc -Btools/ -c a.c"
    assert isinstance(answer(line), Draft)
    result = answer(line, machine(line, "tools/as"))
    assert isinstance(result, RunReal)
    assert result.why == "as in a -B directory"


def test_a_directory_of_precompiled_headers() -> None:
    line = "gcc -include all.h -c a.c"
    result = answer(line, machine(line, "all.h.gch/O2.gch"))
    assert result == RunReal("a directory of precompiled headers")
