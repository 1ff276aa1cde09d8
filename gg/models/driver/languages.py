"""The languages that a compiler driver knows a source to be in: by suffix, or by -x.

The suffixes are those of GCC (gcc.cc, `default_compilers`, and the `lang-specs.h` of each front end) and of clang
(`Types.def`, `lookupTypeForExtension`). What is in none of these is for the linker.
"""

from __future__ import annotations

from gg.light.slotted import slotted
from gg.models.drafts import Lexer


@slotted()
class Language:
    """One language. `front` is the one whose headers and compiler proper are used ("c", "c++", "objc", …).

    `preprocessed`: the source is preprocessed when compiled (headers are looked for, dependencies written).
    `compiled`: there is a compiler proper (not so for assembly). `header`: it is precompiled. `intermediate` is the
    suffix of the preprocessed text under -save-temps. `supported`: False for languages that no model covers.
    """

    name: str
    front: str
    lexer: Lexer | None = Lexer.C
    preprocessed: bool = True
    compiled: bool = True
    header: bool = False
    intermediate: bytes = b""
    supported: bool = True


def _family(name: str, front: str, output: str, intermediate: bytes) -> tuple[Language, ...]:
    return (
        Language(name, front, intermediate=intermediate),
        Language(f"{name}-header", front, header=True),
        Language(output, front, preprocessed=False),
    )


LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        *_family("c", "c", "cpp-output", b".i"),
        *_family("c++", "c++", "c++-cpp-output", b".ii"),
        *_family("objective-c", "objc", "objective-c-cpp-output", b".mi"),
        *_family("objective-c++", "objc++", "objective-c++-cpp-output", b".mii"),
        Language("objc-cpp-output", "objc", preprocessed=False),
        Language("assembler-with-cpp", "asm", compiled=False, intermediate=b".s"),
        Language("assembler", "asm", Lexer.GAS, preprocessed=False, compiled=False),
        Language("ir", "ir", None, preprocessed=False),
    )
}

_UNSUPPORTED = {
    "Fortran": b"f for ftn fpp F FOR FTN FPP f90 f95 f03 f08 F90 F95 F03 F08",
    "Ada": b"ads adb",
    "Go": b"go",
    "D": b"d di dd",
    "Modula-2": b"mod def",
    "Rust": b"rs",
    "OpenCL": b"cl clcpp",
    "CUDA": b"cu cuh cui",
    "HIP": b"hip hipi",
    "C++ modules": b"cppm ccm cxxm c++m ixx iim pcm",
    "LLVM interface stubs": b"ifs",
}
_SUFFIXES = {
    "c": b"c",
    "cpp-output": b"i",
    "c++-cpp-output": b"ii",
    "objective-c": b"m",
    "objective-c-cpp-output": b"mi",
    "objective-c++": b"mm M",
    "objective-c++-cpp-output": b"mii",
    "c-header": b"h",
    "c++": b"cc cp cxx cpp CPP c++ C",
    "c++-header": b"hh H hp hxx hpp HPP h++ tcc",
    "assembler": b"s",
    "assembler-with-cpp": b"S sx",
}

BY_SUFFIX: dict[bytes, Language] = {
    **{suffix: LANGUAGES[name] for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()},
    **{
        s: Language(name, name, None, supported=False)
        for name, suffixes in _UNSUPPORTED.items()
        for s in suffixes.split()
    },
}
_CLANG_ONLY = {b"ll": LANGUAGES["ir"], b"bc": LANGUAGES["ir"]}

# What g++ takes the suffixes of C for (g++spec.cc); clang++ does the same.
_AS_CPLUSPLUS = {"c": LANGUAGES["c++"], "c-header": LANGUAGES["c++-header"], "cpp-output": LANGUAGES["c++-cpp-output"]}


def by_suffix(path: bytes, *, clang: bool, cplusplus: bool) -> Language | None:
    """The language of a source by its name; None when it is for the linker."""
    dot = path.rfind(b".")
    if dot < 0:
        return None
    suffix = path[dot + 1 :]
    found = BY_SUFFIX.get(suffix) or (_CLANG_ONLY.get(suffix) if clang else None)
    if cplusplus and found is not None:
        return _AS_CPLUSPLUS.get(found.name, found)
    return found


def by_name(name: bytes) -> Language:
    """The language of -x; one that is not supported if no model knows it."""
    text = name.decode("latin-1")
    text = {"c++-system-header": "c++-header", "c++-user-header": "c++-header"}.get(text, text)
    return LANGUAGES.get(text) or Language(text, text, None, supported=False)
