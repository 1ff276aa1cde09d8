"""Real objects to make inputs from: one of each kind is compiled once, and copies get a symbol name of their own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NAME = b"f_00000000"


@dataclass(frozen=True, slots=True)
class Templates:
    """An object with one function, one with `main` too, an archive with an index, a shared library, a program."""

    plain: bytes
    with_main: bytes
    archived: bytes
    shared: bytes
    program: bytes

    def object(self, mark: bytes, main: bool) -> bytes:
        """An object that defines `f_MARK` (and `main`); `mark` is eight characters."""
        return (self.with_main if main else self.plain).replace(_NAME, b"f_" + mark)

    def archive(self, mark: bytes) -> bytes:
        """An archive with a symbol index and one member, that defines `f_MARK`."""
        return self.archived.replace(_NAME, b"f_" + mark)


def make(directory: Path) -> Templates:
    """Compile the templates in `directory` with the real tools."""
    function = "int f_00000000(int x) { return x + 1; }\n"
    (directory / "plain.c").write_text(function)
    (directory / "main.c").write_text(function + "int main(void) { return f_00000000(-1); }\n")
    for command in (
        ["gcc", "-g", "-O1", "-fPIC", "-c", "plain.c", "main.c"],
        ["ar", "rcs", "libplain.a", "plain.o"],
        ["gcc", "-shared", "-o", "libplain.so", "plain.o"],
        ["gcc", "-o", "program", "main.o"],
    ):
        subprocess.run(command, cwd=directory, check=True)
    names = ("plain.o", "main.o", "libplain.a", "libplain.so", "program")
    return Templates(*((directory / name).read_bytes() for name in names))
