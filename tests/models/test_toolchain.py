from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.models.drafts import Completed
from gg.models.linking import linkline
from gg.models.linking.loader import parse_cache
from gg.models.toolchain import CompilerFacts, facts, program_files, real_compiler, transcript
from gg.models.toolchain.programs import shebang
from gg.models.toolchain.view import question_env
from tests.models.elf_files import EXECUTABLE, I386, build_elf
from tests.models.toolchain_probes import DiskProbe, TableProbe

ENV = {b"PATH": b"/usr/bin:/bin"}
LOADER = b"/lib64/ld-linux-x86-64.so.2"


# What drivers print

CROSS = rb"""Using built-in specs.
COLLECT_GCC=/opt/x/bin/aarch64-linux-gnu-gcc-12
COLLECT_LTO_WRAPPER=/opt/x/lib/gcc-cross/aarch64-linux-gnu/12/lto-wrapper
Target: aarch64-linux-gnu
Configured with: ../src/configure -v --with-pkgversion='Debian 12.2.0-14' --prefix=/usr --with-ld=/opt/ld.real --build=x86_64-linux-gnu --target=aarch64-linux-gnu
Thread model: posix
gcc version 12.2.0 (Debian 12.2.0-14) 
COMPILER_PATH=/opt/x/lib/gcc-cross/aarch64-linux-gnu/12/:/opt/x/lib/gcc-cross/aarch64-linux-gnu/12/:/opt/x/aarch64-linux-gnu/bin/
LIBRARY_PATH=/opt/x/aarch64-linux-gnu/lib/../lib/:/lib/
Reading specs from /opt/x/lib/gcc-cross/aarch64-linux-gnu/12/libgomp.spec
COLLECT_GCC_OPTIONS='-fopenmp' '-mlittle-endian' '-mabi=lp64' '-dumpdir' 'a.'
 /opt/x/lib/gcc-cross/aarch64-linux-gnu/12/collect2 -plugin /opt/x/liblto_plugin.so "-plugin-opt=/opt/x/lto-wrapper" "-plugin-opt=-fresolution=/tmp/ccG6YQl7.res" "-plugin-opt=-pass-through=-lgcc" "--sysroot=/a \"b\" \$c" --build-id -dynamic-linker /lib/ld-linux-aarch64.so.1 -X -EL -maarch64linux -pie -o /gg-output /opt/x/lib/Scrt1.o /opt/x/lib/crtbeginS.o -L/opt/x/lib -L /lib/aarch64-linux-gnu /dev/null -lgomp -lgcc --push-state --as-needed -lgcc_s --pop-state -lc /opt/x/lib/crtendS.o /opt/x/lib/crtn.o
COLLECT_GCC_OPTIONS='-fopenmp' '-mlittle-endian' '-mabi=lp64' '-dumpdir' 'a.'
"""  # noqa: E501, W291

CLANG = rb"""Debian clang version 14.0.6
Target: x86_64-pc-linux-gnu
Thread model: posix
InstalledDir: /usr/bin
Found candidate GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/11
Found candidate GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/12
Selected GCC installation: /usr/bin/../lib/gcc/x86_64-linux-gnu/12
 (in-process)
 "/usr/lib/llvm-14/bin/clang" "-cc1" "-triple" "x86_64-pc-linux-gnu" "-target-cpu" "rocketlake" "-target-feature" "+sha" "-target-feature" "-xop" "-tune-cpu" "generic" "-mllvm" "-treat-scalable-fixed-error-as-warning" "-o" "null.o" "-x" "c" "/dev/null"
 "/usr/bin/ld.lld" "--hash-style=both" "-m" "elf_x86_64" "-dynamic-linker" "/lib64/ld-linux-x86-64.so.2" "-o" "/gg-output" "/lib/crt1.o" "-L/usr/lib" "/dev/null" "-lc" "/lib/crtn.o"
"""  # noqa: E501


def test_a_gcc_transcript() -> None:
    said = transcript.parse(CROSS)
    assert (said.flavour, said.version, said.target) == ("gcc", (12, 2, 0), b"aarch64-linux-gnu")
    assert said.specs == (b"/opt/x/lib/gcc-cross/aarch64-linux-gnu/12/libgomp.spec",)
    assert said.compiler_path == (b"/opt/x/lib/gcc-cross/aarch64-linux-gnu/12", b"/opt/x/aarch64-linux-gnu/bin")
    assert said.called_as == b"/opt/x/bin/aarch64-linux-gnu-gcc-12"
    assert said.with_ld == b"/opt/ld.real"
    assert b'--sysroot=/a "b" $c' in said.commands[0], "the driver's quoting is undone"


def test_a_clang_transcript() -> None:
    said = transcript.parse(CLANG)
    assert (said.flavour, said.version) == ("clang", (14, 0, 6))
    assert [c[0] for c in said.commands] == [b"/usr/lib/llvm-14/bin/clang", b"/usr/bin/ld.lld"]
    assert said.installations[1] == b"/usr/bin/../lib/gcc/x86_64-linux-gnu/12"


def test_nonsense_has_no_flavour() -> None:
    assert transcript.parse(b"tcc version 0.9.27 (x86_64 Linux)\n").flavour == ""
    assert transcript.parse(b"").commands == ()
    assert transcript.include_dirs(b"error: no such language") is None


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed(data: bytes) -> None:
    assert transcript.parse(CROSS + data).flavour == "gcc"
    linkline.parse(transcript.parse(data + b"\ngcc version 1.2\n " + data), b"")


def test_a_link_line_of_gcc() -> None:
    line = linkline.parse(transcript.parse(CROSS), b"/opt/ld.real")
    assert line is not None
    assert line.linker == b"/opt/ld.real"
    assert line.collect.endswith(b"/collect2")
    assert line.start_files == (b"/opt/x/lib/Scrt1.o", b"/opt/x/lib/crtbeginS.o")
    assert line.end_files == (b"/opt/x/lib/crtendS.o", b"/opt/x/lib/crtn.o")
    assert line.libraries == (b"-lgomp", b"-lgcc", b"--push-state", b"--as-needed", b"-lgcc_s", b"--pop-state", b"-lc")
    assert line.library_dirs == (b"/opt/x/lib", b"/lib/aarch64-linux-gnu")
    assert (line.plugin, line.emulation) == (b"/opt/x/liblto_plugin.so", b"aarch64linux")
    assert line.dynamic_linker == b"/lib/ld-linux-aarch64.so.1"
    assert line.plugin_options[1] == b"-plugin-opt=-fresolution=", "no temporary name gets into an identity"
    assert (line.argv[0], *line.before, linkline.INPUTS, *line.after) == line.argv


def test_a_link_line_of_clang_has_no_collect() -> None:
    line = linkline.parse(transcript.parse(CLANG), b"/usr/bin/ld.lld")
    assert line is not None
    assert (line.collect, line.plugin) == (b"", b"")
    assert line.start_files == (b"/lib/crt1.o",)


def test_a_compile_is_no_link() -> None:
    text = CROSS.replace(b"-plugin /opt/x/liblto_plugin.so", b"-quiet")
    assert linkline.parse(transcript.parse(text), b"") is None


# Facts, against a table

GCC = b"/opt/x/bin/aarch64-linux-gnu-gcc-12"
LIB = b"/opt/x/lib/gcc-cross/aarch64-linux-gnu/12"
LINK = (GCC, b"-###", b"/dev/null", b"-o", b"/gg-output")


def test_the_linker_is_looked_for_as_collect2_does() -> None:
    plain = CROSS.replace(b" --with-ld=/opt/ld.real", b"")
    native, cross, tools = b"/usr/bin/ld", b"/usr/bin/aarch64-linux-gnu-ld", b"/opt/x/aarch64-linux-gnu/bin/ld"
    everything = {b"/opt/ld.real": b"", native: b"", cross: b"", tools: b""}

    def linker(text: bytes, *missing: bytes) -> bytes:
        files = {path: data for path, data in everything.items() if path not in missing}
        line = facts(TableProbe(files, answers={LINK: text}), GCC, ENV).link_line()
        assert line is not None
        return line.linker

    assert linker(CROSS) == b"/opt/ld.real"
    assert linker(plain) == tools
    assert linker(plain, tools) == cross
    assert linker(plain, tools, cross) == b"", "the machine's own ld is not for this target"


def test_a_native_compiler_called_by_its_triple_links_with_ld() -> None:
    text = CROSS.replace(b"--with-ld=/opt/ld.real --build=x86_64-linux-gnu", b"--build=aarch64-linux-gnu")
    probe = TableProbe({b"/usr/bin/ld": b"", b"/usr/bin/aarch64-linux-gnu-ld": b""}, answers={LINK: text})
    line = facts(probe, GCC, ENV).link_line()
    assert line is not None
    assert line.linker == b"/usr/bin/ld"


def test_fuse_ld_chooses_another_linker() -> None:
    gold = LIB + b"/ld.gold"
    text = CROSS.replace(b" -pie ", b" -fuse-ld=gold -pie ")
    argv = (GCC, b"-fuse-ld=gold", *LINK[1:])
    line = facts(TableProbe({gold: b"", b"/opt/ld.real": b""}, answers={argv: text}), GCC, ENV).link_line(argv[1:2])
    assert line is not None
    assert line.linker == gold


def test_questions_are_asked_once_and_only_what_matters_of_the_environment_counts() -> None:
    probe = TableProbe({}, answers={LINK: CROSS})
    first = facts(probe, GCC, {**ENV, b"MAKELEVEL": b"1", b"CPATH": b"/a", b"LANG": b"de_DE.UTF-8"})
    assert facts(probe, GCC, {**ENV, b"MAKELEVEL": b"2"}) is first
    assert facts(probe, GCC, {**ENV, b"COMPILER_PATH": b"/b"}) is not first
    assert facts(TableProbe({}), GCC, ENV) is not first, "another probe is another session"
    assert probe.asked == [], "nothing is asked before it is wanted"
    for cwd in (b"/a", b"/b"):
        assert first.link_line(cwd=cwd) is first.link_line()
        first.include_dirs("c", (b"-m32",), cwd)
    assert probe.asked == [LINK, (GCC, b"-m32", b"-E", b"-v", b"-x", b"c", b"/dev/null")]
    assert probe.envs[0] == {**ENV, b"LC_ALL": b"C"}


def test_flags_with_relative_paths_are_asked_in_each_directory() -> None:
    probe = TableProbe({})
    known = facts(probe, GCC, ENV)
    for flag in (b"-Btools", b"--sysroot=root", b"-specs=x", b"-isystem"):
        before = len(probe.asked)
        known.link_line((flag,), b"/a")
        known.link_line((flag,), b"/b")
        assert len(probe.asked) == before + 2


def test_a_compiler_that_does_not_answer() -> None:
    known = facts(TableProbe({}), b"/usr/bin/cc", ENV)
    assert (known.flavour, known.version, known.target) == ("", (), b"")
    assert known.include_dirs("c") is None
    assert known.link_line() is None
    assert known.library_dirs() == ()
    assert known.expand_native((b"-march=native",)) is None
    assert known.expand_native((b"-O2",)) == (b"-O2",)
    assert known.files(frozenset({"c", "link"})) == ()


def test_expansion_of_native() -> None:
    asked = (b"/usr/bin/clang", b"-march=native", b"-###", b"-E", b"-x", b"c", b"/dev/null")
    known = facts(TableProbe({}, answers={asked: CLANG}), asked[0], ENV)
    expanded = (b"-march=rocketlake", b"-Xclang", b"-target-feature", b"-Xclang", b"+sha", b"-Xclang")
    found = known.expand_native((b"-O2", b"-march=native", b"-g"))
    assert found is not None
    assert found[:7] == (b"-O2", *expanded)
    assert found[-2:] == (b"-mtune=generic", b"-g")


# Shared libraries, against a table


def _program(*needed: bytes, rpath: bytes = b"", runpath: bytes = b"", interpreter: bytes = LOADER) -> bytes:
    return build_elf(kind=EXECUTABLE, interpreter=interpreter, needed=needed, rpath=rpath, runpath=runpath)


def _cache(entries: list[tuple[bytes, bytes]]) -> bytes:
    start = 48 + 24 * len(entries)
    strings, table = b"", b""
    for name, path in entries:
        table += struct.pack("=iIIIQ", 0x303, start + len(strings), start + len(strings) + len(name) + 1, 0, 0)
        strings += name + b"\0" + path + b"\0"
    return (
        struct.pack("=20sIIB3xI3I", b"glibc-ld.so.cache1.1", len(entries), len(strings), 2, 0, 0, 0, 0)
        + table
        + strings
    )


def test_the_closure_goes_through_rpath_runpath_origin_cache_and_default_dirs() -> None:
    probe = TableProbe(
        {
            b"/opt/bin/tool": _program(b"liba.so", b"libcached.so", b"libc.so.6", rpath=b"$ORIGIN/../lib"),
            b"/opt/lib/liba.so": build_elf(needed=(b"libb.so", b"libc.so.6"), runpath=b"${ORIGIN}/deep"),
            b"/opt/lib/deep/libb.so": build_elf(needed=(b"libd.so",)),
            b"/opt/lib/libd.so": build_elf(),  # by the program's DT_RPATH, which its libraries inherit
            b"/usr/local/lib/libcached.so": build_elf(),
            b"/usr/local/lib32/libcached.so": build_elf(bits=32, machine=I386),
            b"/lib/x86_64-linux-gnu/libc.so.6": build_elf(needed=(b"ld-linux-x86-64.so.2",)),
            b"/lib/x86_64-linux-gnu/ld.so": build_elf(),
            b"/etc/ld.so.cache": _cache(
                [(b"libcached.so", b"/usr/local/lib32/libcached.so"), (b"libcached.so", b"/usr/local/lib/libcached.so")]
            ),
        },
        links={LOADER: b"/lib/x86_64-linux-gnu/ld.so", b"/usr/bin/tool": b"../../opt/bin/tool"},
    )
    assert program_files(probe, b"/usr/bin/tool", ENV) == (
        b"/usr/bin/tool",
        LOADER,
        b"/opt/bin/../lib/liba.so",
        b"/usr/local/lib/libcached.so",
        b"/etc/ld.so.cache",  # only it tells of /usr/local/lib
        b"/lib/x86_64-linux-gnu/libc.so.6",
        b"/opt/bin/../lib/deep/libb.so",
    )


def test_a_runpath_hides_the_rpath_and_is_not_inherited() -> None:
    probe = TableProbe(
        {
            b"/bin/tool": _program(b"liba.so", rpath=b"/r", runpath=b"/u"),
            b"/r/liba.so": build_elf(),
            b"/u/liba.so": build_elf(needed=(b"libb.so",)),
            b"/u/libb.so": build_elf(),
            b"/usr/lib/libb.so": build_elf(soname=b"libb.so"),
            LOADER: build_elf(),
        }
    )
    assert program_files(probe, b"/bin/tool", ENV) == (b"/bin/tool", LOADER, b"/u/liba.so", b"/usr/lib/libb.so")


def test_variants_for_other_processors_travel_too() -> None:
    files = {
        b"/bin/tool": _program(b"libm.so"),
        b"/lib64/libm.so": build_elf(),
        b"/lib64/glibc-hwcaps/x86-64-v3/libm.so": build_elf(),
        LOADER: build_elf(),
    }
    found = program_files(TableProbe(files), b"/bin/tool", ENV)
    assert set(found) == set(files)


def test_ld_library_path_comes_before_the_cache() -> None:
    probe = TableProbe(
        {b"/bin/tool": _program(b"libm.so"), b"/mine/libm.so": build_elf(), b"/lib64/libm.so": build_elf()}
    )
    assert program_files(probe, b"/bin/tool", {b"LD_LIBRARY_PATH": b"/mine"})[-1] == b"/mine/libm.so"
    assert program_files(probe, b"/bin/tool", {})[-1] == b"/lib64/libm.so"


def test_musl_has_its_own_directories_and_is_its_own_libc() -> None:
    musl = b"/lib/ld-musl-x86_64.so.1"
    files = {
        b"/bin/tool": _program(b"libz.so.1", b"libc.musl-x86_64.so.1", b"libc.so", interpreter=musl),
        musl: build_elf(),
        b"/opt/musl/libz.so.1": build_elf(),
        b"/etc/ld-musl-x86_64.path": b"/opt/musl\n/lib\n",
    }
    assert program_files(TableProbe(files), b"/bin/tool", {}) == (b"/bin/tool", musl, b"/opt/musl/libz.so.1")


def test_a_script_needs_its_interpreter_and_what_it_names() -> None:
    probe = TableProbe(
        {
            b"/nix/store/x/bin/gcc": b"#! /bin/env -S bash -e\n. /nix/store/x/u.sh\nexec /nix/store/y/gcc $A/thing\n",
            b"/bin/env": build_elf(kind=EXECUTABLE, dynamic=False),
            b"/usr/bin/bash": build_elf(kind=EXECUTABLE, dynamic=False),
            b"/nix/store/x/u.sh": b"#! /bin/env bash\n",
            b"/nix/store/y/gcc": build_elf(kind=EXECUTABLE, dynamic=False),
            b"/thing": b"",
        }
    )
    assert program_files(probe, b"/nix/store/x/bin/gcc", ENV) == (
        b"/nix/store/x/bin/gcc",
        b"/bin/env",
        b"/usr/bin/bash",
        b"/nix/store/x/u.sh",
        b"/nix/store/y/gcc",
    )
    assert facts(probe, b"/nix/store/x/bin/gcc", ENV).is_script
    assert not facts(probe, b"/nix/store/y/gcc", ENV).is_script


def test_scripts_that_name_each_other_end() -> None:
    probe = TableProbe({b"/a": b"#!/b\n", b"/b": b"#!/a\n"})
    assert program_files(probe, b"/a", {}) == (b"/a", b"/b")


@pytest.mark.parametrize(
    ("head", "words"),
    [(b"#!/bin/sh\n", (b"/bin/sh",)), (b"#! /usr/bin/env  -S  a b\nc", (b"/usr/bin/env", b"-S", b"a", b"b"))]
    + [(head, ()) for head in (b"", b"#!", b"#!\n/bin/sh", b"# !/bin/sh", b"#!sh\n", b"\x7fELF")],
)
def test_shebang(head: bytes, words: tuple[bytes, ...]) -> None:
    assert shebang(head) == words


def test_ar_loads_the_plugins_and_as_does_not() -> None:
    static = build_elf(kind=EXECUTABLE, dynamic=False)
    plugins = {b"/usr/lib/bfd-plugins/LLVMgold.so": build_elf(needed=(b"libLLVM.so",)), b"/lib/libLLVM.so": build_elf()}
    probe = TableProbe({b"/usr/bin/x86_64-linux-gnu-ar": static, b"/usr/bin/as": static, **plugins})
    assert program_files(probe, b"/usr/bin/x86_64-linux-gnu-ar", {})[1:] == tuple(plugins)
    assert program_files(probe, b"/usr/bin/as", {}) == (b"/usr/bin/as",)
    told = program_files(probe, b"/usr/bin/x86_64-linux-gnu-ar", {}, plugins=False)
    assert told == (b"/usr/bin/x86_64-linux-gnu-ar",)


def test_the_cache_of_the_loader() -> None:
    entries = [(b"liba.so", b"/x/liba.so"), (b"liba.so", b"/y/liba.so"), (b"libb.so", b"/x/libb.so")]
    expected = {b"liba.so": (b"/x/liba.so", b"/y/liba.so"), b"libb.so": (b"/x/libb.so",)}
    assert parse_cache(_cache(entries)) == expected
    assert parse_cache(b"ld.so-1.7.0\0" + bytes(20)) == {}


@given(st.integers(0, 200), st.integers(0, 255), st.integers(0, 300))
def test_a_damaged_cache_never_raises(at: int, value: int, length: int) -> None:
    data = bytearray(_cache([(b"liba.so", b"/x/liba.so"), (b"libb.so", b"/x/libb.so")]))
    data[at % len(data)] = value
    parse_cache(bytes(data[:length]))


def test_a_masquerade_is_seen_through(tmp_path: Path) -> None:
    for name in ("ccache", "real/gcc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    for name in ("masks", "masks2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gcc").symlink_to("../ccache")
        (tmp_path / name / "ccache").symlink_to("../ccache")
    masks, masks2, real = (os.fsencode(tmp_path / name) for name in ("masks", "masks2", "real"))
    assert real_compiler(masks + b"/gcc", (masks, masks2, real)) == real + b"/gcc"
    assert real_compiler(real + b"/gcc", (masks, real)) == real + b"/gcc"
    assert real_compiler(masks + b"/ccache", (masks, real)) == masks + b"/ccache", "called by its own name"
    assert real_compiler(masks + b"/gcc", (masks, masks2)) == masks + b"/gcc", "nothing behind it"


# Real compilers


def _real(name: str) -> CompilerFacts:
    path = shutil.which(name, path="/usr/bin:/bin")
    assert path, f"{name} must be installed for the tests"
    return facts(DiskProbe(), os.fsencode(path), ENV)


def test_a_session_with_gcc_gxx_ar_and_ld_asks_six_questions() -> None:
    probe = DiskProbe()
    for name, language, role in ((b"gcc", "c", "c"), (b"g++", "c++", "c++")):
        known = facts(probe, b"/usr/bin/" + name, ENV)
        assert known.flavour == "gcc"
        assert known.version >= (4,)
        assert known.include_dirs(language)
        assert known.files(frozenset({role, "as", "link"}))
        assert known.files(frozenset({role, "as", "link"})) is known.files(frozenset({role, "as", "link"}))
        assert known.library_dirs()
    assert program_files(probe, b"/usr/bin/ar", ENV)
    assert program_files(probe, b"/usr/bin/ld", ENV)
    assert len(probe.asked) == 6


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_expanded_native_flags_make_the_same_code(name: str, tmp_path: Path) -> None:
    known = _real(name)
    (tmp_path / "x.c").write_text(
        "float a[99], b[99]; void f(void) { for (int i = 0; i < 99; i++) a[i] += b[i] * 3; }\n"
    )
    for flags in ((b"-O3", b"-march=native"), (b"-mno-avx2", b"-mtune=native", b"-O3", b"-march=native")):
        expanded = known.expand_native(flags)
        assert expanded is not None
        assert b"-march=native" not in expanded
        made = []
        for words in (flags, expanded):
            subprocess.run([known.program, *words, "-c", "x.c", "-o", "x.o"], cwd=tmp_path, check=True)
            made.append((tmp_path / "x.o").read_bytes())
        assert made[0] == made[1]


HELLO_C = '#include <stdio.h>\n#include <math.h>\nint main(void) { return printf("%f\\n", sqrt(2)) < 0; }\n'
HELLO_CC = "#include <iostream>\n#include <vector>\nint main() { std::vector<int> v(3); std::cout << v.size(); }\n"


@pytest.mark.parametrize(
    ("name", "source", "roles", "flags"),
    [
        ("gcc", HELLO_C, {"c", "as", "link"}, ["-O2", "-g"]),
        ("gcc", HELLO_C, {"c", "as", "link", "lto"}, ["-flto=auto", "-O2"]),
        ("gcc", HELLO_C, {"c", "as", "link"}, ["-fuse-ld=gold"]),
        ("g++", HELLO_CC, {"c++", "as", "link"}, ["-g"]),
        ("clang", HELLO_C, {"c", "as", "link"}, ["-g"]),
        ("clang++", HELLO_CC, {"c++", "as", "link"}, ["-O1"]),
        ("musl-gcc", HELLO_C, {"c", "as", "link"}, []),
    ],
    ids=["gcc", "gcc-lto", "gcc-gold", "g++", "clang", "clang++", "musl-gcc"],
)
def test_the_files_are_all_that_a_compile_and_link_needs(
    name: str, source: str, roles: set[str], flags: list[str], tmp_path: Path
) -> None:
    """In an empty root with `files(…)`, the headers and the libraries, the same bytes come out."""
    known = _real(name)
    source_name = "x.cc" if "++" in name else "x.c"
    (tmp_path / source_name).write_text(source)
    command = [os.fsdecode(known.program), *flags, source_name, "-o", "x", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, env={"PATH": "/usr/bin:/bin", "PWD": os.fspath(tmp_path)})
    linker = next((f[9:] for f in flags if f.startswith("-fuse-ld=")), "")

    root = tmp_path / "root"
    place = _Placer(root)
    for path in known.files(frozenset(roles), os.fsencode(linker)):
        place.file(path)
    for path in _headers(command, tmp_path) | _libraries(command, tmp_path):
        place.file(path)
    for path in program_files(DiskProbe(), b"/bin/sh"):
        place.file(path)
    here = Path(os.fspath(root) + os.fspath(tmp_path))
    here.mkdir(parents=True)
    (root / "tmp").mkdir(exist_ok=True)
    (here / source_name).write_text(source)
    start = ["unshare", "-Ur", "chroot", os.fspath(root), "/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh"]
    subprocess.run([*start, os.fspath(tmp_path), *command], check=True, env={"PATH": "/usr/sbin:/usr/bin:/bin"})
    assert (here / "x").read_bytes() == (tmp_path / "x").read_bytes()
    shutil.rmtree(root)  # hundreds of megabytes


class _Placer:
    """Puts files into a root at their own paths, symbolic links made again."""

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self._directories: dict[bytes, bytes] = {}

    def file(self, path: bytes) -> None:
        head = os.path.dirname(path)
        if head not in self._directories:
            self._directories[head] = self._directory(head)
        directory = self._directories[head]
        at = os.path.join(directory, os.path.basename(path))
        if os.path.lexists(self._root + at):
            if os.path.islink(at):
                self.file(os.path.join(directory, os.readlink(at)))
        elif os.path.islink(at):
            os.symlink(os.readlink(at), self._root + at)
            self.file(os.path.join(directory, os.readlink(at)))
        else:
            shutil.copy2(at, self._root + at)  # no hard links: nothing that runs here may reach the machine's own files

    def _directory(self, path: bytes) -> bytes:
        """The real name of a directory, made in the root with every link and every `..` on the way to it."""
        current = b"/"
        for part in path.split(b"/"):
            if part in (b"", b"."):
                continue
            if part == b"..":
                current = os.path.dirname(current)
                continue
            step = os.path.join(current, part)
            if os.path.islink(step):
                if not os.path.lexists(self._root + step):
                    os.symlink(os.readlink(step), self._root + step)
                current = self._directory(os.path.join(current, os.readlink(step)))
            else:
                os.makedirs(self._root + step, exist_ok=True)
                current = step
        os.makedirs(self._root + current, exist_ok=True)
        return current


def _headers(command: list[str], cwd: Path) -> set[bytes]:
    rule = subprocess.run([*command[: command.index("-o")], "-M"], cwd=cwd, check=True, capture_output=True).stdout
    return {word for word in rule.replace(b"\\\n", b" ").split()[1:] if word.startswith(b"/")}


def _libraries(command: list[str], cwd: Path) -> set[bytes]:
    plain = [word for word in command if not word.startswith("-fuse-ld=")]  # gold's trace is of another form
    traced = subprocess.run([*plain, "-o", "traced", "-Wl,--trace"], cwd=cwd, check=True, capture_output=True).stdout
    names = {line.split(b"(")[0] for line in traced.splitlines()}
    return {name for name in names if name.startswith(b"/") and os.path.exists(name)}


def test_question_env_has_a_path() -> None:
    assert question_env(None)[b"PATH"].startswith(b"/")
    assert question_env({b"NIX_CFLAGS_COMPILE": b"-g", b"HOME": b"/h"}).keys() == {
        b"NIX_CFLAGS_COMPILE",
        b"PATH",
        b"LC_ALL",
    }


class _Places(TableProbe):
    """Notes where questions are asked."""

    def __init__(self) -> None:
        super().__init__({})
        self.places: list[bytes] = []

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        self.places.append(cwd)
        return super().run(argv, env, cwd)


@pytest.mark.parametrize(
    ("flags", "places"),
    [((b"--param", b"ssp-buffer-size=1", b"-O2"), [b"/", b"/"]), ((b"-specs=my.specs",), [b"/a", b"/b"])],
)
def test_where_it_is_asked_about_options(flags: tuple[bytes, ...], places: list[bytes]) -> None:
    """In one place for all directories, unless one of them names a file."""
    probe = _Places()
    for cwd in (b"/a", b"/b"):
        facts(probe, GCC, ENV).accepts(flags, (b"-fsyntax-only", b"-x", b"c", b"/dev/null"), cwd)
    assert probe.places == places
