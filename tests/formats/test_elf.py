from __future__ import annotations

import mmap
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gg.formats.elf import Dynamic, read_dynamic, read_dynamic_file
from tests.models.elf_files import EXECUTABLE, I386, MIPS, OBJECT, PPC64, SHARED, X86_64, build_elf


def _read(data: bytes) -> Dynamic:
    found = read_dynamic(data)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("bits", "little", "machine"),
    [(64, True, X86_64), (32, True, I386), (64, False, PPC64), (32, False, MIPS)],
)
def test_every_field_in_every_layout(bits: int, little: bool, machine: int) -> None:
    data = build_elf(
        bits=bits,
        little=little,
        machine=machine,
        interpreter=b"/lib/ld.so.1",
        needed=(b"libm.so.6", b"libc.so.6"),
        rpath=b"/a:$ORIGIN/../lib",
        runpath=b"/nix/store/x/lib::/b",
        soname=b"libx.so.1",
    )
    assert _read(data) == Dynamic(
        needed=(b"libm.so.6", b"libc.so.6"),
        rpath=(b"/a", b"$ORIGIN/../lib"),
        runpath=(b"/nix/store/x/lib", b"/b"),
        soname=b"libx.so.1",
        interpreter=b"/lib/ld.so.1",
        machine=machine,
        bits=bits,
        little_endian=little,
        is_static_executable=False,
    )


def test_what_is_static() -> None:
    assert _read(build_elf(kind=EXECUTABLE, dynamic=False)).is_static_executable
    assert _read(build_elf(kind=SHARED, flags_1=0x08000001)).is_static_executable, "static PIE: DF_1_PIE, no loader"
    assert not _read(build_elf(kind=SHARED, soname=b"libc.so.6")).is_static_executable, "a library that needs nothing"
    assert not _read(build_elf(kind=EXECUTABLE, interpreter=b"/lib/ld.so")).is_static_executable


def test_no_default_dirs_and_machines_that_do_not_fit() -> None:
    library = _read(build_elf(flags_1=0x800))
    assert library.no_default_dirs
    assert library.fits(_read(build_elf()))
    assert not library.fits(_read(build_elf(bits=32, machine=I386)))
    assert not library.fits(_read(build_elf(bits=32)))  # x32: the same machine, another class


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"#!/bin/sh\n" * 20, bytes(200), build_elf(kind=OBJECT), build_elf(needed=(b"libc.so.6",))[:-3]],
)
def test_what_is_not_loaded_gives_none(data: bytes) -> None:
    assert read_dynamic(data) is None


def test_long_strings_are_read_whole() -> None:
    path = b":".join(b"/nix/store/%032d-lib/lib" % n for n in range(300))
    assert len(_read(build_elf(runpath=path)).runpath) == 300


_SAMPLE = build_elf(interpreter=b"/lib64/ld-linux-x86-64.so.2", needed=(b"libc.so.6",), runpath=b"/x", soname=b"s")


@given(st.lists(st.tuples(st.integers(0, len(_SAMPLE) - 1), st.integers(0, 255)), max_size=12), st.integers(0, 600))
def test_damage_never_raises(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(_SAMPLE)
    for at, value in changes:
        data[at] = value
    found = read_dynamic(bytes(data[:length]) if length < 500 else bytes(data))
    assert found is None or isinstance(found, Dynamic)


def test_only_the_needed_parts_of_a_file_are_read() -> None:
    data = _SAMPLE + bytes(50_000_000)
    asked = []

    def part(path: bytes, offset: int, size: int) -> bytes:
        assert path == b"/lib/x.so"
        asked.append(size)
        return data[offset : offset + size]

    assert read_dynamic_file(b"/lib/x.so", part) == read_dynamic(_SAMPLE)
    assert sum(asked) < 4096
    assert len(asked) <= 8


def test_a_file_that_cannot_be_read_gives_none() -> None:
    def part(path: bytes, offset: int, size: int) -> bytes:
        raise PermissionError(path)

    assert read_dynamic_file(b"/lib/x.so", part) is None


def test_what_a_real_linker_makes(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("int main(void) { return 0; }\n")
    for name, flags in (
        ("plain", ["-Wl,-rpath,/a:/b", "-Wl,--enable-new-dtags"]),
        ("old", ["-Wl,-rpath,/a", "-Wl,--disable-new-dtags"]),
        ("static", ["-static"]),
        ("static-pie", ["-static-pie"]),
        ("library", ["-shared", "-fPIC", "-Wl,-soname,libx.so.1"]),
    ):
        subprocess.run(["gcc", *flags, "-o", name, "x.c"], cwd=tmp_path, check=True)
    plain = _read((tmp_path / "plain").read_bytes())
    assert plain.runpath == (b"/a", b"/b")
    assert plain.rpath == ()
    assert b"libc.so.6" in plain.needed
    assert os.path.exists(plain.interpreter)
    assert _read((tmp_path / "old").read_bytes()).rpath == (b"/a",)
    assert _read((tmp_path / "static").read_bytes()).is_static_executable
    assert _read((tmp_path / "static-pie").read_bytes()).is_static_executable
    assert _read((tmp_path / "library").read_bytes()).soname == b"libx.so.1"
    with (tmp_path / "plain").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert read_dynamic(mapped) == plain
    stripped = subprocess.run(["strip", "--strip-section-headers", "plain"], cwd=tmp_path, capture_output=True)
    if stripped.returncode != 0:  # binutils before 2.41 cannot; cutting the table off does the same
        data = bytearray((tmp_path / "plain").read_bytes())
        start = int.from_bytes(data[40:48], "little")
        data[40:48] = bytes(8)
        (tmp_path / "plain").write_bytes(data[:start])
    assert _read((tmp_path / "plain").read_bytes()) == plain
