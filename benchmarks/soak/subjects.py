"""What is soaked: how each subject is made, built, and given a unit or a flag more.

A subject's sources are edited in two places, in the tree that gg has built and in a pristine copy, so an edit is data:
files to write (None: to remove). Outputs that a build system would not make again (automake's objects do not depend on
its makefiles) are among what is removed; the pristine copy does not have them.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Edit = dict[str, bytes | None]

UNITS = 30


@dataclass(frozen=True, slots=True)
class Subject:
    """One tree. `units` and `headers` are patterns of names relative to it; `loose` are files whose bytes plain builds
    do not keep either. `unit` gives the edit that adds a unit to what is built (or takes it out), `flag` the one that
    changes how all or some are compiled."""

    name: str
    recipe: str | None
    build: str
    units: tuple[str, ...]
    headers: tuple[str, ...]
    unit: Callable[[Path, str, bool], Edit]
    flag: Callable[[Path, int], Edit]
    loose: tuple[str, ...] = ()

    def files(self, root: Path, patterns: tuple[str, ...]) -> list[str]:
        found = [path.relative_to(root) for pattern in patterns for path in root.glob(pattern)]
        return sorted(str(path) for path in found if path.suffix in (".c", ".cc", ".h"))

    def is_loose(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in self.loose)


def _replaced(root: Path, name: str, old: str, new: str) -> Edit:
    text = (root / name).read_text()
    if old not in text:
        raise ValueError(f"{name} has no {old!r}")
    return {name: text.replace(old, new, 1).encode()}


def _listed(root: Path, makefile: str, head: str, entry: str, add: bool) -> Edit:
    """An entry put behind the head of a list in a makefile, or taken out."""
    return _replaced(root, makefile, head, head + entry) if add else _replaced(root, makefile, entry, "")


def _flagged(root: Path, makefile: str, line: str, number: int) -> Edit:
    """The line that begins with `line`, with another value of the macro SOAK_FLAG at its end."""
    lines = (root / makefile).read_text().split("\n")
    at = next(i for i, text in enumerate(lines) if text.startswith(line))
    lines[at] = lines[at].partition(" -DSOAK_FLAG")[0] + f" -DSOAK_FLAG={number}"
    return {makefile: "\n".join(lines).encode()}


# mosh: automake. What is edited is the configured Makefile of one directory.

_UTIL = "src/util/Makefile"


def _mosh_unit(root: Path, name: str, add: bool) -> Edit:
    stem = os.path.basename(name).removesuffix(".cc")
    edit = _listed(root, _UTIL, "am_libmoshutil_a_OBJECTS =", f" {stem}.$(OBJEXT)", add)
    return {**edit, "src/util/libmoshutil.a": None, f"src/util/{stem}.o": None, f"src/util/.deps/{stem}.Po": None}


def _mosh_flag(root: Path, number: int) -> Edit:
    outputs: Edit = {str(path.relative_to(root)): None for path in (root / "src/util").glob("*.cc")}
    removed: Edit = {name.removesuffix(".cc") + ".o": None for name in outputs}
    return {**_flagged(root, _UTIL, "CXXFLAGS = ", number), **removed}


# cmark: CMake, which makes its makefiles again.

_CMAKE = "src/CMakeLists.txt"


def _cmark_unit(root: Path, name: str, add: bool) -> Edit:
    return _listed(root, _CMAKE, "set(LIBRARY_SOURCES", f"\n  {os.path.basename(name)}", add)


def _cmark_flag(root: Path, number: int) -> Edit:
    lines = [line for line in (root / _CMAKE).read_text().split("\n") if "SOAK_FLAG" not in line]
    return {_CMAKE: "\n".join([f"add_definitions(-DSOAK_FLAG={number})", *lines]).encode()}


# small: thirty units, a library, a generator that is built and run; outputs depend on the makefile.

_MAKEFILE = """\
CC = gcc
CFLAGS = -O1 -g -Wall -Iinclude -Igenerated -DSOAK_FLAG=0
LIBRARY := $(patsubst %.c,%.o,$(sort $(wildcard lib/*.c)))
PROGRAM := $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))

all: program table.txt
program: $(PROGRAM) libparts.a objects.list
\t$(CC) -o $@ $(PROGRAM) -L. -lparts -lm
libparts.a: $(LIBRARY) objects.list
\trm -f $@
\tar cr $@ $(LIBRARY)
\tranlib $@
objects.list: FORCE
\t@echo '$(LIBRARY) $(PROGRAM)' > $@.new; if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
generator: tools/generator.c Makefile
\t$(CC) $(CFLAGS) -o $@ tools/generator.c
generated/table.h: generator
\tmkdir -p generated
\t./generator > $@.new && mv $@.new $@
table.txt: program
\tnm -g --defined-only program | sed 's/.* //' | sort > $@
%.o: %.c Makefile | generated/table.h
\t$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
FORCE:
.PHONY: all FORCE
-include $(wildcard lib/*.d src/*.d)
"""
_GENERATOR = """\
#include <stdio.h>
#include "h3.h"
int main(void) { for (int i = 0; i < 5 + H3; i++) printf("#define TABLE_%d %d\\n", i, i * i); return 0; }
"""


def make_small(root: Path) -> None:
    """Write the small project: units in lib/ and src/ that include some of ten headers, and each other's functions."""
    for directory in ("include", "lib", "src", "tools"):
        (root / directory).mkdir(parents=True)
    (root / "Makefile").write_text(_MAKEFILE)
    (root / "tools/generator.c").write_text(_GENERATOR)
    for n in range(10):
        nested = f'#include "h{n // 2}.h"\n' if n > 1 else ""
        (root / f"include/h{n}.h").write_text(f"#ifndef H{n}_H\n#define H{n}_H\n{nested}#define H{n} {n}\n#endif\n")
    for n in range(UNITS - 1):
        where = "lib" if n % 3 else "src"
        headers = f'#include "h{n % 10}.h"\n#include "h{n * 7 % 10}.h"\n#include "table.h"\n#include <math.h>\n'
        body = f"int f{n}(int x) {{ return x * H{n % 10} + TABLE_{n % 5} + (int)sqrt(x + {n}) + SOAK_FLAG; }}\n"
        (root / f"{where}/u{n}.c").write_text(f"{headers}int f{n}(int x);\n{body}")
    calls = " + ".join(f"f{n}({n})" for n in range(UNITS - 1))
    declared = "".join(f"int f{n}(int x);\n" for n in range(UNITS - 1))
    main = f'int main(void) {{ printf("%d\\n", {calls}); return 0; }}\n'
    (root / "src/main.c").write_text(f"#include <stdio.h>\n{declared}{main}")


SUBJECTS = (
    Subject(
        "small", None, "make -j{jobs}", ("lib/*.c", "src/*.c", "tools/*.c"), ("include/*.h",),
        lambda root, name, add: {}, lambda root, number: _flagged(root, "Makefile", "CFLAGS", number),
    ),
    Subject(
        "mosh", "mosh", "make -j{jobs}", ("src/*/*.cc",), ("src/*/*.h",), _mosh_unit, _mosh_flag,
        loose=("*.log", "config.status", "*/stamp-*"),
    ),
    Subject(
        "cmark", "cmark", "cmake --build build -j{jobs}", ("src/*.c",), ("src/*.h",), _cmark_unit, _cmark_flag,
        loose=("build/CMakeFiles/*", "build/*/CMakeFiles/*.make", "build/*.cmake", "build/*Makefile*", "build/*.log",
               "build/*/CMakeFiles/*.internal", "build/*/CMakeFiles/*.txt", "build/*/CMakeFiles/*.ts",
               "build/*/CMakeFiles/*.cmake", "build/CMakeCache.txt", "build/Testing/*"),
    ),
)  # fmt: skip
WHERE_UNITS_GO = {"small": "lib", "mosh": "src/util", "cmark": "src"}
