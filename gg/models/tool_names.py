"""The names by which the modelled tools are called, and the canonical name of each.

A tool is called by its plain name (`gcc`), with its version (`gcc-12`, `g++-12.2`, `clang-14`), with the target it
compiles for (`x86_64-linux-gnu-gcc`, `aarch64-linux-gnu-ld.bfd`), as an LLVM twin (`llvm-ar-14`), or under a name that
the distribution gave it (`c89-gcc`, `i686-w64-mingw32-gcc-posix`). The prefix must begin with the name of an
architecture: `afl-gcc`, `musl-gcc` and `ccache-clang` are other programs, with inputs of their own.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gg.light.regex import regex

COMPILERS = ("gcc", "g++", "cc", "c++", "c89", "c99", "cpp", "clang", "clang++", "clang-cpp")
BINUTILS = (
    *("as", "ld", "ld.bfd", "ld.gold", "ld.lld", "mold", "ar", "ranlib", "strip", "nm"),
    *("objcopy", "objdump", "readelf", "size", "strings", "gcc-ar", "gcc-nm", "gcc-ranlib"),
)
ASSEMBLERS = ("nasm", "yasm")
REAL = ("gfortran", "f77", "f95", "windres")  # known by name, to say why they run for real

# The LLVM tools that answer to the GNU ones' options; llvm-as and llvm-link read LLVM's own language.
LLVM_TWINS = ("ar", "ranlib", "strip", "nm", "objcopy", "objdump", "readelf", "size", "strings")

NAMES: tuple[str, ...] = (*COMPILERS, *BINUTILS, *ASSEMBLERS, *REAL, *(f"llvm-{tool}" for tool in LLVM_TWINS))
"""Every canonical name: what `tool_name` may answer."""

LAUNCHERS: tuple[str, ...] = ("ccache", "distcc", "sccache", "icecc")
"""Programs that take a compiler's whole command line as arguments, and look its result up or have it compiled elsewhere."""

# First components of target names, as GNU config.sub and LLVM know them.
_ARCHITECTURES = (
    r"x86_64|amd64|i[3-7]86|aarch64\w*|arm\w*|thumb\w*|mips\w*|powerpc\w*|ppc\w*|riscv\w*|s390x?|sparc\w*|sh\w{0,4}"
    r"|m68k|alpha\w*|hppa\w*|ia64|loongarch\w*|avr\w*|msp430\w*|xtensa\w*|nios2\w*|microblaze\w*|or1k\w*|arc\w*|csky\w*"
    r"|bfin|rx|rl78|v850\w*|h8300|lm32|tricore|bpf|amdgcn|nvptx|wasm\d*|cris\w*|frv|m32[cr]|mn10300|tic6x|vax|e2k"
    r"|hexagon|pru|visium|epiphany|moxie|ft32|nds32\w*|k1om|tile\w*|rs6000"
)
_ALIASES = {"c89-gcc": "c89", "c99-gcc": "c99", "ld.mold": "mold"}
_PLAIN = {name: name for name in (*NAMES, *LAUNCHERS)} | _ALIASES
PLAIN = tuple(_PLAIN)
"""The names without version, target or other additions."""
# Lazy: of `x86_64-linux-gnu-gcc-ar` the tool is gcc-ar, not ar.
_CANONICAL = regex(
    rf"(?:(?:{_ARCHITECTURES})(?:-[A-Za-z0-9_.]+){{0,3}}?-)?"
    rf"(?P<tool>{'|'.join(re.escape(name) for name in sorted((*NAMES, *_ALIASES), key=len, reverse=True))})"
    r"(?:-\d+(?:\.\d+){0,2})?(?:-(?:posix|win32))?(?:\.exe)?"
)


@lru_cache(maxsize=4096)
def tool_name(basename: bytes) -> str | None:
    """The canonical name of the tool or launcher that is called as `basename` (no directory), None for any other."""
    name = basename.decode("latin-1")
    if "-" not in name and not name.endswith(".exe"):  # nearly all that PATH has
        return _PLAIN.get(name)
    found = _CANONICAL.fullmatch(name)
    if found is None:
        return None
    tool = found["tool"]
    return _ALIASES.get(tool, tool)
