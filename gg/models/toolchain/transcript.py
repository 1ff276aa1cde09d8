"""What a compiler driver says of itself under `-v` and `-###`, as data. Pure: bytes in, values out.

GCC prints "Using built-in specs.", one "Reading specs from" a file, Target, "gcc version", then each command on a line
of its own that starts with a blank, an argument quoted when it has more than letters, digits and `_/-.` (gcc.cc,
`execute`); COMPILER_PATH and LIBRARY_PATH follow (gcc.cc, `putenv_from_prefixes`). Clang prints "clang version", the
GCC installations that it found and the commands, every argument quoted (`Command::Print` in lib/Driver/Job.cpp). Both
put a backslash before `"`, `\\` and `$`. The questions are asked in the C locale, so the words are these.
"""

from __future__ import annotations

import re

from gg.light.regex import regex
from gg.light.slotted import slotted

Argv = tuple[bytes, ...]

_WORD = regex(rb'"((?:[^"\\]|\\.)*)"|(\S+)', re.DOTALL)
_ESCAPE = regex(rb"\\(.)", re.DOTALL)
_VERSION = regex(rb"^(?:(gcc) version|.*\b(clang) version) (\d+(?:\.\d+)*).*$", re.MULTILINE)
_INCLUDES = regex(rb"^#include <\.\.\.> search starts here:\n((?: .*\n)*)", re.MULTILINE)


@slotted()
class Transcript:
    """One answer. Directories are as printed, without a last slash; nothing is resolved.

    `specs` are spec and configuration files that were read. `installations` are the GCC installations among which
    clang chose. `with_ld` is the linker that GCC was configured with, if it is an absolute path. `cross`: that GCC was
    configured for another machine than it runs on.
    """

    flavour: str = ""
    version: tuple[int, ...] = ()
    version_line: bytes = b""
    target: bytes = b""
    commands: tuple[Argv, ...] = ()
    specs: tuple[bytes, ...] = ()
    compiler_path: tuple[bytes, ...] = ()
    library_path: tuple[bytes, ...] = ()
    installations: tuple[bytes, ...] = ()
    called_as: bytes = b""
    lto_wrapper: bytes = b""
    with_ld: bytes = b""
    cross: bool = False


def split_command(line: bytes) -> Argv:
    """The arguments that a driver printed on one line."""
    return tuple(_ESCAPE.sub(rb"\1", match[1]) if match[1] is not None else match[2] for match in _WORD.finditer(line))


def parse(text: bytes) -> Transcript:
    """What a driver's standard error under `-v` or `-###` tells; a Transcript of no flavour if it tells nothing."""
    found = _VERSION.search(text)
    if not found:
        return Transcript()
    return Transcript(
        flavour="gcc" if found[1] else "clang",
        version=tuple(int(part) for part in found[3].split(b".")),
        version_line=found[0],
        target=_value(text, b"Target: "),
        commands=tuple(
            split_command(line)
            for line in text.split(b"\n")
            if line.startswith(b" ") and not line.startswith(b" (in-process)")
        ),
        specs=_values(text, b"Reading specs from ") + _values(text, b"Configuration file: "),
        compiler_path=_directories(_value(text, b"COMPILER_PATH=")),
        library_path=_directories(_value(text, b"LIBRARY_PATH=")),
        installations=_values(text, b"Found candidate GCC installation: "),
        called_as=_value(text, b"COLLECT_GCC="),
        lto_wrapper=_value(text, b"COLLECT_LTO_WRAPPER="),
        with_ld=with_ld if (with_ld := _configured(text, b"--with-ld=")).startswith(b"/") else b"",
        cross=_configured(text, b"--target=")
        not in (b"", _configured(text, b"--host=") or _configured(text, b"--build=")),
    )


def include_dirs(text: bytes) -> tuple[bytes, ...] | None:
    """The directories of `#include <…>` that `-E -v` printed, in their order; None when it printed no list."""
    found = _INCLUDES.search(text)
    if not found:
        return None
    return tuple(line[1:] for line in found[1].split(b"\n") if line)


def _values(text: bytes, label: bytes) -> tuple[bytes, ...]:
    found = re.findall(rb"^" + re.escape(label) + rb"(.*)$", text, re.MULTILINE)
    return tuple(dict.fromkeys(found))


def _value(text: bytes, label: bytes) -> bytes:
    return next(reversed(_values(text, label)), b"")


def _directories(path: bytes) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(part.rstrip(b"/") or b"/" for part in path.split(b":") if part))


def _configured(text: bytes, option: bytes) -> bytes:
    found = re.search(rb"^Configured with: .*?\s'?" + re.escape(option) + rb"([^\s']*)", text, re.MULTILINE)
    return found[1] if found else b""
