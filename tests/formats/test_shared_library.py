"""What real linkers take of a shared library: where `interface` says that two are equal, programs linked with them must be.

Tries to break it: libraries are changed in all ways that we could think of, and linked by GNU ld, gold, lld and mold, as position
independent executables and not, as other shared libraries, with copies of data, weak symbols, versions.
"""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from gg.formats.shared_library import interface

LINKERS = ("bfd", "gold", "lld", "mold")
_HEAD = """\
#define HIDDEN __attribute__((visibility("hidden")))
#define ALIAS(of) __attribute__((alias(#of)))
#define WEAK __attribute__((weak))
"""
_PLAIN = """\
int data = 5;
const char name[8] = "abc";
const int *const table[2] = {&data, 0};
__thread int local;
extern int other WEAK ALIAS(data);
int f(int x) { return x + data; }
int g(void) { return 7; }
int weak(void) WEAK;
int weak(void) { return 1; }
"""
_MAIN = """\
extern int data, other; extern const char name[8]; extern const int *const table[2]; extern __thread int local;
int f(int), g(void), weak(void) __attribute__((weak));
int (*volatile p)(void) = g;
int *volatile q = &other;
int main(void) { local = 1; return f(data) + g() + name[0] + p() + *q + (table[0] != 0) + weak() + local; }
"""

# What is changed, as source and as options; the first group leaves the interface as it is.
BODIES = {
    "longer": _PLAIN.replace("return 7;", "int s = 0; for (int i = 0; i < data; i++) s += i * s ^ data; return s;"),
    "helper": "static int more(int x) { return x * 3; }\n" + _PLAIN.replace("x + data", "more(x) ^ more(data)"),
    "hidden": "HIDDEN int inner(int x) { return x * 3; }\n" + _PLAIN.replace("x + data", "inner(x)"),
    "values": _PLAIN.replace("= 5", "= 6").replace('"abc"', '"xyz"'),
    "text": _PLAIN.replace("return 7;", 'static const char *const s = "some long text"; return s[data & 3];'),
    "constructor": "__attribute__((constructor)) static void begin(void) { }\n" + _PLAIN,
}
OTHERS = {
    "new function": _PLAIN + "int more(void) { return 1; }\n",
    "gone function": _PLAIN.replace("int weak(void) WEAK;\nint weak(void) { return 1; }\n", ""),
    "larger data": _PLAIN.replace("name[8]", "name[80]"),
    "data for a function": _PLAIN.replace("int g(void) { return 7; }", "int g = 7;"),
    "aligned data": _PLAIN.replace("int data", "__attribute__((aligned(64))) int data"),
    "writable": _PLAIN.replace("const char name", "char name"),
    "constant": _PLAIN.replace("int data = 5;", "const int data = 5;").replace(
        "extern int other", "extern const int other"
    ),
    "not the same object": _PLAIN.replace("extern int other WEAK ALIAS(data)", "WEAK int other = 3"),
    "strong": _PLAIN.replace("int weak(void) WEAK;\n", ""),
    "thread local no more": _PLAIN.replace("__thread ", ""),
    "needs a function": "extern int puts(const char *);\n" + _PLAIN.replace("return 7;", 'return puts("x");'),
    "indirect": _PLAIN.replace(
        "int g(void) { return 7; }",
        "static int g_(void) { return 7; }\nstatic void *find(void) { return g_; }\n"
        'int g(void) __attribute__((ifunc("find")));',
    ),
    "protected": _PLAIN.replace("int g(void)", '__attribute__((visibility("protected"))) int g(void)'),
    "warning": _PLAIN + '__asm__(".section .gnu.warning.g,\\"a\\"; .string \\"do not use g\\"; .text");\n',
}
OPTIONS = {
    "soname": ("-Wl,-soname,libx.so.2",),
    "no soname": (),
    "needed": ("-Wl,-soname,libx.so.1", "-Wl,--no-as-needed", "-lm"),
    "version": ("-Wl,-soname,libx.so.1", "-Wl,--version-script=versions"),
    "run path": ("-Wl,-soname,libx.so.1", "-Wl,-rpath,/somewhere"),
    "flags": ("-Wl,-soname,libx.so.1", "-Wl,-z,nodelete"),
    "executable stack": ("-Wl,-soname,libx.so.1", "-Wl,-z,execstack"),
}
USUAL = ("-Wl,-soname,libx.so.1",)
WAYS = {
    "no-pie": ("-no-pie", "-fno-pie"),
    "pie": ("-pie", "-fpie"),
    "shared": ("-shared", "-fPIC"),
    "as-needed": ("-no-pie", "-fno-pie", "-Wl,--as-needed", "-Wl,-z,now", "-rdynamic"),
}


def _library(directory: Path, source: str, options: tuple[str, ...] = USUAL, by: str = "bfd") -> bytes:
    (directory / "lib.c").write_text(_HEAD + source)
    (directory / "versions").write_text("V1 { global: *; };\n")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-g", f"-fuse-ld={by}", "lib.c", "-o", "libx.so", *options]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    return (directory / "libx.so").read_bytes()


def _linked(directory: Path, library: bytes, linker: str, way: str) -> tuple[int, bytes, bytes]:
    """The linker's status, what it says, and what it makes."""
    (directory / "libx.so").write_bytes(library)
    link, compiled, *more = WAYS[way]
    main = directory / f"main{compiled}.o"
    if not main.exists():
        (directory / "main.c").write_text(_MAIN)
        subprocess.run(["gcc", "-O1", compiled, "-c", "-o", main.name, "main.c"], cwd=directory, check=True)
    out = directory / "out"
    out.unlink(missing_ok=True)
    command = ["gcc", link, f"-fuse-ld={linker}", main.name, "-o", "out", *more, "-L.", "-lx"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=False)
    return done.returncode, done.stderr, out.read_bytes() if out.exists() else b""


def test_a_body_is_no_part_of_it(tmp_path: Path) -> None:
    plain = interface(_library(tmp_path, _PLAIN), lengths=False)
    assert plain
    for name, source in BODIES.items():
        assert interface(_library(tmp_path, source), lengths=False) == plain, name


def test_all_else_is(tmp_path: Path) -> None:
    found = {"plain": interface(_library(tmp_path, _PLAIN), lengths=False)}
    found |= {name: interface(_library(tmp_path, source), lengths=False) for name, source in OTHERS.items()}
    found |= {name: interface(_library(tmp_path, _PLAIN, options), lengths=False) for name, options in OPTIONS.items()}
    assert None not in found.values()
    same = [pair for pair in itertools.combinations(found, 2) if found[pair[0]] == found[pair[1]]]
    assert not same


def test_lengths_of_functions_for_mold(tmp_path: Path) -> None:
    one, other = (_library(tmp_path, source) for source in (_PLAIN, BODIES["longer"]))
    assert interface(one, lengths=True) != interface(other, lengths=True)
    assert interface(one, lengths=True) == interface(_library(tmp_path, BODIES["values"]), lengths=True)


@pytest.mark.parametrize("linker", LINKERS)
@pytest.mark.parametrize("way", ["no-pie", "shared"])
def test_equal_interfaces_give_equal_bytes(tmp_path: Path, linker: str, way: str) -> None:
    _try(tmp_path, linker, way, list(BODIES.values())[:3])


@pytest.mark.slow
@pytest.mark.parametrize("by", ["bfd", "gold", "lld"])
@pytest.mark.parametrize("linker", LINKERS)
@pytest.mark.parametrize("way", WAYS)
def test_random_changes(tmp_path: Path, linker: str, way: str, by: str) -> None:
    """Bodies of the most different lengths, alone and with another change; libraries of other linkers too."""
    draw = random.Random(f"{linker} {way} {by}")
    sources = list(BODIES.values())
    for base in (_PLAIN, *OTHERS.values()):
        for _ in range(3):
            pad = draw.randrange(1, 5000)
            body = f"static volatile int pad[{pad}] = {{1}};\n" * draw.randrange(2) + base
            body = body.replace("return x + data;", "int s = 0;" + "s += x * data;" * draw.randrange(40) + "return s;")
            sources.append(body.replace('"abc"', f'"{draw.randrange(1000)}"'))
    _try(tmp_path, linker, way, sources, by)


def _try(directory: Path, linker: str, way: str, sources: list[str], by: str = "bfd") -> None:
    seen: dict[bytes, tuple[int, bytes, bytes]] = {}
    times = 0
    for source in (_PLAIN, *sources):
        library = _library(directory, source, by=by)
        key = interface(library, lengths=linker == "mold")
        assert key
        linked = _linked(directory, library, linker, way)
        times += key in seen
        assert seen.setdefault(key, linked) == linked
    assert times or linker == "mold"


def test_what_is_no_shared_library(tmp_path: Path) -> None:
    library = _library(tmp_path, _PLAIN)
    _linked(tmp_path, library, "bfd", "no-pie")
    for data in (b"", b"GROUP(libx.so.1)", library[:1000], (tmp_path / "out").read_bytes()):
        assert interface(data, lengths=False) is None


def test_damage_is_no_trouble(tmp_path: Path) -> None:
    """The bytes are the build's own and may be anything."""
    library = _library(tmp_path, _PLAIN)
    draw = random.Random(1)
    for _ in range(300):
        data = bytearray(library)
        for _ in range(draw.randrange(1, 6)):
            data[draw.choice((draw.randrange(64), draw.randrange(len(data))))] = draw.randrange(256)
        interface(bytes(data), lengths=False)
