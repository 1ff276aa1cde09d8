"""How a program is started: by the dynamic loader, by an interpreter, or by the kernel alone.

The path map is a preloaded library, so it sees what a program does only if the dynamic loader starts that program. A
script is no program of its own: the kernel would be given the place where its bytes are kept, and tell the interpreter
that name, so the interpreter is started here in its stead, as execve(2) says.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gg.core.ids import SandboxPath
from gg.core.thunk import Thunk
from gg.models.elf import read_dynamic_file

_SCRIPT_DEPTH = 5  # as Linux has it: fs/exec.c
_SCRIPT_LINE = 256


@dataclass(frozen=True, slots=True)
class Program:
    """One file that can be executed. `mapped`: the path map works in it. `interpreter` and `argument` are a script's."""

    mapped: bool
    interpreter: bytes = b""
    argument: bytes = b""


@dataclass(frozen=True, slots=True)
class Command:
    """What to give to the kernel. `mapped`: the path map works in it. `path` is the program's own, inside the sandbox."""

    program: bytes
    argv: tuple[bytes, ...]
    path: bytes
    mapped: bool


class Programs:
    """Remembers what programs are, by their file. Not for several threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int, int, int], Program] = {}

    def command(self, thunk: Thunk, places: Mapping[SandboxPath, bytes]) -> Command:
        """How to start `thunk`. `places`: where declared files are that are not at their own path. OSError: it cannot."""
        path: bytes = thunk.program
        argv = thunk.argv
        for _ in range(_SCRIPT_DEPTH):
            host = places.get(SandboxPath(path)) or path
            program = self.of(host)
            if not program.interpreter:
                return Command(host, argv, path, program.mapped)
            argument = (program.argument,) if program.argument else ()
            argv = (program.interpreter, *argument, path, *argv[1:])
            path = program.interpreter
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(thunk.program))

    def of(self, path: bytes) -> Program:
        """What the file at `path` is; OSError if it cannot be read."""
        st = os.stat(path)
        key = (path, st.st_ino, st.st_size, st.st_mtime_ns)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _look(path)
        return known


def _look(path: bytes) -> Program:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(fd, _SCRIPT_LINE, 0)
        if head.startswith(b"#!"):
            words = head[2:].partition(b"\n")[0].strip(b" \t").split(None, 1)
            if words:
                return Program(True, words[0], words[1].rstrip(b" \t") if len(words) > 1 else b"")
        dynamic = read_dynamic_file(path, lambda _, offset, size: os.pread(fd, size, offset))
    finally:
        os.close(fd)
    # What is no ELF file at all cannot be executed either, and says so when it is tried.
    return Program(dynamic is None or (bool(dynamic.interpreter) and dynamic.bits == 64))
