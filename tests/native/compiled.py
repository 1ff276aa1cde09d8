"""The native programs and libraries that CMakeLists.txt builds, compiled from the sources beside the tests with warnings as errors.

`GG_SANITIZE=undefined` has what C leaves undefined end a process by SIGILL. That needs no library of its own, so programs stay
static and libraries can be preloaded into anything. `GG_SANITIZE=address` has AddressSanitizer look at every access to memory
of the programs (`tests.native.sanitized`). Not of the libraries: a child between vfork and exec leaves their frames marked on the
stack of its parent, where the sanitizer sees the parent's next call as wrong. Their readers have harnesses (tests/fuzz/native).
Warnings are other ones then.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.native import sanitized

SOURCES = Path(__file__).resolve().parents[2] / "toolchain-wrappers"
SANITIZE = os.environ.get("GG_SANITIZE", "")
_FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-U_FORTIFY_SOURCE")
_FALSE = "-Wno-dangling-pointer"  # GCC 12 takes what asprintf makes for a part of the stack
_UNDEFINED = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error", "-Wno-error")
_MORE = {"": (), "undefined": _UNDEFINED, "address": ()}[SANITIZE]
_LIBRARY = (*_FLAGS, *_MORE, "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,lazy")
_COMMON = ("wire.c", "programs.c", "outside.c", "called.c")


@dataclass(frozen=True, slots=True)
class Native:
    """Paths of the programs and libraries under test."""

    shim: Path
    record: Path
    pathmap: Path
    jail: Path
    trace: Path
    warden: Path
    place: Path
    find: Path
    lay: Path

    def called(self, name: str) -> str:
        """The path of a program that an installation has under this name; nothing if it is not compiled here."""
        every = (self.shim, self.trace, self.warden, self.place, self.find, self.lay)
        return next((str(path) for path in every if path.name == name), "")


def cc(*arguments: str | Path) -> None:
    subprocess.run(["cc", *map(str, arguments)], check=True)


def compiled(where: Path) -> Native:
    """All of them, in `where`; the libraries first, which programs with AddressSanitizer are linked past."""
    common = [SOURCES / "common" / name for name in _COMMON]
    wire = common[0]
    return Native(
        record=_library(where, "record", *common),
        pathmap=_library(where, "pathmap"),
        shim=_program(where, "shim", *common),
        jail=_program(where, "jail"),
        trace=_program(where, "trace", wire),
        warden=_program(where, "warden"),
        place=_program(where, "place", wire),
        find=_program(where, "find", wire),
        lay=_program(where, "lay"),
    )


def _program(where: Path, name: str, *more: Path) -> Path:
    made = where / f"gg-{name}"
    sources = [*sorted((SOURCES / name).glob("*.c")), *more]
    if SANITIZE == "address":
        sanitized.program(made, sources, _FLAGS, sorted(where.glob("*.so")))
    else:
        cc(*_FLAGS, _FALSE, "-static", *_MORE, "-o", made, *sources)
    return made


def _library(where: Path, name: str, *more: Path) -> Path:
    made = where / f"libgg-{name}.so"
    common = [SOURCES / "common" / each for each in ("exec_family.c", "next.c")]
    cc(*_LIBRARY, "-o", made, *common, *sorted((SOURCES / name).glob("*.c")), *more)
    return made
