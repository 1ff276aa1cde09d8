"""Small sources and calls of a tool. Recording them shows which files a compiler, or a tool like it, consists of. Pure.

A layer should hold exactly what thunks will name. So the recorder itself is asked, with calls such as a build makes; a second
description of a toolchain might differ. Sources include headers under a condition, so headers that a target lacks are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gg.errors import UsageError
from gg.models.tool_names import COMPILERS, tool_name

_C = "assert ctype errno fcntl float inttypes limits locale math pthread setjmp signal stdarg stdbool stddef stdint stdio"
_C += " stdlib string strings sys/mman sys/socket sys/stat sys/time sys/types sys/wait time unistd wchar"
_CXX = "algorithm any array atomic bitset cassert cctype cerrno chrono climits cmath complex condition_variable cstdarg"
_CXX += (
    " cstddef cstdint cstdio cstdlib cstring ctime deque exception filesystem forward_list fstream functional future"
)
_CXX += " initializer_list iomanip ios iosfwd iostream istream iterator limits list locale map memory mutex new numeric"
_CXX += (
    " optional ostream queue random ratio regex set sstream stack stdexcept streambuf string string_view system_error"
)
_CXX += " thread tuple type_traits typeinfo unordered_map unordered_set utility valarray variant vector"

# The arguments for each binary utility; `{}` is any file. Utilities that print are missing: they always run for real.
_UTILITIES = {
    **dict.fromkeys(("ar", "gcc-ar", "llvm-ar"), ("rcs", "made.a", "{}.o")),
    **dict.fromkeys(("as",), ("-o", "made.o", "{}.s")),
    **dict.fromkeys(("ld", "ld.bfd", "ld.gold", "ld.lld", "mold"), ("-r", "-o", "made.o", "{}.o")),
    **dict.fromkeys(("strip", "llvm-strip"), ("-o", "made.o", "{}.o")),
    **dict.fromkeys(("objcopy", "llvm-objcopy"), ("{}.o", "made.o")),
    **dict.fromkeys(("nasm", "yasm"), ("-f", "elf64", "-o", "made.o", "{}.asm")),
}
_EMPTY = "empty"


class Sample(NamedTuple):
    """Files to write, by name, and commands to record in their directory. `compiles`: the sample is for a compiler."""

    files: dict[str, str]
    commands: tuple[tuple[str, ...], ...]
    compiles: bool


def sample(command: tuple[str, ...]) -> Sample:
    """The sample for a tool with its constant options: `("gcc", "-m32")`. UsageError for a tool that no thunk runs."""
    base = command[0].rpartition("/")[2]
    tool = tool_name(base.encode())
    if tool in COMPILERS and tool not in ("cpp", "clang-cpp"):
        return _compiler(command, tool in ("g++", "c++", "clang++"))
    if tool not in _UTILITIES:
        raise UsageError(
            f"gg does not send {base!r} to functions",
            hint=f"a compiler (gcc, g++, clang, …) or one of {', '.join(_UTILITIES)}",
        )
    words = _UTILITIES[tool]
    files = {word.format(_EMPTY): "" for word in words if "{}" in word}
    return Sample(files, ((*command, *(word.format(_EMPTY) for word in words)),), compiles=False)


def _compiler(command: tuple[str, ...], is_cxx: bool) -> Sample:
    files = {"sample.c": _source(f"{name}.h" for name in _C.split())}
    commands = [(*command, "-c", "sample.c", "-o", "sample.o")]
    if is_cxx:  # a C++ driver compiles C as C++, and rarely gets any
        files = {"sample.cc": _source(_CXX.split())}
        commands = [(*command, "-c", "sample.cc", "-o", "sample.o")]
    return Sample(files, (*commands, (*command, "sample.o", "-lm", "-o", "sample")), compiles=True)


def _source(headers: Iterable[str]) -> str:
    lines = [f"#if __has_include(<{name}>)\n#include <{name}>\n#endif\n" for name in headers]
    return "".join([*lines, "int main(void) { return 0; }\n"])
