"""Names by which tools are called."""

from __future__ import annotations

import pytest

from gg.models.by_tool import MODELS
from gg.models.tool_names import NAMES, tool_name

CALLED = {
    "gcc": "gcc gcc-12 gcc-4.9 x86_64-linux-gnu-gcc arm-none-eabi-gcc avr-gcc i686-w64-mingw32-gcc xtensa-esp32-elf-gcc"
    " i686-w64-mingw32-gcc-win32 mips64el-linux-gnuabi64-gcc-12 x86_64-pc-linux-gnu-gcc-12.3.1",
    "g++": "g++ g++-12.2.0 x86_64-linux-gnu-g++-12 i686-w64-mingw32-g++-posix",
    "cc": "cc",
    "c++": "c++",
    "c89": "c89 c89-gcc",
    "c99": "c99 c99-gcc",
    "cpp": "cpp cpp-12 arm-linux-gnueabihf-cpp-12",
    "clang": "clang clang-14 aarch64-linux-gnu-clang",
    "clang++": "clang++ clang++-14",
    "clang-cpp": "clang-cpp clang-cpp-14",
    "as": "as x86_64-linux-gnu-as arm-none-eabi-as",
    "ld": "ld riscv64-unknown-elf-ld",
    "ld.bfd": "ld.bfd aarch64-linux-gnu-ld.bfd",
    "gfortran": "gfortran gfortran-12 x86_64-linux-gnu-gfortran",
    "windres": "windres x86_64-w64-mingw32-windres",
    "ld.gold": "ld.gold x86_64-linux-gnu-ld.gold",
    "ld.lld": "ld.lld ld.lld-14",
    "mold": "mold ld.mold",
    "ar": "ar powerpc64le-linux-gnu-ar",
    "gcc-ar": "gcc-ar gcc-ar-12 x86_64-linux-gnu-gcc-ar-12",
    "gcc-nm": "gcc-nm-12",
    "gcc-ranlib": "x86_64-linux-gnu-gcc-ranlib",
    "llvm-ar": "llvm-ar llvm-ar-14",
    "llvm-ranlib": "llvm-ranlib-14",
    "llvm-objcopy": "llvm-objcopy-14",
    "llvm-size": "llvm-size-14",
    "ranlib": "ranlib",
    "strip": "strip",
    "nm": "nm s390x-linux-gnu-nm",
    "objcopy": "objcopy riscv64-unknown-elf-objcopy",
    "nasm": "nasm",
    "yasm": "yasm",
}
OTHERS = (
    "afl-gcc musl-gcc ccache-gcc clang-tidy clang-format gccgo gcc-foo ldd llvm-as llvm-link ldconfig gcov gcc-12-ar"
    " nm-new xgcc g++filt c++filt arpack asm size_t pkg-config x86_64-linux-gnu-pkg-config python3 -gcc gcc-"
)


@pytest.mark.parametrize(("called", "name"), [(called, name) for name in CALLED for called in CALLED[name].split()])
def test_a_modelled_tool_is_known_by_all_its_names(called: str, name: str) -> None:
    assert tool_name(called.encode()) == name


@pytest.mark.parametrize("called", OTHERS.split())
def test_another_program_is_not_taken_for_a_tool(called: str) -> None:
    assert tool_name(called.encode()) is None


def test_names_that_are_not_text() -> None:
    assert tool_name(b"gcc\xff") is None
    assert tool_name(b"") is None


def test_every_name_has_a_model() -> None:
    assert set(NAMES) <= set(MODELS)
    assert all(tool_name(name.encode()) == name for name in NAMES)
