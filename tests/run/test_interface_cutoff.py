"""Which links may be left out when a library's interface has not changed: only those known to take no more of it."""

from __future__ import annotations

import shlex

import pytest

from gg.core.ids import BlobId, SandboxPath
from gg.core.thunk import File, Output, Thunk, Work
from gg.run.interface_cutoff import linker_of

_BLOB = BlobId(bytes(32), 1)


def _thunk(line: str) -> Thunk:
    return Thunk(
        argv=tuple(word.encode() for word in shlex.split(line)),
        program=SandboxPath(b"/usr/bin/gcc"),
        cwd=SandboxPath(b"/w"),
        env=((b"PATH", b"/usr/bin"),),
        entries=(),
        groups=(),
        outputs=(Output(SandboxPath(b"/w/prog")),),
        work=Work.LINK,
        model="gcc/1",
    )


def _files(*names: str) -> dict[SandboxPath, File]:
    paths = [SandboxPath(b"/usr/bin/" + name.encode()) for name in names]
    return {path: File(path, _BLOB, executable=True) for path in paths}


_BFD = _files("x86_64-linux-gnu-ld.bfd", "gcc")


@pytest.mark.parametrize(
    "line",
    [
        "gcc -o prog main.o -L. -lx",
        "g++ -O2 -g -pthread -o prog main.o more.a ../libx.so.1 -lx -Wl,-rpath,/lib -Wl,--as-needed -Wl,-z,relro,-z,now",
        "gcc -shared -o liby.so y.o -Wl,-soname,liby.so -Wl,--version-script=y.map -Wl,--no-undefined -lx",
        "gcc -fuse-ld=lld -pie -o prog main.o -Xlinker --gc-sections -Wl,--hash-style=gnu -lx -fsanitize=address",
    ],
)
def test_links_that_take_no_more(line: str) -> None:
    assert linker_of(_thunk(line), _BFD) is False


@pytest.mark.parametrize(
    "words",
    [
        "-flto", "-flto=auto", "-fwhole-program", "-static", "-static-pie", "-fuse-ld=wild", "-r", "-T script.ld", "@words",
        "-Wl,-Map,prog.map", "-Wl,-M", "-Wl,--print-map", "-Wl,--cref", "-Wl,-t", "-Wl,--trace", "-Wl,--verbose", "-v",
        "-Wl,-R,libx.so", "-Wl,--just-symbols=libx.so", "-Wl,--format=binary", "-Wl,-b,binary", "-Wl,--defsym=a=f", "-Wl,-T,s",
        "-Wl,--script=s", "-specs=mine", "-wrapper gdb", "-B.", "-fplugin=x.so", "main.c", "-x c", "-include libx.so",
        "-Wl,--plugin,x.so", "-Wl,@words", "-Xlinker @words", "-Wl,--dependency-file=x", "-Wl,--emit-relocs", "-Wl,-q",
        "-fuse-linker-plugin", "-save-temps", "-fprofile-use=x", "-Wl,script.ld", "script", "-Wl,--section-start=.x=1",
    ],
)  # fmt: skip
def test_links_in_doubt(words: str) -> None:
    assert linker_of(_thunk(f"gcc -o prog main.o -L. -lx {words}"), _BFD) is None


def test_other_commands_and_surroundings() -> None:
    thunk = _thunk("gcc -o prog main.o -L. -lx")
    assert linker_of(thunk, _BFD) is False
    assert linker_of(thunk._replace(work=Work.COMPILE), _BFD) is None
    assert linker_of(thunk._replace(model="ld/1"), _BFD) is None
    assert linker_of(thunk._replace(model="declared/1"), _BFD) is None
    assert linker_of(thunk._replace(env=((b"LD_LIBRARY_PATH", b"/w"),)), _BFD) is None
    two = (Output(SandboxPath(b"/w/prog")), Output(SandboxPath(b"/w/prog.map")))
    assert linker_of(thunk._replace(outputs=two), _BFD) is None


def test_lengths_count_unless_the_linker_is_known_to_leave_them() -> None:
    line = "gcc -o prog main.o -L. -lx"
    assert linker_of(_thunk(line), _files("ld")) is True
    assert linker_of(_thunk(line), _files("ld.bfd", "mold")) is True
    assert linker_of(_thunk(line), _files("ld.lld")) is False
    assert linker_of(_thunk(line + " -fuse-ld=mold"), _BFD) is True
    assert linker_of(_thunk(line), _files("ld.bfd", "ld.sold")) is None
    assert linker_of(_thunk(line), _files("ld.bfd", "wild")) is None
