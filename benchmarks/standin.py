"""Stand-ins for the build's tools: a directory for PATH in which each notes its call, and what was noted.

`standin.c` says what they do and how the environment steers them.
"""

from __future__ import annotations

import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("standin.c")
TOOLS = (
    *(
        "gcc",
        "g++",
        "cc",
        "c++",
        "cpp",
        "c89",
        "c99",
        "clang",
        "clang++",
        "x86_64-linux-gnu-gcc",
        "x86_64-linux-gnu-g++",
    ),
    *("as", "ld", "ld.bfd", "ld.gold", "ar", "gcc-ar", "ranlib", "gcc-ranlib", "strip", "nm", "gcc-nm"),
    *("objcopy", "objdump", "nasm", "yasm"),
)


@dataclass(frozen=True, slots=True)
class Logged:
    """One call of a tool."""

    cwd: bytes
    argv: tuple[bytes, ...]


def build(directory: Path) -> Path:
    """Compile the stand-in into `directory`, under the name of each tool; the directory, to be put first on PATH."""
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / ".standin"
    subprocess.run(["cc", "-O2", "-static", "-o", str(program), str(SOURCE)], check=True)
    for name in TOOLS:
        (directory / name).unlink(missing_ok=True)
        os.link(program, directory / name)
    return directory


def read(log: Path) -> list[Logged]:
    """All calls in a log, in the order in which they started; none when nothing was called."""
    if not log.exists():
        return []
    data, at, calls = log.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("=I", data, at)
        cwd, *argv = data[at + 4 : at + 4 + length].split(b"\0")[:-1]
        calls.append(Logged(cwd, tuple(argv)))
        at += 4 + length
    return calls
