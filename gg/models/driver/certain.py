"""Options that need no question, for every compiler from these versions on has them, under -Werror too. As data.

A test gives each list whole to the compilers that are installed. What is not here is no worse: it is asked about once
(`accepted`). Machine options are never here, for each target has its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from gg.light.regex import regex
from gg.models.driver.flags import CLANG, GCC

SINCE = {GCC: (8,), CLANG: (7,)}

_WARNINGS = (
    "all extra pedantic error shadow undef write-strings cast-qual cast-align pointer-arith missing-declarations "
    "redundant-decls vla init-self float-equal unused unused-parameter unused-variable unused-function unused-label "
    "unused-value unused-result unused-macros format format=2 format-security format-nonliteral sign-compare "
    "sign-conversion conversion float-conversion switch switch-enum switch-default uninitialized parentheses "
    "missing-field-initializers missing-braces missing-noreturn missing-include-dirs disabled-optimization "
    "strict-aliasing strict-overflow inline aggregate-return address array-bounds char-subscripts comment deprecated "
    "deprecated-declarations div-by-zero empty-body endif-labels enum-compare implicit-fallthrough "
    "invalid-pch long-long main multichar nonnull overflow overlength-strings packed padded return-type sequence-point "
    "stack-protector system-headers trigraphs unknown-pragmas variadic-macros volatile-register-var attributes "
    "double-promotion date-time null-dereference type-limits"
)
_NEGATIVE = (
    "error pedantic unused unused-parameter unused-variable unused-function unused-label unused-value unused-result "
    "unused-const-variable unused-local-typedefs sign-compare sign-conversion conversion switch uninitialized "
    "parentheses missing-field-initializers missing-braces strict-aliasing address array-bounds char-subscripts "
    "comment deprecated deprecated-declarations empty-body format format-security format-nonliteral "
    "format-zero-length format-extra-args implicit-fallthrough long-long multichar nonnull overflow overlength-strings "
    "shadow undef cast-qual float-equal type-limits unknown-pragmas variadic-macros write-strings attributes "
    "misleading-indentation narrowing system-headers float-conversion redundant-decls"
)
_CODE = (
    "no-strict-aliasing strict-aliasing omit-frame-pointer no-omit-frame-pointer wrapv function-sections data-sections "
    "no-common common exceptions no-exceptions asynchronous-unwind-tables no-asynchronous-unwind-tables unwind-tables "
    "no-inline no-builtin signed-char unsigned-char freestanding short-enums no-math-errno math-errno unroll-loops "
    "no-stack-protector stack-protector stack-protector-strong stack-protector-all visibility=hidden visibility=default "
    "diagnostics-color diagnostics-color=always diagnostics-color=never diagnostics-color=auto "
    "no-delete-null-pointer-checks no-ident no-optimize-sibling-calls fp-contract=off"
)
_BOTH = (
    "-O -O0 -O1 -O2 -O3 -Os -Og -g -g0 -g1 -g2 -g3 -ggdb -gdwarf -gdwarf-2 -gdwarf-3 -gdwarf-4 -gdwarf-5 -pipe "
    "-pedantic -pthread -w -W -fPIC -fpic -fPIE -fpie -fno-PIC -fno-pic -fno-PIE -fno-pie"
)
_GCC = "-Wlogical-op -Wno-maybe-uninitialized -Wmaybe-uninitialized -fno-strict-overflow -fno-tree-vectorize -flto"
_C = (
    "-Wstrict-prototypes -Wmissing-prototypes -Wnested-externs -Wold-style-definition -Wbad-function-cast "
    "-Wdeclaration-after-statement -Wimplicit -Wimplicit-int -Wimplicit-function-declaration -Wno-pointer-sign "
    "-Wpointer-sign -Wno-implicit-function-declaration -Werror=implicit-function-declaration "
    "-Werror-implicit-function-declaration -Wno-missing-prototypes -ansi"
)
_CXX = (
    "-Wnon-virtual-dtor -Woverloaded-virtual -Wreorder -Wold-style-cast -Wno-reorder -Wno-overloaded-virtual "
    "-Wdelete-non-virtual-dtor -Wextra-semi -fno-rtti -frtti -fvisibility-inlines-hidden"
)
_COMMON_ERRORS = "-Werror=format-security -Werror=return-type -Werror=vla -Werror=shadow -Werror=pointer-arith"
_STANDARDS = {
    "c": "-std=c89 -std=c90 -std=c99 -std=c11 -std=gnu89 -std=gnu90 -std=gnu99 -std=gnu11 -std=c17 -std=gnu17",
    "c++": "-std=c++98 -std=c++03 -std=c++11 -std=c++14 -std=c++17 -std=gnu++98 -std=gnu++03 -std=gnu++11 -std=gnu++14 "
    "-std=gnu++17",
}
_LINKS = "-shared -static -pie -no-pie -s -r -rdynamic -nostdlib -nostartfiles -nodefaultlibs"

# Any value will do.
_JOINED = regex(rb"(?s:-frandom-seed=.*|-fdebug-prefix-map=[^=]*=.*|-fmessage-length=\d+|-ftemplate-depth=\d+)")
_FILES = frozenset(
    b"--coverage -coverage -ftest-coverage -save-temps -save-temps=obj -save-temps=cwd -gsplit-dwarf "
    b"-fprofile-use -emit-llvm".split()
)


def words(flavour: str, front: str) -> frozenset[bytes]:
    """The certain options for sources of a language ("c", "c++"); for any other language, those that both have."""
    found = [_BOTH, _COMMON_ERRORS]
    found += ["-W" + " -W".join(_WARNINGS.split()), "-Wno-" + " -Wno-".join(_NEGATIVE.split())]
    found += ["-f" + " -f".join(_CODE.split())]
    if front in _STANDARDS:
        found += [_STANDARDS[front], _C if front == "c" else _CXX]
    if flavour == GCC:
        found += [_GCC, _LINKS]
    return frozenset(" ".join(found).encode().split())


@cache
def certain(flavour: str, version: tuple[int, ...], front: str) -> Callable[[bytes], bool]:
    """Whether an option is certain for compilers of this version and sources of this language."""
    known = words(flavour, front) if version >= SINCE[flavour] else frozenset[bytes]()
    joined = _JOINED.fullmatch

    def is_certain(word: bytes) -> bool:
        return word in known or joined(word) is not None

    return is_certain


def is_certain_file_option(word: bytes) -> bool:
    """Whether an option that makes or reads further files is certain."""
    return word in _FILES
