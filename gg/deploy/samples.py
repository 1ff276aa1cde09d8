"""Small sources and calls of a tool. Recording them tells which files a compiler, or a tool like it, consists of. Pure.

A layer is to hold just what thunks will name: so the recorder itself is asked, with calls as a build makes them, rather than
a second opinion of what a toolchain is. Headers are named by a condition: what a target lacks is passed over.
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

# What each binary utility is given; `{}` is a file that does not matter. Those that print run for real, wherever they are.
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
    """Files to write, by name, and commands to record in their directory. `compiles`: it is a compiler's."""

    files: dict[str, str]
    commands: tuple[tuple[str, ...], ...]
    compiles: bool


def sample(command: tuple[str, ...]) -> Sample:
    """For a tool and the options that it is always given: `("gcc", "-m32")`. UsageError for what no thunk runs."""
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
    if is_cxx:  # which compiles C as C++, and is rarely given it
        files = {"sample.cc": _source(_CXX.split())}
        commands = [(*command, "-c", "sample.cc", "-o", "sample.o")]
    return Sample(files, (*commands, (*command, "sample.o", "-lm", "-o", "sample")), compiles=True)


def _source(headers: Iterable[str]) -> str:
    lines = [f"#if __has_include(<{name}>)\n#include <{name}>\n#endif\n" for name in headers]
    return "".join([*lines, "int main(void) { return 0; }\n"])
